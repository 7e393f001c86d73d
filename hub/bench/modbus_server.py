"""The server that both Modbus clients are measured against, in a process of its own.

It answers every read at once and judges nothing, so that it is not what is measured; or, with `pymodbus`, it is that
library's own. It prints its port, and ends with its standard input.
"""

import asyncio
import sys
from typing import ClassVar, cast

import uvloop
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

_WORD = 557  # 55.7 dB, in every register
_QUESTION = 12  # bytes of a read


class _Plain(asyncio.Protocol):
    """Reads of registers, and nothing else. Answers are made once for each question."""

    _unread = b""
    _made: ClassVar[dict[bytes, bytes]] = {}

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        if self._unread or len(data) != _QUESTION:
            data = self._unread + data
            whole = len(data) - len(data) % _QUESTION
            asked, self._unread = [data[at : at + _QUESTION] for at in range(0, whole, _QUESTION)], data[whole:]
            self._transport.write(b"".join(map(self._answer, asked)))
        else:
            self._transport.write(self._answer(data))

    def _answer(self, asked: bytes) -> bytes:
        rest = asked[4:]
        if rest not in self._made:
            words = _WORD.to_bytes(2, "big") * int.from_bytes(asked[10:12], "big")
            self._made[rest] = (3 + len(words)).to_bytes(2, "big") + asked[6:8] + bytes((len(words),)) + words
        return asked[:4] + self._made[rest]


async def _plain() -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(_Plain, "0.0.0.0", 0, backlog=2048)  # noqa: S104  # 127.0.0.1 to 127.0.4.250
    await _until_end_of_input(server.sockets[0].getsockname()[1])


async def _pymodbus() -> None:
    words = [SimData(0, values=[_WORD] * 200, datatype=DataType.REGISTERS)]
    bits = [SimData(0, values=[False] * 8, datatype=DataType.BITS)]
    server = ModbusTcpServer([SimDevice(1, simdata=(bits, bits, words, words))], address=("127.0.0.1", 0))
    await server.serve_forever(background=True)
    listening = cast("asyncio.Server", server.transport)  # uvloop's own is no subclass
    await _until_end_of_input(listening.sockets[0].getsockname()[1])


async def _until_end_of_input(port: int) -> None:
    sys.stdout.write(f"{port}\n")
    sys.stdout.flush()
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    uvloop.run(_pymodbus() if sys.argv[1:] == ["pymodbus"] else _plain())
