"""`zhian report noise`: from the file, or through the office that holds it; mistakes named, exit 2."""

import asyncio
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner, Result

from device_profiles.door import Refusal
from hub.commands.report import report_command
from hub.history import door
from hub.history.reach import reach
from hub.history.store import StoreError

if TYPE_CHECKING:
    from hub.history.duck import DuckStore
    from tests.hub.reports.conftest import Community


def run(community: "Community", *arguments: str) -> Result:
    """The command on the community's data folder."""
    return CliRunner().invoke(report_command, ["noise", *arguments, "--data", str(community.data)])


class Door:
    """The history's door as the office process keeps it open."""

    def __init__(self, store: "DuckStore", data: Path) -> None:
        """Opens in a thread of its own."""
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        self._serving = asyncio.run_coroutine_threadsafe(door.serve(store, data, door.Chores()), self._loop)
        while not (data / door.SOCKET).exists():
            assert not self._serving.done()

    def close(self) -> None:
        """Shuts."""
        self._serving.cancel()
        asyncio.run_coroutine_threadsafe(self._loop.shutdown_default_executor(), self._loop).result(20)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(20)
        self._loop.close()


@pytest.fixture
def office(october: "Community") -> Iterator[Door]:
    """An office that holds the history."""
    made = Door(october.store, october.data)
    yield made
    made.close()


def test_a_report_is_written(october: "Community", tmp_path: Path) -> None:
    """XLSX and PDF by the file's name, and a summary for who asked; the file's history is read without an office."""
    october.store.close()
    for name, head in (("report.xlsx", b"PK"), ("report.pdf", b"%PDF")):
        result = run(october, "square", "--month", "2026-10", "--out", str(tmp_path / name), "--lang", "en")
        assert result.exit_code == 0, result.output
        assert (tmp_path / name).read_bytes().startswith(head)
    assert "meter-1: Ld 55.5 (3 of 31 days count, 1 above 55), Ln 43.0 (4 of 31, 1 above 45)" in result.output
    assert "meter-2: Ld –" in result.output


def test_the_office_is_asked_while_it_runs(october: "Community", office: Door) -> None:
    """Its samples and its report are the same as from the file, page by page through the socket."""
    result = run(october, "square", "--month", "2026-10", "--json")
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    own = october.report()

    assert told["meters"][0]["month"]["by_day"]["level"] == own.meters[0].month.by_day.level
    assert [len(day["hours"]) for day in told["meters"][0]["month"]["days"]] == [24] * 31
    with reach(october.data, october.site) as history:
        asked = list(history.samples("meter-1", "laeq", 0, 2**60))
    kept = [list(page) for page in october.store.samples("meter-1", "laeq", 0, 2**60)]
    assert [sample for page in asked for sample in page] == [sample for page in kept for sample in page]


def test_an_office_whose_store_fails_is_no_empty_month(october: "Community", office: Door) -> None:
    """The store's words come through the door, and no report is made."""
    october.store.close()

    with pytest.raises(StoreError, match="closed"), reach(october.data, october.site) as history:
        list(history.samples("meter-1", "laeq", 0, 2**60))
    assert run(october, "square", "--json").exit_code == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("square", "--month", "2026-13", "--json"), "'2026-13' is not a month; write 2026-10"),
        (("square", "--out", "report.doc"), "end it with .xlsx or .pdf"),
        (("square",), "--out report.xlsx"),
        (("square", "--json", "--lang", "de"), "'zh', 'en'"),
    ],
)
def test_mistakes_are_named(community: "Community", arguments: tuple[str, ...], said: str) -> None:
    """Exit 2, with what would be right."""
    result = run(community, *arguments)

    assert result.exit_code == 2
    assert said in result.output


def test_a_wrong_zone_is_named(community: "Community") -> None:
    """With the one that was probably meant."""
    result = run(community, "squar", "--json")

    assert isinstance(result.exception, Refusal)
    assert 'did you mean "square"' in str(result.exception)
