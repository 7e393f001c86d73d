"""A line that several devices share: each whole frame comes to its device, however the stream was cut and spoiled."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device_profiles import types
from device_profiles.load import profiles
from device_profiles.types import SerialProfile
from firmware_bridge.raw import Frame, Trouble
from firmware_bridge.wire import encode
from firmware_bridge.wire.multidrop import LINE, Multidrop, Speaker, address_in, write_address

Told = list[tuple[str, Frame | Trouble]]


def serial(name: str) -> SerialProfile:
    """A serial profile that comes with Zhian."""
    profile = profiles()[name]
    assert isinstance(profile, SerialProfile)
    return profile


DROP, READER, TAGS = serial("chip/134k-rw-usb-d1"), serial("chip/wl-134a"), serial("chip/rdm6300")
SPEAKERS = [
    Speaker("drop-1", DROP.frame, 1),
    Speaker("drop-7", DROP.frame, 7),
    Speaker("reader", READER.frame),
    Speaker("tags", TAGS.frame),
]


def drop(address: int, number: int = 42) -> bytes:
    """A reader of the shared line."""
    return encode.frame(DROP, {"chip": f"156{number:012d}"}, address=address)


def frame_of(device: str, number: int) -> bytes:
    """What this device sends."""
    if device.startswith("drop"):
        return drop(int(device[5:]), number)
    if device == "reader":
        return encode.frame(READER, {"chip": f"156{number:012d}"})
    return encode.frame(TAGS, {"other_chip": f"em4100:{number:010X}"})


def told(stream: bytes, cuts: list[int], speakers: list[Speaker] = SPEAKERS) -> Told:
    """All that is made of a stream that comes in these portions and is followed by quiet."""
    line = Multidrop(speakers)
    edges = [0, *sorted(cuts), len(stream)]
    said = [each for a, b in itertools.pairwise(edges) for each in line.feed(stream[a:b])]
    return [*said, *line.flush()]


def whole(said: Told) -> list[tuple[str, bytes]]:
    """The frames, with their devices."""
    return [(device, what.data) for device, what in said if isinstance(what, Frame)]


_FRAMES = st.tuples(st.sampled_from([speaker.device for speaker in SPEAKERS]), st.integers(1, 2**30))
# Noise that begins no frame, or that begins one and breaks off; 02 is the start of all of them.
_NOISE = st.one_of(
    st.just(b""),
    st.binary(max_size=12).map(lambda noise: noise.replace(b"\x02", b"\x55")),
    st.tuples(_FRAMES, st.integers(1, 13)).map(lambda cut: frame_of(*cut[0])[: cut[1]]),
)


@given(st.lists(st.tuples(_NOISE, _FRAMES), max_size=6), st.lists(st.integers(0, 300), max_size=10))
def test_no_whole_frame_is_lost_and_none_is_invented(
    pieces: list[tuple[bytes, tuple[str, int]]], at: list[int]
) -> None:
    """Any garbage between, any chopping, three shapes: exactly the frames that were sent."""
    stream = b"".join(noise + frame_of(*sent) for noise, sent in pieces)
    said = told(stream, [cut for cut in at if cut <= len(stream)])
    assert whole(said) == [(device, frame_of(device, number)) for _, (device, number) in pieces]


@given(st.lists(st.one_of(st.binary(max_size=40), _FRAMES.map(lambda sent: frame_of(*sent))), max_size=6), st.data())
def test_how_the_stream_is_cut_changes_nothing(pieces: list[bytes], data: st.DataObject) -> None:
    """Byte by byte, whole, or in any portions: the same frames and the same troubles in the same order."""
    stream = b"".join(pieces)
    cuts = data.draw(st.lists(st.integers(0, len(stream)), max_size=8))
    assert told(stream, cuts) == told(stream, []) == told(stream, list(range(len(stream))))


@given(st.lists(st.binary(max_size=60), max_size=12))
def test_any_bytes_are_taken_and_memory_is_bounded(portions: list[bytes]) -> None:
    """Nothing raises, and no more than the longest frame of the line is kept."""
    line = Multidrop(SPEAKERS)
    for portion in portions:
        line.feed(portion)
        assert len(line._splitter._buffer) <= 64
        assert len(line._splitter._skipped) <= 64


def test_a_frame_of_an_address_that_nobody_has_is_the_lines_fault() -> None:
    """It is named with its address, kept whole for the quarantine, and is no device's value."""
    ((device, trouble),) = told(drop(9), [], SPEAKERS[:2])
    assert device == LINE
    assert isinstance(trouble, Trouble)
    assert (trouble.kind, trouble.payload) == ("unknown-device", drop(9))
    assert trouble.detail == "a whole frame from address 9; the site has 1, 7 here"


def test_the_only_device_of_a_line_still_has_its_address() -> None:
    """Somebody plugs a second reader in: its chips are not the first one's."""
    only = [Speaker("drop-1", DROP.frame, 1)]
    assert whole(told(drop(1) + drop(2), [], only)) == [("drop-1", drop(1))]


@pytest.mark.parametrize(
    ("stream", "device", "kind"),
    [
        (frame_of("tags", 5)[:-2] + b"?\x03", "tags", "checksum"),
        (drop(7)[:6] + b"\x99" + drop(7)[7:], LINE, "checksum"),
        (frame_of("reader", 5)[:20], "reader", "incomplete"),
        (b"\x02", LINE, "incomplete"),
        (bytes(70), LINE, "malformed"),
    ],
)
def test_who_is_blamed(stream: bytes, device: str, kind: str) -> None:
    """A device where the broken frame can only be its own; else the line: a broken address proves nothing."""
    ((blamed, trouble),) = told(stream, [])
    assert isinstance(trouble, Trouble)
    assert (blamed, trouble.kind) == (device, kind)


def test_the_only_device_is_blamed_for_everything() -> None:
    """With one device on the line there is nobody else."""
    only = [Speaker("reader", READER.frame)]
    assert [device for device, _ in told(bytes(70) + b"\x02", [], only)] == ["reader", "reader"]


def test_quiet_behind_a_false_start_loses_nothing() -> None:
    """A false start that waits for more bytes gives up at the quiet time, and the frame behind it is there."""
    stream = b"\x02" + drop(1)
    line = Multidrop(SPEAKERS)
    assert line.feed(stream) == []
    assert [what.kind if isinstance(what, Trouble) else what.data for _, what in line.flush()] == [
        "incomplete",
        drop(1),
    ]


def test_the_longest_frame_that_fits_is_the_frame() -> None:
    """Inside a frame of thirty bytes stands one of fourteen with a right checksum: it is not taken."""
    short = types.Frame(start="02", end="03", length=4, check=types.FrameCheck(sum="xor", over=(1, 2), at=2))
    long = types.Frame(start="02", end="03", length=8, check=types.FrameCheck(sum="sum8", over=(1, 6), at=6))
    data = bytes.fromhex("02 31 31 03 00 00 65 03")
    speakers = [Speaker("short", short), Speaker("long", long)]
    assert whole(told(data, [], speakers)) == [("long", data)]
    assert whole(told(data[:4], [], speakers)) == [("short", data[:4])]


@pytest.mark.parametrize(("kind", "at"), [("u8", 1), ("u16le", 1), ("u16be", -3)])
def test_addresses_of_all_kinds(kind: str, at: int) -> None:
    """One byte or two, either order, from either end: what is written is what is read."""
    place = types.FrameAddress(at=at, type=kind)  # type: ignore[arg-type]  # a Literal
    frame = types.Frame(start="AA", length=6, address=place)
    data = bytearray.fromhex("AA 00 00 00 00 00")
    write_address(frame, data, 200)
    assert address_in(frame, bytes(data)) == 200


def test_a_line_without_speakers_and_a_frame_without_an_address_are_refused() -> None:
    """A programmer's mistakes are told at once."""
    with pytest.raises(ValueError, match="nobody"):
        Multidrop([])
    with pytest.raises(ValueError, match="no address"):
        encode.frame(READER, {"chip": "156000000000042"}, address=3)
    with pytest.raises(ValueError, match="fit"):
        drop(300)
    assert address_in(READER.frame, frame_of("reader", 1)) is None
