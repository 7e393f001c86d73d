"""The history's small door for the command line: while the office process holds the store, it answers here.

A Unix socket in the data folder, for the folder's owner alone: one JSON line asks, JSON lines answer, the last of them
a text, empty when all was said. Reads only.
"""

import asyncio
import contextlib
import itertools
import logging
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

import msgspec

from hub.batches import Row
from hub.clock import Clock
from hub.history import open_store
from hub.history.duck import DuckStore
from hub.history.store import HistoryStore, Sample, StoreError
from hub.query import Kept, ReadingLine, reading_line
from hub.site import Site

T = TypeVar("T")

LOG = logging.getLogger("zhian.history")
SOCKET = "history.sock"
AT_ONCE = 2_000
PATIENCE_S = 60.0  # how long the command line waits for the next line
LIMIT = 64 * 1024


class Ask(msgspec.Struct, frozen=True):
    """Readings of one device with `since` <= ts < `until` (ms since 1970); of one `quantity`, pages of its samples."""

    device: str
    since: int
    until: int
    quantity: str = ""


async def serve(store: HistoryStore, data: Path) -> None:
    """Answer until cancelled; a door that cannot be opened is logged, and does without."""
    path = data / SOCKET
    try:
        door = _bind(path)
    except OSError as error:  # a path longer than a socket's may be (107 bytes), for one
        LOG.warning("%s: %s; the command line sees the journal alone while this runs", path, error)
        return
    server = await asyncio.start_unix_server(lambda r, w: _answer(store, r, w), sock=door, limit=LIMIT)
    async with server:
        await server.serve_forever()


def older_readings(data: Path, device: str, since: int, until: int, first_kept: Kept) -> Iterator[ReadingLine]:
    """Readings that the journal has forgotten (before `first_kept`): from the office process, or from the file.

    StoreError when they cannot be had, or not all of them: half an answer never looks like a whole one.
    """
    ask = Ask(device, since, until)
    rows = _from_office(data / SOCKET, ask)
    if rows is None:
        rows = _from_file(data / "history.duckdb", ask)
    return (reading_line(row) for row in rows if row.seq < first_kept.seq or row.rx < first_kept.rx)


def _bind(path: Path) -> socket.socket:
    """A socket of mode 0600. Set before it has a name (Linux keeps it): the umask would be every thread's."""
    path.unlink(missing_ok=True)  # what a killed process left behind
    door = socket.socket(socket.AF_UNIX)
    try:
        os.fchmod(door.fileno(), 0o600)
        door.bind(str(path))
    except OSError:
        door.close()
        raise
    return door


async def _answer(store: HistoryStore, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        with contextlib.suppress(ConnectionError):
            writer.write(msgspec.json.encode(await _tell(store, reader, writer)) + b"\n")
            await writer.drain()
    finally:
        writer.close()


async def _tell(store: HistoryStore, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> str:
    """Write what was asked for; returns the last line, a text: what went wrong, or nothing. Rows are objects."""
    try:
        ask = msgspec.json.decode(await reader.readline(), type=Ask)
        if ask.quantity:
            pages = store.samples(ask.device, ask.quantity, ask.since, ask.until)
            while (samples := await asyncio.to_thread(next, pages, None)) is not None:
                writer.write(msgspec.json.encode(samples) + b"\n")
                await writer.drain()
            return ""
        rows = store.readings(ask.device, ask.since, ask.until)
        while page := await asyncio.to_thread(lambda: list(itertools.islice(rows, AT_ONCE))):
            writer.write(msgspec.json.Encoder().encode_lines(page))
            await writer.drain()
    except (StoreError, msgspec.MsgspecError, ValueError, RecursionError) as error:
        return str(error) or type(error).__name__
    return ""


class DoorSamples:
    """The samples of a history that may be held by the office process: as HistoryStore.samples. Close it."""

    def __init__(self, site: Site, data: Path) -> None:
        """Nothing is opened before something is asked; a store that had to be opened stays open."""
        self._site, self._data = site, data
        self._store: HistoryStore | None = None

    def close(self) -> None:
        """Let go of the store."""
        if self._store is not None:
            self._store.close()

    def samples(self, device: str, quantity: str, since_ms: int, until_ms: int) -> Iterator[list[Sample]]:
        """As HistoryStore says, from the office process, or from the store itself while that does not run."""
        door = None if self._store else _knock(self._data / SOCKET)
        if door is not None:
            yield from _lines(door, Ask(device, since_ms, until_ms, quantity), list[Sample])
        elif self._site.history.store != "duckdb" or (self._data / "history.duckdb").exists():
            self._store = self._store or open_store(self._site, self._data, Clock(), lambda row, why: None)
            yield from (list(page) for page in self._store.samples(device, quantity, since_ms, until_ms))


def _from_office(path: Path, ask: Ask) -> Iterator[Row] | None:
    door = _knock(path)
    return None if door is None else _lines(door, ask, Row)


def _knock(path: Path) -> socket.socket | None:
    door = socket.socket(socket.AF_UNIX)
    try:
        door.connect(str(path))
    except OSError:
        door.close()
        return None
    return door


def _lines(door: socket.socket, ask: Ask, kind: type[T]) -> Iterator[T]:
    door.settimeout(PATIENCE_S)
    try:
        with door, door.makefile("rb") as lines:
            door.sendall(msgspec.json.encode(ask) + b"\n")
            for line in lines:
                said: T | str = msgspec.json.decode(line, type=kind | str)
                if not isinstance(said, str):
                    yield said
                elif said:
                    raise StoreError(said)
                else:
                    return
    except OSError as error:
        raise StoreError(f"{SOCKET}: {error}") from error
    raise StoreError(f"{SOCKET}: the answer broke off")


def _from_file(path: Path, ask: Ask) -> Iterator[Row]:
    if not path.exists():
        return
    store = DuckStore(path, Clock())
    try:
        yield from store.readings(ask.device, ask.since, ask.until)
    finally:
        store.close()
