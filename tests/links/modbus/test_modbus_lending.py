"""Others on a Modbus line: they ask in turn with the polls, or have the line lent, and nothing false comes of it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from firmware_bridge.links.ports import PortError, open_port
from firmware_bridge.links.tap import listen
from firmware_bridge.raw import Registers, SendError, Trouble, Write
from firmware_bridge.wire.modbus import Request
from hub.reading import FaultKind, LinkState

if TYPE_CHECKING:
    from collections.abc import Callable

    from hub.settings.site import Device
    from tests.links.modbus.conftest import Cable, Rtu, Run

    MakeDevice = Callable[..., Device]

WHY = "line lent for a scan"


async def test_a_question_of_somebody_else_goes_between_the_polls(cable: Cable, run: Run, device: MakeDevice) -> None:
    """A guest's questions and the polls alternate, and every answer is that of its own question."""
    heard = run(cable.link(device("meter", 1, every=0.01)))
    await heard.until(lambda: len(heard.values()) >= 2)
    before = len(heard.values())
    for unit in range(20, 26):
        answer = await heard.bus.ask(Request(unit, 3, 7), 0.2)
        assert isinstance(answer, Registers)
        assert answer.data == bytes([unit, 7])
    await heard.until(lambda: len(heard.values()) >= before + 4)

    assert heard.troubles() == []
    assert heard.all_true()


async def test_a_silent_guest_does_not_keep_the_polls_away(cable: Cable, run: Run, device: MakeDevice) -> None:
    """Between two questions to units that are not there, the site's own unit is asked."""
    heard = run(cable.link(device("meter", 1, every=0.01)))
    cable.script.dead = {30, 31, 32, 33}
    await heard.until(lambda: len(heard.values()) >= 2)
    for unit in (30, 31, 32, 33):
        before = len(heard.values())
        answer = await heard.bus.ask(Request(unit, 3, 0), 0.05)
        assert isinstance(answer, Trouble)
        await heard.until(lambda since=before: len(heard.values()) > since)  # type: ignore[misc]
    assert heard.troubles() == []


async def test_a_lent_line_says_so_and_comes_back(cable: Cable, run: Run, device: MakeDevice) -> None:
    """While it is lent nothing is asked, who sends hears why, and the link is down for that reason, then up again."""
    heard = run(cable.link(device("meter", 1, every=0.01)))
    await heard.until(lambda: len(heard.values()) >= 2)
    async with heard.bus.lend(WHY):
        await heard.until(lambda: heard.changes[-1].state is LinkState.DOWN)
        asked = len(cable.script.asked)
        with pytest.raises(SendError) as caught:
            await heard.bus.send("meter", Write(6, 1, 1))
        with pytest.raises(PortError, match=WHY):
            await heard.bus.ask(Request(1, 3, 0), 0.1)
        with pytest.raises(PortError, match=WHY):
            await heard.bus.lend(WHY).__aenter__()
        await asyncio.sleep(0.3)  # thirty polls would have been due
        assert len(cable.script.asked) == asked
    seen = len(heard.values())
    await heard.until(lambda: heard.changes[-1].state is LinkState.UP and len(heard.values()) > seen)

    assert (caught.value.kind, caught.value.detail) == (FaultKind.LINK_DOWN, WHY)
    assert [change.detail for change in heard.changes if change.state is LinkState.DOWN] == [WHY]
    assert heard.troubles() == []
    assert heard.all_true()


async def test_a_lent_port_can_be_opened_by_the_borrower(rtu: Rtu, run: Run, device: MakeDevice) -> None:
    """The hub has really let go of the port, and takes it back when the borrower was cancelled in the middle."""
    await rtu.plug()
    heard = run(rtu.link(device("meter", 1, every=0.01)))
    await heard.until(lambda: heard.values())
    borrowed = asyncio.Event()

    async def borrow() -> None:
        async with heard.bus.lend(WHY):
            port = await open_port(str(rtu.path), baud=4800, parity="N", stop_bits=1)
            borrowed.set()
            try:
                await asyncio.Event().wait()
            finally:
                port.close()

    with pytest.raises(PortError, match="another program"):  # the control: while it is not lent nobody can
        await open_port(str(rtu.path), baud=4800, parity="N", stop_bits=1)
    task = asyncio.create_task(borrow())
    async with asyncio.timeout(10):
        await borrowed.wait()
    task.cancel()
    seen = len(heard.values())
    await heard.until(lambda: len(heard.values()) > seen)

    assert heard.changes[-1].state is LinkState.UP


async def test_a_line_whose_cable_is_gone_can_be_lent_and_given_back(rtu: Rtu, run: Run, device: MakeDevice) -> None:
    """Lending does not need an open port: the electrician may be looking for the reason."""
    heard = run(rtu.link(device("meter", 1, every=0.01)))
    await heard.until(lambda: heard.changes)
    async with heard.bus.lend(WHY):
        await rtu.plug()
        await heard.until(lambda: heard.changes[-1].detail == WHY)
    await heard.until(lambda: heard.values())


async def test_a_bus_that_is_closed_while_it_is_lent_ends(rtu: Rtu, run: Run, device: MakeDevice) -> None:
    """A hub that stops does not wait for a borrower."""
    await rtu.plug()
    heard = run(rtu.link(device("meter", 1, every=0.01)))
    await heard.until(lambda: heard.values())
    async with heard.bus.lend(WHY):
        await heard.until(lambda: heard.changes[-1].detail == WHY)
        await heard.bus.__aexit__()


async def test_a_tap_hears_polls_and_commands_byte_for_byte(cable: Cable, run: Run, device: MakeDevice) -> None:
    """Question and answer of each exchange are heard together, with what the bus made of them."""
    heard = run(cable.link(device("meter", 1, every=0.05, blocks=1)))
    await heard.until(lambda: heard.values())
    with listen([heard.bus.tap]) as exchanges:
        await heard.bus.send("meter", Write(6, 1, 9))
        told = [await asyncio.wait_for(anext(exchanges), 10) for _ in range(4)]

    writes = [each for each in told if each.request and each.request.function == 6]
    reads = [each for each in told if each.request and each.request.function == 3]
    assert len(writes) == 1
    assert reads
    for each in told:
        assert each.request is not None
        bare = each.request.rtu()[1:-2]
        assert bare in each.asked
        assert each.came[-len(each.data or b"") or len(each.came) :] or each.came
        assert each.data is not None
        assert each.data in each.came
