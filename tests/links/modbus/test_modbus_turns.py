"""The bus and its turns on real cables: who is asked when, beside commands, dead units, busy ones and gateways."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from typing import TYPE_CHECKING

import msgspec
import pytest

from firmware_bridge.raw import Write
from firmware_bridge.simulate.modbus_units import Units
from firmware_bridge.simulate.paced import Pace
from firmware_bridge.simulate.tty import Tty
from firmware_bridge.wire.modbus import Request, bus_time_ms
from hub.bench.modbus_line import fairness
from hub.clock import Clock
from hub.reading import FaultKind
from hub.settings.site import Devices, ModbusRtuLink, ModbusTcpLink

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from hub.settings.site import Device
    from tests.links.modbus.conftest import Cable, Run, Tcp

    MakeDevice = Callable[..., Device]


async def test_orders_wait_for_one_transaction_only(cable: Cable, run: Run, device: MakeDevice) -> None:
    """Five orders at once, on a full line with a dead unit: all leave in a row, after the transaction under way."""
    cable.script.delay = 0.02
    cable.script.dead = {6}
    heard = run(cable.link(*(device(f"d{unit}", unit, every=0.01) for unit in range(1, 7))))
    await heard.until(lambda: heard.troubles("d6") and len(heard.values()) >= 10)
    for _ in range(3):
        before = len(cable.script.asked)
        await asyncio.gather(*(heard.bus.send(f"d{unit}", Write(6, 1, unit)) for unit in range(1, 6)))
        log = cable.script.asked[before:]
        places = [log.index(Request(unit, 6, 1, value=unit)) for unit in range(1, 6)]
        assert places[0] <= 1
        assert places == list(range(places[0], places[0] + 5))
        await heard.until(lambda since=before: len(cable.script.asked) >= since + 20)  # type: ignore[misc]


@pytest.mark.parametrize("outstanding", [1, 4])
async def test_questions_that_are_out_together(tcp: Tcp, run: Run, device: MakeDevice, outstanding: int) -> None:
    """As many as the link says, and by default one: a device that takes one at a time is never asked two."""
    await tcp.plug()
    tcp.script.delay = 0.2
    devices = [device(f"d{unit}", unit, every=0.01, timeout=5.0, blocks=1) for unit in range(1, 9)]
    link = msgspec.structs.replace(tcp.link(*devices), outstanding=outstanding)
    heard = run(link)
    await heard.until(lambda: len(heard.values()) >= 12)
    out = [sum(0 <= at - other < 0.19 for other in tcp.script.when) for at in tcp.script.when]
    assert max(out) == outstanding
    assert {len(value.data) for value in heard.values()} == {4}
    assert all(heard.values(each.id) for each in devices)


async def test_the_busy_are_not_pressed(cable: Cable, run: Run, device: MakeDevice) -> None:
    """A unit that says busy is asked nothing more in this poll, and not at its next beats."""
    cable.script.mode = "busy"
    heard = run(cable.link(device("meter", 1, every=0.1)), Clock(speed=4.0, anchor_ms=0))
    await heard.until(lambda: len(heard.troubles()) >= 4)
    assert {trouble.kind for trouble in heard.troubles()} == {FaultKind.BUSY}
    assert {request.address for request in cable.script.asked} == {1}
    pauses = [after - before for before, after in pairwise(cable.script.when)]
    assert pauses[1] >= 0.9 * 1.0 / 4
    assert pauses[2] >= 0.9 * 2.0 / 4
    cable.script.mode = "good"
    await heard.until(lambda: len(heard.values()) >= 4)


async def test_a_gateways_word_for_silence(run: Run, device: MakeDevice) -> None:
    """0B is the silence of the unit behind the gateway: it rests like one, and the others keep their cadence."""
    known, stranger = (device(name, unit, every=0.1, blocks=1) for name, unit in (("known", 1), ("stranger", 2)))
    link = ModbusTcpLink(id="bus", host="127.0.0.1", port=1, devices=Devices([known]))
    async with Units(link, Clock()) as units:  # which does not have the stranger
        units.set("known", {"field_1": 5})
        both = msgspec.structs.replace(link, port=units.port, devices=Devices([known, stranger]))
        heard = run(both, Clock(speed=4.0, anchor_ms=0))
        await heard.until(lambda: len(heard.troubles("stranger")) >= 3)
        assert {trouble.kind for trouble in heard.troubles("stranger")} == {FaultKind.NO_ANSWER}
        assert len(heard.values("known")) > 4 * len(heard.troubles("stranger"))


async def test_five_dead_of_thirty_on_a_line_that_takes_its_time() -> None:
    """The benchmark's promise, for some seconds: the healthy are heard, the dead are cheap, nobody interrupts."""
    for _ in range(3):  # once is enough: what others do on this machine is no fault of the line
        figures = await fairness(3.0, 7, well=2.0, settle=4.0)
        if figures.cadence >= 0.8 and figures.dead_share < 0.25:
            break
    assert figures.cadence >= 0.8  # 0.95 and more on a machine of its own
    assert figures.dead_share < 0.25  # 0.05 of any two minutes: in three seconds it is a matter of chance
    assert figures.collisions == 0


async def test_a_paced_line_is_not_faster_than_its_baud_rate(tmp_path: Path, run: Run, device: MakeDevice) -> None:
    """Question, thinking and answer take the time that the standard's arithmetic gives."""
    meter = device("meter", 1, every=0.05, timeout=3.0, blocks=1)
    with Tty(tmp_path / "port") as tty:
        link = ModbusRtuLink(id="bus", port=str(tty.path), baud=4800, devices=Devices([meter]))
        pace = Pace(link, lambda unit: 0.02)
        async with Units(link, Clock(), fd=tty.fd, pace=pace) as units:
            units.set("meter", {"field_1": 5})
            heard = run(link, Clock())
            await heard.until(lambda: len(heard.values()) >= 6)
    times = [at for at, _ in pace.asked]
    request = Request(1, 3, 1, count=2)
    least = bus_time_ms(request, 4800, "N", 1, 20.0) / 1000 - 0.01
    assert min(after - before for before, after in pairwise(times)) >= least
    assert heard.troubles() == []


async def test_two_who_talk_at_a_time_spoil_it(tmp_path: Path) -> None:
    """A question put into a running exchange is lost, and the running answer with it."""
    link = ModbusRtuLink(id="bus", port=str(tmp_path / "port"), baud=9600)
    pace, said = Pace(link, lambda unit: 0.0), list[bytes]()
    pace.carry(b"\x01question", lambda question: b"answer", said.append)
    pace.carry(b"\x02another", lambda question: b"other", said.append)
    await asyncio.sleep(0.5)  # 15 characters at 9600 baud take 16 ms
    assert pace.collisions == 1
    assert said == []
    pace.carry(b"\x01question", lambda question: b"answer", said.append)
    async with asyncio.timeout(5):
        while not said:
            await asyncio.sleep(0.01)
    assert said == [b"answer"]
    pace.close()
