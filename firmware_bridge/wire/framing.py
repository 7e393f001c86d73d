"""A byte stream into frames: start mark, length, constant bytes, end mark, checksum, and finding the next start again.

Several products may share the stream. What the bytes of a frame mean and whose it is, is not known here, nor when they
came: the caller says `flush` after a quiet time.
"""

import operator
import re
from collections.abc import Sequence
from functools import reduce

import msgspec

from device_profiles import types
from firmware_bridge.raw import Frame, Trouble
from firmware_bridge.wire import numbers
from hub.reading import FaultKind

NOBODY = -1  # no one shape: it could be of several, or is of none


class Found(msgspec.Struct, frozen=True):
    """A frame, or what was wrong, and the number of the shape that it is of."""

    which: int
    what: Frame | Trouble


class Splitter:
    """Eats bytes in any portions and gives the whole, checked frames of several shapes, however they were cut.

    Where a frame could begin, it waits until that is decided for each shape; of those that fit there, the longest is
    the frame. Holds at most one frame of bytes between calls.
    """

    def __init__(self, frames: Sequence[types.Frame]) -> None:
        """`frames`: the different [frame] tables of one line. Raises ValueError when a mark is not hexadecimal."""
        self._shapes = [_Shape(frame) for frame in frames]
        self._longest = max(shape.longest for shape in self._shapes)
        self._buffer = bytearray()
        self._skipped = bytearray()
        self._lost = False  # garbage was reported; the next frame ends it

    def feed(self, data: bytes) -> list[Found]:
        """Frames, and what was wrong, in the order of the bytes. A wrong checksum or endless garbage is a Trouble."""
        found: list[Found] = []
        self._buffer += data
        while self._step(found):
            pass
        return found

    def flush(self) -> list[Found]:
        """The line has been quiet: a frame that had begun has broken off. Whole frames behind its start are found."""
        found: list[Found] = []
        torn, whose = bytearray(), NOBODY
        while self._buffer:
            if not torn:
                self._skip(self._next(), found)
            waiting, whole, right = self._look()
            if right:
                _tell_torn(torn, whose, found)
                self._take(*max(right), found)
            elif whole and not torn:
                self._refuse(whole, found)
            else:
                if waiting and not torn:
                    whose = waiting[0] if len(waiting) == 1 else NOBODY
                torn += self._buffer[: 1 if torn or waiting else 0]
                del self._buffer[:1]
        _tell_torn(torn, whose, found)
        return found

    def _next(self) -> int:
        return min(shape.next(self._buffer) for shape in self._shapes)

    def _look(self) -> tuple[list[int], list[tuple[int, int]], list[tuple[int, int]]]:
        """What the buffer begins with: shapes that wait; whole ones as (size, shape); those whose checksum is right.

        Half a start mark is of nobody: that shape is not among those that wait.
        """
        fits = [shape.fits(self._buffer) for shape in self._shapes]
        waiting = [which for which, size in enumerate(fits) if size == 0 and self._shapes[which].marks(self._buffer)]
        whole = [(size, which) for which, size in enumerate(fits) if size]
        right = [(size, which) for size, which in whole if not self._shapes[which].wrong_checksum(self._buffer[:size])]
        return waiting, whole, right

    def _step(self, found: list[Found]) -> bool:
        """Take one frame or one false start out of the buffer; False when more bytes are needed."""
        self._skip(self._next(), found)
        if not self._buffer or any(shape.fits(self._buffer) == 0 for shape in self._shapes):
            return False
        _, whole, right = self._look()
        if right:
            self._take(*max(right), found)
        else:
            self._refuse(whole, found)
        return True

    def _take(self, size: int, which: int, found: list[Found]) -> None:
        found.append(Found(which, Frame(bytes(self._buffer[:size]))))
        self._skipped.clear()
        self._lost = False
        del self._buffer[:size]

    def _refuse(self, whole: list[tuple[int, int]], found: list[Found]) -> None:
        """No frame begins here: a false start, or one whose checksum is wrong."""
        if whole:
            size, which = max(whole)
            data = bytes(self._buffer[:size])
            trouble = Trouble(FaultKind.CHECKSUM, self._shapes[which].wrong_checksum(data), data)
            found.append(Found(which if len(whole) == 1 else NOBODY, trouble))
            self._skipped.clear()
            self._lost = False
        self._skip(1, found)

    def _skip(self, count: int, found: list[Found]) -> None:
        """Drop garbage, silently until it is more than a frame could be."""
        if not self._lost:
            self._skipped += self._buffer[: min(count, self._longest + 1 - len(self._skipped))]
            if len(self._skipped) > self._longest:
                detail = f"{len(self._skipped)} bytes without a frame: another device, or another speed?"
                found.append(Found(NOBODY, Trouble(FaultKind.MALFORMED, detail, bytes(self._skipped))))
                self._skipped.clear()
                self._lost = True
        del self._buffer[:count]


def _tell_torn(torn: bytearray, whose: int, found: list[Found]) -> None:
    if torn:
        detail = f"the frame broke off after {len(torn)} bytes"
        found.append(Found(whose, Trouble(FaultKind.INCOMPLETE, detail, bytes(torn))))
        torn.clear()


class Framer:
    """The Splitter of a line with one shape of frames."""

    def __init__(self, frame: types.Frame) -> None:
        """`frame` is the [frame] table of a serial profile. Raises ValueError when a mark is not hexadecimal."""
        self._splitter = Splitter([frame])

    def feed(self, data: bytes) -> list[Frame | Trouble]:
        """Frames, and what was wrong, in the order of the bytes."""
        return [found.what for found in self._splitter.feed(data)]

    def flush(self) -> list[Frame | Trouble]:
        """The line has been quiet: what had begun has broken off."""
        return [found.what for found in self._splitter.flush()]


def stamp(check: types.FrameCheck, data: bytearray) -> None:
    """Write the checksum (and its complement) into a frame whose other bytes are right."""
    value = checksum(check, data)
    start = check.at if check.at >= 0 else len(data) + check.at
    data[start : start + _width(check)] = f"{value:02X}".encode() if check.sum == "hex-xor" else bytes([value])
    if check.inverse_at is not None:
        data[check.inverse_at] = value ^ 0xFF


def checksum(check: types.FrameCheck, data: bytes | bytearray) -> int:
    """XOR, or sum modulo 256, over the bytes that the profile names. ValueError: there are no hexadecimal digits."""
    covered = data[slice(*check.over)]
    if check.sum == "hex-xor":
        if not re.fullmatch(rb"([0-9A-F]{2})*", covered):
            raise ValueError("not capital hexadecimal digits")
        covered = bytes.fromhex(covered.decode())
    return sum(covered) & 0xFF if check.sum == "sum8" else reduce(operator.xor, covered, 0)


def _width(check: types.FrameCheck) -> int:
    return 2 if check.sum == "hex-xor" else 1


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
            places += [(check.at, _width(check)), (check.inverse_at or 0, 1)]
            places += [(check.over[0], 1), (check.over[1], 0)]
        if not isinstance(length, int):
            places.append((length.at, length.bytes))
        if self._frame.address is not None:
            places.append((self._frame.address.at, numbers.width(self._frame.address.type)))
        return [at + size if at >= 0 else -at for at, size in places] or [0]

    def next(self, buffer: bytearray) -> int:
        """Where the next start mark stands, or begins at the buffer's end; the buffer's length when nowhere."""
        at = buffer.find(self.start)
        if at >= 0:
            return at
        most = min(len(self.start) - 1, len(buffer))
        begun = next((size for size in range(most, 0, -1) if buffer.endswith(self.start[:size])), 0)
        return len(buffer) - begun

    def marks(self, buffer: bytearray) -> bool:
        """The whole start mark begins the buffer."""
        return buffer.startswith(self.start)

    def fits(self, buffer: bytearray) -> int | None:
        """The length of the frame that begins the buffer, its checksum unseen; 0: not told yet; None: it is none."""
        if not buffer.startswith(self.start):
            return 0 if self.start.startswith(buffer) else None
        if self._contradicts(buffer):
            return None
        total = self.total(buffer)
        return 0 if total is None or len(buffer) < total else total

    def total(self, buffer: bytearray) -> int | None:
        """The length of the frame that begins the buffer; None: not told yet."""
        length = self._frame.length
        if isinstance(length, int):
            return length
        written = buffer[length.at : length.at + length.bytes]
        return int.from_bytes(written, length.order) + length.plus if len(written) == length.bytes else None

    def _contradicts(self, buffer: bytearray) -> bool:
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

    def wrong_checksum(self, data: bytes | bytearray) -> str:
        """What is wrong with the checksum, in words; empty when it is right or there is none."""
        check = self._frame.check
        if check is None:
            return ""
        right = bytearray(data)
        try:
            stamp(check, right)
        except ValueError as error:
            return f"checksum: {error}"
        if right == data:
            return ""
        place = slice(check.at, check.at + _width(check) or None)
        return f"checksum {data[place].hex()} is wrong, {right[place].hex()} would be right"


def _may_be(buffer: bytearray, at: int, word: bytes) -> bool:
    """True when `word` stands at `at`, as far as bytes have come."""
    return word.startswith(bytes(buffer[at : at + len(word)]))
