"""`zhian bench`: one document with the figures and the conditions under which they were measured."""

import os
import platform

import msgspec
from click.testing import CliRunner

from hub.__main__ import cli
from hub.commands.bench import BENCHES


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
    """The document names machine, versions, length and seed."""
    ran = CliRunner().invoke(cli, ["bench", "modbus", "--json", "--seconds", "1", "--seed", "7"])
    printed = msgspec.json.decode(ran.stdout)
    here = printed["conditions"]

    assert ran.exit_code == 0
    assert printed["bench"] == "modbus"
    assert printed["plan_gain"] >= 1
    assert (here["seconds"], here["seed"]) == (1.0, 7)
    assert here["python"] == platform.python_version()
    assert here["kernel"] == platform.release()
    assert 1 <= here["cores"] <= (os.cpu_count() or 1)
    assert {"zhian", "uvloop", "pymodbus"} <= set(here["packages"])
