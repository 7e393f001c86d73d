"""The serial link over a real pty: frames in any portions, garbage, silence, a pulled plug."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import pytest

from device_profiles.load import profiles
from device_profiles.types import SerialLink, SerialProfile
from firmware_bridge.links.ports import PortError, open_port
from firmware_bridge.links.serial_port import SerialPort
from firmware_bridge.raw import Arrival, Frame, Publish, SendError, Trouble
from firmware_bridge.simulate.tty import Tty
from firmware_bridge.wire import decode, encode
from hub.clock import Clock
from hub.reading import FaultKind, Label, LinkChange, LinkState, Reading
from hub.settings.site import Device, Devices, SerialPortLink

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from pathlib import Path

READER, RADAR = "chip/wl-134a", "water/hlk-ld2410"
News = list[Arrival | LinkChange]


def profile(name: str) -> SerialProfile:
    """A serial profile that comes with Zhian."""
    found = profiles()[name]
    assert isinstance(found, SerialProfile)
    return found


def link_at(path: Path, name: str) -> SerialPortLink:
    """A link with one device of this profile."""
    label = Label(zh="设备", en="device")
    device = Device(id="device-1", profile=profile(name), options=profile(name).link, name=label, link="port")
    return SerialPortLink(id="port", port=str(path), devices=Devices((device,)))


@pytest.fixture
def tty(tmp_path: Path) -> Iterator[Tty]:
    """A port that is plugged in."""
    with Tty(tmp_path / "tty" / "port") as port:
        yield port


@pytest.fixture
async def reader(tty: Tty) -> AsyncIterator[SerialPort]:
    """A chip reader's link, up."""
    async with SerialPort(link_at(tty.path, READER), Clock()) as port:
        (change,) = await take(port)
        assert isinstance(change, LinkChange)
        assert (change.state, change.detail) == (LinkState.UP, f"{tty.path}: open at 9600 8N1")
        yield port


async def take(port: SerialPort, within: float = 5.0) -> News:
    """The next list."""
    return await asyncio.wait_for(anext(aiter(port)), within)


async def until(port: SerialPort, enough: Callable[[News], bool]) -> News:
    """All lists together, up to the first one after which it is enough."""
    news: News = []
    async with asyncio.timeout(10):
        while not enough(news):
            news += await take(port, 10)
    return news


def chip(number: int) -> bytes:
    """A reader's frame."""
    return encode.frame(profile(READER), {"chip": f"156{number:012}"})


def frames(news: News) -> list[bytes]:
    """The frames, in order."""
    return [item.raw.data for item in news if isinstance(item, Arrival) and isinstance(item.raw, Frame)]


def kinds(news: News) -> list[FaultKind]:
    """The kinds of trouble, in order."""
    return [item.raw.kind for item in news if isinstance(item, Arrival) and isinstance(item.raw, Trouble)]


async def test_frames_come_whole_however_they_were_cut(tty: Tty, reader: SerialPort) -> None:
    """Joined, split and byte by byte: one arrival a frame, none invented."""
    tty.write(chip(1) + chip(2) + chip(3)[:11])
    news = await until(reader, lambda news: len(frames(news)) == 2)
    tty.write(chip(3)[11:])
    news += await until(reader, lambda news: len(frames(news)) == 1)
    for byte in chip(4):
        tty.write(bytes((byte,)))
        await asyncio.sleep(0.001)
    news += await until(reader, lambda news: len(frames(news)) == 1)
    assert frames(news) == [chip(1), chip(2), chip(3), chip(4)]
    assert kinds(news) == []


async def test_garbage_between_frames_is_passed_over(tty: Tty, reader: SerialPort) -> None:
    """Noise before and after a frame costs nothing; a frame with a wrong checksum is trouble, never a frame."""
    broken = chip(5)[:5] + b"?" + chip(5)[6:]
    tty.write(b"\xff\x00noise" + chip(6) + b"\x02\x02" + broken + chip(7))
    news = await until(reader, lambda news: len(frames(news)) == 2)
    assert frames(news) == [chip(6), chip(7)]
    assert kinds(news) == [FaultKind.CHECKSUM]


async def test_frame_that_breaks_off_is_incomplete(tty: Tty, reader: SerialPort) -> None:
    """A quarter of a second of quiet in the middle of a frame ends it, and the next one is whole again."""
    tty.write(chip(8)[:9])
    news = await until(reader, lambda news: bool(kinds(news)))
    assert kinds(news) == [FaultKind.INCOMPLETE]
    tty.write(chip(9))
    assert frames(await take(reader)) == [chip(9)]


async def test_pulled_plug_is_named_and_heals_within_five_seconds(tty: Tty, reader: SerialPort) -> None:
    """Down when the port hangs up, down again in other words while it is gone, up when it is back, frames flow."""
    asking = asyncio.create_task(until(reader, lambda news: len(news) == 2))
    await asyncio.sleep(0.05)
    tty.unplug()
    gone = [item for item in await asking if isinstance(item, LinkChange)]
    assert [change.state for change in gone] == [LinkState.DOWN] * 2
    assert "hung up" in gone[0].detail
    assert "there is no such port" in gone[1].detail
    with pytest.raises(SendError) as error:
        await reader.send("device-1", b"?")
    assert error.value.kind is FaultKind.LINK_DOWN
    asking = asyncio.create_task(take(reader))
    await asyncio.sleep(0.05)
    tty.plug()
    began = time.monotonic()
    (back,) = await asking
    assert isinstance(back, LinkChange)
    assert back.state is LinkState.UP
    assert time.monotonic() - began < 5
    tty.write(chip(10))
    assert frames(await take(reader)) == [chip(10)]


async def test_half_a_frame_before_the_plug_was_pulled_is_reported(tty: Tty, reader: SerialPort) -> None:
    """What had begun is trouble, before the link is down; it never joins with what comes after."""
    tty.write(chip(11)[:12])
    with pytest.raises(TimeoutError):
        await take(reader, 0.1)
    tty.unplug()
    news = await take(reader)
    assert kinds(news) == [FaultKind.INCOMPLETE]
    assert isinstance(news[-1], LinkChange)
    assert news[-1].state is LinkState.DOWN


async def test_radar_streams_and_is_handed_over_as_it_comes(tmp_path: Path) -> None:
    """Ten reports a second at 256000 baud: each one arrives, readable, in order."""
    radar = profile(RADAR)
    with Tty(tmp_path / "radar") as tty:
        async with SerialPort(link_at(tty.path, RADAR), Clock()) as port:
            await take(port)
            for number in range(1, 11):
                tty.write(encode.frame(radar, {"presence": "present", "distance": number / 10}))
                await asyncio.sleep(0.02)
            news = await until(port, lambda news: len(frames(news)) == 10)
    arrivals = [item for item in news if isinstance(item, Arrival)]
    readings = [said for item in arrivals for said in decode.decode("device-1", radar, item.raw, item.rx)]
    distances = [said.value for said in readings if isinstance(said, Reading) and said.quantity == "distance"]
    assert distances == [number / 10 for number in range(1, 11)]


async def test_port_that_another_program_holds_is_down_with_that_word(tty: Tty, reader: SerialPort) -> None:
    """Two masters on one line are refused; sending over a link that is up writes the bytes."""
    async with SerialPort(link_at(tty.path, READER), Clock()) as second:
        (change,) = await take(second)
        assert isinstance(change, LinkChange)
        assert change.detail == f"{tty.path}: another program holds this port"
    await reader.send("device-1", b"hello")
    assert tty.read() == b"hello"
    with pytest.raises(TypeError):
        await reader.send("device-1", Publish("a/b", b""))


def test_link_without_a_serial_device_is_refused(tmp_path: Path) -> None:
    """A wrong configuration refuses to start."""
    with pytest.raises(ValueError, match="without a device"):
        SerialPort(SerialPortLink(id="port", port=str(tmp_path)), Clock())
    assert isinstance(profile(READER).link, SerialLink)


def test_simulated_port_never_replaces_a_real_one(tmp_path: Path) -> None:
    """A site file with real ports cannot be simulated over them; a port left by a killed simulator can."""
    real = tmp_path / "by-id"
    real.symlink_to("/dev/ttyUSB0")
    with pytest.raises(ValueError, match="not a simulated port"):
        Tty(real)
    (tmp_path / "left").symlink_to("/dev/pts/9999")
    with Tty(tmp_path / "left") as tty:
        assert str(tty.path.readlink()).startswith("/dev/pts/")
    assert not tty.path.is_symlink()


async def test_a_lent_port_is_down_for_that_reason_and_comes_back(tty: Tty, reader: SerialPort) -> None:
    """While the port is lent another may open it, the link says why it is down, once, and afterwards it is up again."""
    async with reader.lend("line lent for a scan"):
        (change,) = await take(reader)
        assert isinstance(change, LinkChange)
        assert (change.state, change.detail) == (LinkState.DOWN, "line lent for a scan")
        with pytest.raises(SendError, match="line lent for a scan"):
            await reader.send("device-1", b"x")
        with pytest.raises(PortError, match="line lent for a scan"):
            async with reader.lend("another"):
                pass
        (await open_port(str(tty.path), baud=9600, parity="N", stop_bits=1)).close()
    (change,) = await take(reader)
    assert isinstance(change, LinkChange)
    assert change.state is LinkState.UP
