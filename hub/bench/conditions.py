"""On what a figure was measured: machine, versions, length, seed. Every bench prints them beside its figures.

No measuring here, and nothing that names the machine or its user.
"""

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from typing import Protocol

import msgspec

# What the figures hang on; a package that is not installed is left out.
PACKAGES = (
    "zhian",
    "uvloop",
    "msgspec",
    "mqtt5",
    "pymodbus",
    "pyserial",
    "aiomqtt",
    "duckdb",
    "uvicorn",
    "influxdb-client",
)


class Conditions(msgspec.Struct, frozen=True):
    """`seconds` and `seed` as asked for; `cores` that this process may use; `load_before` = mean of the last minute."""

    seconds: float
    seed: int
    cores: int
    machine: str
    kernel: str
    python: str
    packages: dict[str, str]
    load_before: float


class Bench(Protocol):
    """What a module of this room offers."""

    SECONDS: float

    def measure(self, seconds: float, seed: int) -> msgspec.Struct:
        """Take about `seconds`; the figures, by the names under which they are printed."""


def conditions(seconds: float, seed: int) -> Conditions:
    """Those of here and now: call it before measuring."""
    return Conditions(
        seconds=seconds,
        seed=seed,
        cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        machine=platform.machine(),
        kernel=platform.release(),
        python=platform.python_version(),
        packages=dict(filter(None, map(_package, PACKAGES))),
        load_before=round(os.getloadavg()[0], 2),
    )


def _package(name: str) -> tuple[str, str] | None:
    try:
        return name, version(name)
    except PackageNotFoundError:
        return None
