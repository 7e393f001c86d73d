"""What a device's own count of its messages tells: which are missing, which came twice, which came late.

Pure. Its row is written in the transaction of the readings, so that a restart of the hub invents no gap and forgets
none. A duplicate is dropped only when it is one beyond doubt. What becomes of a message is decided in `numbering.py`.
"""

from array import array
from enum import Enum

from hub.outcome import Sequence
from hub.reading import Fault, FaultKind, Serial

WINDOW = 64  # messages that may overtake each other
GRACE = 5_000  # ms that a message may be overtaken by, before it is told as missing
MOST_GAP = 100_000  # messages; a longer step is a device that counts from somewhere else
_ROUND = 1 << 32  # device counters are of 32 bits; those of 64 bits fit in too
_SEEN, _KNOWN = (1 << WINDOW - 1) - 1, (1 << WINDOW) - 1
_NONE = ("", -1)


class Word(Enum):
    """What a message is."""

    NEWS = "news"
    LATE = "late"
    REPEATED = "repeated"


class _Epoch:
    """One run of a device between two of its restarts. Bit n - 1 of `seen`: the message n before `last` came."""

    __slots__ = ("_digests", "_known", "_run", "boot", "first", "last", "seen")

    def __init__(self, boot: str, first: int, last: int, seen: int) -> None:
        self.boot, self.first, self.last, self.seen = boot, first, last, seen
        self._digests = array("Q", [0]) * WINDOW
        self._run = (last - first) % _ROUND  # messages since `first` was set
        self._known = 0  # as `seen`, with bit 0 for `last`: whose digest is remembered

    def ahead(self, seq: int) -> int:
        """How far after `last`; negative before it."""
        return (seq - self.last + _ROUND // 2) % _ROUND - _ROUND // 2

    def advance(self, step: int, seq: int, digest: int) -> None:
        """A newer message came, `step` after the last."""
        near = step < WINDOW
        self.seen = (self.seen << step | 1 << step - 1) & _SEEN if near else 0
        self._known = (self._known << step & _KNOWN if near else 0) | 1
        self._digests[seq % WINDOW] = digest
        self.last = seq
        self._run += step
        if self._run >= _ROUND // 4:
            self.first, self._run = (seq - WINDOW) % _ROUND, 0  # comes along: much later it would seem to lie ahead

    def keep(self, seq: int, digest: int) -> None:
        """Remember what a message of the window said."""
        back = -self.ahead(seq)
        self._digests[seq % WINDOW] = digest
        self._known |= 1 << back
        self.seen |= 1 << back - 1 if back else 0

    def has(self, seq: int) -> bool:
        """It came, as far as the window goes back."""
        back = -self.ahead(seq)
        return back == 0 or (0 < back < WINDOW and bool(self.seen >> back - 1 & 1))

    def same(self, seq: int, digest: int) -> bool | None:
        """Whether that message said the same; None when that is not remembered (any more)."""
        back = -self.ahead(seq)
        return self._digests[seq % WINDOW] == digest if self._known >> back & 1 else None


class Count:
    """One device. Totals since the journal was begun."""

    __slots__ = ("_before", "_epoch", "_owed", "_stale", "_told", "device", "late", "lost", "missing", "repeated")

    def __init__(self, device: str, row: Sequence | None, now: int) -> None:
        """As the journal remembers it."""
        self.device = device
        self._epoch: _Epoch | None = None
        self._before: _Epoch | None = None
        self._owed: dict[int, int] = {}  # message that was skipped -> when that was noticed
        self._stale = _NONE
        self.missing = self.repeated = self.late = self._told = 0
        self.lost: list[Fault] = []  # to be told with the message that showed it
        if row is not None:
            self._restore(row, now)

    def hear(self, serial: Serial, now: int) -> Word:
        """One message came."""
        seq, epoch = serial.seq % _ROUND, self._epoch
        if epoch is None:
            return self._begin(serial, now)
        if serial.boot != epoch.boot:
            return self._of_another_run(serial, now)
        step = epoch.ahead(seq)
        if step > MOST_GAP:
            return self._begin(serial, now)
        if step > 0:
            self._stale = _NONE
            last = epoch.last
            epoch.advance(step, seq, serial.digest)
            if self._owed:
                self._lose([owed for owed in self._owed if epoch.ahead(owed) <= -WINDOW], now)
            if step > 1:
                self._skipped(last, step, now)
            return Word.NEWS
        if step <= -WINDOW:
            restarted = not serial.boot or seq < WINDOW
            return self._begin(serial, now) if restarted else self._old(serial, now)
        if not epoch.has(seq):
            return self._overtaken(epoch, serial, seq, now)
        same = epoch.same(seq, serial.digest)
        if same or (same is None and serial.boot):
            self.repeated += 1
            return Word.REPEATED
        return self._reused(epoch, serial, seq, now)

    def settle(self, now: int) -> list[Fault]:
        """What is missing for good by now, and what was said again since the last call."""
        self._lose([seq for seq, noticed in self._owed.items() if not 0 <= now - noticed < GRACE], now)
        faults, self.lost = self.lost, []
        again, self._told = self.repeated - self._told, self.repeated
        if again:
            detail = "messages that had come before were dropped"
            faults.append(Fault(source=self.device, kind=FaultKind.REPEATED, detail=detail, rx=now, count=again))
        return faults

    def row(self) -> Sequence | None:
        """For the journal; None before the first message."""
        epoch, before = self._epoch, self._before
        if epoch is None:
            return None
        owed = sum(1 << back - 1 for seq in self._owed if 0 < (back := -epoch.ahead(seq)) < WINDOW)
        return Sequence(
            device=self.device,
            boot=epoch.boot,
            first=epoch.first,
            last=epoch.last,
            seen=epoch.seen,
            owed=owed,
            boot_before=before.boot if before else "",
            last_before=before.last if before else -1,
            seen_before=before.seen if before else 0,
            missing=self.missing,
            repeated=self.repeated,
            late=self.late,
        )

    def _restore(self, row: Sequence, now: int) -> None:
        self._epoch = _Epoch(row.boot, row.first, row.last, row.seen)
        if row.last_before >= 0:
            self._before = _Epoch(row.boot_before, row.last_before, row.last_before, row.seen_before)
        waiting = [back for back in range(WINDOW - 1, 0, -1) if row.owed >> back - 1 & 1]
        self._owed = {(row.last - back) % _ROUND: now for back in waiting}
        self.missing, self.late = row.missing, row.late
        self.repeated = self._told = row.repeated

    def _begin(self, serial: Serial, now: int) -> Word:
        """A first message, or the first after a restart; what the device lost around it nobody can count."""
        if self._epoch is not None and self._epoch.boot != serial.boot:
            self._before = self._epoch
        seq = serial.seq % _ROUND
        self._epoch = _Epoch(serial.boot, seq, seq, 0)
        self._epoch.keep(seq, serial.digest)
        self._lose(list(self._owed), now)
        self._stale = _NONE
        return Word.NEWS

    def _of_another_run(self, serial: Serial, now: int) -> Word:
        """The device was started anew; or a message of the run before came after that."""
        before = self._before
        if before is None or serial.boot != before.boot:
            return self._begin(serial, now)
        seq = serial.seq % _ROUND
        if before.has(seq) and before.same(seq, serial.digest) is not False:
            self.repeated += 1
            return Word.REPEATED
        return self._old(serial, now)

    def _old(self, serial: Serial, now: int) -> Word:
        """Far behind: history. Two of them in a row are no accident: the device goes on from there."""
        follows = self._stale == (serial.boot, serial.seq - 1)
        if follows:
            return self._begin(serial, now)
        self._stale = (serial.boot, serial.seq)
        self.late += 1
        return Word.LATE

    def _reused(self, epoch: _Epoch, serial: Serial, seq: int, now: int) -> Word:
        """A number with other words: never dropped. Without a boot, or if it goes on so, the device counts anew."""
        if not serial.boot or self._stale == (serial.boot, serial.seq - 1):
            return self._begin(serial, now)
        self._stale = (serial.boot, serial.seq)
        epoch.keep(seq, serial.digest)
        return Word.NEWS

    def _overtaken(self, epoch: _Epoch, serial: Serial, seq: int, now: int) -> Word:
        if (seq - epoch.first + _ROUND // 2) % _ROUND < _ROUND // 2:
            return self._begin(serial, now)  # before all that was heard of this run: a restart that was not said
        epoch.keep(seq, serial.digest)
        self._owed.pop(seq, None)
        self.late += 1
        return Word.LATE

    def _skipped(self, last: int, step: int, now: int) -> None:
        """Those between `last` and the message that came, `step` later, may still come, if they are in the window."""
        beyond = max(0, step - WINDOW)
        if beyond:
            self._miss(beyond, (last + 1) % _ROUND, (last + beyond) % _ROUND, now)
        for n in range(beyond + 1, step):
            self._owed[(last + n) % _ROUND] = now

    def _lose(self, seqs: list[int], now: int) -> None:
        """Give these up."""
        for seq in seqs:
            del self._owed[seq]
        if seqs:
            self._miss(len(seqs), seqs[0], seqs[-1], now)

    def _miss(self, count: int, first: int, last: int, now: int) -> None:
        self.missing += count
        words = f"message {first} is missing" if count == 1 else f"{count} messages are missing, {first} to {last}"
        self.lost.append(Fault(source=self.device, kind=FaultKind.GAP, detail=words, rx=now, count=count))
