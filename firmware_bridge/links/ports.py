"""Opening a tty or a TCP connection, and reading and writing its bytes without blocking the loop.

The loop watches an open port all the time, so a pulled plug is noticed while nobody asks anything. No protocol, no
retries, no back-off here: a Port that is lost stays lost, its holder opens a new one.
"""

import asyncio
import contextlib
import errno
import fcntl
import os
import socket
import sys
import termios
from collections.abc import Callable
from typing import Protocol, TypeVar, cast

import serial

from firmware_bridge.links.backoff import Pace

P = TypeVar("P", bound=asyncio.BaseProtocol)
_MOST_UNREAD = 65536  # bytes; beyond it we stop taking, and the cable's own buffer is what overflows
_CHUNK = 4096
_CONNECTS = Pace(per_second=250.0, burst=20)  # of this process: 1,000 devices whose power returns are no storm


class PortError(Exception):
    """The port cannot be opened, or is lost: the cable's fault, worth retrying. `detail` is for an electrician."""

    def __init__(self, detail: str) -> None:
        """`detail` begins with the port's name."""
        self.detail = detail
        super().__init__(detail)


class Port(Protocol):
    """An open cable end."""

    name: str

    async def read(self, timeout: float) -> bytes:
        """All that has come, or what comes first within `timeout` real seconds; b"" when nothing. Raises PortError."""

    def write(self, data: bytes) -> None:
        """Hand all of `data` to the cable. Raises PortError when it does not take it."""

    def drain_input(self) -> bytes:
        """Take what has come up to this moment and was not read. Raises PortError when the port is lost."""

    def now(self) -> float:
        """Seconds of the clock that measures this port's time-outs."""

    def last_byte(self) -> float:
        """When the last byte came, by `now()`; minus infinity when none did."""

    def close(self) -> None:
        """Let go; may be called twice."""


class TcpPort(Port, Protocol):
    """A cable end that knows what of its bytes has arrived."""

    def undelivered(self) -> int:
        """Bytes written that the other end's system has not acknowledged. What it says now, it says without them."""


async def open_port(
    path: str,
    *,
    baud: int,
    parity: str,
    stop_bits: int,
    data_bits: int = 8,
    on_lost: Callable[[], None] = lambda: None,
) -> Port:
    """A serial port, held exclusively. `on_lost` is called when it hangs up. Raises PortError.

    A character of wrong parity is read as a zero byte.
    """
    try:
        tty = serial.Serial(path, baud, data_bits, parity, stop_bits, timeout=0, exclusive=True)
        with contextlib.ExitStack() as stack:
            stack.callback(tty.close)
            _nothing_is_not_the_end(tty.fileno())
            if parity != "N":
                _check_parity(tty.fileno())
            stack.pop_all()  # it stays open
    except (serial.SerialException, termios.error, ValueError, OverflowError, OSError) as error:
        raise PortError(f"{path}: {_open_words(error)}") from error
    return _Tty(path, tty, on_lost)


async def open_tcp(
    host: str, port: int, *, timeout: float = 3.0, on_lost: Callable[[], None] = lambda: None
) -> TcpPort:
    """A TCP connection to a device or gateway, within `timeout` seconds. Raises PortError."""
    return await connect(lambda: _Tcp(f"{host}:{port}", on_lost), host, port, timeout)


async def connect(make: Callable[[], P], host: str, port: int, timeout: float) -> P:
    """A TCP connection for a protocol of the caller's, within `timeout` seconds of its turn. Raises PortError."""
    name = f"{host}:{port}"
    loop = asyncio.get_running_loop()
    await asyncio.sleep(_CONNECTS.wait(loop.time()))
    try:
        async with asyncio.timeout(timeout):
            transport, protocol = await loop.create_connection(make, host, port)
    except TimeoutError:
        raise PortError(f"{name}: no answer within {timeout:g} s (powered? network cable? address?)") from None
    except OSError as error:
        raise PortError(f"{name}: {tcp_words(error)}") from error
    except (ValueError, OverflowError) as error:  # no resolver can be asked for this name, nobody listens at this port
        raise PortError(f"{name}: is no address ({error})") from error
    _watch_peer(transport.get_extra_info("socket"))
    return protocol


class _Buffered:
    """What has come and was not read yet, and the one task that waits for more."""

    def __init__(self, name: str, on_lost: Callable[[], None]) -> None:
        self.name = name
        self._loop = asyncio.get_running_loop()
        self._on_lost = on_lost
        self._unread = bytearray()
        self._last_byte = float("-inf")
        self._lost: str | None = None
        self._waiter: asyncio.Future[None] | None = None

    async def read(self, timeout: float) -> bytes:
        if not self._unread and self._lost is None and timeout > 0:
            self._waiter = self._loop.create_future()
            alarm = self._loop.call_later(timeout, self._wake)
            try:
                await self._waiter
            finally:
                alarm.cancel()
                self._waiter = None
        return self.drain_input()

    def drain_input(self) -> bytes:
        self._pull()
        if not self._unread and self._lost is not None:
            raise PortError(self._lost)
        data = bytes(self._unread)
        self._unread.clear()
        if len(data) >= _MOST_UNREAD and self._lost is None:
            self._resume()
        return data

    def now(self) -> float:
        return self._loop.time()

    def last_byte(self) -> float:
        return self._last_byte

    def _came(self, data: bytes) -> None:
        self._unread += data
        self._last_byte = self._loop.time()
        if len(self._unread) >= _MOST_UNREAD:
            self._pause()
        self._wake()

    def _lose(self, why: str) -> None:
        if self._lost is None:
            self._lost = f"{self.name}: {why}"
            self._wake()
            self._on_lost()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _pull(self) -> None:
        """Take at once what the system holds and the loop has not told us yet."""

    def _pause(self) -> None:
        raise NotImplementedError

    def _resume(self) -> None:
        raise NotImplementedError


class _Tty(_Buffered):
    """A tty in the loop. pyserial sets the line up and locks it; bytes are read from its descriptor."""

    def __init__(self, name: str, tty: serial.Serial, on_lost: Callable[[], None]) -> None:
        super().__init__(name, on_lost)
        self._tty = tty
        self._fd: int = tty.fileno()
        self._resume()

    def write(self, data: bytes) -> None:
        if self._lost is not None:
            raise PortError(self._lost)
        try:
            taken = os.write(self._fd, data)
        except BlockingIOError:
            taken = 0
        except OSError as error:
            self._hang_up(_lost_words(error))
            raise PortError(self._lost or self.name) from error
        if taken != len(data):
            raise PortError(f"{self.name}: the port takes no more bytes (adapter stuck? replug it)")

    def close(self) -> None:
        self._on_lost = lambda: None
        self._hang_up("closed")

    def _pull(self) -> None:
        # A late answer may have come while the loop was held up: it must be seen before the next question leaves.
        before = -1
        while self._lost is None and before < len(self._unread) < _MOST_UNREAD:
            before = len(self._unread)
            self._readable()

    def _readable(self) -> None:
        try:
            data = os.read(self._fd, _CHUNK)
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            self._hang_up(_lost_words(error))
            return
        if data:
            self._came(data)
        else:
            self._hang_up("the port hung up (unplugged?)")

    def _hang_up(self, why: str) -> None:
        if self._tty.is_open:
            self._loop.remove_reader(self._fd)
            self._tty.close()
        self._lose(why)

    def _pause(self) -> None:
        self._loop.remove_reader(self._fd)

    def _resume(self) -> None:
        self._loop.add_reader(self._fd, self._readable)


def _nothing_is_not_the_end(fd: int) -> None:
    """pyserial sets VMIN to 0, where an empty port reads b"" as one that hung up does; with 1 it reads EAGAIN."""
    settings = termios.tcgetattr(fd)
    settings[6][termios.VMIN] = 1
    termios.tcsetattr(fd, termios.TCSANOW, settings)


def _check_parity(fd: int) -> None:
    """pyserial sends parity bits and does not look at those that come; INPCK alone makes a wrong one a zero byte."""
    settings = termios.tcgetattr(fd)
    settings[0] = settings[0] & ~(termios.IGNPAR | termios.PARMRK) | termios.INPCK
    termios.tcsetattr(fd, termios.TCSANOW, settings)


class _Tcp(_Buffered, asyncio.Protocol):
    """A TCP connection in the loop."""

    _transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's own is no subclass

    def data_received(self, data: bytes) -> None:
        self._came(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self._lose(tcp_words(exc) if isinstance(exc, OSError) else "the other end closed the connection")

    def write(self, data: bytes) -> None:
        if self._lost is not None:
            raise PortError(self._lost)
        self._transport.write(data)

    def undelivered(self) -> int:
        if self._transport.is_closing():
            return 0
        sent = fcntl.ioctl(self._transport.get_extra_info("socket").fileno(), termios.TIOCOUTQ, bytes(4))
        return self._transport.get_write_buffer_size() + int.from_bytes(sent, sys.byteorder)

    def close(self) -> None:
        self._on_lost = lambda: None
        self._transport.abort()

    def _pause(self) -> None:
        self._transport.pause_reading()

    def _resume(self) -> None:
        self._transport.resume_reading()


def _watch_peer(link: socket.socket) -> None:
    """Let the system notice within about 25 s that the other end lost its power, which nothing else would tell."""
    link.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for name, seconds in (("TCP_KEEPIDLE", 10), ("TCP_KEEPINTVL", 5), ("TCP_KEEPCNT", 3), ("TCP_USER_TIMEOUT", 25_000)):
        if hasattr(socket, name):  # as far as this system has them
            link.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), seconds)


_OPEN_WORDS = {
    errno.ENOENT: "there is no such port (unplugged?)",
    errno.ENODEV: "there is no such port (unplugged?)",
    errno.ENXIO: "there is no such port (unplugged?)",
    errno.EACCES: "no permission (the user must be in the group dialout)",
    errno.EPERM: "no permission (the user must be in the group dialout)",
    errno.EBUSY: "another program holds this port",
    errno.EAGAIN: "another program holds this port",
    errno.EIO: "the port does not react (unplugged?)",
    errno.ENOTTY: "is not a serial port",
    errno.EISDIR: "is not a serial port",
    errno.EINVAL: "does not take these line settings (baud, parity, stop bits)",
}
_TCP_WORDS = {
    errno.ECONNREFUSED: "nothing listens there (is the device started? is the port right?)",
    errno.EHOSTUNREACH: "no way to this address (powered? network cable? address?)",
    errno.ENETUNREACH: "no way to this network (network cable? router?)",
    errno.ECONNRESET: "the other end broke the connection",
    errno.EPIPE: "the other end closed the connection",
    errno.ETIMEDOUT: "the other end is gone (powered? network cable?)",
}


def _open_words(error: Exception) -> str:
    number = getattr(error, "errno", None)
    for source in (error, error.__context__):
        if isinstance(source, termios.error):  # no OSError: its number is the first argument
            number = source.args[0]
    return _OPEN_WORDS.get(number or 0, str(error))


def _lost_words(error: OSError) -> str:
    if error.errno in (errno.EIO, errno.ENXIO, errno.ENODEV, errno.EBADF):
        return "the port hung up (unplugged?)"
    return f"lost: {error.strerror}"


def tcp_words(error: OSError) -> str:
    """Why a connection failed or broke, for an electrician."""
    if isinstance(error, socket.gaierror):
        return "no such host name"
    return _TCP_WORDS.get(error.errno or 0, error.strerror or str(error))
