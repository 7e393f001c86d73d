"""The Modbus bus on real ptys and sockets, against units that answer wrongly, late, or not at all."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec
import pytest
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from firmware_bridge.links.modbus_bus import ModbusBus
from firmware_bridge.raw import Arrival, Registers, SendError, Write
from firmware_bridge.wire.modbus import Request
from hub.clock import Clock
from hub.reading import FaultKind, LinkChange, LinkState
from hub.settings.site import Devices, ModbusRtuLink, ModbusTcpLink

if TYPE_CHECKING:
    from collections.abc import Callable

    from hub.settings.site import Device
    from tests.links.modbus.conftest import Cable, Rtu, Run, Tcp

    MakeDevice = Callable[..., Device]


@pytest.mark.parametrize(
    ("mode", "on_rtu", "on_tcp"),
    [
        ("late", {FaultKind.NO_ANSWER}, {FaultKind.NO_ANSWER}),
        ("wrong-unit", {FaultKind.MISMATCH}, {FaultKind.MISMATCH}),
        ("wrong-function", {FaultKind.MISMATCH}, {FaultKind.MISMATCH}),
        ("flipped-function", {FaultKind.MISMATCH, FaultKind.CHECKSUM}, {FaultKind.MISMATCH}),
        ("wrong-count", {FaultKind.MISMATCH}, {FaultKind.MISMATCH}),
        ("garbage", {FaultKind.CHECKSUM, FaultKind.MISMATCH}, None),
        ("truncated", {FaultKind.INCOMPLETE}, {FaultKind.NO_ANSWER, FaultKind.MISMATCH}),
        ("refused", {FaultKind.REFUSED}, {FaultKind.REFUSED}),
        ("busy", {FaultKind.BUSY}, {FaultKind.BUSY}),
        ("bytes", set(), set()),
        ("twice", set(), set()),
    ],
)
async def test_wrong_answers(
    cable: Cable, run: Run, mode: str, on_rtu: set[FaultKind], on_tcp: set[FaultKind] | None, device: MakeDevice
) -> None:
    """What pymodbus takes for values is a named fault here; when the unit is right again, so are the values."""
    kinds = on_rtu if cable.kind == "rtu" else on_tcp
    cable.script.mode = mode
    heard = run(cable.link(device("meter", 1)))
    if kinds is None:  # this stream can never be in step again: the link says so, and starts a new one
        await heard.until(lambda: any("no Modbus TCP" in change.detail for change in heard.changes))
    elif kinds:
        await heard.until(lambda: kinds & {trouble.kind for trouble in heard.troubles()})
        assert {trouble.kind for trouble in heard.troubles()} <= kinds | {FaultKind.NO_ANSWER}
        assert heard.values() == []
    else:
        await heard.until(lambda: len(heard.values()) >= 6)
    cable.script.mode = "good"
    seen = len(heard.values())
    await heard.until(lambda: len(heard.values()) >= seen + 4)
    assert heard.all_true()


async def test_a_wrong_crc(rtu: Rtu, run: Run, device: MakeDevice) -> None:
    """A damaged frame is a checksum fault with its bytes, and no value."""
    await rtu.plug()
    rtu.script.mode = "bad-crc"
    heard = run(rtu.link(device("meter", 1)))
    await heard.until(lambda: any(trouble.kind is FaultKind.CHECKSUM for trouble in heard.troubles()))
    assert heard.values() == []
    assert all(trouble.payload for trouble in heard.troubles() if trouble.kind is FaultKind.CHECKSUM)


async def test_reads_of_one_poll_come_together(cable: Cable, run: Run, device: MakeDevice, fast: Clock) -> None:
    """A poll of a device is one list, stamped with the clock's time, after the link said that it is up."""
    heard = run(cable.link(device("meter", 1)))
    await heard.until(lambda: len(heard.batches) >= 3)
    change = heard.batches[0][0]
    assert isinstance(change, LinkChange)
    assert (change.state, change.link) == (LinkState.UP, "bus")
    for batch in heard.batches[1:]:
        assert [
            item.raw.address for item in batch if isinstance(item, Arrival) and isinstance(item.raw, Registers)
        ] in ([1, 100],)
    assert abs(heard.arrivals[-1].rx - fast.now()) < 20_000


async def test_unplug_and_replug(cable: Cable, run: Run, device: MakeDevice) -> None:
    """A cable that comes back heals by itself within 5 s; each change is said once, with its reason."""
    heard = run(cable.link(device("meter", 1)))
    await heard.until(lambda: len(heard.values()) >= 2)
    await cable.unplug()
    await heard.until(lambda: heard.changes[-1].state is LinkState.DOWN)
    await asyncio.sleep(0.1)
    await cable.plug()
    seen = len(heard.values())
    await heard.until(lambda: len(heard.values()) >= seen + 2, seconds=5)
    states = [change.state for change in heard.changes]
    assert states[0] == states[-1] == LinkState.UP
    assert len({change.detail for change in heard.changes}) == len(heard.changes) - 1  # only "up" is said twice
    assert heard.all_true()


async def test_hang_up_is_noticed_while_idle(cable: Cable, run: Run, device: MakeDevice) -> None:
    """Nobody asks anything for hours, and the pulled plug is known at once."""
    heard = run(cable.link(device("meter", 1, every=1e6)))
    await heard.until(lambda: len(heard.values()) >= 2)
    await cable.unplug()
    await heard.until(lambda: heard.changes[-1].state is LinkState.DOWN)


async def test_a_port_that_is_not_there(rtu: Rtu, run: Run, device: MakeDevice) -> None:
    """A missing port is one DOWN in an electrician's words, not one a retry; it may be plugged in later."""
    heard = run(rtu.link(device("meter", 1)))
    await heard.until(lambda: heard.changes)
    await asyncio.sleep(1.0)  # twenty seconds of its clock: several retries
    assert [(change.state, change.detail) for change in heard.changes] == [
        (LinkState.DOWN, f"{rtu.path}: there is no such port (unplugged?)")
    ]
    with pytest.raises(SendError) as refused:
        await heard.bus.send("meter", Write(6, 1, 2))
    assert refused.value.kind is FaultKind.LINK_DOWN
    await rtu.plug()
    await heard.until(lambda: heard.values(), seconds=5)


async def test_a_port_that_is_held(rtu: Rtu, run: Run, device: MakeDevice) -> None:
    """Two masters on one port are refused by the lock."""
    await rtu.plug()
    first = run(rtu.link(device("meter", 1)))
    await first.until(lambda: first.values())
    second = run(rtu.link(device("meter", 1)))
    await second.until(lambda: second.changes)
    assert "another program holds this port" in second.changes[0].detail


async def test_nothing_listens(tcp: Tcp, run: Run, device: MakeDevice) -> None:
    """A refused connection says where to look."""
    await tcp.plug()
    await tcp.unplug()
    heard = run(tcp.link(device("meter", 1)))
    await heard.until(lambda: heard.changes)
    assert heard.changes[0].detail.startswith(f"127.0.0.1:{tcp.port}: nothing listens there")


async def test_one_dead_unit_of_three(cable: Cable, run: Run, device: MakeDevice) -> None:
    """A dead unit goes on being reported, in growing pauses, while the others keep their cadence."""
    cable.script.dead = {2}
    link = cable.link(*(device(name, unit, 0.25, blocks=1) for name, unit in (("a", 1), ("b", 2), ("c", 3))))
    heard = run(link, Clock(speed=2.0, anchor_ms=0))
    await heard.until(lambda: len(heard.troubles("b")) >= 3)
    times = [at for at, question in zip(cable.script.when, cable.script.asked, strict=True) if question.unit == 2]
    assert times[1] - times[0] >= (1.0 / 2) * 0.9
    assert times[2] - times[1] >= (2.0 / 2) * 0.9
    assert {trouble.kind for trouble in heard.troubles("b")} == {FaultKind.NO_ANSWER}
    polls = (times[2] - times[0]) * 2.0 / 0.25
    for name in ("a", "c"):
        assert len(heard.values(name)) >= 0.6 * polls


async def test_late_answers_that_the_loop_did_not_see(rtu: Rtu, device: MakeDevice, fast: Clock) -> None:
    """A late answer that came while the process was held up is seen before the next question leaves."""
    await rtu.plug()
    rtu.script.dead = {1}
    async with ModbusBus(rtu.link(device("meter", 1, timeout=0.05)), fast) as bus:
        async for batch in bus:
            if isinstance(batch[0], Arrival):
                break
        await asyncio.sleep(0.2)  # the quarantine is over by the clock
        question = rtu.script.asked[-1]
        rtu.say(rtu.script.right_rtu(question))  # it is in the port now, and the loop has not been told
        asked = len(rtu.script.asked)
        with pytest.raises(SendError) as caught:
            await bus.send("meter", Write(6, 1, 1))
        assert caught.value.kind is FaultKind.NO_ANSWER
        assert len(rtu.script.asked) == asked + 1


async def test_one_port_speaks_unasked(rtu: Rtu, run: Run, device: MakeDevice) -> None:
    """Bytes that nobody asked for, while nobody asks, cost a pause and no value."""
    await rtu.plug()
    heard = run(rtu.link(device("meter", 1, every=6.0, timeout=0.4)))
    await heard.until(lambda: len(heard.values()) >= 2)
    for _ in range(3):
        rtu.say(rtu.script.right_rtu(Request(1, 3, 100, count=2))[:-2])
        seen = len(heard.values())
        await heard.until(lambda since=seen: len(heard.values()) >= since + 2)  # type: ignore[misc]
    assert heard.all_true()
    assert heard.troubles() == []


@pytest.mark.parametrize(("baud", "asked"), [(115200, {(1, 101)}), (9600, {(1, 2), (100, 2)})])
async def test_the_line_decides_what_is_asked(
    cable: Cable, run: Run, device: MakeDevice, baud: int, asked: set[tuple[int, int]]
) -> None:
    """A readable gap of 97 registers is read along at 115200 baud and on TCP, and not at 9600."""
    meter = device("meter", 1)
    readable = msgspec.structs.replace(meter, profile=msgspec.structs.replace(meter.profile, gaps="readable"))
    link = cable.link(readable)
    if isinstance(link, ModbusRtuLink):
        link = msgspec.structs.replace(link, baud=baud)
    heard = run(link)
    await heard.until(lambda: len(heard.values()) >= 4)
    assert heard.all_true()
    wanted = {(1, 101)} if cable.kind == "tcp" else asked
    assert {(request.address, request.count) for request in cable.script.asked} == wanted


async def test_against_pymodbus_server(run: Run, device: MakeDevice) -> None:
    """An independent server's values are read, its refusals named, its registers written."""
    words = [SimData(1, values=[0x0101, 0x0102], datatype=DataType.REGISTERS)]
    bits = [SimData(0, values=[True] * 8, datatype=DataType.BITS)]
    units = [SimDevice(1, simdata=(bits, bits, words, words))]
    server = ModbusTcpServer(units, address=("127.0.0.1", 0))
    await server.serve_forever(background=True)
    try:
        assert isinstance(server.transport, asyncio.Server)
        port = server.transport.sockets[0].getsockname()[1]
        link = ModbusTcpLink(id="bus", host="127.0.0.1", port=port, devices=Devices([device("meter", 1)]))
        heard = run(link)
        await heard.until(lambda: len(heard.troubles()) >= 2)
        assert heard.values()[0] == Registers("holding", 1, 2, bytes.fromhex("01010102"))
        assert {(trouble.kind, trouble.detail) for trouble in heard.troubles()} == {
            (FaultKind.REFUSED, "exception 02: illegal data address")
        }
        await heard.bus.send("meter", Write(6, 1, 0x7777))
        await heard.until(lambda: heard.values()[-1].data == bytes.fromhex("77770102"))
    finally:
        await server.shutdown()  # type: ignore[no-untyped-call]  # pymodbus's


async def test_devices_of_another_kind(device: MakeDevice, fast: Clock) -> None:
    """A device that is not Modbus on a Modbus link is the settings' mistake, and stops the start."""
    wrong = msgspec.structs.replace(device("meter", 1), profile=None)
    with pytest.raises(TypeError, match="meter"):
        ModbusBus(ModbusRtuLink(id="bus", port="/dev/null", devices=Devices([wrong])), fast)
