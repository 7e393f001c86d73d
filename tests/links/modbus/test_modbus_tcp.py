"""Modbus TCP questions on a real socket: whose answer is whose, however late, early, foreign or many."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import msgspec
import pytest

from firmware_bridge.links.modbus_tcp import TcpLine, open_modbus_tcp
from firmware_bridge.links.ports import PortError
from firmware_bridge.raw import Registers, Trouble
from firmware_bridge.wire.modbus import Request
from hub.reading import FaultKind

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

ASK = Request(1, 3, 0, count=2)


class Peer(asyncio.Protocol):
    """The other end: what it was asked, and a way to say anything."""

    def __init__(self) -> None:
        self.asked: asyncio.Queue[bytes] = asyncio.Queue()
        self.gone = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        for at in range(0, len(data), 12):
            self.asked.put_nowait(data[at : at + 12])

    def connection_lost(self, exc: Exception | None) -> None:
        self.gone.set()

    async def transaction(self) -> int:
        """Of the next question."""
        async with asyncio.timeout(5):
            return int.from_bytes((await self.asked.get())[:2], "big")

    def say(self, data: bytes) -> None:
        self.transport.write(data)


def frame(transaction: int, word: int, *, unit: int = 1, function: int = 3, words: int = 2) -> bytes:
    """An answer of `words` equal registers."""
    data = word.to_bytes(2, "big") * words
    return transaction.to_bytes(2, "big") + bytes((0, 0, 0, 3 + len(data), unit, function, len(data))) + data


def value(word: int) -> Registers:
    """What becomes of it."""
    return Registers("holding", 0, 2, word.to_bytes(2, "big") * 2)


@asynccontextmanager
async def connected() -> AsyncIterator[tuple[TcpLine, Peer, list[str]]]:
    """A line to a peer, and what it said on being lost."""
    peer, lost = Peer(), list[str]()
    server = await asyncio.get_running_loop().create_server(lambda: peer, "127.0.0.1", 0)
    line = await open_modbus_tcp("127.0.0.1", server.sockets[0].getsockname()[1], on_lost=lambda: lost.append("lost"))
    try:
        yield line, peer, lost
    finally:
        line.close()
        async with asyncio.timeout(5):
            await peer.gone.wait()
        server.close()
        await server.wait_closed()


async def test_answers_find_their_questions_in_any_order() -> None:
    """Eight questions out at once, answered backwards, in pieces and all in one segment: each gets its own."""
    async with connected() as (line, peer, _):
        asking = [asyncio.create_task(line.ask(ASK, 5.0)) for _ in range(8)]
        transactions = [await peer.transaction() for _ in asking]
        stream = b"".join(frame(each, 100 + at) for at, each in reversed([*enumerate(transactions)]))
        peer.say(stream[:17])
        await asyncio.sleep(0.02)
        peer.say(stream[17:])
        assert await asyncio.gather(*asking) == [value(100 + at) for at in range(8)]


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (lambda t: frame(t, 7, unit=2), FaultKind.MISMATCH),
        (lambda t: frame(t, 7, function=4), FaultKind.MISMATCH),
        (lambda t: frame(t, 7, words=3), FaultKind.MISMATCH),
        (lambda t: frame(t, 7, words=1), FaultKind.MISMATCH),
        (lambda t: frame(t, 7)[:8] + b"\x06" + frame(t, 7)[9:], FaultKind.MISMATCH),
        (lambda t: frame(t + 1, 7), FaultKind.NO_ANSWER),
        (lambda t: frame(t - 1, 7), FaultKind.NO_ANSWER),
    ],
    ids=["unit", "function", "longer", "shorter", "byte count", "next transaction", "last transaction"],
)
async def test_an_answer_that_does_not_fit_is_no_value(answer: object, kind: FaultKind) -> None:
    """Unit, function, byte count, length and transaction are checked in every answer."""
    assert callable(answer)
    async with connected() as (line, peer, _):
        asking = asyncio.create_task(line.ask(ASK, 0.3))
        peer.say(answer(await peer.transaction()))
        said = await asking
        assert isinstance(said, Trouble)
        assert said.kind is kind


async def test_late_answers_are_dropped() -> None:
    """An answer after its time is nobody's; the next question gets its own, and the fault counts what was dropped."""
    async with connected() as (line, peer, _):
        first = await line.ask(ASK, 0.05)
        assert isinstance(first, Trouble)
        late = await peer.transaction()
        second = asyncio.create_task(line.ask(ASK, 5.0))
        own = await peer.transaction()
        peer.say(frame(late, 1) + frame(own, 2))
        assert await second == value(2)
        third = asyncio.create_task(line.ask(ASK, 0.2))
        await peer.transaction()
        peer.say(frame(late, 1) + frame(own, 2))
        assert await third == Trouble(FaultKind.NO_ANSWER, "unit 1 does not answer (2 answers to other questions)")


async def test_each_question_has_its_own_time() -> None:
    """A short question asked after a long one is given up first, and the long one still answered."""
    async with connected() as (line, peer, _):
        long = asyncio.create_task(line.ask(ASK, 20.0))
        transaction = await peer.transaction()
        short = await line.ask(msgspec.structs.replace(ASK, unit=9), 0.05)
        assert short == Trouble(FaultKind.NO_ANSWER, "unit 9 does not answer")
        assert not long.done()
        peer.say(frame(transaction, 5))
        assert await long == value(5)


async def test_an_answer_that_came_while_we_were_held_up() -> None:
    """The process stood still past the time-out, and the answer lies in the socket: the device is not called silent."""
    async with connected() as (line, peer, _):
        asking = asyncio.create_task(line.ask(ASK, 0.1))
        peer.say(frame(await peer.transaction(), 6))
        time.sleep(0.4)  # noqa: ASYNC251  # this is what is tested
        assert await asking == value(6)


async def test_a_lost_connection_ends_every_question() -> None:
    """All that wait are told at once, and so is the holder, once."""
    async with connected() as (line, peer, lost):
        asking = [asyncio.create_task(line.ask(ASK, 30.0)) for _ in range(3)]
        await peer.transaction()
        peer.transport.abort()
        async with asyncio.timeout(5):
            ends = await asyncio.gather(*asking, return_exceptions=True)
        assert [type(end) for end in ends] == [PortError] * 3
        with pytest.raises(PortError, match=r"127\.0\.0\.1:\d+: the other end"):
            line.check()
        with pytest.raises(PortError):
            await line.ask(ASK, 1.0)
        assert lost == ["lost"]


async def test_a_stream_that_is_no_modbus() -> None:
    """Bytes that cannot be Modbus TCP are never in step again: the connection is given up, asked or not."""
    async with connected() as (line, peer, lost):
        asking = asyncio.create_task(line.ask(ASK, 5.0))
        await peer.transaction()
        peer.say(b"HTTP/1.1 400 Bad Request")
        with pytest.raises(PortError, match="is no Modbus TCP"):
            await asking
        assert lost == ["lost"]


async def test_a_question_given_up_by_its_asker() -> None:
    """A cancelled question leaves nothing behind: its answer is dropped, the next is right."""
    async with connected() as (line, peer, _):
        asking = asyncio.create_task(line.ask(ASK, 5.0))
        given_up = await peer.transaction()
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        again = asyncio.create_task(line.ask(ASK, 5.0))
        own = await peer.transaction()
        peer.say(frame(given_up, 1) + frame(own, 2))
        assert await again == value(2)


async def test_closing_is_not_losing() -> None:
    """Who closes a line is not told that it is lost."""
    async with connected() as (line, peer, lost):
        line.close()
        line.close()
        await peer.gone.wait()
        assert lost == []
