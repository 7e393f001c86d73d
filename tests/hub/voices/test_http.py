"""HTTP towards servers that are not what they should be: none holds a voice up, and none counts as told."""

import asyncio
from typing import TYPE_CHECKING

import pytest

from hub.voices import VoiceError, Why, http
from hub.voices.http import Answer, Route, judge, post, retry_after

if TYPE_CHECKING:
    from pathlib import Path

    from tests.hub.voices.conftest import Server

DIRECT = Route()


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits a quarter of a minute in a test."""
    monkeypatch.setattr(http, "ANSWER_S", 0.5)


async def test_request_and_answer_arrive_whole(server: "Server") -> None:
    """Body, headers, path and query go as they are given; the answer's header names come in lower case."""
    server.answers = [(201, {"X-Word": "Yes"}, b"whole")]

    answer = await post(server.url("/a/b?key=%E6%B0%B4"), "水".encode(), {"Zhian-Event": "7"}, DIRECT, "there")

    (heard,) = server.heard
    assert (heard.method, heard.path, heard.query, heard.body) == ("POST", "/a/b", {"key": "水"}, "水".encode())
    assert heard.headers["zhian-event"] == "7"
    assert (answer.status, answer.headers["x-word"], answer.body) == (201, "Yes", b"whole")


@pytest.mark.parametrize("badly", ["hang", "reset", "cut", "trickle", "garbage", "endless"])
async def test_a_bad_server_is_trouble(server: "Server", badly: str) -> None:
    """Whatever it does instead of answering: an error that may pass, soon, with the server's name, and no open line."""
    server.answers = [badly]

    async with asyncio.timeout(10):
        with pytest.raises(VoiceError, match=r"^there: ") as error:
            await post(server.url(), b"x", {}, DIRECT, "there")

    assert error.value.why is Why.TROUBLE
    assert len(server.heard) == 1


async def test_nobody_there_is_trouble(server: "Server") -> None:
    """A refused connection may be accepted later."""
    with pytest.raises(VoiceError, match=r"^there: ") as error:
        await post("http://127.0.0.1:1/", b"", {}, DIRECT, "there")

    assert error.value.why is Why.TROUBLE


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:1/告警", "http://[::1/x", "127.0.0.1/x", "http://127.0.0.1:x/", "file:///x"]
)
async def test_an_address_that_is_none_is_refused(url: str) -> None:
    """What HTTP cannot carry will never be carried."""
    with pytest.raises(VoiceError, match="no address") as error:
        await post(url, b"", {}, DIRECT, "there")

    assert error.value.why is Why.REFUSED


async def test_a_redirect_is_not_followed(server: "Server") -> None:
    """Followed, it would be a GET without the announcement, and count as said."""
    server.answers = [(302, {"Location": "/login"}, b"")]

    with pytest.raises(VoiceError, match="HTTP 302") as error:
        judge(await post(server.url(), b"x", {}, DIRECT, "there"), "there")

    assert error.value.why is Why.TROUBLE
    assert len(server.heard) == 1


@pytest.mark.parametrize(
    ("status", "why"),
    [
        (400, Why.REFUSED), (401, Why.LOCKED), (403, Why.LOCKED), (404, Why.REFUSED), (408, Why.TROUBLE),
        (429, Why.THROTTLED), (500, Why.TROUBLE), (502, Why.TROUBLE), (503, Why.TROUBLE), (301, Why.TROUBLE),
    ],
)  # fmt: skip
def test_each_status_has_its_class(status: int, why: Why) -> None:
    """The class decides whether it is tried again, when, and whether the channel is failing."""
    with pytest.raises(VoiceError, match=f"there: HTTP {status}") as error:
        judge(Answer(status, {}, b""), "there")

    assert error.value.why is why


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": "999999"}, 3600.0),
        ({"retry-after": "-7"}, 0.0),
        ({"retry-after": "soon"}, 0.0),
        ({"retry-after": "Thu, 09 Oct 2025 08:54:20 GMT", "date": "Thu, 09 Oct 2025 08:53:20 GMT"}, 60.0),
        ({"retry-after": "Thu, 09 Oct 2025 08:52:20 GMT", "date": "Thu, 09 Oct 2025 08:53:20 GMT"}, 0.0),
        ({}, 0.0),
    ],
)
def test_retry_after_is_obeyed_and_bounded(headers: dict[str, str], seconds: float) -> None:
    """Seconds or a date by the server's own clock (RFC 9110, 10.2.3), never more than an hour."""
    assert retry_after(Answer(429, headers, b"")) == seconds


async def test_tls_is_verified(secure: "Server", certificate: "tuple[Path, Path]") -> None:
    """A certificate that nobody vouches for locks the channel; with `ca_file` it is spoken to."""
    with pytest.raises(VoiceError, match="certificate") as error:
        await post(secure.url(), b"secret", {}, DIRECT, "there")
    assert error.value.why is Why.LOCKED
    assert secure.heard == []

    answer = await post(secure.url(), b"secret", {}, Route(ca_file=str(certificate[0])), "there")

    assert answer.status == 200


async def test_the_proxy_of_the_site_is_asked(server: "Server") -> None:
    """Plain HTTP goes to the proxy with the whole address; nothing goes around it."""
    answer = await post("http://nowhere.invalid/x", b"x", {}, Route(proxy=server.url()), "there")

    assert answer.status == 200
    assert [heard.target for heard in server.heard] == ["http://nowhere.invalid/x"]


async def test_a_proxy_carries_tls(secure: "Server", certificate: "tuple[Path, Path]") -> None:
    """HTTPS goes by CONNECT, and the certificate is that of the server behind the proxy."""
    asked = []

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append((await reader.readuntil(b"\r\n\r\n")).split(b"\r\n")[0])
        there, back = await asyncio.open_connection("127.0.0.1", secure.port)
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")

        async def pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
            try:
                while data := await source.read(4096):
                    sink.write(data)
            except ConnectionError:
                pass
            sink.close()

        await asyncio.gather(pump(reader, back), pump(there, writer))

    proxy = await asyncio.start_server(carry, "127.0.0.1", 0)
    way = Route(f"http://127.0.0.1:{proxy.sockets[0].getsockname()[1]}", str(certificate[0]))

    answer = await post(secure.url(), b"x", {}, way, "there")

    proxy.close()
    assert answer.status == 200
    assert asked == [f"CONNECT 127.0.0.1:{secure.port} HTTP/1.1".encode()]


async def test_a_proxy_that_refuses_is_trouble(server: "Server") -> None:
    """Nothing is sent where the proxy does not open the way, and its words are told."""
    server.answers = [(403, {}, b"")]

    with pytest.raises(VoiceError, match=r"proxy says 'HTTP/1\.1 403"):
        await post("https://nowhere.invalid/x", b"x", {}, Route(proxy=server.url()), "there")


async def test_no_proxy_of_the_environment_is_used(server: "Server", monkeypatch: pytest.MonkeyPatch) -> None:
    """What the site file does not say is not done."""
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")

    assert (await post(server.url(), b"x", {}, DIRECT, "there")).status == 200
