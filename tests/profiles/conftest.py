"""One way for all tests of this folder to play a sample: through framer or transaction layer, then through decode."""

from collections.abc import Callable, Iterable
from typing import TypeAlias

import pytest

from device_profiles.types import ModbusProfile, MqttProfile, Profile, Sample, SerialProfile
from firmware_bridge.raw import Message, Raw
from firmware_bridge.wire import modbus
from firmware_bridge.wire.decode import decode
from firmware_bridge.wire.framing import Framer
from hub.reading import Fault, Reading

RX = 1_760_000_000_000
DEVICE = "device-under-test"

Said: TypeAlias = list[Reading | Fault]
Play: TypeAlias = Callable[[Profile, Sample], Said]
Stream: TypeAlias = Callable[[SerialProfile, Iterable[bytes]], Said]


@pytest.fixture
def play() -> Play:
    """A sample's answer, delivered whole and then followed by quiet, as readings and faults."""
    return lambda profile, sample: _said(profile, _arrived(profile, sample))


@pytest.fixture
def stream() -> Stream:
    """Portions of a serial stream, then quiet, as readings and faults."""
    return lambda profile, portions: _said(profile, _framed(profile, portions))


def _said(profile: Profile, arrived: Iterable[Raw]) -> Said:
    return [said for raw in arrived for said in decode(DEVICE, profile, raw, RX)]


def _arrived(profile: Profile, sample: Sample) -> list[Raw]:
    if isinstance(profile, MqttProfile):
        return [Message("site/device/up", sample.answer.encode())]
    data = bytes.fromhex(sample.answer)
    if isinstance(profile, ModbusProfile):
        request = modbus.Request.from_rtu(bytes.fromhex(sample.ask))
        return [modbus.read_rtu(request, data) or modbus.unfinished_rtu(request, data)]
    return _framed(profile, [data])


def _framed(profile: SerialProfile, portions: Iterable[bytes]) -> list[Raw]:
    framer = Framer(profile.frame)
    arrived: list[Raw] = [raw for portion in portions for raw in framer.feed(portion)]
    return [*arrived, *framer.flush()]
