"""Every profile x every sample: each product proves itself by what really crosses its wire."""

from collections.abc import Callable, Iterable
from typing import TypeAlias

import msgspec
import pytest

from device_profiles.load import profiles
from device_profiles.types import ModbusProfile, MqttProfile, Profile, Sample, SerialProfile
from firmware_bridge.raw import Message, Publish, Registers, Trouble, Write
from firmware_bridge.wire import encode, modbus, orders
from firmware_bridge.wire.decode import decode
from firmware_bridge.wire.plan import plan
from firmware_bridge.wire.seal import EXAMPLE, EXAMPLE_TOPIC
from hub.reading import Fault, Reading, Value

Said: TypeAlias = list[Reading | Fault]
Play: TypeAlias = Callable[[Profile, Sample], Said]
Stream: TypeAlias = Callable[[SerialProfile, Iterable[bytes]], Said]

RX = 1_760_000_000_000
ORDER_ID, EXPIRES = "42", 1_760_000_010_000  # what device_profiles/README.md says that `sends` is written with


def _has_checksum(profile: Profile) -> bool:
    return isinstance(profile, SerialProfile) and profile.frame.check is not None


def _cases(
    chosen: Callable[[Sample], object], *kinds: type[Profile], having: Callable[[Profile], bool] = lambda _: True
) -> pytest.MarkDecorator:
    found = [
        pytest.param(profile, sample, id=f"{profile.id}: {sample.name}")
        for profile in profiles().values()
        for sample in profile.sample
        if chosen(sample) and having(profile) and (not kinds or isinstance(profile, kinds))
    ]
    assert found
    return pytest.mark.parametrize(("profile", "sample"), found)


def _values(said: Said) -> dict[str, Value]:
    return {word.quantity: word.value for word in said if isinstance(word, Reading)}


def _kinds(said: Said) -> list[str]:
    return [word.kind for word in said if isinstance(word, Fault)]


@_cases(lambda sample: sample.want)
def test_a_good_sample_gives_what_it_says_and_no_fault(play: Play, profile: Profile, sample: Sample) -> None:
    """A profile reads its own samples: exactly `want`, with `detail` on the event, and nothing else."""
    said = play(profile, sample)
    assert _values(said) == sample.want
    assert _kinds(said) == []
    assert [word.detail for word in said if isinstance(word, Reading) and word.detail] == (
        [sample.detail] if sample.detail else []
    )


@_cases(lambda sample: sample.fault)
def test_a_refusal_gives_its_fault(play: Play, profile: Profile, sample: Sample) -> None:
    """A refused sample gives exactly one fault, of the kind that the profile states."""
    assert _kinds(play(profile, sample)) == [sample.fault]


@_cases(lambda sample: sample.fault in ("checksum", "refused", "busy", "incomplete"))
def test_what_is_not_a_whole_good_answer_gives_no_reading(play: Play, profile: Profile, sample: Sample) -> None:
    """A wrong value is worse than none: nothing is read out of a broken frame."""
    assert _values(play(profile, sample)) == {}


@_cases(lambda sample: sample.want, SerialProfile)
def test_serial_byte_by_byte(stream: Stream, profile: SerialProfile, sample: Sample) -> None:
    """How the operating system cuts a stream into reads changes nothing."""
    data = bytes.fromhex(sample.answer)
    assert _values(stream(profile, [bytes([byte]) for byte in data])) == sample.want


@_cases(lambda sample: sample.want, SerialProfile)
@pytest.mark.parametrize("before", ["", "00", "FF 13 37", "START", "02 30 30", "F4 F3 F2"])
@pytest.mark.parametrize("after", ["", "00 FF", "START"])
def test_serial_with_bytes_before_and_after(
    stream: Stream, profile: SerialProfile, sample: Sample, before: str, after: str
) -> None:
    """Garbage around a frame, even one that begins like a frame, does not hide it."""
    head, tail = (bytes.fromhex(part.replace("START", profile.frame.start)) for part in (before, after))
    data = head + bytes.fromhex(sample.answer) + tail
    for portions in ([data], [bytes([byte]) for byte in data]):
        assert _values(stream(profile, portions)) == sample.want


@_cases(lambda sample: sample.want, SerialProfile)
def test_serial_frames_joined(stream: Stream, profile: SerialProfile, sample: Sample) -> None:
    """Two frames in one read are two frames."""
    said = stream(profile, [bytes.fromhex(sample.answer) * 2])
    assert len(said) == 2 * len(sample.want)
    assert _values(said) == sample.want


@_cases(lambda sample: sample.want, ModbusProfile)
def test_modbus_byte_by_byte(profile: ModbusProfile, sample: Sample) -> None:
    """An answer is complete with its last byte and not before."""
    request = modbus.Request.from_rtu(bytes.fromhex(sample.ask))
    data = bytes.fromhex(sample.answer)
    assert [modbus.read_rtu(request, data[:size]) for size in range(len(data))] == [None] * len(data)
    answer = modbus.read_rtu(request, data)
    assert isinstance(answer, Registers)
    assert _values(decode("device", profile, answer, RX)) == sample.want


@_cases(lambda sample: sample.ask, ModbusProfile)
def test_the_sample_asks_what_the_hub_will_ask(profile: ModbusProfile, sample: Sample) -> None:
    """The question in a sample is the one that the read plan really puts on the line."""
    assert bytes.fromhex(sample.ask) in [request.rtu() for request in plan(profile, profile.link.unit)]


@_cases(lambda sample: sample.want, ModbusProfile)
def test_modbus_every_flipped_bit_is_refused(profile: ModbusProfile, sample: Sample) -> None:
    """CRC-16 catches every single-bit error: no flipped answer becomes registers."""
    request = modbus.Request.from_rtu(bytes.fromhex(sample.ask))
    for broken in _flipped(bytes.fromhex(sample.answer)):
        assert isinstance(modbus.read_rtu(request, broken), Trouble | None)


@_cases(lambda sample: sample.want, SerialProfile, having=_has_checksum)
def test_serial_every_flipped_bit_is_refused(stream: Stream, profile: SerialProfile, sample: Sample) -> None:
    """Where a frame has a checksum, no flipped bit gets through as a reading."""
    for broken in _flipped(bytes.fromhex(sample.answer)):
        assert _values(stream(profile, [broken])) == {}


def test_a_frame_without_a_checksum_says_so() -> None:
    """A product whose frames may hold undetected errors tells people in its caveats."""
    bare = [p for p in profiles().values() if isinstance(p, SerialProfile) and not _has_checksum(p)]
    assert [p.id for p in bare if not any("no checksum" in caveat.en for caveat in p.caveats)] == []


@_cases(lambda sample: sample.want, ModbusProfile)
def test_modbus_memory_is_the_inverse(profile: ModbusProfile, sample: Sample) -> None:
    """What a simulated unit keeps in its registers is, byte for byte, what the real one answered."""
    request = modbus.Request.from_rtu(bytes.fromhex(sample.ask))
    answer = modbus.read_rtu(request, bytes.fromhex(sample.answer))
    assert isinstance(answer, Registers)
    held = {**encode.filler(profile).get(request.table, {}), **encode.memory(profile, sample.want)[request.table]}
    words = [held[request.address + n] for n in range(request.count)]
    if request.table in ("coil", "discrete"):
        assert sum(bit << n for n, bit in enumerate(words)).to_bytes((len(words) + 7) // 8, "little") == answer.data
    else:
        assert b"".join(word.to_bytes(2, "big") for word in words) == answer.data


@_cases(lambda sample: sample.want, SerialProfile)
def test_serial_encode_is_the_inverse(stream: Stream, profile: SerialProfile, sample: Sample) -> None:
    """A simulated frame says what it was told to say, and a sample patched with its own values is itself."""
    assert _values(stream(profile, [encode.frame(profile, sample.want)])) == sample.want
    own = msgspec.structs.replace(profile, sample=[sample])
    assert encode.frame(own, sample.want) == bytes.fromhex(sample.answer)


@_cases(lambda sample: sample.want, MqttProfile)
def test_json_encode_is_the_inverse(profile: MqttProfile, sample: Sample) -> None:
    """A simulated message says what it was told to say, at its own time."""
    payload = encode.message(profile, sample.want, ts=RX - 1000, detail=sample.detail)
    said = decode("device", profile, Message("site/device/up", payload), RX)
    assert _values(said) == sample.want
    assert {word.ts for word in said if isinstance(word, Reading)} == {RX - 1000}
    assert all(word.detail in (None, sample.detail) for word in said if isinstance(word, Reading))


@_cases(lambda sample: sample.command)
def test_a_command_sends_what_the_profile_says(profile: Profile, sample: Sample) -> None:
    """An order leaves as the very bytes of its sample, and a simulated device understands it again."""
    told = {"order_id": ORDER_ID, "device": "gate-1", "issued": EXPIRES - 10_000, "expires": EXPIRES}
    told |= {"topic": EXAMPLE_TOPIC, "seal": EXAMPLE}
    action = orders.action(profile, sample.command, seconds=sample.seconds, text=sample.text, **told)  # type: ignore[arg-type]  # of both types
    assert orders.read(profile, action) == (sample.command, sample.seconds)
    if isinstance(action, Write):
        request = modbus.Request.of(1, action)
        assert request.rtu() == bytes.fromhex(sample.sends)
    elif isinstance(action, Publish):
        assert msgspec.json.decode(action.payload) == msgspec.json.decode(sample.sends.encode())
    else:
        assert action == bytes.fromhex(sample.sends)


def test_the_published_pulse_frames_are_among_the_samples() -> None:
    """The maker's own examples of a pulse (700 ms on relay 0, 800 ms on relay 1) are what we send."""
    relay = profiles()["relay/waveshare-8ch"]
    sent = {}
    for command, seconds in (("pulse_1", 0.7), ("pulse_2", 0.8)):
        write = orders.action(relay, command, seconds=seconds, order_id="1", expires=EXPIRES)
        assert isinstance(write, Write)
        sent[command] = modbus.Request(1, write.function, write.address, value=write.value).rtu().hex(" ")
    assert sent == {"pulse_1": "01 05 02 00 00 07 8d b0", "pulse_2": "01 05 02 01 00 08 9c 74"}


def _flipped(data: bytes) -> Iterable[bytes]:
    for bit in range(8 * len(data)):
        broken = bytearray(data)
        broken[bit // 8] ^= 1 << bit % 8
        yield bytes(broken)
