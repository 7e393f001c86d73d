"""Captured traffic becomes samples that prove themselves, and that say nothing of whose chip or card it was."""

from collections.abc import Callable, Iterable
from pathlib import Path

import msgspec
import pytest

from device_profiles.load import ROOT, load, profiles
from device_profiles.types import ModbusProfile, MqttProfile, Profile, Sample, SerialProfile
from firmware_bridge.raw import Frame, Publish, Registers, Trouble, Write
from firmware_bridge.wire import capture, encode
from firmware_bridge.wire.framing import Framer
from firmware_bridge.wire.mask import Masks
from firmware_bridge.wire.match import questions
from firmware_bridge.wire.modbus import Request, crc16, read_rtu, read_tcp, unfinished_rtu
from hub.reading import Fault, FaultKind, Reading
from tests.profiles import test_samples as sample_tests

Play = Callable[[Profile, Sample], list[Reading | Fault]]
Stream = Callable[[SerialProfile, Iterable[bytes]], list[Reading | Fault]]
CHIP = bytes.fromhex("02 31 37 31 41 39 32 35 33 41 33 34 38 33 30 30 31 30 30 30 30 30 30 30 30 30 30 07 F8 03")


def appended(tmp_path: Path, profile: Profile, samples: list[Sample]) -> Profile:
    """The product's own file with the captured blocks at its end, through the door."""
    text = (ROOT / f"{profile.id}.toml").read_text(encoding="utf-8")
    path = tmp_path / f"{profile.id}.toml"
    path.parent.mkdir()
    path.write_text(text + "\n" + capture.blocks(samples, "captured 2026-11-22"), encoding="utf-8")
    return load(path)


def fresh(profile: Profile) -> list[Sample]:
    """Only what was captured."""
    return [sample for sample in profile.sample if sample.name.startswith("captured")]


def of(name: str) -> Profile:
    """A product of the library."""
    return profiles()[name]


def as_captured(profile: Profile, sample: Sample) -> Sample:
    """A sample of the library, played over the wire from another unit and captured there."""
    masks = Masks()
    if isinstance(profile, MqttProfile):
        return capture.message(profile, sample.answer.encode(), masks)
    data = bytes.fromhex(sample.answer)
    if isinstance(profile, SerialProfile):
        framer = Framer(profile.frame)
        found: list[Frame | Trouble] = [*framer.feed(data), *framer.flush()]
        assert len(found) == 1
        return capture.frame(profile, found[0], masks)
    own = Request.from_rtu(bytes.fromhex(sample.ask))
    request = msgspec.structs.replace(own, unit=77)
    if data and crc16(data[:-2]) == data[-2:]:
        data = bytes([77]) + data[1:-2] + crc16(bytes([77]) + data[1:-2])
    elif data and len(data) == own.expected_rtu_length:
        broken = bytes(a ^ b for a, b in zip(crc16(data[:-2]), data[-2:], strict=True))
        body = bytes([77]) + data[1:-2]
        data = body + bytes(a ^ b for a, b in zip(crc16(body), broken, strict=True))
    else:
        data = bytes([77]) + data[1:]
    return capture.exchange(profile, request, read_rtu(request, data) or unfinished_rtu(request, data))


@pytest.mark.parametrize("profile", profiles().values(), ids=lambda profile: profile.id)
def test_captured_blocks_pass_the_door_and_the_sample_tests(
    tmp_path: Path, play: Play, stream: Stream, profile: Profile
) -> None:
    """Whatever a product's own samples show can be captured, appended to its file, and passes what guards the file."""
    originals = [sample for sample in profile.sample if not sample.command]
    captured, unfit = [], []
    for sample in originals:
        try:
            captured.append(as_captured(profile, sample))
        except capture.Unfit:
            unfit.append(sample)
    checked = appended(tmp_path, profile, captured)

    assert len(fresh(checked)) >= 2
    assert [sample.want for sample in unfit if sample.want] == []  # every good answer can be kept
    for sample in fresh(checked):
        if sample.want:
            sample_tests.test_a_good_sample_gives_what_it_says_and_no_fault(play, checked, sample)
        else:
            sample_tests.test_a_refusal_gives_its_fault(play, checked, sample)
        if sample.want and isinstance(checked, SerialProfile):
            sample_tests.test_serial_encode_is_the_inverse(stream, checked, sample)
        if isinstance(checked, ModbusProfile):
            sample_tests.test_the_sample_asks_what_the_hub_will_ask(checked, sample)
            if sample.want:
                sample_tests.test_modbus_memory_is_the_inverse(checked, sample)
                sample_tests.test_modbus_every_flipped_bit_is_refused(checked, sample)


def test_a_broken_sample_would_not_pass(tmp_path: Path, play: Play) -> None:
    """The control: a captured block with one changed digit is caught by the same test."""
    profile = of("noise/generic-rs485")
    good = as_captured(profile, profile.sample[0])
    wrong = msgspec.structs.replace(good, want={"laeq": 55.8})
    (sample,) = fresh(appended(tmp_path, profile, [wrong]))

    with pytest.raises(AssertionError):
        sample_tests.test_a_good_sample_gives_what_it_says_and_no_fault(play, profile, sample)


def test_a_chip_is_masked_and_the_checksum_made_anew() -> None:
    """Nobody's dog is in a captured frame: country stays, the number does not, and the frame is whole."""
    profile = of("chip/wl-134a")
    assert isinstance(profile, SerialProfile)
    sample = capture.frame(profile, Frame(CHIP), Masks())

    assert sample.want == {"chip": "900000000000001"}
    assert sample.name == "id masked, checksum recomputed"
    assert "31 37 31 41 39 32 35 33 41 33" not in sample.answer
    assert bytes.fromhex(sample.answer)[27] != CHIP[27]


def test_a_broken_chip_frame_stays_broken_and_is_masked_too() -> None:
    """A wrong checksum is wrong by the same bits; what was read of the number before it broke off is hidden as well."""
    profile = of("chip/wl-134a")
    assert isinstance(profile, SerialProfile)
    flipped = bytes([*CHIP[:27], CHIP[27] ^ 0x10, *CHIP[28:]])
    wrong = capture.frame(profile, Trouble(FaultKind.CHECKSUM, "", flipped), Masks())
    short = capture.frame(profile, Trouble(FaultKind.INCOMPLETE, "", CHIP[:8]), Masks())

    assert (wrong.fault, short.fault) == (FaultKind.CHECKSUM, FaultKind.INCOMPLETE)
    assert short.answer == "02 30 30 30 30 30 30 30"
    assert "31 37 31 41 39 32 35 33" not in wrong.answer


def test_the_same_chip_is_the_same_number() -> None:
    """A dog that passes twice is seen to pass twice, and another one is another one."""
    profile = of("chip/wl-134a")
    assert isinstance(profile, SerialProfile)
    masks = Masks()
    other = encode.frame(profile, {"chip": "156000000000042"})

    seen = [capture.frame(profile, Frame(data), masks).want["chip"] for data in (CHIP, other, CHIP)]

    assert seen == ["900000000000001", "156000000000002", "900000000000001"]


def test_credentials_and_serial_numbers_in_json_are_masked() -> None:
    """Who passed, and which device it was, stay on the site; what the profile reads stays in the sample."""
    profile = of("gate/json-mqtt")
    assert isinstance(profile, MqttProfile)
    secret = {"credential": "card-0815", "sn": "A1B2C3", "net": {"mac": "00:11:22:33:44:55", "password": "hush"}}
    payload = msgspec.json.encode({"passage": "granted", "direction": "in", **secret})

    sample = capture.message(profile, payload, Masks())

    assert sample.want == {"passage": "granted"}
    for word in ("0815", "A1B2C3", "00:11", "hush"):
        assert word in payload.decode()
        assert word not in sample.answer
        assert word not in str(sample.detail)


def test_registers_that_nobody_reads_are_zeroed() -> None:
    """A serial number in the registers beside the values does not leave the site with them."""
    profile = of("water/escort-td500")
    assert isinstance(profile, ModbusProfile)
    (request,) = questions(profile, 9)

    sample = capture.exchange(profile, request, Registers("holding", 0, 4, bytes.fromhex("14 04 67 00 C0 FF EE 11")))

    assert sample.answer.startswith("01 03 08 14 04 67 00 00 00 00 00")
    assert sample.name == "unread registers zeroed, unit renumbered, CRC recomputed"


def test_a_tcp_exchange_is_written_as_rtu() -> None:
    """Samples are RTU frames, whatever the cable was; a gateway's refusal keeps its code."""
    profile = of("noise/generic-rs485")
    assert isinstance(profile, ModbusProfile)
    request = Request(5, 3, 0)
    answer = read_tcp(request, 7, bytes.fromhex("00 07 00 00 00 03 05 83 02"))
    assert isinstance(answer, Trouble)

    sample = capture.exchange(profile, request, answer)

    assert (sample.answer, sample.fault) == ("01 83 02 C0 F1", FaultKind.REFUSED)


def test_orders_become_samples_too() -> None:
    """What the hub sent is kept as the command that it was; a write that is no command is left out."""
    relay = of("relay/waveshare-8ch")
    assert isinstance(relay, ModbusProfile)
    sample = capture.exchange(relay, Request(4, 5, 0x0201, value=80), Registers("coil", 0x0201, 1, b""))

    assert (sample.command, sample.seconds, sample.sends) == ("pulse_2", 8.0, "01 05 02 01 00 50 9D 8E")
    with pytest.raises(capture.Unfit, match="no command"):
        capture.order(relay, Write(6, 999, 1))
    gate = of("gate/json-mqtt")
    opened = capture.order(gate, Publish("t", b'{"do":"open","id":"17","expires":1795321440545}'))
    assert opened.command == "open"
    assert '"17"' not in opened.sends


def test_other_questions_are_left_out() -> None:
    """What another master asked is no sample of this profile, and the reason is said."""
    profile = of("noise/generic-rs485")
    assert isinstance(profile, ModbusProfile)

    with pytest.raises(capture.Unfit, match="own plan does not ask"):
        capture.exchange(profile, Request(1, 3, 4), Registers("holding", 4, 1, b"\0\1"))
