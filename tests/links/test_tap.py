"""Listening at a cable: byte for byte, bounded, told what was lost, and free while nobody listens."""

import asyncio

import pytest

from firmware_bridge.links.ports import Port
from firmware_bridge.links.tap import Heard, Tap, for_a_while, listen
from firmware_bridge.raw import Alive, Arrival, Frame, Message, Publish, Raw, Registers, Trouble
from firmware_bridge.wire.modbus import Request
from hub.reading import FaultKind, LinkChange, LinkState

ASK, ANSWER = bytes.fromhex("01 03 00 00 00 01 84 0A"), bytes.fromhex("01 03 02 02 2D 79 39")


class FakePort:
    """A port that gives what it was told to."""

    name = "port"

    def __init__(self) -> None:
        self.coming = [ANSWER]
        self.written = b""

    async def read(self, timeout: float) -> bytes:
        return self.coming.pop(0) if self.coming else b""

    def write(self, data: bytes) -> None:
        self.written += data

    def drain_input(self) -> bytes:
        return self.coming.pop(0) if self.coming else b""

    def now(self) -> float:
        return 0.0

    def last_byte(self) -> float:
        return 0.0

    def close(self) -> None:
        self.coming = []


async def test_a_slow_listener_loses_and_is_told_how_many() -> None:
    """The cable never waits: what has no room is lost, and the next line says how many there were."""
    tap = Tap("line")
    with listen([tap], room=3) as heard:
        for number in range(10):
            tap.say(Heard(at=number))
        first = [(await anext(heard)).at for _ in range(3)]
        tap.say(Heard(at=99))
        after = await anext(heard)

    assert first == [0, 1, 2]
    assert (after.at, after.lost) == (99, 7)


async def test_one_listener_does_not_slow_another() -> None:
    """Each has a room of its own; one who left is told nothing more."""
    tap = Tap("line")
    with listen([tap], room=1) as slow, listen([tap], room=100) as quick:
        for number in range(5):
            tap.say(Heard(at=number))
        assert [(await anext(quick)).at for _ in range(5)] == [0, 1, 2, 3, 4]
        assert (await anext(slow)).at == 0
    assert not tap


async def test_bytes_of_an_exchange_are_those_that_crossed() -> None:
    """Question and answer are heard as they were on the port, and what came unasked before it stands for itself."""
    tap, port = Tap("line"), FakePort()
    tapped: Port = tap.on(port)
    request = Request(1, 3, 0)
    with listen([tap]) as heard:
        port.coming = [b"\xff\x00", ANSWER]
        tapped.drain_input()
        tapped.write(ASK)
        await tapped.read(1.0)
        tap.answered(request, Registers("holding", 0, 1, ANSWER[3:5]), 7, 0.02)
        stray, exchange = await anext(heard), await anext(heard)

    assert (stray.came, stray.fault) == (b"\xff\x00", FaultKind.MISMATCH)
    assert (exchange.asked, exchange.came, exchange.unit, exchange.took_ms) == (ASK, ANSWER, 1, 20.0)
    assert exchange.raw() == Registers("holding", 0, 1, ANSWER[3:5])
    assert exchange.link == "line"


async def test_nobody_listens_nothing_is_kept() -> None:
    """Without a listener a tapped port passes bytes on and remembers none of them."""
    tap, port = Tap("line"), FakePort()
    tapped = tap.on(port)
    tapped.write(ASK)
    assert await tapped.read(1.0) == ANSWER
    with listen([tap]) as heard:
        tap.answered(Request(1, 3, 0), Trouble(FaultKind.NO_ANSWER, "silent"), 7, 0.5)
        told = await anext(heard)

    assert port.written == ASK
    assert told.came == b""


async def test_a_line_without_a_port_of_ours_is_heard_as_rtu() -> None:
    """Where questions overlap on one connection, an exchange is shown as the frames that a serial line would carry."""
    tap = Tap("net")
    with listen([tap]) as heard:
        tap.answered(Request(1, 3, 0), Registers("holding", 0, 1, ANSWER[3:5]), 7, 0.02)
        told = await anext(heard)

        write = Request(1, 6, 1, value=9)
        tap.answered(write, Registers("holding", 1, 1, b""), 8, 0.02)
        confirmed = await anext(heard)

    assert (told.asked, told.came) == (ASK, ANSWER)
    assert (confirmed.asked, confirmed.came) == (write.rtu(), write.rtu())


@pytest.mark.parametrize(
    "raw",
    [
        Frame(b"\x02\x03"),
        Message("site/gate/up", b"{}", 0, True),
        Alive(False),
        Trouble(FaultKind.CHECKSUM, "wrong", b"\x02"),
    ],
    ids=lambda raw: type(raw).__name__,
)
async def test_what_a_link_brought_can_be_decoded_again(raw: Raw) -> None:
    """A watcher gets what `decode` needs, no more and no less."""
    tap = Tap("line")
    with listen([tap]) as heard:
        tap.arrived([Arrival("gate", raw, 5)])
        told = await anext(heard)

    assert told.raw() == raw
    assert told.device == "gate"


async def test_orders_and_changes_of_the_link_are_heard() -> None:
    """What goes out, and how the cable is, belongs to what a watcher sees; neither is a reading."""
    tap = Tap("mqtt")
    with listen([tap]) as heard:
        tap.ordered("gate", Publish("site/gate/do", b'{"do":"open"}'), 5)
        tap.arrived([LinkChange(link="mqtt", state=LinkState.DOWN, detail="broker gone", rx=6)])
        order, change = await anext(heard), await anext(heard)

    assert (order.asked, order.topic, order.raw()) == (b'{"do":"open"}', "site/gate/do", None)
    assert (change.state, change.detail, change.raw()) == ("down", "broker gone", None)


async def test_listening_for_a_while_ends() -> None:
    """A capture of a silent line ends when its time is over."""
    tap = Tap("line")
    async with asyncio.timeout(10):
        with listen([tap]) as heard:
            tap.say(Heard(at=1))
            assert [each.at async for each in for_a_while(heard, 0.05)] == [1]
