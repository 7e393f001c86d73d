"""A Modbus line that is given another list of devices: the cable stays, whoever stays keeps its turn."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from firmware_bridge.raw import Registers, SendError, Write
from hub.clock import Clock
from hub.reading import FaultKind, LinkState

if TYPE_CHECKING:
    from collections.abc import Callable

    from hub.settings.site import Device
    from tests.links.modbus.conftest import Cable, Rtu, Run


async def test_a_new_unit_is_read_on_the_same_cable(cable: Cable, device: Callable[..., Device], run: Run) -> None:
    """Who was there is read on at its own beat, who is new from now on, and the line was never closed."""
    first, second = device("first", 1, every=0.2), device("second", 2, every=0.2)
    heard = run(cable.link(first), Clock())
    await heard.until(lambda: len(heard.values("first")) >= 4)
    before = len(cable.script.when)

    heard.bus.carry([first, second])
    await heard.until(lambda: len(heard.values("second")) >= 6)

    assert [change.state for change in heard.changes] == [LinkState.UP]
    asked = [when for when, question in zip(cable.script.when, cable.script.asked, strict=True) if question.unit == 1]
    gaps = [after - earlier for earlier, after in zip(asked, asked[2:], strict=False)]  # two questions a poll
    assert before < len(asked)
    assert max(gaps) < 1.0
    assert {value.data[0] for value in heard.values("first")} == {1}  # registers hold the unit that was asked
    assert {value.data[0] for value in heard.values("second")} == {2}
    assert heard.troubles() == []


async def test_a_unit_that_is_taken_off_says_nothing_more(rtu: Rtu, device: Callable[..., Device], run: Run) -> None:
    """Also not the answer to a question that was on its way; an order to it is refused in words."""
    await rtu.plug()
    first, second = device("first", 1, timeout=1.0), device("second", 2, timeout=1.0)
    rtu.script.delay = 0.05
    heard = run(rtu.link(first, second), Clock())
    await heard.until(lambda: heard.values("second"))
    asked = len(rtu.script.asked)
    while len(rtu.script.asked) == asked or rtu.script.asked[-1].unit != 2:
        await asyncio.sleep(0.001)

    heard.bus.carry([first])
    seen, known = len(heard.values("second")), len(heard.values("first"))
    await heard.until(lambda: len(heard.values("first")) >= known + 6)
    assert len(heard.values("second")) == seen
    refused = None
    try:
        await heard.bus.send("second", Write(6, 1, 0))
    except SendError as error:
        refused = error.kind
    assert refused is FaultKind.UNKNOWN_DEVICE


async def test_a_unit_with_another_number_answers_as_itself(rtu: Rtu, device: Callable[..., Device], run: Run) -> None:
    """No answer of the old unit is handed over as the new one's, at whatever moment the list is changed."""
    await rtu.plug()
    heard = run(rtu.link(device("meter", 1, every=0.02)), Clock())
    await heard.until(lambda: heard.values())
    for number in range(2, 14):
        at = len(heard.batches)
        heard.bus.carry([device("meter", number, every=0.02)])
        await heard.until(lambda at=at: len(heard.batches) > at + 1)  # type: ignore[misc]  # bound now
        raws = [item.raw for batch in heard.batches[at:] for item in batch if not hasattr(item, "state")]
        data = [raw.data for raw in raws if isinstance(raw, Registers)]
        assert data
        assert {value[0] for value in data} == {number}
        await asyncio.sleep(0.002 * (number % 7))


async def test_an_empty_line_waits_and_goes_on(rtu: Rtu, device: Callable[..., Device], run: Run) -> None:
    """With its last unit gone the line is quiet and open; with one again it is asked at once."""
    await rtu.plug()
    first = device("first", 1)
    heard = run(rtu.link(first), Clock())
    await heard.until(lambda: heard.values())
    heard.bus.carry([])
    await asyncio.sleep(0.3)
    asked = len(rtu.script.asked)
    await asyncio.sleep(0.3)
    assert len(rtu.script.asked) == asked
    heard.bus.carry([first])
    await heard.until(lambda: len(rtu.script.asked) > asked + 3)
    assert [change.state for change in heard.changes] == [LinkState.UP]
