"""The history's small door for the command line: while the office process holds the store, it answers here.

A Unix socket in the data folder, for the folder's owner alone: one JSON line asks; JSON lines answer. Objects are what
was asked for, `null` means "still at it", and the last line is a text, empty when all was said. Readings are only read.
"""

import asyncio
import contextlib
import itertools
import logging
import os
import socket
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import TypeAlias

import msgspec

from hub.history.store import HistoryStore, Sample, StoreError
from hub.reading import Value

LOG = logging.getLogger("zhian.history")
SOCKET = "history.sock"
AT_ONCE = 2_000
ALIVE_S = 5.0
LIMIT = 64 * 1024


class AskReadings(msgspec.Struct, frozen=True, tag_field="ask", tag="readings"):
    """Readings of one device with `since` <= ts < `until` (ms since 1970), as Row; without quantities: all."""

    device: str
    since: int
    until: int
    quantities: tuple[str, ...] = ()


class AskSamples(msgspec.Struct, frozen=True, tag_field="ask", tag="samples"):
    """Numbers of one series with `since` <= ts < `until`, as Page after Page."""

    device: str
    quantity: str
    since: int
    until: int


class Page(msgspec.Struct, frozen=True):
    """A page of HistoryStore.samples."""

    samples: list[Sample]


class AskBefore(msgspec.Struct, frozen=True, tag_field="ask", tag="before"):
    """What a series said last before `before` (ms since 1970), as one Before."""

    device: str
    quantity: str
    before: int


class Before(msgspec.Struct, frozen=True):
    """As HistoryStore.last_before answers; no `ts`: nothing is kept."""

    ts: int | None
    value: Value = ""


class AskState(msgspec.Struct, frozen=True, tag_field="ask", tag="state"):
    """What is kept, as one State."""


class AskSnapshot(msgspec.Struct, frozen=True, tag_field="ask", tag="snapshot"):
    """A fresh snapshot for a backup, as one Taken."""


class AskRebuild(msgspec.Struct, frozen=True, tag_field="ask", tag="rebuild"):
    """Put back what is missing, from the journal and (when wanted) from the newest snapshot; as one Mended."""

    snapshot: bool = False


class State(msgspec.Struct, frozen=True):
    """What a store says of itself: its own cursor (None: it holds none), and of which devices it has readings."""

    cursor: int | None
    devices: list[str]


class Taken(msgspec.Struct, frozen=True):
    """A snapshot was taken, at `at` (ms since 1970), of so many readings."""

    at: int
    rows: int


class Mended(msgspec.Struct, frozen=True):
    """How many readings were put back, from where."""

    journal: int
    snapshot: int


class Chores(msgspec.Struct, frozen=True):
    """What the holder of the store does when it is asked to; each may raise StoreError or OSError."""

    snapshot: Callable[[], Taken] | None = None
    rebuild: Callable[[bool], Mended] | None = None


Ask: TypeAlias = AskReadings | AskSamples | AskBefore | AskState | AskSnapshot | AskRebuild
_ask = msgspec.json.Decoder(Ask).decode


async def serve(store: HistoryStore, data: Path, chores: Chores) -> None:
    """Answer until cancelled; a door that cannot be opened is logged, and does without."""
    path = data / SOCKET
    try:
        door = _bind(path)
    except OSError as error:  # a path longer than a socket's may be (107 bytes), for one
        LOG.warning("%s: %s; the command line sees the journal alone while this runs", path, error)
        return
    server = await asyncio.start_unix_server(lambda r, w: _answer(store, chores, r, w), sock=door, limit=LIMIT)
    async with server:
        await server.serve_forever()


def state_of(store: HistoryStore) -> State:
    """What the store says of itself."""
    return State(cursor=store.cursor(), devices=store.devices())


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


async def _answer(
    store: HistoryStore, chores: Chores, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    try:
        with contextlib.suppress(ConnectionError):
            writer.write(msgspec.json.encode(await _tell(store, chores, reader, writer)) + b"\n")
            await writer.drain()
    finally:
        writer.close()


async def _tell(store: HistoryStore, chores: Chores, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> str:
    """Write what was asked for; returns the last line, a text: what went wrong, or nothing."""
    try:
        ask = _ask(await reader.readline())
        async for page in _answers(store, chores, ask):
            writer.write(msgspec.json.Encoder().encode_lines(page))
            await writer.drain()
    except (StoreError, OSError, msgspec.MsgspecError, ValueError, RecursionError) as error:
        if isinstance(error, ConnectionError):
            raise
        return str(error) or type(error).__name__
    return ""


def _answers(store: HistoryStore, chores: Chores, ask: Ask) -> AsyncIterator[list[object]]:
    match ask:
        case AskReadings():
            return _pages(store, ask)
        case AskSamples():
            return _samples(store, ask)
    return _once(_work(store, chores, ask))


def _work(
    store: HistoryStore, chores: Chores, ask: AskBefore | AskState | AskSnapshot | AskRebuild
) -> Callable[[], object]:
    match ask:
        case AskBefore(device, quantity, before):
            return lambda: Before(*(store.last_before(device, quantity, before) or (None,)))
        case AskState():
            return lambda: state_of(store)
        case AskSnapshot() if chores.snapshot is not None:
            return chores.snapshot
        case AskRebuild(snapshot) if (rebuild := chores.rebuild) is not None:
            return lambda: rebuild(snapshot)
    raise StoreError("cannot be asked of this store")


async def _pages(store: HistoryStore, ask: AskReadings) -> AsyncIterator[list[object]]:
    rows = store.readings(ask.device, ask.since, ask.until)
    while page := await asyncio.to_thread(lambda: list(itertools.islice(rows, AT_ONCE))):
        found: list[object] = [row for row in page if not ask.quantities or row.quantity in ask.quantities]
        yield found or [None]


async def _samples(store: HistoryStore, ask: AskSamples) -> AsyncIterator[list[object]]:
    pages = store.samples(ask.device, ask.quantity, ask.since, ask.until)
    while (page := await asyncio.to_thread(next, pages, None)) is not None:
        yield [Page(list(page))]


async def _once(work: Callable[[], object]) -> AsyncIterator[list[object]]:
    """One answer that may take minutes; until it is there, a sign of life."""
    task = asyncio.create_task(asyncio.to_thread(work))
    while not task.done():
        await asyncio.wait([task], timeout=ALIVE_S)
        if not task.done():
            yield [None]
    yield [task.result()]
