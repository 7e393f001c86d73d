"""Which devices may share a serial line: a frame of one must never be taken for a frame of another.

Judged from the [frame] tables and addresses alone, and on the safe side: what could happen is refused.
"""

from typing import Literal, TypeAlias

from device_profiles.types import Frame

ADDRESS_BYTES: dict[str, tuple[int, Literal["little", "big"]]] = {
    "u8": (1, "big"),
    "u16le": (2, "little"),
    "u16be": (2, "big"),
}
Places: TypeAlias = dict[int, frozenset[int]]  # place from the frame's start -> what may stand there


def clash(one: Frame, address: int | None, other: Frame, its_address: int | None) -> str:
    """Why a frame could be claimed by both, in words; empty when none can."""
    first, second = _wanted(one, address), _wanted(other, its_address)
    if any(not first[at] & second[at] for at in first.keys() & second.keys()):
        return ""
    if _same_length(one, first, other, second):
        return "nothing in their frames tells them apart"
    if one.check is None or other.check is None:
        return "only their lengths tell them apart, and one has no checksum"
    return ""


def _same_length(one: Frame, first: Places, other: Frame, second: Places) -> bool:
    if isinstance(one.length, int):
        return _may_be_long(other, second, one.length)
    if isinstance(other.length, int):
        return _may_be_long(one, first, other.length)
    return one.length.plus <= other.max_length and other.length.plus <= one.max_length


def _may_be_long(frame: Frame, wanted: Places, size: int) -> bool:
    """A frame of this shape can have `size` bytes: its written length may stand where it is written."""
    length = frame.length
    if isinstance(length, int):
        return length == size
    if not 0 <= size - length.plus < 256**length.bytes or size > frame.max_length:
        return False
    written = (size - length.plus).to_bytes(length.bytes, length.order)
    return all(byte in wanted.get(length.at + n, {byte}) for n, byte in enumerate(written))


def _wanted(frame: Frame, address: int | None) -> Places:
    """Where it is fixed what may stand there."""
    size = frame.length if isinstance(frame.length, int) else None
    words = [(0, [bytes.fromhex(frame.start)]), (-len(bytes.fromhex(frame.end)), [bytes.fromhex(frame.end)])]
    words += [(fixed.at, [bytes.fromhex(word) for word in fixed.one_of]) for fixed in frame.fixed]
    if frame.address is not None and address is not None:
        width, order = ADDRESS_BYTES[frame.address.type]
        words.append((frame.address.at, [address.to_bytes(width, order)]))
    places: Places = {}
    for at, spellings in words:
        start = at if at >= 0 and spellings != [b""] else None if size is None else size + at
        if start is None:
            continue
        for n in range(min(map(len, spellings))):
            allowed = frozenset(word[n] for word in spellings)
            places[start + n] = places.get(start + n, allowed) & allowed
    return places
