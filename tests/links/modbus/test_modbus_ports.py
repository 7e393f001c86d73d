"""Ports and their back-off: what an electrician is told, what is noticed, and what a flood does."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from firmware_bridge.links.backoff import Backoff
from firmware_bridge.links.ports import Port, PortError, open_port, open_tcp


async def opened(path: str, lost: asyncio.Event | None = None) -> Port:
    """The port at 9600 8N1."""
    tell = lost.set if lost is not None else lambda: None
    return await open_port(path, baud=9600, parity="N", stop_bits=1, on_lost=tell)


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("{folder}/nothing", "there is no such port (unplugged?)"),
        ("{folder}/dangling", "there is no such port (unplugged?)"),
        ("{folder}/file", "is not a serial port"),
        ("{folder}", "is not a serial port"),
        ("/dev/null", "is not a serial port"),
    ],
)
async def test_ports_that_cannot_be_opened(tmp_path: Path, path: str, words: str) -> None:
    """The refusal names the port and what is wrong with it."""
    (tmp_path / "file").touch()
    (tmp_path / "dangling").symlink_to(tmp_path / "gone")
    name = path.format(folder=tmp_path)
    with pytest.raises(PortError) as refused:
        await opened(name)
    assert refused.value.detail == f"{name}: {words}"


async def test_impossible_line_settings() -> None:
    """A baud rate that cannot be is a refusal as well."""
    master, slave = os.openpty()
    with pytest.raises(PortError):
        await open_port(os.ttyname(slave), baud=-1, parity="N", stop_bits=1)
    os.close(master)
    os.close(slave)


async def test_bytes_and_hang_up() -> None:
    """Bytes pass, nothing is b"", what came before the hang-up is still read, and then it is lost for good."""
    master, slave = os.openpty()
    lost = asyncio.Event()
    port = await opened(os.ttyname(slave), lost)
    os.close(slave)
    assert port.last_byte() < port.now()
    port.write(b"\x01\x03\r\n\x00")
    assert os.read(master, 10) == b"\x01\x03\r\n\x00"
    os.write(master, b"\x11\x13\r\n\x03\x04")
    assert await port.read(1.0) == b"\x11\x13\r\n\x03\x04"
    assert await port.read(0.02) == b""
    assert not lost.is_set()
    os.close(master)
    await asyncio.wait_for(lost.wait(), 5)
    for attempt in (port.read(1.0), port.read(0.0)):
        with pytest.raises(PortError, match="hung up"):
            await attempt
    with pytest.raises(PortError, match="hung up"):
        port.write(b"x")
    port.close()
    port.close()


async def test_hang_up_seen_by_writing_or_draining() -> None:
    """A hang-up that the loop has not told yet is noticed by whoever touches the port first."""
    for touch in ("write", "drain"):
        master, slave = os.openpty()
        port = await opened(os.ttyname(slave))
        os.close(slave)
        os.close(master)
        with pytest.raises(PortError, match="hung up"):
            port.write(b"x") if touch == "write" else port.drain_input()


async def test_a_port_that_takes_nothing() -> None:
    """A stuck adapter does not stop the loop: the write is refused."""
    master, slave = os.openpty()
    port = await opened(os.ttyname(slave))

    def fill() -> None:
        for _ in range(1000):
            port.write(bytes(4096))

    with pytest.raises(PortError, match="takes no more bytes"):
        fill()
    port.close()
    os.close(slave)
    os.close(master)


async def test_a_flood_is_bounded_and_not_lost_on_tcp() -> None:
    """A peer that talks without end fills its own buffers, not our memory; when we read on, nothing is missing."""
    flood = bytes(range(256)) * 16384  # 4 MiB
    done = asyncio.Event()

    async def talk(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(flood)
        await writer.drain()
        await done.wait()
        writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    port = await open_tcp("127.0.0.1", server.sockets[0].getsockname()[1])
    await asyncio.sleep(0.1)
    came = await port.read(1.0)
    assert len(came) < 1 << 20
    while len(came) < len(flood):
        came += await port.read(5.0)
    assert came == flood
    done.set()
    with pytest.raises(PortError, match="closed the connection"):
        await port.read(5.0)
    server.close()
    await server.wait_closed()


async def test_a_flood_is_bounded_on_a_tty() -> None:
    """A tty that nobody reads holds 64 KiB at most, and goes on when it is read."""
    master, slave = os.openpty()
    os.set_blocking(master, False)
    port = await opened(os.ttyname(slave))
    for _ in range(100):
        for _ in range(4):
            try:
                os.write(master, bytes(1024))
            except BlockingIOError:
                break
        await asyncio.sleep(0)
    held = await port.read(0.0)
    assert len(held) <= 65536 + 4096
    while await port.read(0.05):
        pass
    os.write(master, b"news")
    assert await port.read(1.0) == b"news"
    port.close()
    os.close(slave)
    os.close(master)


async def test_the_other_end_closes() -> None:
    """A closed connection is told at once, in words; so is one that was never there."""

    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"hello")
        writer.close()

    server = await asyncio.start_server(greet, "127.0.0.1", 0)
    number = server.sockets[0].getsockname()[1]
    lost = asyncio.Event()
    port = await open_tcp("127.0.0.1", number, on_lost=lost.set)
    await asyncio.wait_for(lost.wait(), 5)
    assert await port.read(1.0) == b"hello"
    with pytest.raises(PortError, match="the other end closed the connection"):
        await port.read(1.0)
    with pytest.raises(PortError, match="the other end closed"):
        port.write(b"x")
    port.close()
    server.close()
    await server.wait_closed()
    with pytest.raises(PortError, match="nothing listens there"):
        await open_tcp("127.0.0.1", number)


def test_back_off() -> None:
    """Pauses double up to the most, jitter only shortens them, and a success starts again."""
    plain = Backoff(1.0, 30.0, jitter=0.0)
    assert [plain.next() for _ in range(7)] == [1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0]
    plain.reset()
    assert plain.next() == 1.0
    pauses = [Backoff().next() for _ in range(50)]
    assert all(0.35 <= pause <= 0.5 for pause in pauses)
    assert len(set(pauses)) > 1
