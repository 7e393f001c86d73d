"""Flask behind ASGI, in a few threads: a2wsgi's bridge, but an answer goes over to the event loop in one piece.

Its own hands over head, body and end one by one, each by way of a task, a queue and another task. When many look again
each of these steps is a turn of a long queue.
"""

import asyncio
import contextvars
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from a2wsgi import WSGIMiddleware
from a2wsgi.wsgi import Body, WSGIResponder, build_environ
from flask import Flask

PIECE = 64 * 1024  # bytes of an answer that are held together; a longer one goes on when its reader has taken these


class FlaskPages(WSGIMiddleware):
    """An ASGI application."""

    def __init__(self, app: Flask, workers: int) -> None:
        """`workers`: answers that are made at the same time."""
        super().__init__(app, workers=workers)  # type: ignore[arg-type]  # its own WSGI types

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:  # Any: ASGI's own loose types
        """One HTTP request."""
        await _Responder(self.app, self.executor, send)(scope, receive, send)


class _Responder(WSGIResponder):
    """One answer."""

    def __init__(self, app: Any, executor: ThreadPoolExecutor, out: Any) -> None:  # Any: its own WSGI types
        super().__init__(app, executor, 1)
        self._out = out
        self._held: list[Any] = []  # ASGI messages
        self._bytes = 0

    async def __call__(self, scope: Any, receive: Any, _send: Any) -> None:
        environ = build_environ(scope, Body(self.loop, receive))
        work = partial(contextvars.copy_context().run, self.wsgi, environ, self.start_response)
        await self.loop.run_in_executor(self.executor, work)
        await self._hand_over()

    def send(self, message: Any) -> None:
        """Called in the thread."""
        self._held.append(message)
        self._bytes += len(message.get("body", b""))
        if self._bytes >= PIECE:
            asyncio.run_coroutine_threadsafe(self._hand_over(), self.loop).result()

    async def _hand_over(self) -> None:
        """In the loop, while the thread waits or has ended."""
        held, self._held, self._bytes = self._held, [], 0
        for message in held:
            await self._out(message)
