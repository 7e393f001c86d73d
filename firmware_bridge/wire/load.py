"""How full a Modbus line is: what each request costs, how long a cycle takes, and how often each device gets its turn.

Pure arithmetic on a site's link, by the same plan and the same rule of turns that the bus follows. It knows a line on
which all answer at once: silent units, which cost their time-outs, and commands come on top.
"""

import heapq
import math
from collections.abc import Sequence

import msgspec

from device_profiles.types import ModbusLink, ModbusProfile
from firmware_bridge.wire.modbus import DOUBLE_S, Request
from firmware_bridge.wire.plan import AsciiTiming, RtuTiming, TcpTiming, Timing, one_by_one, plan
from hub.settings.site import Device, ModbusAsciiLink, ModbusLine, ModbusTcpLink

SPREAD_S = 2.0  # the first polls are spread over so much of the clock at most: nobody is silent because of it
_POLLS, _MOST_POLLS = 50, 20_000  # of each device, and of all together: enough for an average


class DeviceLoad(msgspec.Struct, frozen=True):
    """What one device is asked each `every` seconds; `ms` belongs to `requests`; `read_every` (s) is what becomes true.

    `wait_ms` is what the bus waits between them, `single_ms` what it would take to read each quantity by itself.
    """

    device: str
    unit: int
    every: float
    requests: tuple[Request, ...]
    ms: tuple[float, ...]
    wait_ms: float
    single_ms: float
    read_every: float

    @property
    def cycle_ms(self) -> float:
        """All its requests once."""
        return sum(self.ms)

    @property
    def poll_ms(self) -> float:
        """How long nobody else gets a turn."""
        return self.cycle_ms + self.wait_ms

    @property
    def late(self) -> bool:
        """It gets its turn more seldom than it was promised, beyond rounding."""
        return self.read_every > 1.05 * self.every


class LinkLoad(msgspec.Struct, frozen=True):
    """One line with its devices, in the order of the site file."""

    link: str
    timing: Timing
    devices: tuple[DeviceLoad, ...]

    @property
    def cycle_ms(self) -> float:
        """Every device once."""
        return sum(device.cycle_ms for device in self.devices)

    @property
    def wait_ms(self) -> float:
        """What the bus waits in a cycle, beyond what the requests cost."""
        return sum(device.wait_ms for device in self.devices)

    @property
    def single_ms(self) -> float:
        """Every device once, each quantity by itself."""
        return sum(device.single_ms for device in self.devices)

    @property
    def gain(self) -> float:
        """So many times longer it would take to read one by one; 1 for an empty line."""
        return self.single_ms / self.cycle_ms if self.devices else 1.0

    @property
    def load(self) -> float:
        """The part of the time in which the line is busy: 1 is full, more cannot be kept."""
        return sum(device.poll_ms / (1000 * device.every) for device in self.devices)


def timing_of(link: ModbusLine) -> Timing:
    """What a request costs on this link. RTU frames over TCP cost what they cost on the line behind the server."""
    if isinstance(link, ModbusTcpLink):
        return TcpTiming()
    if isinstance(link, ModbusAsciiLink):
        return AsciiTiming(link.baud, link.data_bits, link.parity, link.stop_bits)
    return RtuTiming(link.baud, link.parity, link.stop_bits)


def link_load(link: ModbusLine) -> LinkLoad:
    """The link's load. ValueError names the device whose profile has no plan; TypeError: it is no Modbus device."""
    timing = timing_of(link)
    devices = [_device_load(device, timing) for device in link.devices]
    paces = read_every([(device.every, device.poll_ms / 1000) for device in devices])
    return LinkLoad(
        link.id,
        timing,
        tuple(msgspec.structs.replace(device, read_every=pace) for device, pace in zip(devices, paces, strict=True)),
    )


def first_due(every: float, place: int, of: int) -> float:
    """When a unit is asked first, in s after the line was opened: `place` of `of` units, so that turns are spread."""
    return min(every, SPREAD_S) * place / of


def next_due(due: float, every: float, now: float) -> float:
    """When a unit that was due at `due` and is asked `now` is due again: at its next beat; missed ones are skipped."""
    due += every
    return due if due > now else due + every * ((now - due) // every + 1)


def read_every(devices: Sequence[tuple[float, float]]) -> list[float]:
    """For (every, time of a poll) of each, in s: the average time between two polls, when the longest due is next."""
    turns = [(first_due(every, place, len(devices)), place) for place, (every, _) in enumerate(devices)]
    heapq.heapify(turns)
    asked: list[list[float]] = [[] for _ in devices]
    now, few = 0.0, set(range(len(devices)))
    for _ in range(_MOST_POLLS):
        if not few:
            break
        due, place = turns[0]
        every, takes = devices[place]
        now = max(now, due)
        asked[place].append(now)
        heapq.heapreplace(turns, (next_due(due, every, now), place))
        now += takes
        if len(asked[place]) == _POLLS:
            few.discard(place)
    return [_average(times, every) for times, (every, _) in zip(asked, devices, strict=True)]


def _waits_ms(requests: Sequence[Request], ms: Sequence[float]) -> float:
    """Before a question whose answer would have the shape of an earlier one, the bus waits out a copy of that."""
    now = waited = 0.0
    ended: dict[tuple[int, int, int], float] = {}
    for request, takes in zip(requests, ms, strict=True):
        pause = max(0.0, ended.get(request.shape, -math.inf) + 1000 * DOUBLE_S - now)
        waited += pause
        now += pause + takes
        ended[request.shape] = now
    return waited


def _average(times: list[float], every: float) -> float:
    return (times[-1] - times[0]) / (len(times) - 1) if len(times) > 1 else every


def _device_load(device: Device, timing: Timing) -> DeviceLoad:
    if not isinstance(device.profile, ModbusProfile) or not isinstance(device.options, ModbusLink):
        raise TypeError(f"{device.id} is not a Modbus device")
    unit, latency = device.options.unit, device.options.latency
    try:
        requests = plan(device.profile, unit, timing, latency)
    except ValueError as error:
        raise ValueError(f"{device.id}: {error}") from error
    ms = tuple(timing.ms(request, latency) for request in requests)
    return DeviceLoad(
        device=device.id,
        unit=unit,
        every=device.options.every,
        requests=requests,
        ms=ms,
        wait_ms=_waits_ms(requests, ms) if not isinstance(timing, TcpTiming) else 0.0,
        single_ms=sum(timing.ms(request, latency) for request in one_by_one(device.profile, unit)),
        read_every=device.options.every,
    )
