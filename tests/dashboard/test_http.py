"""What is read before a request is whole is bounded, whichever part of it never ends."""

import contextlib
import socket
from typing import TYPE_CHECKING

import pytest

from dashboard.http import MOST_HEAD

if TYPE_CHECKING:
    from tests.dashboard.conftest import Browser, Field, Running

MOST_SENT = 32 << 20  # more than the buffers of both sides hold
LINE = b"X-Long: " + b"x" * 1000 + b"\r\n"
CHUNKED = b"POST /login HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
ENDLESS = {
    "lines of a head": (b"GET /login HTTP/1.1\r\n", LINE),
    "one line": (b"GET /login HTTP/1.1\r\nX-Long: ", b"x" * 1000),
    "address": (b"GET /", b"x" * 1000),
    "trailer": (CHUNKED + b"0\r\n", LINE),
    "chunk's size": (CHUNKED + b"1;", b"x" * 1000),
}


@pytest.mark.parametrize("part", list(ENDLESS))
def test_what_never_ends_is_refused(part: str, running: "Running") -> None:
    """The other side hangs up; with the parser alone it takes all that comes."""
    first, more = ENDLESS[part]
    with socket.create_connection(("127.0.0.1", running.port), timeout=20) as line:
        line.sendall(first)
        assert _send_until_refused(line, more) < MOST_SENT


def test_the_parser_alone_would_take_it(running: "Running", monkeypatch: pytest.MonkeyPatch) -> None:
    """The control: without the bound the same is sent to its end."""
    monkeypatch.setattr("dashboard.http.MOST_HEAD", 1 << 40)
    first, more = ENDLESS["lines of a head"]
    with socket.create_connection(("127.0.0.1", running.port), timeout=20) as line:
        line.sendall(first)
        assert _send_until_refused(line, more) >= MOST_SENT


def test_a_long_body_is_no_long_head(running: "Running", admin: "Browser", field: "Field") -> None:
    """A file may be larger than a head, and a head may be long."""
    field.all_well()
    cookie = admin.client.get_cookie("zhian")
    body = b"x" * (3 * MOST_HEAD)
    head = f"POST /dogs/import HTTP/1.1\r\nHost: x\r\nCookie: zhian={cookie.value}\r\nContent-Length: {len(body)}\r\n"
    with socket.create_connection(("127.0.0.1", running.port), timeout=20) as line:
        line.sendall(head.encode() + LINE * 10 + b"\r\n")
        for at in range(0, len(body), 8192):
            line.sendall(body[at : at + 8192])
        assert line.recv(1 << 16).startswith(b"HTTP/1.1 400")  # Flask's own: a form without its token
        line.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        answer = b""
        while some := line.recv(1 << 16):
            answer += some
        assert b"HTTP/1.1 200" in answer


def _send_until_refused(line: socket.socket, more: bytes) -> int:
    """Bytes that went out before the other side hung up, MOST_SENT or so at most."""
    sent = 0
    with contextlib.suppress(OSError):
        while sent < MOST_SENT:
            line.sendall(more * 64)
            sent += 64 * len(more)
    return sent
