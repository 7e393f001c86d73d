"""The office as an ASGI application: the streams are native asyncio, everything else goes to Flask in a thread pool.

An open page costs one small task and no thread. `serve` runs it all in uvicorn until it is cancelled or told to stop.
"""

import asyncio
import contextlib
import logging
import secrets
import signal
import socket
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from http.cookies import CookieError, SimpleCookie
from typing import Any, TypeAlias
from urllib.parse import parse_qs

import uvicorn
from flask import Flask

from dashboard.access import clients, sessions
from dashboard.access.front import Front
from dashboard.access.headers import ALWAYS
from dashboard.access.permissions import cookie_name, owes_factor
from dashboard.access.roles import Role
from dashboard.access.sessions import Signed
from dashboard.access.tls import Tls
from dashboard.api import problem
from dashboard.flask_pages import FlaskPages
from dashboard.http import Connection
from dashboard.live.again import Again, looks_again
from dashboard.live.changes import LOOK_S, Change, Listener, Recent, Watcher, event, tell_all, wake_in_turn
from dashboard.live.lane import Lane
from dashboard.office import EXTENSION, Office

LOG = logging.getLogger("zhian.office")
STREAMS = ("/stream", "/api/v1/stream")  # the page's, and the programs': a token counts under /api/ alone
THREADS = 4  # they share one interpreter: more of them only wait for each other
AGAIN_THREADS = 2  # for pages that look again: hundreds of them must not stand before a person who opens one
TURN_S = 0.004  # between the pages that are told of a change: five hundred look again within a tenth of a second
BEAT_S = 5.0  # a page that hears nothing for longer says so
CHECK_S = 0.5
TOUCH_S = 30.0
MOST_A_SESSION, MOST_STREAMS = 8, 1000
MOST_SERIES = 200
BLOCKED_S = 30.0  # a page that takes nothing for so long is cut off
STOP_S = 5.0
KEEP_ALIVE_S = 30  # a page looks again every 15 s at the latest: it need not connect anew
ACCEPTORS = 16  # libuv takes one connection of a socket in each turn of its loop: a crowd would wait for seconds
RENEW_S = 10.0  # how often it is looked whether the certificate was replaced
TOO_OFTEN = "请求过于频繁，请稍候再试。 Too many requests. Wait a moment.\n".encode()
# A duty screen that signs itself out would hide alarms: for roles that can move nothing, an open page keeps the
# session (12 h at most). Managers and administrators are signed out after 30 idle minutes, open page or not.
STAY = {Role.VIEWER, Role.GUARD}

Message: TypeAlias = MutableMapping[str, Any]  # ASGI's own loose types
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]


def asgi_app(app: Flask) -> "OfficeApp":
    """The ASGI application around `create_app`'s Flask application."""
    return OfficeApp(app)


class OfficeApp:
    """Routes `/stream` and lifespan; owns the watcher and the open pages."""

    def __init__(self, app: Flask) -> None:
        """Starts nothing: the tasks begin with the ASGI lifespan."""
        self._office: Office = app.extensions[EXTENSION]
        self._pages, self._looks = FlaskPages(app, THREADS), FlaskPages(app, AGAIN_THREADS)
        self._again, self._lane = Again(app), Lane()
        self._front = Front(self._office.site.web.trusted_proxies)
        self._listeners: set[Listener] = set()
        self._recent = Recent(secrets.token_hex(4))
        self._closing = False
        self.failure: BaseException | None = None  # set when a task that must live for ever has died

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """One ASGI connection."""
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        if scope["type"] != "http":
            return
        scope["zhian.asked"] = self._office.shared.ticket()
        self._front.place(scope)
        wait_s = self._front.wait_s(scope, asyncio.get_running_loop().time())
        if wait_s:
            await _answer(scope, send, 429, wait_s)
        elif scope["path"] in STREAMS:
            await self._stream(scope, receive, send)
        elif looks_again(scope):
            await self._lane.turn()
            flask = partial(self._looks, scope, receive, send)
            await self._again.answer(scope, send, partial(self._make, scope, receive, send), flask)
        else:
            await self._make(scope, receive, send)

    async def _make(self, scope: Message, receive: Receive, send: Send) -> None:
        """Have Flask make a page that somebody waits for."""
        with self._lane.making():
            await self._pages(scope, receive, send)

    def close_streams(self) -> None:
        """End all open streams, and open none any more: the server is about to stop."""
        self._closing = True
        for listener in self._listeners:
            listener.end("stopping")

    async def tell(self, change: Change) -> None:
        """Tell every open page of a change."""
        if change.what:  # figures alone are told: a page takes none that are older than what it was told
            self._office.shared.news()
        self._recent.add(change)  # and told in the same breath: an id stands for all that was told
        await wake_in_turn(tell_all(self._listeners, change), TURN_S if change.what else 0.0)

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        await receive()
        for_ever = (self._watch(), self._check_sessions(), self._look_after_pages())
        async with _tasks(*map(self._for_ever, for_ever)):
            await send({"type": "lifespan.startup.complete"})
            await receive()
        self._office.close()
        await send({"type": "lifespan.shutdown.complete"})

    async def _for_ever(self, work: Awaitable[None]) -> None:
        """A page that looks alive while nothing watches for changes would be a lie: rather stop the process."""
        try:
            await work
        except Exception as error:  # noqa: BLE001  # raised again by `serve`, in the process's main task
            self.failure = error

    async def _watch(self) -> None:
        """Tell every page what changed. The journal is read in one thread of its own, never in the loop."""
        loop, watcher = asyncio.get_running_loop(), Watcher(self._office.view, self._office.clock)
        with ThreadPoolExecutor(1, thread_name_prefix="watcher") as thread:
            while True:
                change, due = await loop.run_in_executor(thread, watcher.look), loop.time() + LOOK_S
                if change is not None:
                    await self.tell(change)
                await asyncio.sleep(max(0.0, due - loop.time()))

    async def _look_after_pages(self) -> None:
        """Each hears a beat in time, and none holds what it does not read."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(CHECK_S)
            for listener in self._listeners:
                listener.look(loop.time(), BEAT_S - CHECK_S, BLOCKED_S)

    async def _check_sessions(self) -> None:
        """End the pages of sessions that have ended, and keep those of duty screens."""
        due = 0.0
        while True:
            await asyncio.sleep(CHECK_S)
            digests = {listener.session for listener in self._listeners}
            if not digests:
                continue
            now, asked_s = sessions.real_now(self._office.clock), time.monotonic()
            alive = await asyncio.to_thread(sessions.living, self._office.users, digests, now)
            self._office.present.know(alive, asked_s)
            programs = await asyncio.to_thread(clients.living, self._office.users, digests - set(alive))
            for listener in self._listeners:
                if listener.session in digests and listener.session not in programs | set(alive):
                    listener.end("signed-out")
            loop_time = asyncio.get_running_loop().time()
            if loop_time >= due:
                due = loop_time + TOUCH_S
                stay = [digest for digest, signed in alive.items() if signed.role in STAY]
                await asyncio.to_thread(sessions.keep, self._office.users, stay, now)

    async def _stream(self, scope: Message, receive: Receive, send: Send) -> None:
        """Server-sent events for one page or program: beat, change, values, resync, ended."""
        status, session = await self._admit(scope)
        if status != 200:
            await _answer(scope, send, status)
            return
        query = parse_qs(scope.get("query_string", b"").decode("latin-1"))
        series = frozenset(",".join(query.get("series", [])).split(",")[:MOST_SERIES])
        listener = Listener(session, series)
        last = _header(scope, b"last-event-id")
        missed = self._recent.since(last) if last else []
        for change in missed or ():
            listener.tell(change)
        self._listeners.add(listener)
        try:
            async with listener.patience, _tasks(_hang_up(receive, listener)):
                await self._speak(listener, send, lost=missed is None)
        except (TimeoutError, OSError):
            LOG.info("a page that took nothing for %.0f s was cut off", BLOCKED_S)
        finally:
            self._listeners.discard(listener)

    async def _admit(self, scope: Message) -> tuple[int, str]:
        """200 and the session's digest, or why not."""
        if scope["method"] != "GET":
            return 405, ""
        signed = await asyncio.to_thread(self._who, scope)
        if signed is None:
            return 401, ""
        if owes_factor(self._office.site, signed):
            return 403, ""
        mine = Counter(listener.session for listener in self._listeners)[signed.digest]
        if mine >= MOST_A_SESSION or len(self._listeners) >= MOST_STREAMS or self._closing:
            return 429, ""
        return 200, signed.digest

    def _who(self, scope: Message) -> Signed | None:
        """As permissions.py: a token under /api/ counts alone, and no cookie beside it."""
        now, users = sessions.real_now(self._office.clock), self._office.users
        kind, _, token = _header(scope, b"authorization").partition(" ")
        if kind.lower() == "bearer" and scope["path"].startswith("/api/"):
            return clients.find(users, token.strip(), now)
        token = _cookie(scope, cookie_name(secure=self._office.secure))
        return sessions.find(users, token, now, touch=False) if token else None

    async def _speak(self, listener: Listener, send: Send, *, lost: bool) -> None:
        headers = [(b"content-type", b"text/event-stream; charset=utf-8"), (b"x-accel-buffering", b"no"), *_headers()]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        if lost:
            await _say(listener, send, event("resync", {"now": self._office.clock.now()}), at=self._recent.id)
        await _say(listener, send, self._beat())
        while not listener.ended:
            change = await listener.next()
            if change is not None:
                await _say(listener, send, change.wire, at=self._recent.id)
            elif not listener.ended:
                await _say(listener, send, self._beat())
        if listener.ended != "gone":
            await _say(listener, send, event("ended", {"why": listener.ended}))
            await send({"type": "http.response.body", "body": b"", "more_body": False})

    def _beat(self) -> bytes:
        return event("beat", {"now": self._office.clock.now(), "speed": self._office.clock.speed})


async def serve(
    asgi: OfficeApp,
    listener: socket.socket,
    on_started: Callable[[int], None] | None = None,
    *,
    tls: Tls | None = None,
) -> None:
    """Serve on a listening socket until cancelled, or until SIGTERM where nobody else handles it.

    `on_started` is told the port. X-Forwarded-* headers are believed of proxies only that the site file names.
    """
    config = uvicorn.Config(
        asgi,  # uvicorn's own ASGI types
        http=Connection,
        lifespan="on",
        ws="none",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=int(STOP_S),
        ssl_context_factory=(lambda _config, _default: tls.context) if tls is not None else None,
    )
    server = _Server(config, asgi, on_started)
    renewals = [_renew(tls)] if tls is not None else []
    async with _tasks(*renewals):
        await _until_stopped(server, listener)
    if asgi.failure is not None:
        raise asgi.failure


async def _renew(tls: Tls) -> None:
    while True:
        await asyncio.sleep(RENEW_S)
        await asyncio.to_thread(tls.look)


async def _until_stopped(server: "_Server", listener: socket.socket) -> None:
    with _term(server):
        ways = [listener, *(listener.dup() for _ in range(ACCEPTORS - 1))]
        running = asyncio.ensure_future(server.serve(ways))
        try:
            await asyncio.shield(running)
        except asyncio.CancelledError:
            server.should_exit = True
            await running  # STOP_S at most
            raise


class _Server(uvicorn.Server):
    """uvicorn without its own signal handlers, which ends the open streams before it waits for connections."""

    def __init__(self, config: uvicorn.Config, asgi: OfficeApp, on_started: Callable[[int], None] | None) -> None:
        super().__init__(config)
        self._asgi, self._on_started = asgi, on_started

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self._on_started is not None:
            self._on_started(self.servers[0].sockets[0].getsockname()[1])

    async def on_tick(self, counter: int) -> bool:
        return await super().on_tick(counter) or self._asgi.failure is not None

    async def main_loop(self) -> None:
        await super().main_loop()
        self._asgi.close_streams()


@contextlib.contextmanager
def _term(server: uvicorn.Server) -> Iterator[None]:
    """SIGTERM stops the server, where it would otherwise just end the process."""
    loop = asyncio.get_running_loop()
    try:
        ours = signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
        if ours:
            loop.add_signal_handler(signal.SIGTERM, lambda: setattr(server, "should_exit", True))
    except (ValueError, NotImplementedError, RuntimeError):  # not the main thread, or not POSIX
        ours = False
    try:
        yield
    finally:
        if ours:
            loop.remove_signal_handler(signal.SIGTERM)


@contextlib.asynccontextmanager
async def _tasks(*work: Any) -> AsyncIterator[None]:  # Any: coroutines
    """Run these beside the body, and end them with it."""
    tasks = [asyncio.ensure_future(one) for one in work]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        for result in results:
            if isinstance(result, Exception):
                LOG.error("a task of the office failed", exc_info=result)


async def _say(listener: Listener, send: Send, events: bytes, *, at: str = "") -> None:
    """`at`: the id of all these together, which stands with the last of them."""
    line = events[:-1] + b"id: %s\n\n" % at.encode() if at else events
    listener.said_s, listener.blocked = asyncio.get_running_loop().time(), True
    await send({"type": "http.response.body", "body": line, "more_body": True})
    listener.blocked = False


async def _hang_up(receive: Receive, listener: Listener) -> None:
    """The reader has closed the page."""
    while (await receive())["type"] != "http.disconnect":
        pass
    listener.end("gone")


async def _answer(scope: Message, send: Send, status: int, wait_s: int = 0) -> None:
    """Refuse: a program is told in its own form."""
    later, body = [(b"retry-after", b"%d" % wait_s)] if wait_s else [], TOO_OFTEN if wait_s else b""
    if scope["path"].startswith("/api/"):
        body = problem.text(problem.body(status, right=f"again in {wait_s} s" if wait_s else ""))
    kind = problem.MEDIA if scope["path"].startswith("/api/") else "text/plain; charset=utf-8"
    headers = [*_headers(), *later, (b"content-type", kind.encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _headers() -> list[tuple[bytes, bytes]]:
    every = {**ALWAYS, "Cache-Control": "no-store"}
    return [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in every.items()]


def _header(scope: Message, name: bytes) -> str:
    return next((str(value, "latin-1") for header, value in scope["headers"] if header == name), "")


def _cookie(scope: Message, name: str) -> str:
    for header, value in scope["headers"]:
        if header == b"cookie":
            try:
                found = SimpleCookie(value.decode("latin-1")).get(name)
            except CookieError:
                return ""
            if found is not None:
                return found.value
    return ""
