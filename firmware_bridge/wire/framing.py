"""A byte stream into frames: start mark, length, constant bytes, end mark, checksum, and finding the next start again.

What the bytes of a frame mean is not known here, nor when they came: the caller says `flush` after a quiet time.
"""

import operator
from functools import reduce

from device_profiles import types
from firmware_bridge.raw import Frame, Trouble
from hub.reading import FaultKind


class Framer:
    """Eats bytes in any portions and gives whole, checked frames. Holds at most one frame of bytes between calls."""

    def __init__(self, frame: types.Frame) -> None:
        """`frame` is the [frame] table of a serial profile. Raises ValueError when a mark is not hexadecimal."""
        self._shape = _Shape(frame)
        self._buffer = bytearray()
        self._skipped = bytearray()
        self._lost = False  # garbage was reported; the next frame ends it

    def feed(self, data: bytes) -> list[Frame | Trouble]:
        """Frames, and what was wrong, in the order of the bytes. A wrong checksum or endless garbage is a Trouble."""
        found: list[Frame | Trouble] = []
        self._buffer += data
        while self._step(found):
            pass
        return found

    def flush(self) -> list[Trouble]:
        """The line has been quiet: a frame that had begun has broken off. Forgets what is left of it."""
        rest = bytes(self._buffer)
        self._buffer.clear()
        if not rest or not rest.startswith(self._shape.start):
            return []
        detail = f"the frame broke off after {len(rest)} bytes"
        return [Trouble(FaultKind.INCOMPLETE, detail, rest)]

    def _step(self, found: list[Frame | Trouble]) -> bool:
        """Take one frame or one false start out of the buffer; False when more bytes are needed."""
        shape, buffer = self._shape, self._buffer
        at = buffer.find(shape.start)
        self._skip(at if at >= 0 else len(buffer) - shape.begun(buffer), found)
        if at < 0:
            return False
        if shape.contradicts(buffer):
            self._skip(1, found)
            return True
        total = shape.total(buffer)
        if total is None or len(buffer) < total:
            return False
        self._take(bytes(buffer[:total]), found)
        return True

    def _take(self, data: bytes, found: list[Frame | Trouble]) -> None:
        self._skipped.clear()
        self._lost = False
        wrong = self._shape.wrong_checksum(data)
        if wrong:
            found.append(Trouble(FaultKind.CHECKSUM, wrong, data))
            self._skip(1, found)
        else:
            found.append(Frame(data))
            del self._buffer[: len(data)]

    def _skip(self, count: int, found: list[Frame | Trouble]) -> None:
        """Drop garbage, silently until it is more than a frame could be."""
        if not self._lost:
            self._skipped += self._buffer[: min(count, self._shape.longest + 1 - len(self._skipped))]
            if len(self._skipped) > self._shape.longest:
                detail = f"{len(self._skipped)} bytes without a frame: another device, or another speed?"
                found.append(Trouble(FaultKind.MALFORMED, detail, bytes(self._skipped)))
                self._skipped.clear()
                self._lost = True
        del self._buffer[:count]


def stamp(check: types.FrameCheck, data: bytearray) -> None:
    """Write the checksum (and its complement) into a frame whose other bytes are right."""
    value = checksum(check, data)
    data[check.at] = value
    if check.inverse_at is not None:
        data[check.inverse_at] = value ^ 0xFF


def checksum(check: types.FrameCheck, data: bytes | bytearray) -> int:
    """XOR, or sum modulo 256, over the bytes that the profile names."""
    covered = data[slice(*check.over)]
    return reduce(operator.xor, covered, 0) if check.sum == "xor" else sum(covered) & 0xFF


class _Shape:
    """The [frame] table, made ready: marks as bytes, and the shortest and longest frame there can be."""

    def __init__(self, frame: types.Frame) -> None:
        self._frame = frame
        self.start = bytes.fromhex(frame.start)
        self._end = bytes.fromhex(frame.end)
        self._fixed = [(part.at, [bytes.fromhex(word) for word in part.one_of]) for part in frame.fixed]
        self.longest = max(frame.max_length, frame.length) if isinstance(frame.length, int) else frame.max_length
        self._shortest = max(len(self.start) + len(self._end), *self._needed())

    def _needed(self) -> list[int]:
        """How long a frame must be for each byte that is looked at to be in it."""
        check, length = self._frame.check, self._frame.length
        places = [(at, len(word)) for at, words in self._fixed for word in words]
        if check is not None:
            places += [(at, 1) for at in (check.at, check.inverse_at) if at is not None]
            places += [(check.over[0], 1), (check.over[1], 0)]
        if not isinstance(length, int):
            places.append((length.at, length.bytes))
        return [at + size if at >= 0 else -at for at, size in places] or [0]

    def begun(self, buffer: bytearray) -> int:
        """How many bytes at the buffer's end may be the beginning of a start mark."""
        most = min(len(self.start) - 1, len(buffer))
        return next((size for size in range(most, 0, -1) if buffer.endswith(self.start[:size])), 0)

    def total(self, buffer: bytearray) -> int | None:
        """The length of the frame that begins the buffer; None: not told yet."""
        length = self._frame.length
        if isinstance(length, int):
            return length
        written = buffer[length.at : length.at + length.bytes]
        return int.from_bytes(written, length.order) + length.plus if len(written) == length.bytes else None

    def contradicts(self, buffer: bytearray) -> bool:
        """True when what is there already cannot be a frame: not its length, constant bytes or end mark."""
        total = self.total(buffer)
        if total is not None and not self._shortest <= total <= self.longest:
            return True
        whole = total is not None and len(buffer) >= total
        for at, words in self._fixed:
            place = at if at >= 0 else (total or 0) + at
            if (whole or at >= 0) and not any(_may_be(buffer, place, word) for word in words):
                return True
        return whole and not buffer[:total].endswith(self._end)

    def wrong_checksum(self, data: bytes) -> str:
        """What is wrong with the checksum, in words; empty when it is right or there is none."""
        check = self._frame.check
        if check is None:
            return ""
        right = bytearray(data)
        stamp(check, right)
        if right == data:
            return ""
        return f"checksum {data[check.at]:02x} is wrong, {right[check.at]:02x} would be right"


def _may_be(buffer: bytearray, at: int, word: bytes) -> bool:
    """True when `word` stands at `at`, as far as bytes have come."""
    return word.startswith(bytes(buffer[at : at + len(word)]))
