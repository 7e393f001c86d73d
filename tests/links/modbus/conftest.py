"""Modbus units made by hand, on a real pty and a real socket, and a bus that somebody listens to.

Registers hold their own address and unit, so that an answer to another question shows.
"""

import asyncio
import contextlib
import os
import tty
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Protocol

import msgspec
import pytest

from device_profiles.types import ModbusCommand, ModbusLink, ModbusProfile, RegisterField
from firmware_bridge.links.modbus_bus import ModbusBus
from firmware_bridge.raw import Arrival, Registers, Trouble
from firmware_bridge.wire.modbus import Request, crc16
from hub.clock import Clock
from hub.reading import Label, LinkChange
from hub.settings.site import Device, Devices, ModbusLine, ModbusRtuLink, ModbusTcpLink

TIMEOUT = 0.1  # of the scripted units: long enough for a busy machine, short enough for a quick test
FAST = Clock(speed=20.0, anchor_ms=1_760_000_000_000)  # the pauses of dead units pass quickly; time-outs are real
LABEL = Label(zh="x", en="x")
PROFILE = ModbusProfile(
    profile=1,
    id="test/two-blocks",
    title=LABEL,
    source="made by hand",
    sample=[],
    link=ModbusLink(),
    reading={"field_1": RegisterField(address=1, type="u32"), "field_2": RegisterField(address=100, type="u32")},
    command={"set": ModbusCommand(label=LABEL, confirm={}, within=1.0, function=6, address=1)},
)
ONE_BLOCK = msgspec.structs.replace(PROFILE, reading={"field_1": RegisterField(address=1, type="u32")})
Answer = tuple[float, bytes]


def made(name: str, unit: int, every: float = 0.1, timeout: float = TIMEOUT, blocks: int = 2) -> Device:
    """One device, of one or two blocks of registers."""
    profile = PROFILE if blocks == 2 else ONE_BLOCK
    options = ModbusLink(unit=unit, every=every, timeout=timeout)
    return Device(id=name, profile=profile, options=options, name=LABEL, link="bus")


def truth(question: Request) -> bytes:
    """The data of the right answer."""
    if question.function == 6:
        return b""
    places = range(question.address, question.address + question.count)
    return b"".join((question.unit << 8 | place).to_bytes(2, "big") for place in places)


def body(question: Request) -> bytes:
    """The right answer without CRC."""
    data = truth(question)
    return (
        question.rtu()[:-2] if question.function == 6 else bytes([question.unit, question.function, len(data)]) + data
    )


class Script:
    """What the units do with a question: bodies (unit, function, data) and when they come."""

    def __init__(self, sealed: Callable[[bytes, bytes], bytes]) -> None:
        """`sealed` makes a frame of a body and the question's own bytes."""
        self._sealed = sealed
        self.mode = "good"
        self.dead: set[int] = set()
        self.delay = 0.0
        self.asked: list[Request] = []
        self.when: list[float] = []

    @staticmethod
    def right_rtu(question: Request) -> bytes:
        """The right answer, as an RTU frame."""
        return body(question) + crc16(body(question))

    def answers(self, question: Request, asked: bytes) -> list[Answer]:
        """Delays in seconds, and bytes."""
        self.asked.append(question)
        self.when.append(asyncio.get_running_loop().time())
        if question.unit in self.dead:
            return []
        right = body(question)
        good = self._sealed(right, asked)
        wrong = self._wrong_bodies(right)
        if self.mode in wrong:
            return [(0, self._sealed(wrong[self.mode], asked))]
        deliveries: dict[str, list[Answer]] = {
            "late": [(TIMEOUT * 1.5, good)],
            "garbage": [(0, b"\x00\xff\x13\x37" + good)],
            "bad-crc": [(0, good[:-1] + bytes([good[-1] ^ 1]))],
            "bytes": [(0.002 * at, good[at : at + 1]) for at in range(len(good))],
            "twice": [(0, good), (0.01, good)],
            "truncated": [(0, good[:-3])],
        }
        return deliveries.get(self.mode, [(self.delay, good)])

    def _wrong_bodies(self, right: bytes) -> dict[str, bytes]:
        unit, function, rest = right[0], right[1], right[2:]
        return {
            "wrong-unit": bytes([unit + 1, function]) + rest,
            "wrong-function": bytes([unit, function ^ 7]) + rest,
            "flipped-function": bytes([unit, function ^ 0x40]) + rest,
            "wrong-count": bytes([unit, function, rest[0] + 2]) + rest[1:] + b"\0\7",
            "refused": bytes([unit, function | 0x80, 2]),
            "busy": bytes([unit, function | 0x80, 6]),
        }


class Cable(Protocol):
    """One kind of cable with scripted units at its other end."""

    kind: str
    script: Script

    async def plug(self) -> None:
        """The cable is there."""

    async def unplug(self) -> None:
        """It is not."""

    def link(self, *devices: Device) -> ModbusRtuLink | ModbusTcpLink:
        """As the site file would name it."""

    def say(self, data: bytes) -> None:
        """Bytes to the bus, asked or unasked."""


class Rtu:
    """A pty whose master side is the units; the port is a link to it, as /dev/serial/by-id is."""

    kind = "rtu"

    def __init__(self, folder: Path) -> None:
        self.path = folder / "port"
        self.script = Script(lambda answer, _: answer + crc16(answer))
        self._master = -1

    async def plug(self) -> None:
        self._master, slave = os.openpty()
        tty.setraw(slave)
        fresh = self.path.with_suffix(".new")
        fresh.symlink_to(os.ttyname(slave))
        fresh.replace(self.path)
        self._slave = slave  # held open, or the master would hang up before the bus has opened it
        asyncio.get_running_loop().add_reader(self._master, self._readable)

    async def unplug(self) -> None:
        if self._master < 0:
            return
        asyncio.get_running_loop().remove_reader(self._master)
        os.close(self._master)
        os.close(self._slave)
        self._master = -1
        self.path.unlink()

    def link(self, *devices: Device) -> ModbusRtuLink:
        return ModbusRtuLink(id="bus", port=str(self.path), baud=115200, devices=Devices(devices))

    def say(self, data: bytes) -> None:
        if self._master >= 0:
            os.write(self._master, data)

    def _readable(self) -> None:
        data = os.read(self._master, 4096)
        for at in range(0, len(data), 8):
            asked = data[at : at + 8]
            for delay, answer in self.script.answers(Request.from_rtu(asked), asked):
                asyncio.get_running_loop().call_later(delay, self.say, answer)


class Tcp:
    """The same units behind a TCP port."""

    kind = "tcp"

    def __init__(self, folder: Path) -> None:
        self.script = Script(lambda answer, asked: asked[:4] + len(answer).to_bytes(2, "big") + answer)
        self._server: asyncio.Server | None = None
        self._writers: list[asyncio.StreamWriter] = []
        self.port = 0

    async def plug(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def unplug(self) -> None:
        if self._server is not None:
            self._server.close()
            for writer in self._writers:
                writer.transport.abort()
            await self._server.wait_closed()

    def link(self, *devices: Device) -> ModbusTcpLink:
        return ModbusTcpLink(id="bus", host="127.0.0.1", port=self.port, devices=Devices(devices))

    def say(self, data: bytes) -> None:
        for writer in self._writers:
            if not writer.is_closing():
                writer.write(data)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.append(writer)
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                asked = await reader.readexactly(12)
                bare = asked[6:] + crc16(asked[6:])
                for delay, answer in self.script.answers(Request.from_rtu(bare), asked):
                    asyncio.get_running_loop().call_later(delay, self.say, answer)


@pytest.fixture(params=[Rtu, Tcp], ids=["rtu", "tcp"])
async def cable(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Cable]:
    """Both kinds of cable, plugged in."""
    cable: Cable = request.param(tmp_path)
    await cable.plug()
    yield cable
    await cable.unplug()


@pytest.fixture
async def rtu(tmp_path: Path) -> AsyncIterator[Rtu]:
    """An RS-485 line that is not plugged in yet."""
    line = Rtu(tmp_path)
    yield line
    await line.unplug()


@pytest.fixture
async def tcp(tmp_path: Path) -> AsyncIterator[Tcp]:
    """A TCP port that nobody listens on yet."""
    server = Tcp(tmp_path)
    yield server
    await server.unplug()


@pytest.fixture
def device() -> Callable[..., Device]:
    """Makes a Modbus device: name, unit, every, timeout, blocks."""
    return made


@pytest.fixture
def fast() -> Clock:
    """A clock on which the pauses of dead units pass quickly; time-outs are real."""
    return FAST


class Heard:
    """A running bus, and what it has handed over."""

    def __init__(self, bus: ModbusBus) -> None:
        self.bus = bus
        self.batches: list[list[Arrival | LinkChange]] = []
        self._more = asyncio.Condition()

    async def listen(self) -> None:
        async for batch in self.bus:
            async with self._more:
                self.batches.append(batch)
                self._more.notify_all()

    async def until(self, enough: Callable[[], object], seconds: float = 15.0) -> None:
        async with asyncio.timeout(seconds), self._more:
            await self._more.wait_for(enough)

    @property
    def arrivals(self) -> list[Arrival]:
        return [item for batch in self.batches for item in batch if isinstance(item, Arrival)]

    @property
    def changes(self) -> list[LinkChange]:
        return [item for batch in self.batches for item in batch if isinstance(item, LinkChange)]

    def values(self, name: str = "") -> list[Registers]:
        return [a.raw for a in self.arrivals if isinstance(a.raw, Registers) and a.device in (name or a.device)]

    def all_true(self, unit: int = 1) -> bool:
        """Every value is what stands in the registers that were asked."""
        return all(value.data == truth(Request(unit, 3, value.address, value.count)) for value in self.values())

    def troubles(self, name: str = "") -> list[Trouble]:
        return [a.raw for a in self.arrivals if isinstance(a.raw, Trouble) and a.device in (name or a.device)]


class Run(Protocol):
    """Starts a bus that is closed in the end."""

    def __call__(self, link: ModbusLine, clock: Clock = FAST) -> Heard:
        """The bus runs already."""


@pytest.fixture
async def run() -> AsyncIterator[Run]:
    """Start buses; they are closed in the end."""
    async with AsyncExitStack() as stack:

        def start(link: ModbusLine, clock: Clock = FAST) -> Heard:
            heard = Heard(ModbusBus(link, clock))
            task = asyncio.create_task(listen(heard))
            stack.push_async_callback(stop, heard, task)
            return heard

        yield start


async def listen(heard: Heard) -> None:
    """The bus as the hub holds it."""
    async with heard.bus:
        await heard.listen()


async def stop(heard: Heard, task: asyncio.Task[None]) -> None:
    """Leaving the bus ends its iterator."""
    await heard.bus.__aexit__()
    await asyncio.wait_for(task, 5)
