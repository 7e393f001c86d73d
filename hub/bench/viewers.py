"""People who look at pages, as bytes: streams that stay open, pages fetched again as the page's own script does.

A process of its own (`python -m hub.bench.viewers`): the task comes as JSON on stdin, `ready` is said on stdout when
all streams speak, and when stdin ends what was measured is printed. Nothing here knows what the pages say.
"""

import asyncio
import contextlib
import random
import re
import socket
import sys
import threading
import time
from collections.abc import Coroutine, Iterator
from typing import Any

import msgspec
import uvloop

REFRESH_S = 15.0  # as QUIET_REFRESH_MS of live.js
GAP_S = 0.15  # as REFRESH_GAP_MS
STARTED_PER_S = 250.0
WANTED = frozenset({"alarms", "orders", "health", "states", "hub"})  # what the Now page is fetched again for
PATIENCE_S = 60.0
COOKIE = re.compile(rb"(?i)set-cookie: (zhian-form=[^;]+)")


class Task(msgspec.Struct, kw_only=True):
    """`tokens`: sessions, in turn; `series`: what each stream asks for; `asks_per_s`: pages asked for beside them."""

    port: int
    tokens: list[str]
    pages: list[str]
    series: str = ""
    viewers: int = 0
    slow: int = 0  # so many more read one byte a second
    asks_per_s: float = 0.0
    seed: int = 1


class Seen(msgspec.Struct, kw_only=True):
    """What the viewers met. Milliseconds from the wish for a page to its first byte, by page."""

    asked: list[tuple[str, float]] = []
    refreshed: list[tuple[str, float]] = []
    refused: int = 0  # answers that were not 200, or none
    lost: int = 0  # streams that ended
    heard_mb: float = 0.0


class Viewers:
    """All of them, in one loop."""

    def __init__(self, task: Task) -> None:
        """Nobody looks yet."""
        self.task, self.seen = task, Seen()
        self.heard, self._waited_for, self._all = 0, task.viewers + task.slow, asyncio.Event()
        if not self._waited_for:
            self._all.set()
        self._forms: dict[int, str] = {}  # the cookie of each viewer's forms, once it was given one
        self._random = random.Random(task.seed)  # a workload, no secret
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Until stdin ends."""
        task, ended = self.task, asyncio.Event()
        loop = asyncio.get_running_loop()
        threading.Thread(target=_until_end, args=(loop, ended), daemon=True).start()
        for nr in range(task.viewers + task.slow):
            self.start(self._slow(nr) if nr >= task.viewers else self._look(nr))
            await asyncio.sleep(1 / STARTED_PER_S)
        async with asyncio.timeout(PATIENCE_S):
            await self._all.wait()
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        if task.asks_per_s:
            self.start(self._ask())
        await ended.wait()
        for one in list(self._tasks):
            one.cancel()
        self.seen.heard_mb = round(self.heard / 2**20, 1)

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        """Beside everything else."""
        one = asyncio.get_running_loop().create_task(work)
        self._tasks.add(one)
        one.add_done_callback(self._tasks.discard)

    def token(self, nr: int) -> str:
        """Whose session."""
        return self.task.tokens[nr % len(self.task.tokens)]

    def _speaks(self) -> None:
        self._waited_for -= 1
        if self._waited_for <= 0:
            self._all.set()

    async def _look(self, nr: int) -> None:
        """One page, and its stream once it is there: a browser has the cookie of its forms by then."""
        page, changed = self.task.pages[nr % len(self.task.pages)], asyncio.Event()
        await self._fetch(page, nr, time.monotonic(), "")
        reader, writer = await asyncio.open_connection("127.0.0.1", self.task.port, limit=1 << 20)
        writer.write(request(f"/stream?series={self.task.series}", self.token(nr), "keep-alive"))
        self.start(self._refresh(nr, page, changed))
        first = True
        with contextlib.suppress(OSError):
            while some := await reader.read(1 << 18):
                self.heard += len(some)
                if first and not some.startswith(b"HTTP/1.1 200"):
                    break
                if first:
                    self._speaks()
                first = False
                if is_news(some):
                    changed.set()
        self.seen.lost += 1
        writer.close()

    async def _refresh(self, nr: int, page: str, changed: asyncio.Event) -> None:
        """As live.js: at once when something changed, with a gap between two, and every 15 s anyway."""
        quiet = self._random.uniform(0, REFRESH_S)
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(quiet):
                    await changed.wait()
            why = "1" if changed.is_set() else "quiet"
            changed.clear()
            self.seen.refreshed.append((page, await self._fetch(page, nr, time.monotonic(), why)))
            quiet = REFRESH_S
            await asyncio.sleep(GAP_S)

    async def _ask(self) -> None:
        """Pages in turn at a steady rate, whatever becomes of those before."""
        began, nr = time.monotonic(), 0
        while True:
            due = began + nr / self.task.asks_per_s
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            self.start(self._one(self.task.pages[nr % len(self.task.pages)], 0, due))
            nr += 1

    async def _one(self, page: str, nr: int, due: float) -> None:
        self.seen.asked.append((page, await self._fetch(page, nr, due, "")))

    async def _fetch(self, page: str, nr: int, due: float, why: str) -> float:
        """Ms from `due` to the first byte; the page is read to its end."""
        first = b""
        with contextlib.suppress(OSError):
            reader, writer = await asyncio.open_connection("127.0.0.1", self.task.port)
            writer.write(request(page, self.token(nr) + self._forms.get(nr, ""), "close", why))
            first = await reader.read(1 << 16)
            waited = (time.monotonic() - due) * 1000
            if given := COOKIE.search(first):
                self._forms[nr] = "; " + given[1].decode()
            while await reader.read(1 << 16):
                pass
            writer.close()
        self.seen.refused += not first.startswith(b"HTTP/1.1 200")
        return waited if first else float("inf")

    async def _slow(self, nr: int) -> None:
        """Somebody on the edge of the network: one byte a second, and a small window."""
        line = socket.socket()
        line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        line.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.sock_connect(line, ("127.0.0.1", self.task.port))
        await loop.sock_sendall(line, request(f"/stream?series={self.task.series}", self.token(nr), "keep-alive"))
        self._speaks()
        with line, contextlib.suppress(OSError):
            while await loop.sock_recv(line, 1):  # noqa: ASYNC110  # that is the point
                await asyncio.sleep(1)


def request(path: str, token: str, connection: str, refresh: str = "") -> bytes:
    """A GET as a browser sends it, or with `refresh` as the page's script does."""
    lines = (
        f"GET {path} HTTP/1.1",
        "Host: 127.0.0.1",
        f"Cookie: zhian={token}",
        "Accept-Language: zh",
        *([f"X-Refresh: {refresh}"] if refresh else []),
        f"Connection: {connection}",
    )
    return "\r\n".join((*lines, "", "")).encode()


def is_news(some: bytes) -> bool:
    """Whether these bytes of a stream tell the Now page to fetch itself again."""
    return any(WANTED & set(what) for what in _whats(some))


def _whats(some: bytes) -> Iterator[list[str]]:
    for part in some.split(b"event: change\n")[1:]:
        body = part.partition(b"data: ")[2].partition(b"\n")[0]
        with contextlib.suppress(msgspec.DecodeError):  # cut in two: the next refresh comes anyway
            yield msgspec.json.decode(body)["what"]


def _until_end(loop: asyncio.AbstractEventLoop, ended: asyncio.Event) -> None:
    sys.stdin.buffer.read()
    loop.call_soon_threadsafe(ended.set)


def main() -> None:
    """The process."""
    viewers = Viewers(msgspec.json.decode(sys.stdin.buffer.readline(), type=Task))
    uvloop.run(viewers.run())
    sys.stdout.buffer.write(msgspec.json.encode(viewers.seen) + b"\n")


if __name__ == "__main__":
    main()
