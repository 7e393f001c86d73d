"""Cables lent by the running hub: bounded for a slow watcher, refused in words, one scan a line at a time."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import msgspec
import pytest

from device_profiles.load import profiles
from device_profiles.types import ModbusLink
from firmware_bridge.links.modbus_bus import ModbusBus
from firmware_bridge.links.tap import ROOM, Heard, Tap
from firmware_bridge.raw import Link
from firmware_bridge.simulate.modbus_units import Units
from firmware_bridge.simulate.tty import Tty
from hub.clock import Clock
from hub.control import lending
from hub.control.door import FILE, Control, Refused, Said, ask
from hub.control.lending import LENT, Lending
from hub.reading import Label, LinkChange
from hub.settings.site import Device, Devices, ModbusRtuLink, Site

LABEL = Label(zh="x", en="x")


class Yard:
    """One RS-485 line with a simulated noise meter on unit 3, carried as the field process does."""

    def __init__(self, folder: Path) -> None:
        profile = profiles()["noise/generic-rs485"]
        device = Device(id="meter", profile=profile, options=ModbusLink(unit=3, every=0.1), name=LABEL, link="line")
        self.link = ModbusRtuLink(id="line", port=str(folder / "port"), devices=Devices([device]))
        self.site = Site(id="yard", name=LABEL, timezone="Asia/Shanghai", zones=(), links=(self.link,))
        self.bus = ModbusBus(self.link, Clock())
        self.links: Mapping[str, Link] = {"line": self.bus}
        self.changes: list[str] = []

    async def carry(self) -> None:
        """Until cancelled."""
        async with self.bus:
            async for batch in self.bus:
                self.changes += [item.detail for item in batch if isinstance(item, LinkChange)]


@pytest.fixture
async def yard(tmp_path: Path) -> AsyncIterator[Yard]:
    """The line is polled, and the door in `tmp_path` is open."""
    yard = Yard(tmp_path)
    with Tty(Path(yard.link.port)) as tty:
        async with Units(yard.link, Clock(), fd=tty.fd) as units, Control(tmp_path, Lending(yard).handlers):
            units.set("meter", {"laeq": 55.7})
            carrying = asyncio.create_task(yard.carry())
            yield yard
            carrying.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await carrying


async def asked(data: Path, do: str, arguments: Said) -> list[Said]:
    """All answers."""
    return await asyncio.to_thread(lambda: list(ask(data, do, arguments, timeout=20)))


async def until(what: object, tap: Tap, seconds: float = 20.0) -> None:
    """Somebody listens, or nobody any more."""
    async with asyncio.timeout(seconds):
        while bool(tap) is not what:
            await asyncio.sleep(0.01)


async def test_a_watcher_who_does_not_read_slows_nobody(yard: Yard, tmp_path: Path) -> None:
    """Twenty thousand exchanges go by while a watcher sleeps: it gets some, is told what it lost, and then is gone."""
    tap = yard.bus.tap
    with socket.socket(socket.AF_UNIX) as line:
        line.connect(str(tmp_path / FILE))
        line.sendall(b'{"do":"watch","arguments":{"link":"line"}}\n')
        await until(True, tap)
        for number in range(20_000):
            tap.say(Heard(at=number, came=b"x" * 200))
            if number % 100 == 0:
                await asyncio.sleep(0)
        line.settimeout(20)
        said = await asyncio.to_thread(_read_on, line, 20_000)
    await until(False, tap)

    lost = sum(each.get("lost", 0) for each in said)
    assert lost > 10_000
    assert len(said) >= ROOM


def _read_on(line: socket.socket, exchanges: int) -> list[Said]:
    """Lines until what came and what was lost is so many together."""
    said: list[Said] = []
    told = 0
    with line.makefile("rb") as lines:
        for text in lines:
            said.append(msgspec.json.decode(text)["said"])
            told += 1 + said[-1].get("lost", 0)
            if told >= exchanges:
                break
    return said


async def test_watching_costs_nothing_when_nobody_watches(yard: Yard, tmp_path: Path) -> None:
    """A watcher comes and goes, and leaves nothing at the link."""
    (first, *_) = await asked(tmp_path, "watch", {"link": "line", "seconds": 1.0})

    assert (first["device"], first["profile"]) == ("meter", "noise/generic-rs485")
    assert not yard.bus.tap


async def test_a_watcher_of_a_link_that_was_replaced_is_told(
    yard: Yard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a reload the old link says nothing any more: that must not look like silence on the cable."""
    monkeypatch.setattr(lending, "LOOK_S", 0.2)
    watching = asyncio.create_task(asked(tmp_path, "watch", {"link": "line"}))
    await until(True, yard.bus.tap)
    yard.links = {"line": ModbusBus(yard.link, Clock())}

    with pytest.raises(Refused, match="loaded anew: watch again"):
        await watching


async def test_a_link_that_is_not_there_is_refused(yard: Yard, tmp_path: Path) -> None:
    """The refusal names the links that there are; so does one for a question that is none."""
    wrong: list[tuple[str, Said, str]] = [
        ("watch", {"link": "lin"}, "'lin' is no link of the running hub; it has line"),
        ("scan", {"link": "lin", "units": [1]}, "'lin' is no link"),
        ("scan", {"link": "line"}, "not a question of scan"),
        ("read", {"link": "line", "unit": 1, "table": "holdings", "address": 0, "count": 1}, "cannot be asked"),
        ("read", {"link": "line", "unit": 1, "table": "holding", "address": 70000, "count": 1}, "cannot be asked"),
    ]
    for do, arguments, words in wrong:
        with pytest.raises(Refused) as caught:
            await asked(tmp_path, do, arguments)
        assert caught.value.mistake
        assert words in caught.value.words


async def test_one_scan_of_a_line_at_a_time(yard: Yard, tmp_path: Path) -> None:
    """A second scan is refused while the first goes on; when that hangs up the line is free again."""
    first = ask(tmp_path, "scan", {"link": "line", "units": list(range(100, 200))}, timeout=20)
    await asyncio.to_thread(next, first)
    with pytest.raises(Refused, match="is being scanned already") as caught:
        await asked(tmp_path, "scan", {"link": "line", "units": [3]})
    await asyncio.to_thread(first.close)  # type: ignore[attr-defined]  # it is a generator
    async with asyncio.timeout(20):
        while True:
            with contextlib.suppress(Refused):
                found = [
                    each for each in await asked(tmp_path, "scan", {"link": "line", "units": [3]}) if "guesses" in each
                ]
                break

    assert not caught.value.mistake
    assert [(each["unit"], each["device"]) for each in found] == [(3, "meter")]
    assert LENT not in yard.changes


async def test_a_read_gives_data_or_the_fault(yard: Yard, tmp_path: Path) -> None:
    """A probe through the hub gets the registers, and a refusal by its name."""
    good = await asked(tmp_path, "read", {"link": "line", "unit": 3, "table": "holding", "address": 0, "count": 1})
    bad = await asked(tmp_path, "read", {"link": "line", "unit": 3, "table": "holding", "address": 9, "count": 1})

    assert good == [{"data": "Ai0="}]  # 02 2D
    assert bad[0]["fault"] == "refused"


async def test_a_cable_that_is_down_is_told(tmp_path: Path) -> None:
    """Whoever asks on a line whose port is not there hears why, and it is not his mistake."""
    yard = Yard(tmp_path)  # nothing is plugged in
    async with Control(tmp_path, Lending(yard).handlers):
        carrying = asyncio.create_task(yard.carry())
        async with asyncio.timeout(20):
            while not yard.changes:
                await asyncio.sleep(0.01)
        with pytest.raises(Refused, match="there is no such port") as caught:
            await asked(tmp_path, "scan", {"link": "line", "units": [3]})
        carrying.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await carrying

    assert not caught.value.mistake
