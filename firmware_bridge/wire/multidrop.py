"""Whose frame it is, on a serial line that several devices share: by the shape of the frame and the address in it.

What a frame says is `decode`'s; when the line was quiet, the caller says. Nothing is asked here.
"""

from collections.abc import Sequence

import msgspec

from device_profiles import types
from firmware_bridge.raw import Frame, Trouble
from firmware_bridge.wire import numbers
from firmware_bridge.wire.framing import NOBODY, Found, Splitter
from hub.reading import FaultKind

LINE = ""  # the device of what nobody on the line can be blamed for


class Speaker(msgspec.Struct, frozen=True):
    """A device that sends such frames; `address` is its own where the frames have one."""

    device: str
    frame: types.Frame
    address: int | None = None


class Multidrop:
    """Eats the bytes of one line and gives (device, frame or trouble); the device is LINE where it is nobody's."""

    def __init__(self, speakers: Sequence[Speaker]) -> None:
        """Raises ValueError without a speaker, and when a frame's mark is not hexadecimal."""
        if not speakers:
            raise ValueError("nobody speaks on this line")
        self._frames: list[types.Frame] = []
        for speaker in speakers:
            if speaker.frame not in self._frames:
                self._frames.append(speaker.frame)
        self._speakers = [[each for each in speakers if each.frame == frame] for frame in self._frames]
        self._alone = speakers[0].device if len(speakers) == 1 else LINE
        self._splitter = Splitter(self._frames)

    def feed(self, data: bytes) -> list[tuple[str, Frame | Trouble]]:
        """Whole frames and what was wrong, in the order of the bytes."""
        return [self._owned(found) for found in self._splitter.feed(data)]

    def flush(self) -> list[tuple[str, Frame | Trouble]]:
        """The line has been quiet: what had begun has broken off."""
        return [self._owned(found) for found in self._splitter.flush()]

    def _owned(self, found: Found) -> tuple[str, Frame | Trouble]:
        what = found.what
        if isinstance(what, Trouble):
            return self._blamed(found.which), what
        address = address_in(self._frames[found.which], what.data)
        speakers = self._speakers[found.which]
        for speaker in speakers:
            if speaker.address == address:
                return speaker.device, what
        known = ", ".join(str(speaker.address) for speaker in speakers)
        detail = f"a whole frame from address {address}; the site has {known} here"
        return LINE, Trouble(FaultKind.UNKNOWN_DEVICE, detail, what.data)

    def _blamed(self, which: int) -> str:
        """The only device whose frame it can have been; with several, the address in a broken frame proves nothing."""
        if which == NOBODY or self._alone:
            return self._alone
        speakers = self._speakers[which]
        return speakers[0].device if len(speakers) == 1 else LINE


def address_in(frame: types.Frame, data: bytes) -> int | None:
    """The address that a whole frame carries; None where this shape has none."""
    place = frame.address
    if place is None:
        return None
    start = place.at if place.at >= 0 else len(data) + place.at
    return int(numbers.read(place.type, data[start : start + numbers.width(place.type)]))


def write_address(frame: types.Frame, data: bytearray, address: int) -> None:
    """Put an address into a whole frame. Raises ValueError when the shape has no place for it, or it does not fit."""
    place = frame.address
    if place is None:
        raise ValueError("these frames carry no address")
    start = place.at if place.at >= 0 else len(data) + place.at
    data[start : start + numbers.width(place.type)] = numbers.write(place.type, address)
