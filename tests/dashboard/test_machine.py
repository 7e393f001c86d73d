"""The machine itself on the page: a field process that keeps ending, and what had to be thinned."""

import os
import time
from typing import TYPE_CHECKING

import msgspec
import pytest

from hub.processes.state import FILE, Board, Process
from tests.dashboard.conftest import NOW

if TYPE_CHECKING:
    from dashboard.office import Office
    from tests.dashboard.conftest import Browser, Field, StillClock


def noted(office: "Office", process: Process, supervisor: int) -> None:
    """What a supervisor wrote."""
    (office.data / FILE).write_bytes(msgspec.json.encode(Board(supervisor, {"field": process})))


@pytest.mark.parametrize("ends", [1, 4])
def test_a_field_process_that_keeps_ending_is_said(
    office: "Office", admin: "Browser", field: "Field", clock: "StillClock", ends: int
) -> None:
    """How often, and how it ended; only by the word of our own supervisor, and only while it is not up."""
    field.all_well()
    clock.at += 60_000
    at = time.monotonic()
    down = Process(state="down", since=at, how="SIGABRT", ends=(at,) * ends)
    noted(office, down, os.getppid() + 1)
    assert "SIGABRT" not in admin.client.get("/").text
    noted(office, down, os.getppid())
    page = admin.client.get("/").text
    assert (
        "ended 4 times in ten minutes (last SIGABRT)" if ends == 4 else "ended 1 time in ten minutes (SIGABRT)"
    ) in page
    assert "SIGABRT" in admin.client.get("/?lang=zh").text
    noted(office, msgspec.structs.replace(down, state="up"), os.getppid())
    assert "SIGABRT" not in admin.client.get("/").text


def test_what_was_thinned_is_listed(admin: "Browser", field: "Field") -> None:
    """Each pass that took something out, with its span; none, and there is no such heading."""
    field.all_well()
    assert 'id="thinned"' not in admin.client.get("/devices").text
    row = {"at": NOW, "first": 1, "last": 9, "since": NOW - 7_200_000, "until": NOW - 3_600_000}
    field.put("thinned", step_s=60, readings=12345, **row)
    field.put("thinned", step_s=600, readings=0, **row)
    page = admin.client.get("/devices?lang=en").text
    assert "12345 readings taken out" in page
    assert "of each measured value one in 1 min is left" in page
    assert page.count("readings taken out") == 1
