"""A serial line with several devices over a real pty, and a port that the system refuses: named, shown, healed."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import fcntl
import os
import pty
import termios
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from device_profiles.load import profiles
from device_profiles.types import SerialLink, SerialProfile
from firmware_bridge.links.serial_port import SerialPort
from firmware_bridge.raw import Arrival, Frame, Trouble
from firmware_bridge.simulate.tty import Tty
from firmware_bridge.wire import encode
from hub.clock import Clock
from hub.reading import FaultKind, Label, LinkChange, LinkState
from hub.settings.site import Device, Devices, SerialPortLink

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

NOBODY = 65534
News = list[Arrival | LinkChange]


def device(name: str, profile_id: str, address: int | None = None) -> Device:
    """A device of the line."""
    profile = profiles()[profile_id]
    assert isinstance(profile, SerialProfile)
    options = profile.link if address is None else replace(profile.link, address=address)
    return Device(id=name, profile=profile, options=options, name=Label(zh=name, en=name), link="line")


LINE = Devices(
    (
        device("drop-1", "chip/134k-rw-usb-d1", 1),
        device("drop-2", "chip/134k-rw-usb-d1", 2),
        device("reader", "chip/wl-134a"),
        device("tags", "chip/rdm6300"),
    )
)


def sent(name: str, number: int, address: int | None = None) -> bytes:
    """What such a device of the line writes."""
    profile = next(each.profile for each in LINE if each.id == name)
    assert isinstance(profile, SerialProfile)
    tag = name == "tags"
    values = {"other_chip": f"em4100:{number:010X}"} if tag else {"chip": f"156{number:012d}"}
    options = next(each.options for each in LINE if each.id == name)
    assert isinstance(options, SerialLink)
    return encode.frame(profile, values, address=address if address is not None else options.address)


async def gather(port: SerialPort, count: int) -> News:
    """So many arrivals and changes."""
    news: News = []
    async with asyncio.timeout(10):
        while len(news) < count:
            news += await anext(aiter(port))
    return news


async def change(port: SerialPort) -> LinkChange:
    """The next word about the cable."""
    (news,) = await gather(port, 1)
    assert isinstance(news, LinkChange)
    return news


def frames(news: News) -> list[tuple[str, bytes]]:
    """Whose frames came, and what they were."""
    return [(each.device, each.raw.data) for each in news if isinstance(each, Arrival) and isinstance(each.raw, Frame)]


async def test_each_frame_comes_to_its_device(tmp_path: Path) -> None:
    """Four readers of three kinds on one line: frames joined, split and with noise between come to whose they are."""
    with Tty(tmp_path / "line") as tty:
        async with SerialPort(SerialPortLink(id="line", port=str(tty.path), devices=LINE), Clock()) as port:
            assert (await change(port)).state is LinkState.UP
            tty.write(sent("drop-1", 1) + sent("reader", 2) + b"\xff" + sent("tags", 3) + sent("drop-2", 4)[:9])
            coming = asyncio.create_task(gather(port, 4))
            await asyncio.sleep(0.02)
            tty.write(sent("drop-2", 4)[9:])
            news = await coming
    assert frames(news) == [
        ("drop-1", sent("drop-1", 1)),
        ("reader", sent("reader", 2)),
        ("tags", sent("tags", 3)),
        ("drop-2", sent("drop-2", 4)),
    ]


async def test_a_reader_that_the_site_does_not_have_is_the_lines_fault(tmp_path: Path) -> None:
    """A whole frame of a foreign address belongs to nobody, is named, and keeps its bytes."""
    with Tty(tmp_path / "line") as tty:
        async with SerialPort(SerialPortLink(id="line", port=str(tty.path), devices=LINE), Clock()) as port:
            await change(port)
            tty.write(sent("drop-1", 1, address=9))
            (news,) = await gather(port, 1)
    assert isinstance(news, Arrival)
    assert isinstance(news.raw, Trouble)
    assert (news.device, news.raw.kind) == ("", FaultKind.UNKNOWN_DEVICE)
    assert news.raw.payload == sent("drop-1", 1, address=9)


async def test_the_adapter_comes_back_under_another_number(tmp_path: Path) -> None:
    """A name as in /dev/serial/by-id is looked up at each opening: the new device behind it is the one that is read."""
    with Tty(tmp_path / "by-id") as tty, contextlib.ExitStack() as stack:
        async with SerialPort(SerialPortLink(id="line", port=str(tty.path), devices=LINE), Clock()) as port:
            await change(port)
            before = tty.path.readlink()
            tty.unplug()
            assert (await change(port)).state is LinkState.DOWN
            for fd in pty.openpty():  # somebody else takes the number that is free now
                stack.callback(os.close, fd)
            tty.plug()
            assert tty.path.readlink() != before
            news = await gather(port, 1)
            while not (isinstance(news[-1], LinkChange) and news[-1].state is LinkState.UP):
                news += await gather(port, 1)
            tty.write(sent("reader", 7))
            assert frames(await gather(port, 1)) == [("reader", sent("reader", 7))]


@pytest.fixture
def nobody() -> Iterator[None]:
    """The test as a user whom the kernel does refuse things; root it refuses nothing."""
    root = os.geteuid() == 0
    if root:
        os.seteuid(NOBODY)
    yield
    if root:
        os.seteuid(0)


@pytest.fixture
def bare() -> Iterator[tuple[str, int]]:
    """A pty by its own name, which needs no folder that only root may enter: (name, its descriptor)."""
    master, slave = pty.openpty()
    yield os.ttyname(slave), slave
    os.close(slave)
    os.close(master)


def locked(fd: int) -> None:
    """Take every right on the port away."""
    os.fchmod(fd, 0)


def unlocked(fd: int) -> None:
    """Give them back."""
    os.fchmod(fd, 0o666)


def held(fd: int) -> None:
    """Hold the port as other programs do (TIOCEXCL)."""
    os.fchmod(fd, 0o666)
    fcntl.ioctl(fd, termios.TIOCEXCL)


def let_go(fd: int) -> None:
    """Let go of it."""
    fcntl.ioctl(fd, termios.TIOCNXCL)


@contextlib.contextmanager
def as_root() -> Iterator[None]:
    """For a moment, where the test is root: what the administrator does."""
    euid = os.geteuid()
    if os.getuid() == 0:
        os.seteuid(0)
    yield
    os.seteuid(euid)


@pytest.mark.parametrize(
    ("refuse", "allow", "words"),
    [
        (locked, unlocked, "no permission (the user must be in the group dialout)"),
        (held, let_go, "another program holds this port"),
    ],
    ids=["EACCES", "EBUSY"],
)
async def test_a_port_that_the_kernel_refuses(
    bare: tuple[str, int],
    refuse: Callable[[int], None],
    allow: Callable[[int], None],
    words: str,
    request: pytest.FixtureRequest,
) -> None:
    """Said once in plain words, tried again for ever, and read as soon as it may be."""
    path, fd = bare
    refuse(fd)
    request.getfixturevalue("nobody")
    async with SerialPort(SerialPortLink(id="line", port=path, devices=LINE), Clock()) as port:
        down = await change(port)
        assert (down.state, down.detail) == (LinkState.DOWN, f"{path}: {words}")
        again = asyncio.create_task(change(port))
        await asyncio.sleep(1.2)
        assert not again.done()
        with as_root():
            allow(fd)
        up = await again
        assert (up.state, up.detail) == (LinkState.UP, f"{path}: open at 9600 8N1")


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (errno.EIO, "the port does not react (unplugged?)"),
        (errno.ENXIO, "there is no such port (unplugged?)"),
        (errno.ENODEV, "there is no such port (unplugged?)"),
        (errno.EACCES, "no permission (the user must be in the group dialout)"),
        (errno.EBUSY, "another program holds this port"),
    ],
)
async def test_what_the_system_says_at_opening(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, words: str
) -> None:
    """Each error of the operating system has its plain words; the port heals when the error is over."""
    really = os.open
    broken = True

    def opening(path: str, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        if broken and str(path) == str(tmp_path / "line"):
            raise OSError(code, os.strerror(code))
        return really(path, flags, mode, dir_fd=dir_fd)

    with Tty(tmp_path / "line") as tty:
        monkeypatch.setattr(os, "open", opening)
        async with SerialPort(SerialPortLink(id="line", port=str(tty.path), devices=LINE), Clock()) as port:
            down = await change(port)
            assert (down.state, down.detail) == (LinkState.DOWN, f"{tty.path}: {words}")
            broken = False
            assert (await change(port)).state is LinkState.UP


async def test_a_file_that_is_no_port(tmp_path: Path) -> None:
    """A wrong path in the site file is told as such."""
    (tmp_path / "line").write_text("no port")
    link = SerialPortLink(id="line", port=str(tmp_path / "line"), devices=LINE)
    async with SerialPort(link, Clock()) as port:
        assert (await change(port)).detail == f"{tmp_path / 'line'}: is not a serial port"
