"""The history's small door for the command line: while the office process holds the store, it answers here.

A Unix socket in the data folder, for the folder's owner alone: one JSON line asks, JSON lines answer. Reads only.
"""

import asyncio
import contextlib
import itertools
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import msgspec

from hub.clock import Clock
from hub.history.duck import DuckStore
from hub.history.store import HistoryStore, Row, StoreError
from hub.query import ReadingLine, reading_line

SOCKET = "history.sock"
AT_ONCE = 2_000
LIMIT = 64 * 1024


class Ask(msgspec.Struct, frozen=True):
    """Readings of one device with `since` <= ts < `until` (ms since 1970)."""

    device: str
    since: int
    until: int


async def serve(store: HistoryStore, data: Path) -> None:
    """Answer until cancelled."""
    path = data / SOCKET
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)  # noqa: PTH108  # a socket that a killed process left behind
    before = os.umask(0o177)
    try:
        server = await asyncio.start_unix_server(lambda r, w: _answer(store, r, w), path, limit=LIMIT)
    finally:
        os.umask(before)
    async with server:
        await server.serve_forever()


def older_readings(data: Path, device: str, since: int, until: int, first_kept: int) -> Iterator[ReadingLine]:
    """Readings that the journal has forgotten (seq < `first_kept`): from the office process, or from the file."""
    ask = Ask(device, since, until)
    rows = _from_office(data / SOCKET, ask)
    if rows is None:
        rows = _from_file(data / "history.duckdb", ask)
    return (reading_line(msgspec.structs.asdict(row)) for row in rows if row.seq < first_kept)


async def _answer(store: HistoryStore, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError, StoreError, msgspec.MsgspecError, ValueError):
        ask = msgspec.json.decode(await reader.readline(), type=Ask)
        rows = store.readings(ask.device, ask.since, ask.until)
        while page := await asyncio.to_thread(lambda: list(itertools.islice(rows, AT_ONCE))):
            writer.write(msgspec.json.Encoder().encode_lines(page))
            await writer.drain()
    writer.close()


def _from_office(path: Path, ask: Ask) -> Iterator[Row] | None:
    door = socket.socket(socket.AF_UNIX)
    try:
        door.connect(str(path))
    except OSError:
        door.close()
        return None
    door.sendall(msgspec.json.encode(ask) + b"\n")
    return _lines(door)


def _lines(door: socket.socket) -> Iterator[Row]:
    with door, door.makefile("rb") as lines:
        for line in lines:
            yield msgspec.json.decode(line, type=Row)


def _from_file(path: Path, ask: Ask) -> Iterator[Row]:
    if not path.exists():
        return
    store = DuckStore(path, Clock())
    try:
        yield from store.readings(ask.device, ask.since, ask.until)
    finally:
        store.close()
