"""Commands that write coils, registers and bits: what leaves, and what a simulated device understands."""

import struct

import pytest

from device_profiles.types import Duration, ModbusCommand, ModbusLink, ModbusProfile
from firmware_bridge.raw import Write
from firmware_bridge.wire import orders
from firmware_bridge.wire.modbus import Request
from hub.reading import Label

LABEL = Label(zh="x", en="x")
SECONDS = Duration(min=0.5, max=60.0, default=2.0, per_second=10.0)


def command(function: int, address: int, **more: object) -> ModbusCommand:
    """One command, confirmed by relay 1."""
    return ModbusCommand(label=LABEL, confirm={"relay": "on"}, within=1.0, function=function, address=address, **more)  # type: ignore[arg-type]  # made by hand


BOARD = ModbusProfile(
    profile=1,
    id="test/board",
    title=LABEL,
    source="made by hand",
    sample=[],
    link=ModbusLink(),
    reading={},
    command={
        "scene": command(15, 16, values=[1, 0, 1, 1, 0, 0, 0, 1, 0, 1]),
        "limits": command(16, 100, values=[0x1234, 7]),
        "sound": command(16, 200, values=[1], seconds=SECONDS),
        "arm": command(22, 5, bits=(3, 3), value=1),
        "mode": command(22, 5, bits=(4, 6), value=5),
        "register": command(6, 9, seconds=SECONDS),
    },
)


def sent(name: str, seconds: float | None = None) -> Write:
    """What leaves for a command."""
    write = orders.action(BOARD, name, seconds=seconds, order_id="1", expires=0)
    assert isinstance(write, Write)
    return write


@pytest.mark.parametrize(
    ("name", "seconds", "pdu"),
    [
        ("scene", None, "0F 0010 000A 02 8D 02"),
        ("limits", None, "10 0064 0002 04 1234 0007"),
        ("sound", None, "10 00C8 0002 04 0001 0014"),
        ("sound", 3.5, "10 00C8 0002 04 0001 0023"),
        ("arm", None, "16 0005 FFF7 0008"),
        ("mode", None, "16 0005 FF8F 0050"),
        ("register", 60.0, "06 0009 0258"),
    ],
)
def test_what_leaves(name: str, seconds: float | None, pdu: str) -> None:
    """The bytes of the protocol, and the way back for a simulated device."""
    write = sent(name, seconds)
    assert Request.of(9, write).pdu == bytes.fromhex(pdu)
    default = 2.0 if BOARD.command[name].seconds and seconds is None else seconds
    assert orders.read(BOARD, write) == (name, default)


@pytest.mark.parametrize("now", [0x0000, 0xFFFF, 0xA5A5])
def test_a_mask_leaves_the_other_bits(now: int) -> None:
    """The standard's rule, (now AND mask) OR (value AND NOT mask), changes bits 4 to 6 and no other."""
    write = sent("mode")
    after = now & write.mask | write.value & ~write.mask & 0xFFFF
    assert (after & ~0x70, after >> 4 & 7) == (now & ~0x70, 5)


@pytest.mark.parametrize(
    "write",
    [
        Write(15, 16, count=10, data=b"\x8d\x03"),
        Write(15, 16, count=9, data=b"\x8d\x00"),
        Write(16, 100, data=struct.pack(">HH", 0x1234, 8)),
        Write(16, 200, data=struct.pack(">HH", 2, 20)),
        Write(16, 200, data=b""),
        Write(22, 5, 8, mask=0xFFF6),
        Write(22, 6, 8, mask=0xFFF7),
    ],
    ids=str,
)
def test_what_no_command_says(write: Write) -> None:
    """A write that differs in one bit is no order of this board."""
    assert orders.read(BOARD, write) is None


@pytest.mark.parametrize(
    ("order", "places"),
    [
        (command(5, 0, count=3), [(0, None), (1, None), (2, None)]),
        (command(16, 10, values=[1, 2], count=2), [(10, None), (12, None)]),
        (command(16, 10, values=[1], seconds=SECONDS, count=2), [(10, None), (12, None)]),
        (command(22, 5, bits=(0, 1), value=1, count=3), [(5, (0, 1)), (5, (2, 3)), (5, (4, 5))]),
    ],
    ids=["coils", "registers", "registers and ticks", "bits"],
)
def test_channels_of_a_command(order: ModbusCommand, places: list[tuple[int, tuple[int, int] | None]]) -> None:
    """Channels lie behind one another and never overlap; each is confirmed by its own quantity."""
    channels = [order.channel(n) for n in range(order.count)]
    assert [(each.address, each.bits) for each in channels] == places
    assert [each.confirm for each in channels] == [{f"relay_{n + 1}": "on"} for n in range(order.count)]
