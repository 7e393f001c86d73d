"""Repeated events: a reader says the same tag ten times a second while it lies in the field, and it is one event.

Pure. The first one passes at once; each further one within the window extends it, and is counted, never lost silently.
"""

from hub.reading import FRESH, Fault, FaultKind, Reading

MOST = 256  # tags of one reader that are remembered


class Debounce:
    """One event quantity of one device."""

    __slots__ = ("_device", "_last", "_repeated", "_seen", "_window")

    def __init__(self, device: str, window_s: float) -> None:
        """`window_s`: seconds of absence after which the same thing is a new event."""
        self._device = device
        self._window = round(window_s * 1000)
        self._seen: dict[tuple[object, ...], int] = {}
        self._repeated = 0
        self._last = ""

    def widen(self, window_s: float) -> None:
        """Another window from now on."""
        self._window = round(window_s * 1000)

    def remember(self, reading: Reading) -> None:
        """What passed before the hub was started anew."""
        self._seen[_key(reading)] = reading.rx

    def again(self, reading: Reading) -> bool:
        """True for a repetition, which is counted. A late or retained reading is history: it is none, and begins none.

        A clock that was set by more than the window begins anew.
        """
        if reading.quality not in FRESH:
            return False
        key = _key(reading)
        before = self._seen.pop(key, None)
        self._seen[key] = reading.rx  # at the end: the oldest is the first to be forgotten
        if len(self._seen) > MOST:
            del self._seen[next(iter(self._seen))]
        if before is None or abs(reading.rx - before) > self._window:
            return False
        self._repeated += 1
        self._last = f"{reading.quantity} {reading.value}"
        return True

    def told(self, now: int) -> Fault | None:
        """The repetitions since the last call, as one count; None when there were none."""
        if not self._repeated:
            return None
        count, self._repeated = self._repeated, 0
        detail = f"{self._last}: said again, within {self._window / 1000:g} s each time"
        return Fault(source=self._device, kind=FaultKind.REPEATED, detail=detail, rx=now, count=count)


def _key(reading: Reading) -> tuple[object, ...]:
    """What makes two events the same: the value, and all that goes with it."""
    return (reading.value, *sorted((reading.detail or {}).items()))
