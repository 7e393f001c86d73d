"""The webhook towards peers that are not what they should be: none of them holds it up, and none counts as told."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from hub.reading import Label
from hub.voices import Announcement, VoiceError, webhook
from hub.voices.webhook import WebhookVoice

SAID = Announcement(
    id="garden-7-raised", kind="raised", site="garden", rule="gate-held", title=Label(zh="门常开", en="Gate held open"),
    severity="P2", source="gate-a", zone="north", occurrence=3, at=1_760_000_000_000, value="open",
)  # fmt: skip
Answer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@contextlib.asynccontextmanager
async def listening(answer: Answer) -> AsyncIterator[str]:
    """The URL of a peer that answers so; what it holds open is closed at the end."""
    writers = []

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        with contextlib.suppress(ConnectionError):
            await answer(reader, writer)

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/alarm"
    finally:
        for writer in writers:
            writer.close()
        server.close()


async def test_a_redirect_is_not_an_answer() -> None:
    """Followed, it would be a GET without the announcement, and count as said."""
    asked = []

    async def elsewhere(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append((await reader.readuntil(b"\r\n\r\n")).split()[:2])
        writer.write(b"HTTP/1.1 302 Found\r\nLocation: /login\r\nContent-Length: 0\r\n\r\n")
        writer.close()

    async with listening(elsewhere) as url:
        with pytest.raises(VoiceError, match="HTTP 302") as error:
            await WebhookVoice(url).say(SAID)

    assert not error.value.permanent
    assert asked == [[b"POST", b"/alarm"]]


async def test_a_peer_that_trickles_is_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """A byte now and then keeps a socket's time-out away, and the voice is free again all the same."""
    monkeypatch.setattr(webhook, "ANSWER_S", 0.2)

    async def trickle(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
        while not writer.is_closing():
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.02)

    async with listening(trickle) as url:
        with pytest.raises(VoiceError, match="no whole answer") as error:
            await WebhookVoice(url).say(SAID)

    assert not error.value.permanent


async def test_what_hangs_takes_no_thread_that_others_need() -> None:
    """Forty webhooks that wait leave the shared threads (names are looked up there) to the cables."""
    never = asyncio.Event()

    async def hang(_: asyncio.StreamReader, __: asyncio.StreamWriter) -> None:
        await never.wait()

    async with listening(hang) as url:
        hanging = [asyncio.create_task(WebhookVoice(url).say(SAID)) for _ in range(40)]
        async with asyncio.timeout(5):  # less than a socket's patience
            assert await asyncio.to_thread(lambda: "free") == "free"
        never.set()
    ends = await asyncio.gather(*hanging, return_exceptions=True)

    assert {type(end) for end in ends} == {VoiceError}


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/报警", "http://[::1/x", "127.0.0.1/x", "http://127.0.0.1:x/"])
async def test_an_address_that_is_none(url: str) -> None:
    """What HTTP cannot carry is refused for good, with the address in the words."""
    with pytest.raises(VoiceError, match=r"127|::1") as error:
        await WebhookVoice(url).say(SAID)

    assert error.value.permanent
