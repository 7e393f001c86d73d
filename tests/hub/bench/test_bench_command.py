"""`zhian bench`: one document with the figures and the conditions under which they were measured."""

import os
import platform
import subprocess
import sys
from pathlib import Path

import msgspec
from click.testing import CliRunner

from hub.__main__ import cli
from hub.commands.bench import BENCHES

ROOT = Path(__file__).parents[3]


def test_every_bench_says_what_it_is() -> None:
    """Each name in the list can be called, with the same options and a line of help of its own."""
    listed = CliRunner().invoke(cli, ["bench", "--help"]).output

    for name in BENCHES:
        assert f"\n  {name} " in listed
        helped = CliRunner().invoke(cli, ["bench", name, "--help"])
        assert helped.exit_code == 0
        assert {"--json", "--seconds", "--seed"} <= set(helped.output.split())


def test_unknown_bench() -> None:
    """A bench that is none is the user's mistake."""
    assert CliRunner().invoke(cli, ["bench", "weather"]).exit_code == 2


def test_conditions_stand_beside_the_figures() -> None:
    """The document names machine, versions, length and seed beside figures that were really measured."""
    command = [sys.executable, "-m", "hub", "bench", "modbus", "--json", "--seconds", "1.5", "--seed", "7"]
    ran = subprocess.run(command, capture_output=True, timeout=100, cwd=ROOT, check=False)
    printed = msgspec.json.decode(ran.stdout)
    here = printed["conditions"]

    assert ran.returncode == 0
    assert printed["bench"] == "modbus"
    assert printed["plan_gain"] >= 1
    assert printed["plan_gain_30_units"] >= 1
    assert min(printed["requests_per_s"], printed["pymodbus_requests_per_s"], printed["outstanding_requests_per_s"]) > 0
    assert 0 < printed["healthy_cadence"] <= 1
    assert 0 <= printed["dead_bus_share"] <= 1
    jitters = printed["jitter_p50_ms"], printed["jitter_p99_ms"]
    assert jitters == (None, None) or 0 <= jitters[0] <= jitters[1]  # a busy machine may ask no unit twice in the time
    assert printed["tcp_devices"] == 20  # a thousand in a run of 10 s and more
    assert printed["tcp_cadence"] > 0
    assert 0 <= printed["tcp_cpu_share"] < 2
    assert (here["seconds"], here["seed"]) == (1.5, 7)
    assert here["python"] == platform.python_version()
    assert here["kernel"] == platform.release()
    assert 1 <= here["cores"] <= (os.cpu_count() or 1)
    assert {"zhian", "uvloop", "pymodbus"} <= set(here["packages"])
