"""Killed before any of its acts, an update leaves the old version or the new one, and the next call ends it."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest

from tests.hub.update.killed import Left

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[3]
MEMORY = "/dev/shm"


@pytest.fixture(scope="module")
def killed() -> Callable[[str], list[Left]]:
    """What every kill of an update to a version left behind; made once a version."""

    @cache
    def kills(version: str) -> list[Left]:
        memory = MEMORY if os.access(MEMORY, os.W_OK) else None  # thousands of fsync calls, and no power is cut
        with tempfile.TemporaryDirectory(prefix="zhian-killed-", dir=memory) as folder:
            call = [sys.executable, "-m", "tests.hub.update.killed", folder, version]
            done = subprocess.run(call, cwd=ROOT, capture_output=True, check=False, timeout=100)
        assert done.returncode == 0, done.stderr.decode()
        return [msgspec.json.decode(line, type=Left) for line in done.stdout.splitlines()]

    return kills


@pytest.mark.parametrize(
    ("version", "ends"),
    [("1.0.1", "1.0.1"), ("1.0.2", "1.0.0"), ("1.2.0", "1.0.0")],
    ids=["well", "not well", "not well, and has changed a file's form"],
)
def test_killed_before_any_act(killed: Callable[[str], list[Left]], version: str, ends: str) -> None:
    """Old or new runs, from a whole folder; the next call ends as an update that nobody killed, and clears up."""
    place = {"1.0.0": ".venv"}.get(ends, f"versions/{ends}")
    found = killed(version)

    assert len(found) > 20, "an update does more than that"
    assert [left for left in found if not left.whole or left.link not in (".venv", f"versions/{version}")] == []
    assert [left for left in found if (left.afterwards, left.link_afterwards) != (ends, place)] == []
    assert [left.rubbish for left in found if left.rubbish] == []
    assert {tuple(left.rows) for left in found} == {("old",)}


@pytest.mark.parametrize("version", ["1.0.1", "1.0.2"])
def test_something_runs_at_once(killed: Callable[[str], list[Left]], version: str) -> None:
    """Without anybody's help, at every act: the service is never left standing."""
    assert {left.at_once for left in killed(version)} == {"1.0.0", version}


def test_while_files_are_put_back_nothing_runs(killed: Callable[[str], list[Left]]) -> None:
    """The one gap, which docs/operations.md tells of: the service stands still until the next call or start."""
    found = [left for left in killed("1.2.0") if left.at_once == ""]

    assert found
    assert {left.link for left in found} == {".venv"}
