"""One HTTP request of a voice, on asyncio: every wait has an end, TLS is verified, nothing is followed or repeated.

The codec is `h11`; this file is the only one that knows it. No environment variable names a proxy: the site file does.
"""

import asyncio
import contextlib
import email.utils
import ipaddress
import socket
import ssl
from collections.abc import Sequence
from datetime import UTC
from urllib.parse import SplitResult, urlsplit

import h11
import msgspec

from hub.voices import VoiceError, Why

CONNECT_S = 5.0  # name, TCP, proxy and TLS
ANSWER_S = 15.0  # in all
MOST_BYTES = 65_536  # of an answer
MOST_AFTER_S = 3_600.0
# Where clouds give their machines' credentials away, beside 169.254.0.0/16: Alibaba, AWS over IPv6.
_METADATA = frozenset({"100.100.100.200", "fd00:ec2::254"})
_Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Route(msgspec.Struct, frozen=True):
    """How to get out: through `proxy` (http://host:port) where there is one; `ca_file` instead of the system's."""

    proxy: str = ""
    ca_file: str = ""


class Answer(msgspec.Struct, frozen=True):
    """Status, headers (lower case) and body."""

    status: int
    headers: dict[str, str]
    body: bytes


async def post(url: str, body: bytes, headers: dict[str, str], route: Route, shown: str) -> Answer:
    """POST, and the whole answer, whatever its status. `shown` stands for the address in errors. Raises VoiceError."""
    parts = _parts(url, shown)
    stream: list[asyncio.StreamWriter] = []
    try:
        async with asyncio.timeout(ANSWER_S):
            async with asyncio.timeout(CONNECT_S):
                reader, writer = await _connect(parts, route, stream)
            return await _exchange(reader, writer, parts, body, headers, absolute=bool(route.proxy))
    except TimeoutError:
        raise VoiceError(f"{shown}: no whole answer within {ANSWER_S:g} s ({CONNECT_S:g} s to connect)") from None
    except ssl.SSLCertVerificationError as error:
        raise VoiceError(f"{shown}: its certificate is not to be trusted: {error.verify_message}", Why.LOCKED) from None
    except (OSError, h11.ProtocolError, asyncio.IncompleteReadError) as error:
        raise VoiceError(f"{shown}: {_words(error)}") from None
    finally:
        for each in stream:
            each.transport.abort()


def judge(answer: Answer, shown: str) -> None:
    """Raise VoiceError unless the status is 2xx: 401 and 403 lock, 429 and 503 say when, 408, 3xx and 5xx may pass."""
    status = answer.status
    if 200 <= status < 300:
        return
    words = f"{shown}: HTTP {status}"
    if status in (401, 403, 407):
        raise VoiceError(words, Why.LOCKED)
    if status == 429 or (status == 503 and "retry-after" in answer.headers):
        raise VoiceError(words, Why.THROTTLED, after_s=retry_after(answer))
    if 400 <= status < 500 and status != 408:
        raise VoiceError(words, Why.REFUSED)
    raise VoiceError(words)


def retry_after(answer: Answer) -> float:
    """Seconds that the header asks for (a number or a date), an hour at most; 0 where it says nothing that we know."""
    said = answer.headers.get("retry-after", "").strip()
    if said.isascii() and said.isdigit():
        return min(MOST_AFTER_S, float(said))
    until, sent = (_date(answer.headers.get(name, "")) for name in ("retry-after", "date"))
    return min(MOST_AFTER_S, max(0.0, until - sent)) if until and sent else 0.0


def _date(text: str) -> float:
    """An HTTP date in seconds since 1970; 0 where it is none."""
    try:
        at = email.utils.parsedate_to_datetime(text)
    except ValueError:
        return 0.0
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()


def _parts(url: str, shown: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        if url.isascii() and parts.scheme in ("http", "https") and parts.hostname and (parts.port or 1) > 0:
            return parts
    except ValueError:
        pass
    raise VoiceError(f"{shown}: is no address that HTTP can carry", Why.REFUSED)


async def _connect(parts: SplitResult, route: Route, made: list[asyncio.StreamWriter]) -> _Stream:
    """A connection to the server, or through the proxy to it. `made` is told of it at once, for it is to be closed."""
    host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
    context = ssl.create_default_context(cafile=route.ca_file or None) if parts.scheme == "https" else None
    if not route.proxy:
        stream = await _direct(await _reachable(host, port), host, port, context)
        made.append(stream[1])
        return stream
    proxy = urlsplit(route.proxy)
    reader, writer = await asyncio.open_connection(proxy.hostname, proxy.port or 3128)
    made.append(writer)
    if context is not None:
        await _tunnel(reader, writer, host, port)
        await writer.start_tls(context, server_hostname=host)
    return reader, writer


async def _direct(addresses: Sequence[str], host: str, port: int, context: ssl.SSLContext | None) -> _Stream:
    """The first of the addresses that answers: many a site has no IPv6, and many a name has both. Raises OSError."""
    name = host if context is not None else None
    for address in addresses[:-1]:
        with contextlib.suppress(OSError):
            return await asyncio.open_connection(address, port, ssl=context, server_hostname=name)
    return await asyncio.open_connection(addresses[-1], port, ssl=context, server_hostname=name)


async def _reachable(host: str, port: int) -> Sequence[str]:
    """The host's addresses, all of which a voice may speak to. Raises VoiceError.

    A name must not lead to this machine or to a cloud's metadata, whoever answers for it; who means this machine
    writes its address into the file himself, or `localhost`.
    """
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    addresses = [str(each[4][0]).partition("%")[0] for each in found]
    wrong = next((each for each in addresses if not _may_speak_to(host, ipaddress.ip_address(each))), "")
    if wrong or not addresses:
        raise VoiceError(f"{host} leads to {wrong or 'nowhere'}, where no voice may speak to", Why.REFUSED)
    return addresses


def _may_speak_to(host: str, found: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    plain = getattr(found, "ipv4_mapped", None) or found
    if plain.is_link_local or plain.is_multicast or plain.is_unspecified or str(plain) in _METADATA:
        return False
    return not plain.is_loopback or host == "localhost" or _is_address(host)


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


async def _tunnel(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, host: str, port: int) -> None:
    target = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    writer.write(f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n".encode("ascii"))
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.LimitOverrunError:
        raise OSError("the proxy answers without an end") from None
    status = head.split(b" ", 2)[1:2]
    if not status or not status[0].startswith(b"2"):
        line = head.partition(b"\r")[0][:80].decode("latin-1")
        raise OSError(f"the proxy says {line!r}")


async def _exchange(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    parts: SplitResult,
    body: bytes,
    headers: dict[str, str],
    *,
    absolute: bool,
) -> Answer:
    connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=MOST_BYTES)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    target = f"http://{parts.netloc}{path}" if absolute and parts.scheme == "http" else path
    every = {"host": parts.netloc.rpartition("@")[2], "user-agent": "zhian", "connection": "close"}
    every |= {name.lower(): value for name, value in headers.items()} | {"content-length": str(len(body))}
    request = h11.Request(method="POST", target=target, headers=list(every.items()))
    for event in (request, h11.Data(data=body), h11.EndOfMessage()):
        writer.write(connection.send(event) or b"")
    return await _answer(reader, connection)


async def _answer(reader: asyncio.StreamReader, connection: h11.Connection) -> Answer:
    status, headers, body = 0, dict[str, str](), b""
    while True:
        event = connection.next_event()
        if event is h11.NEED_DATA:
            connection.receive_data(await reader.read(MOST_BYTES))
        elif isinstance(event, h11.Response):
            status = event.status_code
            headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in event.headers}
        elif isinstance(event, h11.Data):
            body += event.data
            if len(body) > MOST_BYTES:
                raise OSError("its answer has no end")
        elif isinstance(event, h11.EndOfMessage):
            return Answer(status, headers, body)
        elif isinstance(event, h11.ConnectionClosed):
            raise OSError("it hung up without an answer; perhaps it took the message")


def _words(error: Exception) -> str:
    if isinstance(error, asyncio.IncompleteReadError):
        return "it hung up in the middle of an answer"
    return str(error) or type(error).__name__
