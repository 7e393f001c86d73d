"""How the Modbus links do: requests per second, fairness beside dead units, and what reading together gains.

Everything is measured against simulated devices in other processes or on a pty; nothing here is part of the hub.
"""

import string
import tempfile
from pathlib import Path

import msgspec

from firmware_bridge import simulate
from firmware_bridge.wire.load import link_load
from hub.settings import load_site
from hub.site import ModbusRtuLink, ModbusTcpLink

SECONDS = 20.0
DEMO = Path(simulate.__file__).with_name("zhongshan.toml")


class Figures(msgspec.Struct, frozen=True):
    """`plan_gain` = bus time of one read a quantity / bus time of the planned reads, for the demo's site."""

    plan_gain: float


def measure(seconds: float, seed: int) -> Figures:
    """The figures."""
    return Figures(plan_gain=_demo_gain())


def _demo_gain() -> float:
    with tempfile.TemporaryDirectory(prefix="zhian-bench-") as folder:
        path = Path(folder) / "site.toml"
        text = DEMO.read_text(encoding="utf-8")
        path.write_text(string.Template(text).substitute(data=folder, broker=1883, relay=502), encoding="utf-8")
        site = load_site(path)
    loads = [link_load(link) for link in site.links if isinstance(link, ModbusRtuLink | ModbusTcpLink)]
    return round(sum(load.single_ms for load in loads) / sum(load.cycle_ms for load in loads), 3)
