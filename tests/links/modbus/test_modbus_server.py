"""Every function in every framing against pymodbus's server, an independent one, on loopback.

Bit order, numbers and texts are compared with what that server was told to hold.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack

import pytest
from pymodbus import FramerType
from pymodbus.pdu.device import ModbusDeviceIdentification
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from device_profiles.types import RegisterField
from firmware_bridge.links.modbus_lines import Line, SerialLine, ascii_, rtu
from firmware_bridge.links.modbus_tcp import open_modbus_tcp
from firmware_bridge.links.ports import open_tcp
from firmware_bridge.raw import Registers, Trouble
from firmware_bridge.wire import registers
from firmware_bridge.wire.modbus import Identification, Level, Request
from hub.reading import FaultKind

BITS = [True, False, True, True, False, False, False, True, True, False]
WORDS = [0x0101, 0x0102, 0xF00F, 0x1234]
HELD = [
    SimData(0, values=WORDS, datatype=DataType.REGISTERS),
    SimData(10, values=-1234567890123456789, datatype=DataType.INT64),
    SimData(20, values=27123.5, datatype=DataType.FLOAT64),
    SimData(30, values=236.76, datatype=DataType.FLOAT32),
    SimData(40, values="ZX-80 门禁", datatype=DataType.STRING),
    SimData(50, values=[0x2026, 0x1122], datatype=DataType.REGISTERS),
    SimData(60, values=[0] * 123, datatype=DataType.REGISTERS),
]
ABOUT = {
    "VendorName": "Zhian",
    "ProductCode": "T-1",
    "MajorMinorRevision": "2.1",
    "VendorUrl": "x" * 120,
    "ProductName": "y" * 120,
    "ModelName": "静音",
}
Connect = Callable[[], Awaitable[Line]]


@pytest.fixture(params=[FramerType.SOCKET, FramerType.RTU, FramerType.ASCII], ids=lambda framer: framer.value)
async def line(request: pytest.FixtureRequest) -> AsyncIterator[Line]:
    """A line to a fresh server that speaks this framing."""
    bits = [SimData(0, values=BITS, datatype=DataType.BITS)]
    device = SimDevice(1, simdata=(bits, bits, HELD, HELD))
    identity = ModbusDeviceIdentification(info_name=ABOUT)  # type: ignore[no-untyped-call]  # pymodbus's
    server = ModbusTcpServer([device], framer=request.param, identity=identity, address=("127.0.0.1", 0))
    await server.serve_forever(background=True)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(server.shutdown)
        assert isinstance(server.transport, asyncio.Server)
        number = server.transport.sockets[0].getsockname()[1]
        if request.param is FramerType.SOCKET:
            line = await open_modbus_tcp("127.0.0.1", number)
            stack.callback(line.close)
            yield line
        else:
            port = await open_tcp("127.0.0.1", number)
            stack.callback(port.close)
            framing = rtu(9600, "N", 1) if request.param is FramerType.RTU else ascii_(9600, "E", 1, 7)
            yield SerialLine(port, framing, quiet=1.0, undelivered=port.undelivered)


async def data(line: Line, request: Request) -> bytes:
    """The data of an answer that must be good."""
    said = await line.ask(request, 5.0)
    assert isinstance(said, Registers), said
    assert (said.table, said.address) == (request.table, request.address)
    return said.data


def bits(packed: bytes, count: int) -> list[bool]:
    """The first coil is the lowest bit of the first byte."""
    return [bool(packed[n // 8] >> n % 8 & 1) for n in range(count)]


async def test_reads(line: Line) -> None:
    """Functions 1 to 4: the server's own bits and words, and its refusal."""
    for function in (1, 2):
        assert bits(await data(line, Request(1, function, 0, count=10)), 10) == BITS
        assert bits(await data(line, Request(1, function, 2, count=3)), 3) == BITS[2:5]
    for function in (3, 4):
        assert await data(line, Request(1, function, 0, count=4)) == bytes.fromhex("01010102F00F1234")
    said = await line.ask(Request(1, 3, 9, count=1), 5.0)
    assert isinstance(said, Trouble)
    assert (said.kind, said.detail) == (FaultKind.REFUSED, "exception 02: illegal data address")


async def test_writes(line: Line) -> None:
    """Functions 5, 6, 15, 16, 22, 23: what was written is what is read back."""
    await data(line, Request(1, 5, 1, value=0xFF00))
    await data(line, Request(1, 15, 4, count=5, data=b"\x15"))
    assert bits(await data(line, Request(1, 1, 0, count=10)), 10) == [
        *[True] * 4,
        True,
        False,
        True,
        False,
        True,
        False,
    ]
    await data(line, Request(1, 6, 0, value=0x7777))
    await data(line, Request(1, 16, 1, count=2, data=b"\x12\x34\xab\xcd"))
    await data(line, Request(1, 22, 3, value=0x0025, mask=0x00F2))  # the standard's example, from 0x1234
    assert await data(line, Request(1, 3, 0, count=4)) == bytes.fromhex("77771234ABCD0035")
    both = Request(1, 23, 0, count=2, data=b"\x55\xaa", write_address=1)
    assert await data(line, both) == bytes.fromhex("777755AA")


async def test_the_longest(line: Line) -> None:
    """123 registers written at once, and read back at once."""
    words = bytes(range(246))
    await data(line, Request(1, 16, 60, count=123, data=words))
    assert await data(line, Request(1, 3, 60, count=123)) == words


@pytest.mark.parametrize(
    ("address", "field", "want"),
    [
        (10, RegisterField(address=0, type="i64"), -1234567890123456789),
        (20, RegisterField(address=0, type="f64"), 27123.5),
        (30, RegisterField(address=0, type="f32"), 236.76),
        (40, RegisterField(address=0, type="text", length=12, choices={"open": ["x"]}), "ZX-80 门禁"),
        (50, RegisterField(address=0, type="bcd32"), 20261122),
        (2, RegisterField(address=0, type="u16", bits=(12, 15)), 0xF),
        (2, RegisterField(address=0, type="u16", bits=(3, 4)), 1),
    ],
    ids=lambda value: value.type if isinstance(value, RegisterField) else str(value),
)
async def test_values(line: Line, address: int, field: RegisterField, want: float | str) -> None:
    """Numbers of 64 bits, texts, digits and bit fields are the ones that the server was given."""
    there = await data(line, Request(1, 3, address, count=(field.width + 1) // 2))
    assert registers.read(field, there) == want


async def test_identification(line: Line) -> None:
    """Function 43/14: basic, regular over two pages ('more follows'), one object, and one that is not there."""
    asked = Identification(1, Level.BASIC)
    while asked.question:
        asked.take(await line.ask(asked.question, 5.0))
    assert asked.texts == {"vendor": "Zhian", "product_code": "T-1", "revision": "2.1"}
    asked, pages = Identification(1, Level.REGULAR), 0
    while asked.question:
        asked.take(await line.ask(asked.question, 5.0))
        pages += 1
    assert (asked.trouble, pages) == (None, 2)
    assert [asked.texts[name] for name in ("vendor_url", "product_name", "model_name")] == [
        "x" * 120,
        "y" * 120,
        "静音",
    ]
    asked = Identification(1, Level.ONE, 1)
    assert asked.question is not None
    asked.take(await line.ask(asked.question, 5.0))
    assert asked.objects == {1: b"T-1"}
    asked = Identification(1, Level.ONE, 0x99)
    assert asked.question is not None
    asked.take(await line.ask(asked.question, 5.0))
    assert asked.trouble is not None
    assert asked.trouble.kind is FaultKind.REFUSED
