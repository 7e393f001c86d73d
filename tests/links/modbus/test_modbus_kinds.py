"""Modbus ASCII and RTU over TCP on real ptys and sockets: the bus, the simulated units, the ports below them."""

from __future__ import annotations

import asyncio
import os
import socket
import termios
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import msgspec
import pytest

from device_profiles import load
from device_profiles.types import ModbusCommand, ModbusLink, ModbusProfile, RegisterField
from firmware_bridge.links.modbus_open import open_line
from firmware_bridge.links.ports import open_port, open_tcp
from firmware_bridge.raw import SendError, Write
from firmware_bridge.simulate.modbus_units import Units
from firmware_bridge.simulate.tty import Tty
from firmware_bridge.wire import orders
from firmware_bridge.wire.decode import decode
from firmware_bridge.wire.modbus import Identification, Level, Request, crc16
from hub.reading import FaultKind, Label, Reading, Value
from hub.settings.site import (
    Device,
    Devices,
    ModbusAsciiLink,
    ModbusLine,
    ModbusRtuLink,
    ModbusRtuOverTcpLink,
    ModbusTcpLink,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from hub.clock import Clock
    from tests.links.modbus.conftest import Heard, Run

LABEL = Label(zh="x", en="x")
METER = load.find("noise/generic-rs485", file="", key="")
STATES: dict[str, list[int | str | bool]] = {"off": [0], "on": [1]}


def command(function: int, address: int, quantity: str, state: str, **more: object) -> ModbusCommand:
    """One command and what confirms it."""
    confirm = {quantity: state}
    return ModbusCommand(label=LABEL, confirm=confirm, within=1.0, function=function, address=address, **more)  # type: ignore[arg-type]  # made by hand


BOARD = ModbusProfile(
    profile=1,
    id="test/board",
    title=LABEL,
    source="made by hand",
    sample=[],
    link=ModbusLink(),
    reading={
        **{f"relay_{n + 1}": RegisterField(address=0, bits=(n, n), choices=STATES) for n in range(4)},
        "gate": RegisterField(address=2, type="text", length=6, choices={"open": ["OPEN"], "closed": ["SHUT"]}),
        "energy": RegisterField(address=5, type="bcd32", scale=0.01, unit="kWh"),
        "siren": RegisterField(table="coil", address=7, type="bit", choices={"silent": [0], "sounding": [1]}),
    },
    command={
        "on_3": command(22, 0, "relay_3", "on", bits=(2, 2), value=1),
        "open": command(16, 40, "gate", "open", values=[1, 2, 3]),
        "sound": command(15, 7, "siren", "sounding", values=[1, 1]),
    },
)
HELD: dict[str, Value] = {
    **{f"relay_{n + 1}": "on" if n == 1 else "off" for n in range(4)},
    "gate": "closed",
    "energy": 1234.56,
    "siren": "silent",
}


def made(profile: object, unit: int = 1, timeout: float = 5.0) -> Device:
    """A device of any profile, with patience for a busy machine."""
    options = ModbusLink(unit=unit, every=0.3, timeout=timeout)
    return Device(id=f"unit-{unit}", profile=profile, options=options, name=LABEL, link="bus")  # type: ignore[arg-type]  # checked by the units


class Bench:
    """Simulated units on one kind of link, and the link to them."""

    def __init__(self, kind: str, folder: Path, clock: Clock) -> None:
        self._kind, self._folder, self._clock = kind, folder, clock
        self._stack = AsyncExitStack()

    async def start(self, *devices: Device) -> tuple[Units, ModbusLine]:
        """Both ends."""
        there = Devices(devices)
        path = str(self._folder / "port")
        links: dict[str, ModbusLine] = {
            "rtu": ModbusRtuLink(id="bus", port=path, devices=there),
            "ascii": ModbusAsciiLink(id="bus", port=path, devices=there),
            "rtu-over-tcp": ModbusRtuOverTcpLink(id="bus", host="127.0.0.1", port=1, devices=there),
            "tcp": ModbusTcpLink(id="bus", host="127.0.0.1", devices=there),
        }
        link = links[self._kind]
        if isinstance(link, ModbusRtuLink | ModbusAsciiLink):
            tty = self._stack.enter_context(Tty(self._folder / "port"))
            return await self._stack.enter_async_context(Units(link, self._clock, fd=tty.fd)), link
        units = await self._stack.enter_async_context(Units(link, self._clock))
        return units, msgspec.structs.replace(link, port=units.port)

    async def stop(self) -> None:
        """Both ends."""
        await self._stack.aclose()


@pytest.fixture(params=["rtu", "ascii", "rtu-over-tcp", "tcp"])
async def bench(request: pytest.FixtureRequest, tmp_path: Path, fast: Clock) -> AsyncIterator[Bench]:
    """All four kinds of link."""
    bench = Bench(request.param, tmp_path, fast)
    yield bench
    await bench.stop()


def readings(heard: Heard, name: str, profile: ModbusProfile) -> dict[str, Value]:
    """The last value of each quantity."""
    said = [item for raw in heard.values(name) for item in decode("d", profile, raw, 0)]
    return {item.quantity: item.value for item in said if isinstance(item, Reading)}


async def test_bits_texts_and_digits(bench: Bench, run: Run) -> None:
    """What the simulator holds in bit fields, texts, digits and coils is what the hub reads, on every link."""
    units, link = await bench.start(made(BOARD))
    units.set("unit-1", HELD)
    heard = run(link)
    await heard.until(lambda: readings(heard, "unit-1", BOARD) == HELD)
    units.set("unit-1", {"gate": "open", "relay_4": "on"})
    changed = {**HELD, "gate": "open", "relay_4": "on"}
    await heard.until(lambda: readings(heard, "unit-1", BOARD) == changed)
    assert heard.troubles() == []


async def test_commands_of_all_functions(bench: Bench, run: Run) -> None:
    """A mask write, registers and coils: sent, confirmed, obeyed, and shown by the next reading."""
    units, link = await bench.start(made(BOARD))
    units.set("unit-1", HELD)
    heard = run(link)
    await heard.until(lambda: heard.values())
    for name, change in (("on_3", {"relay_3": "on"}), ("open", {"gate": "open"}), ("sound", {"siren": "sounding"})):
        action = orders.action(BOARD, name, order_id="1", expires=0)
        await heard.bus.send("unit-1", action)
        await heard.until(lambda now=change: now.items() <= readings(heard, "unit-1", BOARD).items())  # type: ignore[misc]


async def test_writes_into_plain_memory(bench: Bench, run: Run) -> None:
    """Writes that no command of the profile names change the registers that are there, and are refused elsewhere."""
    units, link = await bench.start(made(BOARD))
    units.set("unit-1", HELD)
    heard = run(link)
    await heard.until(lambda: heard.values())
    await heard.bus.send("unit-1", Write(22, 0, 0x0008, mask=0xFFF7))
    await heard.bus.send("unit-1", Write(16, 2, data=b"OPEN\0\0"))
    await heard.bus.send("unit-1", Write(15, 7, count=1, data=b"\1"))
    want = {"relay_4": "on", "relay_2": "on", "gate": "open", "siren": "sounding"}
    await heard.until(lambda: want.items() <= readings(heard, "unit-1", BOARD).items())
    for write in (Write(16, 3, data=bytes(40)), Write(15, 7, count=2, data=b"\1"), Write(22, 99, 1, mask=1)):
        with pytest.raises(SendError, match="exception 02"):
            await heard.bus.send("unit-1", write)
    for wrong in (Write(23, 0), Write(16, 0), Write(3, 0)):
        with pytest.raises(SendError) as refused:
            await heard.bus.send("unit-1", wrong)
        assert refused.value.kind is FaultKind.MALFORMED


async def test_a_dead_unit_among_others(bench: Bench, run: Run) -> None:
    """A silent unit is no answer, its neighbour is read on, and it is read again when it has power."""
    devices = [made(METER, unit, timeout=0.5) for unit in (1, 2)]
    units, link = await bench.start(*devices)
    for device in devices:
        units.set(device.id, {"laeq": 40.0 + int(device.id[-1])})
    units.mute("unit-1", True)
    heard = run(link)
    await heard.until(lambda: heard.troubles("unit-1") and len(heard.values("unit-2")) >= 2)
    assert {trouble.kind for trouble in heard.troubles()} == {FaultKind.NO_ANSWER}
    units.mute("unit-1", False)
    await heard.until(lambda: heard.values("unit-1"))
    assert {raw.data for raw in heard.values("unit-1")} == {(410).to_bytes(2, "big")}
    assert {raw.data for raw in heard.values("unit-2")} == {(420).to_bytes(2, "big")}


async def test_who_a_simulated_unit_is(bench: Bench) -> None:
    """Function 43/14, and 23, on every link: made from the profile, more at the regular level than at the basic one."""
    units, link = await bench.start(made(BOARD))
    units.set("unit-1", HELD)
    line, _ = await open_line(link, 0.5, lambda: None)
    try:
        told = {}
        for level, first in ((Level.BASIC, 0), (Level.REGULAR, 0), (Level.ONE, 1), (Level.ONE, 77)):
            asked = Identification(1, level, first)
            while asked.question:
                asked.take(await line.ask(asked.question, 5.0))
            told[level, first] = asked
        assert told[Level.BASIC, 0].texts["product_code"] == "test/board"
        assert told[Level.REGULAR, 0].texts["model_name"] == "unit-1"
        assert list(told[Level.ONE, 1].objects) == [1]
        missing = told[Level.ONE, 77].trouble
        assert missing is not None
        assert missing.kind is FaultKind.REFUSED
        both = Request(1, 23, 2, count=2, data=b"OP", write_address=2)
        said = await line.ask(both, 5.0)
        assert getattr(said, "data", said) == b"OPUT"
        for elsewhere in (
            Request(1, 23, 90, data=b"OP", write_address=2),
            Request(1, 23, 2, data=b"OP", write_address=90),
        ):
            said = await line.ask(elsewhere, 5.0)
            assert getattr(said, "kind", said) is FaultKind.REFUSED
    finally:
        line.close()


async def test_late_answers_through_a_serial_server(run: Run, device: Callable[..., Device]) -> None:
    """An answer that the server passes on after the time-out is drained, never taken for the next one's."""
    served = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        late = 0
        while asked := await reader.read(256):
            question = Request.from_rtu(asked)
            words = b"".join(
                (question.unit << 8 | at).to_bytes(2, "big")
                for at in range(question.address, question.address + question.count)
            )
            body = bytes([question.unit, 3, len(words)]) + words
            delay = 0.3 if late < 2 else 0.0
            late += 1
            asyncio.get_running_loop().call_later(delay, writer.write, body + crc16(body))
        writer.close()
        served.set()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        heard = run(
            ModbusRtuOverTcpLink(
                id="bus", host="127.0.0.1", port=port, devices=Devices([device("meter", 1, timeout=0.15)])
            )
        )
        await heard.until(lambda: len(heard.troubles()) >= 2 and len(heard.values()) >= 2)
        assert {trouble.kind for trouble in heard.troubles()} == {FaultKind.NO_ANSWER}
        assert heard.all_true()
        await heard.bus.__aexit__()
        await asyncio.wait_for(served.wait(), 5)


async def test_what_has_not_arrived() -> None:
    """A port knows how many of its bytes the other end has not taken: none after an answer, many in a full pipe."""
    listener = socket.create_server(("127.0.0.1", 0))
    listener.setblocking(False)
    port = await open_tcp("127.0.0.1", listener.getsockname()[1])
    there, _ = await asyncio.get_running_loop().sock_accept(listener)
    try:
        port.write(b"question")
        assert await asyncio.get_running_loop().sock_recv(there, 100) == b"question"
        there.send(b"answer")
        assert await port.read(5.0) == b"answer"
        assert port.undelivered() == 0
        port.write(bytes(20_000_000))
        assert port.undelivered() > 1_000_000
    finally:
        port.close()
        there.close()
        listener.close()
    assert port.undelivered() == 0


@pytest.mark.parametrize(("parity", "looked_at"), [("E", True), ("O", True), ("N", False)])
async def test_parity_is_looked_at(parity: str, looked_at: bool) -> None:
    """With a parity bit the system checks it, and makes a wrong character a zero: no marks, nothing left out."""
    master, slave = os.openpty()
    port = await open_port(os.ttyname(slave), baud=9600, parity=parity, stop_bits=1, data_bits=7)
    flags = termios.tcgetattr(slave)[0]
    assert bool(flags & termios.INPCK) is looked_at
    assert not flags & (termios.IGNPAR | termios.PARMRK)
    port.close()
    os.close(master)
    os.close(slave)


async def test_how_a_link_names_itself(tmp_path: Path) -> None:
    """The words at opening say port, framing, speed and format, for an electrician."""
    with Tty(tmp_path / "port"):
        line, detail = await open_line(ModbusAsciiLink(id="a", port=str(tmp_path / "port")), 0.5, lambda: None)
        line.close()
        assert detail == f"{tmp_path / 'port'}: 9600 baud, 7E1"
    async with await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        there = ModbusRtuOverTcpLink(id="a", host="127.0.0.1", port=port, baud=19200, parity="E")
        line, detail = await open_line(there, 0.5, lambda: None)
        line.close()
        assert detail == f"127.0.0.1:{port}: RTU at 19200 baud, 8E1"
