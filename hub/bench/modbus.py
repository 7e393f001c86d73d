"""How the Modbus links do: requests per second, fairness beside dead units, width, and what reading together gains.

Everything is measured against simulated devices in other processes or on a pty; nothing here is part of the hub.
"""

import itertools
import math
import string
import tempfile
from pathlib import Path

import msgspec
import uvloop

from device_profiles.load import profiles
from device_profiles.types import ModbusProfile
from firmware_bridge import simulate
from firmware_bridge.wire.load import LinkLoad, link_load
from hub.bench.modbus_clients import clients, server
from hub.bench.modbus_line import BAUD, DEAD, UNITS, fairness
from hub.bench.modbus_wide import wide
from hub.reading import Label
from hub.settings.door import load_site
from hub.settings.site import Device, Devices, ModbusRtuLink, ModbusTcpLink

SECONDS = 60.0
DEVICES = 1000
DEMO = Path(simulate.__file__).with_name("zhongshan.toml")
_SHORT_S = 10.0  # a run that is shorter than this is a test of the bench: fewer devices, no time to settle


class Figures(msgspec.Struct, frozen=True):
    """What docs/benchmarks.md explains. Rates in 1/s; shares, cadences and gains are ratios."""

    requests_per_s: float
    pymodbus_requests_per_s: float
    request_cpu_us: float
    pymodbus_request_cpu_us: float
    one_connection_requests_per_s: float
    pymodbus_one_connection_requests_per_s: float
    outstanding_requests_per_s: float
    pymodbus_server_requests_per_s: float
    pymodbus_server_pymodbus_requests_per_s: float
    healthy_cadence: float
    worst_cadence: float
    dead_bus_share: float
    dead_bus_share_at_first: float
    jitter_p50_ms: float
    jitter_p99_ms: float
    line: str
    plan_gain: float
    plan_gain_30_units: float
    tcp_devices: int
    tcp_cpu_share: float
    tcp_cadence: float
    tcp_open_s: float
    tcp_rss_mb: float


def measure(seconds: float, seed: int) -> Figures:
    """A third of the time each: clients, a line with dead units, many connections."""
    part, short = seconds / 3, seconds < _SHORT_S
    with tempfile.TemporaryDirectory(prefix="zhian-bench-") as name:
        folder = Path(name)
        with server() as port:
            plain = uvloop.run(clients(port, 0.8 * part, pipelined=True))
            broad = wide(folder, port, 20 if short else DEVICES, max(1.5, part))
        with server("pymodbus") as port:
            slow = uvloop.run(clients(port, 0.2 * part, pipelined=False))
        line = uvloop.run(fairness(3.0, seed, well=0.5, settle=2.0) if short else fairness(part, seed))
        demo, mixed = _gain(_demo(folder)), _gain([_thirty()])
    return Figures(
        requests_per_s=plain.ours.per_s,
        pymodbus_requests_per_s=plain.pymodbus.per_s,
        request_cpu_us=plain.ours.cpu_us,
        pymodbus_request_cpu_us=plain.pymodbus.cpu_us,
        one_connection_requests_per_s=plain.ours_one.per_s,
        pymodbus_one_connection_requests_per_s=plain.pymodbus_one.per_s,
        outstanding_requests_per_s=plain.outstanding.per_s,
        pymodbus_server_requests_per_s=slow.ours.per_s,
        pymodbus_server_pymodbus_requests_per_s=slow.pymodbus.per_s,
        healthy_cadence=line.cadence,
        worst_cadence=line.worst_cadence,
        dead_bus_share=line.dead_share,
        dead_bus_share_at_first=line.first_dead_share,
        jitter_p50_ms=line.jitter_p50_ms,
        jitter_p99_ms=line.jitter_p99_ms,
        line=f"{UNITS} units at 1 s, {DEAD} dead, {BAUD} baud",
        plan_gain=demo,
        plan_gain_30_units=mixed,
        tcp_devices=broad.devices,
        tcp_cpu_share=broad.cpu_share,
        tcp_cadence=broad.cadence,
        tcp_open_s=broad.open_s,
        tcp_rss_mb=broad.rss_mb,
    )


def _gain(loads: list[LinkLoad]) -> float:
    """Bus time of one read a quantity / bus time as planned."""
    return round(math.fsum(load.single_ms for load in loads) / math.fsum(load.cycle_ms for load in loads), 3)


def _demo(folder: Path) -> list[LinkLoad]:
    """The lines of the demo's site."""
    path = folder / "demo.toml"
    text = DEMO.read_text(encoding="utf-8")
    path.write_text(string.Template(text).substitute(data=folder, broker=1883, relay=502), encoding="utf-8")
    return [link_load(link) for link in load_site(path).links if isinstance(link, ModbusRtuLink | ModbusTcpLink)]


def _thirty() -> LinkLoad:
    """A line of 30 units, every Modbus profile of the package in turn, at 9600 baud."""
    kinds = itertools.cycle(profile for profile in profiles().values() if isinstance(profile, ModbusProfile))
    devices = [
        Device(
            id=f"unit-{unit}",
            profile=profile,
            options=msgspec.structs.replace(profile.link, unit=unit),
            name=Label(zh=f"{unit}", en=f"{unit}"),
            link="line",
        )
        for unit, profile in zip(range(1, UNITS + 1), kinds, strict=False)
    ]
    return link_load(ModbusRtuLink(id="line", port="/dev/null", devices=Devices(devices)))
