"""The framer: a byte stream into frames, whatever comes before, between and after them."""

import itertools
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device_profiles import types
from device_profiles.load import profiles
from device_profiles.types import SerialProfile
from firmware_bridge.raw import Frame, Trouble
from firmware_bridge.wire import framing
from firmware_bridge.wire.framing import Framer, Splitter

SERIAL = [profile for profile in profiles().values() if isinstance(profile, SerialProfile)]
SUMMED = types.Frame(
    start="AA",
    length=types.FrameLength(at=1, bytes=1, plus=3),
    max_length=12,
    check=types.FrameCheck(sum="sum8", over=(1, -1), at=-1),
)
BIG_ENDIAN = types.Frame(start="7E 7E", end="0D", length=types.FrameLength(at=2, order="big", plus=5), max_length=16)
FRAMES = [*(profile.frame for profile in SERIAL), SUMMED, BIG_ENDIAN]


def _summed(payload: bytes) -> bytes:
    body = bytes([len(payload)]) + payload
    return b"\xaa" + body + bytes([sum(body) & 0xFF])


def _told(framer: Framer, portions: Iterable[bytes]) -> list[Frame | Trouble]:
    return [*(word for portion in portions for word in framer.feed(portion)), *framer.flush()]


def _good(profile: SerialProfile) -> list[bytes]:
    return [bytes.fromhex(sample.answer) for sample in profile.sample if sample.want]


@st.composite
def _streams(draw: st.DrawFn) -> tuple[types.Frame, bytes, list[int]]:
    """Any bytes, pieces of real frames and marks, and where the operating system cuts them."""
    at = draw(st.integers(0, len(FRAMES) - 1))
    frame = FRAMES[at]
    real = _good(SERIAL[at]) if at < len(SERIAL) else [_summed(b"\x01\xaa"), bytes.fromhex("7E 7E 00 02 01 02 0D")]
    pieces = st.one_of(
        st.binary(max_size=12),
        st.sampled_from(real),
        st.sampled_from(real).flatmap(lambda whole: st.integers(0, len(whole)).map(lambda cut: whole[:cut])),
        st.just(bytes.fromhex(frame.start)),
        st.binary(min_size=60, max_size=140),
    )
    stream = b"".join(draw(st.lists(pieces, max_size=6)))
    return frame, stream, sorted(draw(st.lists(st.integers(0, len(stream)), max_size=8)))


@given(_streams())
def test_how_a_stream_is_cut_changes_nothing(case: tuple[types.Frame, bytes, list[int]]) -> None:
    """Whole, byte by byte and in any portions: the same frames and troubles in the same order, never an exception."""
    frame, stream, cuts = case
    whole = _told(Framer(frame), [stream])
    assert _told(Framer(frame), [bytes([byte]) for byte in stream]) == whole
    edges = [0, *cuts, len(stream)]
    assert _told(Framer(frame), [stream[a:b] for a, b in itertools.pairwise(edges)]) == whole


@given(_streams())
def test_frames_are_pieces_of_the_stream_and_right(case: tuple[types.Frame, bytes, list[int]]) -> None:
    """A frame is never made up: it stands in the stream, begins and ends with its marks, and its checksum is right."""
    frame, stream, _ = case
    for word in _told(Framer(frame), [stream]):
        if isinstance(word, Frame):
            assert word.data in stream
            assert word.data.startswith(bytes.fromhex(frame.start))
            assert word.data.endswith(bytes.fromhex(frame.end))
            if frame.check is not None:
                stamped = bytearray(word.data)
                framing.stamp(frame.check, stamped)
                assert stamped == word.data


@given(st.lists(st.binary(max_size=200), max_size=20))
def test_memory_is_bounded(portions: list[bytes]) -> None:
    """However long the garbage, no more than one frame is kept."""
    splitter = Splitter([SUMMED])
    for portion in portions:
        splitter.feed(portion)
        assert len(splitter._buffer) <= 12
        assert len(splitter._skipped) <= 12


@pytest.mark.parametrize("profile", SERIAL, ids=lambda profile: profile.id)
def test_a_torn_frame_does_not_cost_the_next_one(profile: SerialProfile) -> None:
    """After a frame that broke off, the next whole one is found, even without a quiet time between."""
    whole = _good(profile)[0]
    for cut in range(1, len(whole)):
        assert Frame(whole) in _told(Framer(profile.frame), [whole[:cut] + whole + whole])


def test_a_wrong_checksum_is_told_and_the_search_goes_on() -> None:
    """A frame that begins inside a broken one is found: the search goes on one byte after the false start."""
    hidden = _summed(b"\x05")
    outer = b"\xaa" + bytes([len(hidden)]) + hidden + b"\x00"
    told = Framer(SUMMED).feed(outer)
    assert [type(word) for word in told] == [Trouble, Frame]
    assert isinstance(told[0], Trouble)
    assert (told[0].kind, told[0].payload) == ("checksum", outer)
    assert told[1] == Frame(hidden)


def test_little_garbage_is_silent_and_endless_garbage_is_told_once() -> None:
    """Noise on a line is no news; a line of nothing but noise is, once, until a frame comes through."""
    framer = Framer(SUMMED)
    assert framer.feed(bytes(12)) == []
    (trouble,) = framer.feed(bytes(30))
    assert isinstance(trouble, Trouble)
    assert (trouble.kind, trouble.payload) == ("malformed", bytes(13))
    assert framer.feed(bytes(500)) == []
    assert framer.feed(_summed(b"\x01")) == [Frame(_summed(b"\x01"))]
    assert [word.kind for word in framer.feed(bytes(100)) if isinstance(word, Trouble)] == ["malformed"]


def test_garbage_adds_up_over_quiet_times() -> None:
    """A reader at the wrong speed sends short bursts; together they are told."""
    framer = Framer(SUMMED)
    told = [word for _ in range(4) for word in (*framer.feed(b"\x11\x22\x33\x44"), *framer.flush())]
    assert [word.kind for word in told if isinstance(word, Trouble)] == ["malformed"]


def test_flush_tells_of_a_frame_that_broke_off_once() -> None:
    """Quiet in the middle of a frame is `incomplete`; quiet after nothing, or after noise, is nothing."""
    framer = Framer(SUMMED)
    assert framer.flush() == []
    framer.feed(b"\x01\x02")
    assert framer.flush() == []
    framer.feed(_summed(b"abc")[:4])
    (trouble,) = framer.flush()
    assert isinstance(trouble, Trouble)
    assert (trouble.kind, trouble.payload) == ("incomplete", _summed(b"abc")[:4])
    assert framer.flush() == []
    assert framer.feed(_summed(b"abc")) == [Frame(_summed(b"abc"))]


def test_half_a_start_mark_is_kept_for_the_next_read() -> None:
    """A mark of several bytes may come in two reads; half a mark alone is no frame that broke off."""
    frame = bytes.fromhex("7E 7E 00 02 01 02 0D")
    framer = Framer(BIG_ENDIAN)
    assert framer.feed(b"\x00" + frame[:1]) == []
    assert framer.feed(frame[1:]) == [Frame(frame)]
    framer.feed(frame[:1])
    assert framer.flush() == []
    assert framer.feed(frame[1:]) == []


@pytest.mark.parametrize("length", ["00 0C", "FF FF"], ids=["one too long", "far too long"])
def test_a_written_length_that_cannot_be_is_a_false_start(length: str) -> None:
    """A length is believed only between the shortest and the longest frame; nothing waits for a false one."""
    broken = bytes.fromhex("7E 7E " + length)
    right = bytes.fromhex("7E 7E 00 02 01 02 0D")
    assert Framer(BIG_ENDIAN).feed(broken + right) == [Frame(right)]


def test_a_written_length_shorter_than_the_marks_is_a_false_start() -> None:
    """A frame holds at least its start, length and end; a shorter one is not looked at."""
    frame = types.Frame(start="7E 7E", end="0D", length=types.FrameLength(at=2, order="big", plus=0), max_length=16)
    assert Framer(frame).feed(bytes.fromhex("7E 7E 00 04 0D 7E 7E 00 05 0D")) == [
        Frame(bytes.fromhex("7E 7E 00 05 0D"))
    ]


def test_a_mark_that_is_no_hexadecimal_is_refused_at_once() -> None:
    """A framer that could never find a frame is not made."""
    with pytest.raises(ValueError, match="hexadecimal"):
        Framer(types.Frame(start="zz", length=3))


def test_a_fixed_length_may_be_longer_than_the_usual_limit() -> None:
    """`max_length` bounds written lengths and garbage, not a length that the profile itself fixes."""
    long = b"\x02" + bytes(298) + b"\x03"
    assert Framer(types.Frame(start="02", end="03", length=300)).feed(long) == [Frame(long)]


def test_constant_bytes_may_have_several_spellings_and_count_from_the_end() -> None:
    """Every constant byte is looked at, from both ends of the frame."""
    frame = types.Frame(
        start="01",
        length=6,
        fixed=[types.FixedBytes(at=1, one_of=["0A", "0B"]), types.FixedBytes(at=-2, one_of=["55 00"])],
    )
    good = [bytes.fromhex("01 0A 09 09 55 00"), bytes.fromhex("01 0B 09 09 55 00")]
    bad = [bytes.fromhex("01 0C 09 09 55 00"), bytes.fromhex("01 0A 09 09 55 09"), bytes.fromhex("01 0A 09 09 09 00")]
    assert [word for data in good for word in Framer(frame).feed(data)] == [Frame(data) for data in good]
    assert [word for data in bad for word in Framer(frame).feed(data)] == []


def test_the_checksum_is_named_in_the_trouble() -> None:
    """A person with a line analyser sees which byte came and which would be right."""
    broken = bytearray(_summed(b"\x01\x02"))
    broken[-1] ^= 0x10
    (trouble,) = Framer(SUMMED).feed(bytes(broken))
    assert isinstance(trouble, Trouble)
    assert trouble.detail == "checksum 15 is wrong, 05 would be right"
