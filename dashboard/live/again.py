"""Pages that look again, answered in the event loop from what was made for all: no thread, no database, no Flask.

Only the certain is answered here: a session that the streams' check saw alive a moment ago, a form cookie that Flask
has read, a page that somebody of the same permissions was given and that was made since the last news. One of those
who wait for a page goes to Flask and has it made; whatever else is asked goes there too.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Hashable, MutableMapping
from typing import Any, TypeAlias

import msgspec
from flask import Flask
from werkzeug.http import parse_cookie

from dashboard.access.forms import EXTENSION as FORMS
from dashboard.access.forms import Forms
from dashboard.access.headers import of_pages
from dashboard.access.permissions import cookie_name
from dashboard.language.i18n import COOKIE, chosen
from dashboard.live import together
from dashboard.office import EXTENSION, Office

MOST_WAITS = 3  # for others who have the page made; then by oneself
REFRESH = b"x-refresh"

Message: TypeAlias = MutableMapping[str, Any]  # ASGI's own loose types
Send: TypeAlias = Callable[[Message], Awaitable[None]]
Flasks: TypeAlias = Callable[[], Awaitable[None]]


class Asker(msgspec.Struct, frozen=True):
    """Who looks again at what. `form`: their form token, or None where none is known."""

    key: Hashable
    name: str
    form: str | None


class Again:
    """Used in the event loop alone."""

    def __init__(self, app: Flask) -> None:
        """Nobody waits."""
        self._office: Office = app.extensions[EXTENSION]
        self._forms: Forms = app.extensions[FORMS]
        self._session_cookie = cookie_name(secure=self._office.secure)
        self._headers = of_pages(app)
        self._making: dict[Hashable, asyncio.Event] = {}

    async def answer(self, scope: Message, send: Send, make: Flasks, flask: Flasks) -> None:
        """Answer from what is there, or from what one of those who wait has Flask `make`; else have `flask` do it."""
        for _ in range(MOST_WAITS):
            asker = self._asker(scope)  # again after each wait: the session may have ended meanwhile
            if asker is None:
                break
            page = self._page(asker, scope["zhian.asked"])
            if page is not None and page.has_forms and asker.form is None:
                break
            if page is not None:
                body = page.for_reader(asker.name, asker.form or "")
                await self._give(send, body)
                return
            if (making := self._making.get(asker.key)) is None:
                await self._lead(asker.key, make, flask)
                return
            await making.wait()
        await flask()

    async def _lead(self, key: Hashable, make: Flasks, flask: Flasks) -> None:
        """Others wait only for what is known to be made for many."""
        if not self._office.shared.knows(key):
            await flask()
            return
        over = self._making[key] = asyncio.Event()
        try:
            await make()
        finally:
            del self._making[key]
            over.set()

    def _asker(self, scope: Message) -> Asker | None:
        """Read as Flask would, and only where that is beyond doubt."""
        given: dict[bytes, bytes] = {}
        for name, value in scope["headers"]:
            if given.setdefault(name, value) is not value:
                return None  # said twice
        query: bytes = scope.get("query_string", b"")
        if b"authorization" in given or b"lang=" in query or not scope["path"].isascii():
            return None
        cookies = parse_cookie(given.get(b"cookie", b"").decode("latin-1"))
        signed = self._office.present.signed(cookies.get(self._session_cookie, ""), time.monotonic())
        if signed is None:
            return None
        form, cookie = None, cookies.get(self._forms.cookie)
        if cookie is not None and (form := self._forms.token(cookie, time.monotonic())) is None:
            return None
        lang = chosen(None, cookies.get(COOKIE), given.get(b"accept-language", b"").decode("latin-1"))
        return Asker(together.key_of(scope["path"], query, lang, signed), signed.name, form)

    def _page(self, asker: Asker, asked: int) -> "together.Page | None":
        now_s = together.now_s(self._office)
        page: together.Page | None = self._office.shared.made(asker.key, asked, now_s, together.YOUNG_S)
        return page

    async def _give(self, send: Send, body: bytes) -> None:
        headers = [*self._headers, (b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})


def looks_again(scope: Message) -> bool:
    """Whether a page's script asks, and not a person."""
    return scope["method"] == "GET" and any(name == REFRESH for name, _ in scope["headers"])
