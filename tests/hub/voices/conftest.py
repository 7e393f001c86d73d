"""A server on loopback that answers as a test says, well or badly, and files as an installer leaves them.

For annotations: `from tests.hub.voices.conftest import Server` under TYPE_CHECKING.
"""

import asyncio
import contextlib
import json
import socket
import ssl
import struct
import subprocess
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from hub.clock import Clock
from hub.reading import Label
from hub.voices import Announcement

NOW = 1_760_000_000_000


class Request:
    """What came in: the request's line, headers in lower case, and body."""

    def __init__(self, head: str, body: bytes) -> None:
        """Taken apart."""
        first, *rest = head.split("\r\n")
        self.method, self.target, _ = first.split(" ")
        self.headers = {line.partition(":")[0].lower(): line.partition(":")[2].strip() for line in rest if line}
        self.body = body
        self.path = urlsplit(self.target).path
        self.query = dict(parse_qsl(urlsplit(self.target).query, strict_parsing=bool(urlsplit(self.target).query)))

    @property
    def json(self) -> Any:  # Any: JSON
        """The body."""
        return json.loads(self.body)


class Server:
    """Answers each request with the next of `answers`, the last one again and again.

    An answer is (status, headers, body), or a word: "hang", "reset" (in the middle), "cut" (ends in the middle),
    "trickle", "garbage", "endless".
    """

    def __init__(self) -> None:
        """Answers 200 with an empty object."""
        self.answers: list[tuple[int, dict[str, str], bytes] | str] = [(200, {}, b"{}")]
        self.heard: list[Request] = []
        self.connected = 0
        self.port = 0
        self.scheme = "http"
        self._writers: list[asyncio.StreamWriter] = []

    def says(self, body: object, status: int = 200, **headers: str) -> None:
        """From now on it says this JSON."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self.answers = [(status, named, json.dumps(body).encode())]

    def url(self, path: str = "/") -> str:
        """Where it is."""
        return f"{self.scheme}://127.0.0.1:{self.port}{path}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, one request."""
        self.connected += 1
        self._writers.append(writer)
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            length = [line for line in head.split("\r\n") if line.lower().startswith("content-length:")]
            body = await reader.readexactly(int(length[0].partition(":")[2])) if length else b""
            self.heard.append(Request(head.removesuffix("\r\n\r\n"), body))
            answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
            if isinstance(answer, str):
                await getattr(self, f"_{answer}")(writer)
                return
            status, headers, content = answer
            lines = [f"HTTP/1.1 {status} So", f"Content-Length: {len(content)}"]
            lines += [f"{name}: {value}" for name, value in headers.items()]
            writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + content)
            await writer.drain()
            writer.close()

    async def close(self) -> None:
        """Let go of all that hang."""
        for writer in self._writers:
            writer.transport.abort()

    async def _hang(self, writer: asyncio.StreamWriter) -> None:
        await asyncio.Event().wait()

    async def _reset(self, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{")
        await writer.drain()
        sock: socket.socket = writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()

    async def _cut(self, writer: asyncio.StreamWriter) -> None:
        writer.write(b'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"errcode":0,"code":0,"Code":"OK"}')
        await writer.drain()
        writer.close()

    async def _trickle(self, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
        while not writer.is_closing():
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.02)

    async def _garbage(self, writer: asyncio.StreamWriter) -> None:
        writer.write(b"\x16\x03\x01\x02\x00 what is this\r\n\r\n")
        await writer.drain()
        writer.close()

    async def _endless(self, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n")
        while not writer.is_closing():
            writer.write(b"x" * 8192)
            await writer.drain()


class Hand(Clock):
    """A clock that stands at NOW."""

    def now(self) -> int:
        """Always the same."""
        return NOW


@contextlib.asynccontextmanager
async def _listening(context: ssl.SSLContext | None = None) -> AsyncIterator[Server]:
    server = Server()
    tasks: set[asyncio.Task[None]] = set()

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(server.serve(reader, writer))
        tasks.add(task)

    listener = await asyncio.start_server(connected, "127.0.0.1", 0, ssl=context)
    server.port = listener.sockets[0].getsockname()[1]
    server.scheme = "https" if context else "http"
    try:
        yield server
    finally:
        listener.close()
        await server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    """It listens."""
    async with _listening() as listening:
        yield listening


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Certificate and key of 127.0.0.1, signed by itself."""
    folder = tmp_path_factory.mktemp("tls")
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command += ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", "-days", "2"]
    command += ["-keyout", str(folder / "key.pem"), "-out", str(folder / "certificate.pem")]
    subprocess.run(command, check=True, capture_output=True)
    return folder / "certificate.pem", folder / "key.pem"


@pytest.fixture
async def secure(certificate: tuple[Path, Path]) -> AsyncIterator[Server]:
    """It listens with TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    async with _listening(context) as listening:
        yield listening


@pytest.fixture
def clock() -> Clock:
    """At NOW."""
    return Hand()


@pytest.fixture
def kept(tmp_path: Path) -> Callable[[str, str], str]:
    """Writes a secret into a file of mode 0600, and gives its path."""

    def write(name: str, text: str) -> str:
        path = tmp_path / name
        path.touch(0o600)
        path.write_text(text, encoding="utf-8")
        return str(path)

    return write


@pytest.fixture
def said() -> Announcement:
    """Somebody is at the water."""
    return Announcement(
        id="garden-7-raised", kind="raised", site="garden", rule="water-presence",
        title=Label(zh="水边有人", en="Somebody at the water"), severity="P1", source="radar-1", zone="lake",
        occurrence=3, at=NOW, value=71.54, unit="dB", limit=55.0, raised=NOW, time="2025-10-09 16:53:20",
        site_name=Label(zh="中山花园", en="Zhongshan Garden"), source_name=Label(zh="湖边雷达", en="Lake radar"),
        zone_name=Label(zh="景观湖", en="Lake"), value_text=Label(zh="71.5 dB", en="71.5 dB"),
        done=(Label(zh="声光报警器指令已发出", en="siren ordered"),),
        response=Label(zh="立即派人到现场。", en="Send somebody at once."), page="https://garden.example/alarms/7",
    )  # fmt: skip
