"""Commands on a Modbus bus: first in line, refused by name, and never the cause of a wrong value."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import pytest

from firmware_bridge.links.modbus_bus import ModbusBus
from firmware_bridge.raw import Arrival, Publish, SendError, Write
from firmware_bridge.wire.modbus import Request
from hub.clock import Clock
from hub.reading import FaultKind, LinkState

if TYPE_CHECKING:
    from collections.abc import Callable

    from hub.settings.site import Device
    from tests.links.modbus.conftest import Cable, Run

    MakeDevice = Callable[..., Device]


async def test_commands_go_before_polls(cable: Cable, run: Run, device: MakeDevice) -> None:
    """A command waits for at most the running transaction, and its device is asked next."""
    cable.script.delay = 0.02
    heard = run(cable.link(*(device(f"d{unit}", unit, every=0.01) for unit in range(1, 6))))
    await heard.until(lambda: len(heard.values()) >= 10)
    for unit in (2, 4, 5):
        before = len(cable.script.asked)
        await heard.bus.send(f"d{unit}", Write(6, 1, unit))
        log = cable.script.asked[before:]
        place = log.index(Request(unit, 6, 1, value=unit))
        assert place <= 1
        await heard.until(lambda since=before: len(cable.script.asked) >= since + 6)  # type: ignore[misc]
        after = cable.script.asked[before + place + 1 :]
        polled = [question.unit for question in after if question.address == 1 and question.function == 3]
        assert polled[0] == unit


async def test_sending_from_the_loop_that_listens(cable: Cable, device: MakeDevice, fast: Clock) -> None:
    """The hub may send while it holds a batch: the iterator stands still, and the command goes all the same."""
    async with ModbusBus(cable.link(device("meter", 1)), fast) as bus:
        async for batch in bus:
            if isinstance(batch[0], Arrival):
                await asyncio.wait_for(bus.send("meter", Write(6, 1, 9)), 5)
                break
    assert cable.script.asked[-1] == Request(1, 6, 1, value=9)


async def test_refused_commands(cable: Cable, run: Run, device: MakeDevice) -> None:
    """Every way not to be done has its kind: refused, not answered, not for this cable, unknown, too many."""
    heard = run(cable.link(device("meter", 1, every=1e6, timeout=0.4)))
    await heard.until(lambda: len(heard.values()) >= 2)

    async def refusal(name: str, action: Write | Publish) -> FaultKind:
        with pytest.raises(SendError) as caught:
            await heard.bus.send(name, action)
        return caught.value.kind

    write = Write(6, 1, 1)
    assert await refusal("nobody", write) is FaultKind.UNKNOWN_DEVICE
    assert await refusal("meter", Publish("a", b"")) is FaultKind.MALFORMED
    assert await refusal("meter", Write(16, 1, 1)) is FaultKind.MALFORMED
    cable.script.mode = "refused"
    assert await refusal("meter", write) is FaultKind.REFUSED
    cable.script.dead = {1}
    assert await refusal("meter", write) is FaultKind.NO_ANSWER
    cable.script.dead, cable.script.mode, cable.script.delay = set(), "good", 0.01
    sent = await asyncio.gather(*(heard.bus.send("meter", write) for _ in range(18)), return_exceptions=True)
    assert sum(isinstance(error, SendError) and error.kind is FaultKind.BUSY for error in sent) == 2
    assert sent.count(None) == 16
    await cable.unplug()
    await heard.until(lambda: heard.changes[-1].state is LinkState.DOWN)
    assert await refusal("meter", write) is FaultKind.LINK_DOWN


async def test_a_command_given_up_leaves_no_stray_answer(cable: Cable, run: Run, device: MakeDevice) -> None:
    """A cancelled command's answer comes when another question is out, and is not taken for its answer."""
    heard = run(cable.link(device("meter", 1, timeout=0.4)))
    await heard.until(lambda: len(heard.values()) >= 2)
    for _ in range(3):
        cable.script.delay = 0.04
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(heard.bus.send("meter", Write(6, 1, 1)), 0.02)
        cable.script.delay = 0.0
        seen = len(heard.values())
        await heard.until(lambda since=seen: len(heard.values()) >= since + 2)  # type: ignore[misc]
    assert heard.troubles() == []
    assert heard.all_true()
