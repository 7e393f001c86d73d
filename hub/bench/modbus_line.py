"""Fairness on a line that takes its time: 30 units at 1 s, five of them dead, on a pty at the speed of 19200 baud.

The real bus asks real profiles' units; what is counted is what the other end of the line saw, not what the bus thinks.
"""

import asyncio
import contextlib
import math
import random
import tempfile
from itertools import pairwise
from pathlib import Path

import msgspec

from device_profiles.load import find
from device_profiles.types import ModbusLink
from firmware_bridge.links.modbus_bus import ModbusBus
from firmware_bridge.raw import Arrival, Registers, Trouble
from firmware_bridge.simulate.modbus_units import Units
from firmware_bridge.simulate.paced import Pace, thinking
from firmware_bridge.simulate.tty import Tty
from hub.clock import Clock
from hub.reading import FaultKind, Label
from hub.settings.site import Device, Devices, ModbusRtuLink

UNITS, DEAD, BAUD, PROFILE = 30, 5, 19200, "noise/generic-rs485"
WELL_S, SETTLE_S = 5.0, 10.0  # all answer; five die, and their first questions are no probing yet


class LineFigures(msgspec.Struct, frozen=True):
    """`cadence` = answered polls / polls due, of the healthy, `worst_cadence` of the worst of them; rest as named."""

    cadence: float
    worst_cadence: float
    dead_share: float
    first_dead_share: float
    jitter_p50_ms: float
    jitter_p99_ms: float
    collisions: int


async def fairness(seconds: float, seed: int, *, well: float = WELL_S, settle: float = SETTLE_S) -> LineFigures:
    """After `well` s units die; after `settle` more, count for `seconds`. Who dies is `seed`'s."""
    dead = set(random.Random(seed).sample(range(1, UNITS + 1), DEAD))
    with tempfile.TemporaryDirectory(prefix="zhian-bench-") as folder, Tty(Path(folder) / "line") as tty:
        link = _link(tty.path, BAUD)
        pace = Pace(link, thinking(_options(link.devices[0]).latency, seed))
        async with Units(link, Clock(), fd=tty.fd, pace=pace) as units:
            for device in link.devices:
                units.set(device.id, {"laeq": 55.7})
            ear = _Ear(pace, dead)
            for device in link.devices:
                if _options(device).unit in dead:
                    asyncio.get_running_loop().call_later(well, units.mute, device.id, True)
            began = await ear.listen(ModbusBus(link, Clock()), well + settle + seconds)
            return ear.figures(began + well, settle, seconds, link)


class _Ear:
    """What came when, and what the dead held up."""

    def __init__(self, pace: Pace, dead: set[int]) -> None:
        self._pace, self._dead = pace, dead
        self._answers: dict[str, list[float]] = {}
        self._held_up: list[tuple[float, float]] = []  # until when, how long

    async def listen(self, bus: ModbusBus, seconds: float) -> float:
        began = Clock().monotonic()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds), bus:
                async for batch in bus:
                    for item in batch:
                        if isinstance(item, Arrival):
                            self._hear(item, Clock().monotonic())
        return began

    def _hear(self, item: Arrival, now: float) -> None:
        if isinstance(item.raw, Registers):
            self._answers.setdefault(item.device, []).append(now)
        elif isinstance(item.raw, Trouble) and item.raw.kind is FaultKind.NO_ANSWER:
            asked, unit = self._pace.asked[-1]
            if unit in self._dead:
                self._held_up.append((now, now - asked))

    def figures(self, began: float, settle: float, seconds: float, link: ModbusRtuLink) -> LineFigures:
        start, end = began + settle, began + settle + seconds
        healthy = [device for device in link.devices if _options(device).unit not in self._dead]
        parts, late = [], []
        for device in healthy:
            every, times = _options(device).every, self._answers.get(device.id, [])
            inside = [at for at in times if start < at <= end]
            parts.append(min(1.0, len(inside) / max(1, math.floor(seconds / every))))
            late += [abs(after - before - every) for before, after in pairwise(inside)]
        late.sort()
        return LineFigures(
            cadence=round(sum(parts) / len(parts), 4),
            worst_cadence=round(min(parts), 4),
            dead_share=round(sum(took for at, took in self._held_up if start < at <= end) / seconds, 4),
            first_dead_share=round(sum(took for at, took in self._held_up if at <= start) / settle, 4),
            jitter_p50_ms=_percentile(late, 0.50),
            jitter_p99_ms=_percentile(late, 0.99),
            collisions=self._pace.collisions,
        )


def _percentile(ordered: list[float], part: float) -> float:
    """Of seconds in order, in ms."""
    return round(1000 * ordered[min(len(ordered) - 1, int(part * len(ordered)))], 1) if ordered else math.nan


def _link(path: Path, baud: int) -> ModbusRtuLink:
    profile = find(PROFILE, file="bench", key="profile")
    options = profile.link
    assert isinstance(options, ModbusLink)  # noqa: S101  # our own profile
    devices = (
        Device(
            id=f"meter-{unit}",
            profile=profile,
            options=msgspec.structs.replace(options, unit=unit, every=1.0),
            name=Label(zh=f"噪声计 {unit}", en=f"Noise meter {unit}"),
            link="line",
        )
        for unit in range(1, UNITS + 1)
    )
    return ModbusRtuLink(id="line", port=str(path), baud=baud, devices=Devices(devices))


def _options(device: Device) -> ModbusLink:
    if not isinstance(device.options, ModbusLink):
        raise TypeError(device.id)
    return device.options
