"""How devices and links are: ok, silent, offline, unknown; up, down. What is silence is decided here and nowhere else.

Pure: `hub.core` says what was heard and what time it is. A watch remembers when its row was last written, so that a
stream of readings does not write health on every message.
"""

from hub.outcome import Health
from hub.reading import Fault, FaultKind, LinkState

WRITE_EVERY = 5_000  # ms between two rows of one source that differ only in last_rx and count of faults
GRACE = 10_000  # ms that a source has at least to speak up after a start

OK, SILENT, OFFLINE, UNKNOWN = "ok", "silent", "offline", "unknown"
UP, DOWN = LinkState.UP.value, LinkState.DOWN.value


class _Watch:
    """What devices and links have in common: a state since when, and a row that is written when it matters."""

    __slots__ = ("detail", "faults", "id", "kind", "last_rx", "since", "state", "written")

    def __init__(self, source: str, kind: str, state: str, now: int) -> None:
        self.id, self.kind, self.state, self.since = source, kind, state, now
        self.last_rx: int | None = None
        self.detail = ""
        self.faults = 0
        self.written = now - WRITE_EVERY

    def row(self, now: int) -> Health:
        """The row as it is now; remembers that it was written."""
        self.written = now
        return Health(
            source=self.id,
            kind=self.kind,
            state=self.state,
            since=self.since,
            last_rx=self.last_rx,
            detail=self.detail,
            faults=self.faults,
        )

    def _become(self, state: str, now: int) -> bool:
        if state == self.state:
            return False
        self.state, self.since = state, now
        return True


class DeviceWatch(_Watch):
    """One device. `silent_after` in ms; 0 = silent by nature, as a chip reader is: then silence says nothing."""

    __slots__ = ("grace", "heard", "link", "silent_after", "started")

    def __init__(self, device: str, link: "LinkWatch", silent_after: float, now: int) -> None:
        """Unknown until it speaks; silent when it has not spoken `grace` ms after the start."""
        super().__init__(device, "device", UNKNOWN, now)
        self.link = link
        self.silent_after = round(silent_after * 1000)
        self.grace = max(self.silent_after, GRACE)
        self.started = now
        self.heard: int | None = None  # since this start

    def restore(self, row: Health) -> None:
        """What is known from before the start: everything but the state, which is unknown again."""
        self.last_rx, self.detail, self.faults = row.last_rx, row.detail, row.faults

    def hear(self, rx: int) -> bool:
        """A fresh reading came; True when that changes the state."""
        self.last_rx = self.heard = rx
        return self.state != OK and self._become(OK, rx)

    def fault(self, fault: Fault, now: int) -> bool:
        """A fault came; True when that changes the state."""
        if fault.kind is FaultKind.REPEATED:
            return False
        self.faults += fault.count
        self.detail = f"{fault.kind}: {fault.detail}"
        if fault.kind is FaultKind.OFFLINE:
            return self._become(OFFLINE, now)
        if fault.kind is FaultKind.GAP:  # what is missing is missing: the device itself speaks
            return False
        return self.silent_after == 0 and self.state == OK and self._become(UNKNOWN, now)

    def link_lost(self, detail: str, now: int) -> bool:
        """Its link went down. A device whose silence says nothing is unknown then; the others fall silent in time."""
        if self.silent_after or self.state != OK:
            return False
        self.detail = f"{FaultKind.LINK_DOWN}: {detail}"
        return self._become(UNKNOWN, now)

    def due(self) -> int | None:
        """When its silence has to be looked at; None while nothing can come of it."""
        if self.silent_after == 0 or self.state in (SILENT, OFFLINE):
            return None
        return self.started + self.grace if self.heard is None else self.heard + self.silent_after

    def check(self, now: int) -> bool:
        """Fall silent if it is time; True when that changes the state."""
        due = self.due()
        if due is None or now < due:
            return False
        self.detail = f"{FaultKind.SILENT}: nothing for {self.silent_after / 1000:g} s"
        return self._become(SILENT, now)

    def rewire(self, link: "LinkWatch", silent_after: float) -> None:
        """It hangs on this link now, and may be silent for so many seconds."""
        self.link = link
        self.silent_after = round(silent_after * 1000)
        self.grace = max(self.silent_after, GRACE)

    def forget(self, now: int) -> None:
        """It may be another device now: unknown until it speaks, with the time that a start gives."""
        self.started, self.heard = now, None
        self._become(UNKNOWN, now)

    def shift(self, gap: int) -> None:
        """The clock was set, or the machine slept: `gap` ms did not pass for this device."""
        self.started += gap
        if self.heard is not None:
            self.heard += gap


class LinkWatch(_Watch):
    """One link: down until it says up. `settled`: from then on "down" is believed without having been said."""

    __slots__ = ("settled", "up_since")

    def __init__(self, link: str, now: int) -> None:
        """Down, and not yet blamed for it."""
        super().__init__(link, "link", DOWN, now)
        self.settled = now + GRACE
        self.up_since = 0
        self.detail = "not opened yet"

    def restore(self, row: Health) -> None:
        """What is known from before the start."""
        self.last_rx, self.faults = row.last_rx, row.faults
        if row.state == DOWN:
            self.since, self.detail = row.since, row.detail

    def change(self, state: LinkState, detail: str, now: int) -> bool:
        """The link said how it is; True when that is news."""
        self.settled = min(self.settled, now)
        self.detail = detail
        if not self._become(state.value, now):
            return False
        if state is LinkState.UP:
            self.up_since = now
        return True

    def reopen(self, now: int) -> None:
        """It is opened anew, on purpose: down, and not yet blamed for it."""
        self._become(DOWN, now)
        self.settled, self.detail = now + GRACE, "its settings were changed: not opened yet"

    def shift(self, gap: int) -> None:
        """The clock was set, or the machine slept: `gap` ms did not pass for this link."""
        self.settled += gap
        self.up_since += gap

    def fault(self, fault: Fault) -> None:
        """A fault that no device can be blamed for."""
        self.faults += 1
        self.detail = f"{fault.kind}: {fault.detail}"


class VoiceWatch(LinkWatch):
    """One voice, watched as a link is: it works until it is known to fail, and fails until it is known to work."""

    __slots__ = ()

    def __init__(self, voice: str, now: int) -> None:
        """Believed to work."""
        super().__init__(voice, now)
        self.kind, self.state, self.settled, self.detail = "voice", UP, now, ""

    def restore(self, row: Health) -> None:
        """A failing voice fails until somebody was reached by it."""
        super().restore(row)
        if row.state == DOWN:
            self.state = DOWN
