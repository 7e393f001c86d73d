"""Requests per second of our Modbus TCP client and of pymodbus's, in turns, on the same loop against the same server.

Both ask for ten registers and check the answer, as many questions at a time; rounds alternate, and medians are taken.
"""

import asyncio
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

import msgspec
from pymodbus.client import AsyncModbusTcpClient

from firmware_bridge.links.modbus_tcp import open_modbus_tcp
from firmware_bridge.raw import Registers
from firmware_bridge.wire.modbus import Request

COUNT, ROUNDS, MANY, AT_ONCE = 10, 9, 16, 8
_BETWEEN_LOOKS = 20  # questions between two looks at the clock
_HOST = "127.0.0.1"
_ASK = Request(1, 3, 0, count=COUNT)
_Once = Callable[[], Awaitable[None]]


class Rate(msgspec.Struct, frozen=True):
    """One client's medians: requests per second, and µs of this process's CPU for each."""

    per_s: float
    cpu_us: float


class ClientFigures(msgspec.Struct, frozen=True):
    """Ours and pymodbus's on the same terms; `outstanding` is ours alone, several questions out on one connection."""

    ours: Rate
    pymodbus: Rate
    ours_one: Rate
    pymodbus_one: Rate
    outstanding: Rate = Rate(0.0, 0.0)


@contextmanager
def server(kind: str = "plain") -> Iterator[int]:
    """A server in a process of its own; its port."""
    command = [sys.executable, "-m", "hub.bench.modbus_server", kind]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield int(process.stdout.readline() if process.stdout else "")
        finally:
            process.terminate()


async def clients(port: int, seconds: float, *, pipelined: bool) -> ClientFigures:
    """About `seconds` of rounds; `pipelined` where the server takes several questions (pymodbus's takes one)."""
    ways = [(_ours, MANY, 1), (_theirs, MANY, 1), (_ours, 1, 1), (_theirs, 1, 1), (_ours, 1, AT_ONCE)]
    ways = ways if pipelined else ways[:-1]
    rounds: list[list[Rate]] = [[] for _ in ways]
    for _ in range(ROUNDS):
        for kept, (connect, connections, at_once) in zip(rounds, ways, strict=True):
            kept.append(await _round(connect, port, connections, at_once, seconds / (ROUNDS * len(ways))))
    return ClientFigures(*map(_median, rounds))


async def _round(
    connect: Callable[[int], Awaitable[tuple[_Once, Callable[[], None]]]],
    port: int,
    connections: int,
    at_once: int,
    seconds: float,
) -> Rate:
    opened = [await connect(port) for _ in range(connections)]
    asked = 0
    began, cpu = time.perf_counter(), time.process_time()
    end = began + seconds

    async def ask(once: _Once) -> None:
        nonlocal asked
        while True:
            for _ in range(_BETWEEN_LOOKS):
                await once()
            asked += _BETWEEN_LOOKS
            if time.perf_counter() >= end:
                return

    await asyncio.gather(*(ask(once) for once, _ in opened for _ in range(at_once)))
    took, cpu = time.perf_counter() - began, time.process_time() - cpu
    for _, close in opened:
        close()
    return Rate(asked / took, 1e6 * cpu / asked)


async def _ours(port: int) -> tuple[_Once, Callable[[], None]]:
    line = await open_modbus_tcp(_HOST, port)

    async def once() -> None:
        if not isinstance(await line.ask(_ASK, 3.0), Registers):
            raise RuntimeError("our client: no answer")

    return once, line.close


async def _theirs(port: int) -> tuple[_Once, Callable[[], None]]:
    client = AsyncModbusTcpClient(_HOST, port=port, timeout=3, retries=0)
    await client.connect()

    async def once() -> None:
        if (await client.read_holding_registers(0, count=COUNT, device_id=1)).isError():
            raise RuntimeError("pymodbus: no answer")

    return once, client.close


def _median(rates: list[Rate]) -> Rate:
    return Rate(
        round(statistics.median(rate.per_s for rate in rates)),
        round(statistics.median(rate.cpu_us for rate in rates), 2),
    )
