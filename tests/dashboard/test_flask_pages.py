"""Flask's answers go to the loop whole where they are short, and no faster than their reader where they are long."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from flask import Flask, Response, request

from dashboard.flask_pages import PIECE, FlaskPages

CHUNK = 16 * 1024
CHUNKS = 64


class Reader:
    """Asks once. What it is sent is kept; with `open` unset it takes nothing."""

    def __init__(self, pages: FlaskPages) -> None:
        """Nothing was asked yet."""
        self._pages, self.open = pages, asyncio.Event()
        self.open.set()
        self.sent: list[Any] = []  # ASGI messages

    async def ask(self, path: str, body: bytes = b"") -> None:
        """One request, to its end."""
        scope = {
            "type": "http",
            "method": "POST" if body else "GET",
            "path": path,
            "query_string": b"",
            "headers": [(b"content-length", b"%d" % len(body))] if body else [],
            "http_version": "1.1",
            "server": ("127.0.0.1", 80),
            "client": ("127.0.0.1", 1),
        }
        halves = iter([(body[:3], True), (body[3:], False)])

        async def receive() -> dict[str, Any]:  # Any: ASGI
            part, more = next(halves)
            return {"type": "http.request", "body": part, "more_body": more}

        await self._pages(scope, receive, self._take)

    async def _take(self, message: dict[str, Any]) -> None:  # Any: ASGI
        await self.open.wait()
        self.sent.append(message)

    @property
    def body(self) -> bytes:
        """All of it, once the end was said."""
        assert [message.get("more_body", False) for message in self.sent[1:]][-1] is False
        return b"".join(message["body"] for message in self.sent[1:])


class Site:
    """A short page, a long one, and one that fails when it has begun."""

    def __init__(self) -> None:
        """Nobody asked yet."""
        self.app, self.made = Flask(__name__), 0
        self.app.add_url_rule("/short", "short", lambda: Response("嗨", status=201, headers={"X-Own": "1"}))
        self.app.add_url_rule("/echo", "echo", lambda: request.get_data(), methods=["POST"])
        self.app.add_url_rule("/long", "long", lambda: Response(self._chunks()))
        self.app.add_url_rule("/broken", "broken", lambda: Response(self._broken()))

    def _chunks(self) -> Iterator[bytes]:
        for at in range(CHUNKS):
            self.made = at + 1
            yield b"%d" % (at % 10) * CHUNK

    def _broken(self) -> Iterator[bytes]:
        yield b"so far"
        raise ValueError("broken")


@pytest.fixture
def site() -> Site:
    """The pages."""
    return Site()


@pytest.fixture
async def reader(site: Site) -> AsyncIterator[Reader]:
    """Of the site."""
    pages = FlaskPages(site.app, workers=1)
    yield Reader(pages)
    await asyncio.to_thread(pages.executor.shutdown)


async def test_a_page_comes_with_its_head(reader: Reader) -> None:
    """Status, headers and body as Flask made them."""
    await reader.ask("/short")
    assert reader.sent[0]["status"] == 201
    assert (b"x-own", b"1") in reader.sent[0]["headers"]
    assert reader.body.decode() == "嗨"


async def test_what_was_sent_is_read(reader: Reader) -> None:
    """In as many pieces as it comes."""
    await reader.ask("/echo", b"name=value")
    assert reader.body == b"name=value"


async def test_a_long_answer_waits_for_its_reader(reader: Reader, site: Site) -> None:
    """One who takes nothing has one piece made, and not all of it in memory; then everything comes in order."""
    reader.open.clear()
    asking = asyncio.ensure_future(reader.ask("/long"))
    async with asyncio.timeout(20):
        while site.made < PIECE // CHUNK:
            await asyncio.sleep(0.01)
    await asyncio.sleep(0.1)
    assert site.made <= PIECE // CHUNK < CHUNKS
    reader.open.set()
    async with asyncio.timeout(20):
        await asking
    assert reader.body == b"".join(b"%d" % (at % 10) * CHUNK for at in range(CHUNKS))


async def test_a_page_that_breaks_sends_no_half(reader: Reader) -> None:
    """The server says 500 instead, and the thread is free for the next."""
    with pytest.raises(ValueError, match="broken"):
        await reader.ask("/broken")
    assert reader.sent == []
    await reader.ask("/short")
    assert reader.body.decode() == "嗨"
