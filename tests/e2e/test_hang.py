"""Processes of a running installation that hang instead of dying: found, told, killed, started again."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.conftest import COURT, QUIET, Installation, wait_for

pytestmark = [pytest.mark.soak, pytest.mark.timeout(300)]

SITE = (
    COURT
    + """
[[link]]
id = "wire"
kind = "serial"
port = "$data/wire"
  [[link.device]]
  id = "radar"
  profile = "water/hlk-ld2410"
"""
)


@pytest.fixture
def court(tmp_path: Path) -> Iterator[Installation]:
    """Running, with one radar."""
    with Installation(tmp_path, SITE, QUIET) as installation:
        installation.start()
        yield installation


def newest(court: Installation) -> int:
    """When the newest reading was received; 0 when there is none."""
    lines = court.lines("readings", "radar", "--since", "10s")
    return int(str(lines[-1]["rx"])) if lines else 0


def test_a_stopped_office_is_told_within_a_minute(court: Installation) -> None:
    """SIGSTOP: alarmed about a minute later while readings go on; killed, and the page is back at its address."""
    wait_for(lambda: newest(court))
    before, began = court.process("office"), time.monotonic()
    os.kill(before, signal.SIGSTOP)
    wait_for(lambda: court.alarms().get("hub-office-down/hub") == "unacked", 90)
    assert time.monotonic() - began < 75.0
    assert newest(court)
    wait_for(lambda: court.process("office") not in (0, before), 60)


def test_a_stopped_field_process_is_started_again(court: Installation) -> None:
    """SIGSTOP: killed after its fifteen seconds, readings go on, and that it hung is told."""
    wait_for(lambda: newest(court))
    before, began = court.process("field"), time.monotonic()
    os.kill(before, signal.SIGSTOP)
    wait_for(lambda: court.process("field") not in (0, before), 60)
    wait_for(lambda: newest(court), 60)
    assert time.monotonic() - began < 45.0
    wait_for(lambda: court.alarms().get("hub-field-restarts/hub") == "unacked", 60)
    assert "has not beaten" in court.output.read_text(encoding="utf-8")


def test_a_field_process_that_keeps_dying_is_told(court: Installation) -> None:
    """Three deaths in ten minutes: started again each time, a little later, and alarmed."""
    for _ in range(3):
        before = court.process("field")
        court.kill("field")
        wait_for(lambda before=before: court.process("field") not in (0, before), 60)  # type: ignore[misc]
    wait_for(lambda: court.alarms().get("hub-field-restarts/hub") == "unacked", 60)
