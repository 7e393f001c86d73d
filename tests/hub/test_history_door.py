"""The history's door: what is older than the journal, from the running office or from the file, whole and once."""

import asyncio
import contextlib
import json
import logging
import socket
import stat
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import uvloop

from hub.clock import Clock
from hub.history import door
from hub.history import reach as reach_module
from hub.history.door import SOCKET, Chores, Mended, State, Taken, serve
from hub.history.duck import DuckStore
from hub.history.reach import ask_rebuild, ask_snapshot, reach
from hub.history.store import StoreError
from hub.journal.batches import Row

END = 2**62


@pytest.fixture
def data() -> Iterator[Path]:
    """A data folder whose path is short enough for a socket."""
    with tempfile.TemporaryDirectory(prefix="zhian-") as folder:
        yield Path(folder)


@pytest.fixture
def store(data: Path) -> Iterator[DuckStore]:
    """The history file, held as the office holds it."""
    opened = DuckStore(data / "history.duckdb", Clock())
    yield opened
    opened.close()


def rows(count: int, device: str = "noise-1") -> list[Row]:
    """`count` sound levels with the journal's numbers 1, 2, 3 ..."""
    return [Row(seq, device, "laeq", seq * 10, seq * 10, 50.0, "good") for seq in range(1, count + 1)]


@contextlib.asynccontextmanager
async def served(store: DuckStore, data: Path, chores: Chores | None = None) -> AsyncIterator[None]:
    """The door is open."""
    task = asyncio.create_task(serve(store, data, chores or Chores()))
    try:
        async with asyncio.timeout(10):
            while not _answers(data):
                assert not task.done()
                await asyncio.sleep(0.005)
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def _answers(data: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(str(data / SOCKET)) == 0


def asked(data: Path, since: int = 0, until: int = END, *quantities: str) -> list[Row]:
    """All readings of noise-1."""
    with reach(data, None) as kept:
        return list(kept.readings("noise-1", since, until, quantities))


async def older(data: Path, since: int = 0, until: int = END, *quantities: str) -> list[Row]:
    """The same, asked as the command line does, from another thread."""
    return await asyncio.to_thread(asked, data, since, until, *quantities)


async def test_through_the_door_and_from_the_file(data: Path, store: DuckStore) -> None:
    """The same readings, whether the office runs or not: many pages, this device alone, half open in time."""
    store.append(rows(4_500), 4_500)
    store.append(rows(10, "noise-2"), 4_500)
    async with served(store, data):
        through = await older(data, since=20, until=44_000)
    store.close()
    straight = await older(data, since=20, until=44_000)

    assert [row.ts for row in through] == list(range(20, 44_000, 10))
    assert {(row.device, row.value) for row in through} == {("noise-1", 50.0)}
    assert straight == through


async def test_what_is_kept_is_said(data: Path, store: DuckStore) -> None:
    """Cursor and devices, by the door and from the file; quantities that were not asked for stay away."""
    store.append([*rows(3), Row(4, "gate-1", "gate", 40, 40, "open", "good")], 4)

    def told() -> tuple[State, int, int]:
        with reach(data, None) as kept:
            found = kept.state()
        return found, len(asked(data, 0, END, "laeq")), len(asked(data, 0, END, "gate"))

    async with served(store, data):
        through = await asyncio.to_thread(told)
    store.close()

    assert through == told() == (State(cursor=4, devices=["gate-1", "noise-1"]), 3, 0)


async def test_chores_are_done_by_the_holder(data: Path, store: DuckStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """A long one gives signs of life; one that fails says why; one that this store has not is refused."""
    monkeypatch.setattr(door, "ALIVE_S", 0.01)
    monkeypatch.setattr(reach_module, "PATIENCE_S", 5.0)

    def slow() -> Taken:
        time.sleep(0.1)
        return Taken(at=7, rows=3)

    def failing(_wide: bool) -> Mended:
        raise OSError(28, "No space left on device")

    async with served(store, data, Chores(slow, failing)):
        assert await asyncio.to_thread(ask_snapshot, data) == Taken(at=7, rows=3)
        with pytest.raises(StoreError, match="No space left"):
            await asyncio.to_thread(lambda: ask_rebuild(data, snapshot=False))
    async with served(store, data):
        with pytest.raises(StoreError, match="cannot be asked of this store"):
            await asyncio.to_thread(ask_snapshot, data)
    assert ask_snapshot(data) is None


async def test_only_the_owner_may_knock(data: Path, store: DuckStore) -> None:
    """The socket has mode 0600 from its first moment, and files made meanwhile are as ever."""
    async with served(store, data):
        (data / "beside").mkdir()
        assert stat.S_IMODE((data / SOCKET).stat().st_mode) == 0o600
        assert stat.S_IMODE((data / "beside").stat().st_mode) & 0o700 == 0o700


async def test_a_door_of_a_killed_office_is_replaced(data: Path, store: DuckStore) -> None:
    """A socket that nobody holds any more neither keeps the next office from serving nor hides the file."""
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(data / SOCKET))
    store.append(rows(3), 3)
    async with served(store, data):
        assert len(await older(data)) == 3
    store.close()
    assert len(await older(data)) == 3


ASK = b'{"ask": "readings", "device": "noise-1", '
NONSENSE = [
    b"", b"\n", b"{}\n", b"null\n", b'{"ask": "readings", "device": 7}\n', b'{"ask": "dance"}\n', b"\xff\xfe\n",
    b"[" * 50_000 + b"\n", b"x" * 200_000,
    ASK + b'"since": 1e400, "until": 2}\n', ASK + b'"since": 0, "until": 1' + b"0" * 50,
    ASK + b'"since": -99999999999999999999999999999999999999999999, "until": 2}\n',
    b'{"ask": "readings", "device": "\' OR 1=1 --", "since": 0, "until": 9999}\n', b'{"x": ' + b"[" * 5_000 + b"\n",
]  # fmt: skip


async def test_nonsense_does_no_harm(data: Path, store: DuckStore, caplog: pytest.LogCaptureFixture) -> None:
    """Whatever is asked ends with a word and a closed door; the next one is answered, and nothing is logged."""
    store.append(rows(3), 3)
    with caplog.at_level(logging.WARNING):
        async with served(store, data):
            for nonsense in NONSENSE:
                answer = await knock(data, nonsense)
                assert not answer or isinstance(json.loads(answer.splitlines()[-1]), str)
                assert b"noise-1" not in answer
            assert len(await older(data)) == 3

    assert caplog.messages == []


async def knock(data: Path, said: bytes) -> bytes:
    """Say it, hang up on one's own side, and hear the rest."""
    async with asyncio.timeout(10):
        reader, writer = await asyncio.open_unix_connection(data / SOCKET)
        with contextlib.suppress(ConnectionError):
            writer.write(said)
            await writer.drain()
            writer.write_eof()
        answer = b""
        with contextlib.suppress(ConnectionError):  # hung up on before it had said everything
            answer = await reader.read()
        writer.close()
        return answer


async def test_one_who_says_nothing_holds_up_nobody(data: Path, store: DuckStore) -> None:
    """A connection that only stays open does not keep others from their answer."""
    store.append(rows(3), 3)
    async with served(store, data):
        _, writer = await asyncio.open_unix_connection(data / SOCKET)
        assert len(await older(data)) == 3
        writer.close()


async def test_half_an_answer_is_not_a_whole_one(data: Path, store: DuckStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store that fails on the way is told to the one who asks; he never takes what came for all there is."""
    store.append(rows(10), 10)

    def breaking(*_: object) -> Iterator[Row]:
        yield from rows(3_000)
        raise StoreError("history.duckdb: the disk fails")

    monkeypatch.setattr(store, "readings", breaking)
    async with served(store, data):
        with pytest.raises(StoreError, match="the disk fails"):
            await older(data)


async def test_an_office_that_dies_while_it_answers(data: Path) -> None:
    """An answer that breaks off is an error as well."""

    async def die(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(b'{"seq":1,"device":"noise-1","quantity":"laeq","ts":1,"rx":1,"value":1.0,"quality":"good"}\n')
        await writer.drain()
        writer.close()

    async with await asyncio.start_unix_server(die, data / SOCKET):
        with pytest.raises(StoreError, match="broke off"):
            await older(data)


async def test_an_office_that_hangs(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command line does not wait for ever."""
    monkeypatch.setattr(reach_module, "PATIENCE_S", 0.1)
    with socket.socket(socket.AF_UNIX) as deaf:
        deaf.bind(str(data / SOCKET))
        deaf.listen(1)
        with pytest.raises(StoreError, match="timed out"):
            await older(data)


def test_nothing_was_ever_kept(data: Path) -> None:
    """No office and no file: no readings, and no file is made."""
    assert asked(data) == []
    assert list(data.iterdir()) == []


async def test_a_path_too_long_for_a_socket(data: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The office runs without the door, and says so."""
    deep = data / ("x" * 120)
    deep.mkdir()
    store = DuckStore(deep / "history.duckdb", Clock())
    with caplog.at_level(logging.WARNING):
        await serve(store, deep, Chores())
    store.close()

    assert "AF_UNIX path too long" in caplog.text


@pytest.mark.skipif(sys.platform == "win32", reason="the office's loop is uvloop elsewhere")
def test_on_the_loop_of_the_office(data: Path, store: DuckStore) -> None:
    """uvloop serves the same door."""

    async def ask() -> int:
        async with served(store, data):
            return len(await older(data))

    store.append(rows(3), 3)
    assert uvloop.run(ask()) == 3
