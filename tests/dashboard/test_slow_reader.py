"""A viewer who reads one byte a second harms no one: others are told in time, memory is bounded, and it is cut off."""

import asyncio
import gc
import http.client
import socket
import time
import tracemalloc
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest

from dashboard import asgi
from dashboard.live.changes import Change, Listener

if TYPE_CHECKING:
    from tests.dashboard.conftest import Browser, Field, Running

SERIES = [f"meter-{number:03d}/laeq" for number in range(200)]
TOLD = 1500  # changes of 9 kB each: more than the buffers of any connection
PATIENCE_S = 1.0


class Reader:
    """One stream. `window`: of its socket, in bytes."""

    def __init__(self, port: int, token: str, window: int = 0) -> None:
        """Asks; reads nothing yet."""
        self.line = socket.socket()
        if window:
            self.line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, window)
        self.line.settimeout(20)
        self.line.connect(("127.0.0.1", port))
        asked = f"GET /stream?series={','.join(SERIES)} HTTP/1.1\r\nHost: x\r\nCookie: zhian={token}\r\n\r\n"
        self.line.sendall(asked.encode())

    def until(self, wanted: bytes) -> None:
        """Read on until this comes."""
        seen = b""
        while wanted not in seen:
            some = self.line.recv(1 << 16)
            assert some, "the stream ended"
            seen = seen[-len(wanted) :] + some


@pytest.fixture
def readers(running: "Running", browser: "Browser", field: "Field") -> Iterator[tuple[Reader, Reader]]:
    """One who reads, and one who does not."""
    field.all_well()
    token = browser.enter("guard")
    quick, slow = Reader(running.port, token), Reader(running.port, token, window=2048)
    for reader in (quick, slow):
        reader.until(b"event: beat")
    yield quick, slow
    quick.line.close()
    slow.line.close()


@pytest.fixture
def taken_mb() -> Iterator[Callable[[], float]]:
    """What Python's objects take now; the resident size of a process that ran a thousand tests tells nothing."""
    gc.collect()
    tracemalloc.start()
    yield lambda: tracemalloc.get_traced_memory()[0] / 1e6
    tracemalloc.stop()


def test_others_are_told_and_little_is_kept(
    running: "Running",
    readers: tuple[Reader, Reader],
    monkeypatch: pytest.MonkeyPatch,
    browser: "Browser",
    taken_mb: Callable[[], float],
) -> None:
    """While one stands still 13 MB are told: the other hears the end at once, and what is kept for the one is small."""
    monkeypatch.setattr(asgi, "BLOCKED_S", 600.0)
    quick, slow = readers
    before = taken_mb()
    _tell(running)
    begun = time.monotonic()
    quick.until(b'"incidents"')
    cookie = browser.client.get_cookie("zhian")
    line = http.client.HTTPConnection("127.0.0.1", running.port, timeout=40)
    line.request("GET", "/", headers={"Cookie": f"zhian={cookie.value if cookie else ''}"})
    assert line.getresponse().status == 200
    line.close()
    assert time.monotonic() - begun < 30.0  # some hundredths on a quiet machine; it stands still for minutes otherwise
    stuck = [listener for listener in running.asgi._listeners if listener.blocked]
    assert len(stuck) == 1
    assert stuck[0]._news is not None
    assert len(stuck[0]._news.values) == len(SERIES)
    assert taken_mb() - before < 8.0
    assert slow.line.recv(1)
    kept = [bytearray(_change(nr).wire) for nr in range(TOLD)]  # what keeping all of it for the one would take
    assert taken_mb() - before > 8.0, len(kept)


@pytest.mark.parametrize("patience_s", [PATIENCE_S, 600.0])
def test_who_takes_nothing_is_cut_off(
    patience_s: float, running: "Running", readers: tuple[Reader, Reader], monkeypatch: pytest.MonkeyPatch
) -> None:
    """After its patience, though a byte a second was read; not before, and nobody else."""
    monkeypatch.setattr(asgi, "BLOCKED_S", patience_s)
    quick, slow = readers
    _tell(running)
    quick.until(b'"incidents"')
    begun = time.monotonic()
    while len(running.asgi._listeners) == 2 and time.monotonic() - begun < (3.0 if patience_s > 10 else 20.0):
        assert slow.line.recv(1)
        time.sleep(0.5)
    assert len(running.asgi._listeners) == (1 if patience_s < 10 else 2)
    asyncio.run_coroutine_threadsafe(running.asgi.tell(Change(now=1, what=frozenset({"orders"}))), running._loop)
    quick.until(b'"orders"')


def _tell(running: "Running") -> None:
    async def tell() -> None:
        for nr in range(TOLD):
            await running.asgi.tell(_change(nr))
            await asyncio.sleep(0)
        await running.asgi.tell(Change(now=TOLD, what=frozenset({"incidents"})))

    asyncio.run_coroutine_threadsafe(tell(), running._loop)
    give_up = time.monotonic() + 20
    while not any(_stands(listener) for listener in running.asgi._listeners):
        assert time.monotonic() < give_up
        time.sleep(0.01)


def _stands(listener: Listener) -> bool:
    return listener.blocked and listener._news is not None and listener._news.now > 0


def _change(nr: int) -> Change:
    return Change(now=nr, values={name: (1_760_000_000_000 + nr, 40.0 + nr % 100 / 10) for name in SERIES})
