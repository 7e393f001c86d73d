"""The calendar: jobs run in site time, one at a time, and a failing one is told and tried again."""

import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from hub.clock import Clock
from hub.history.duck import DuckStore
from hub.journal.batches import Row
from hub.keeping.agenda import KEEP_BACKUPS, Agenda, Daily, Every, Job, nightly_backup, standard_jobs
from hub.keeping.backup import restore
from hub.reading import Label
from hub.settings.site import Site

if TYPE_CHECKING:
    from tests.hub.history.conftest import JournalFile, SetClock

SITE = Site(id="zhongshan", name=Label(zh="中山花园", en="Zhongshan"), timezone="Asia/Shanghai", zones=(), links=())
OFTEN = Every(0.0002)  # 12 ms


class Failures(list[tuple[str, BaseException]]):
    """What an agenda told."""

    def __call__(self, name: str, error: BaseException) -> None:
        """One failure."""
        self.append((name, error))


@pytest.fixture
def failures() -> Failures:
    """None yet."""
    return Failures()


@pytest.fixture
def begin(failures: Failures, clock: "SetClock") -> Iterator[Callable[..., Agenda]]:
    """Starts agendas of the given jobs, and closes them."""
    begun: list[Agenda] = []

    def start(*jobs: Job) -> Agenda:
        agenda = Agenda(SITE, clock, jobs, failures)
        begun.append(agenda)
        return agenda

    yield start
    for agenda in begun:
        agenda.close()


def _until(true: Callable[[], object]) -> None:
    give_up = time.monotonic() + 20
    while not true():
        assert time.monotonic() < give_up
        time.sleep(0.005)


def test_a_job_is_given_the_clocks_now(begin: Callable[..., Agenda], clock: "SetClock") -> None:
    """Jobs never ask for the time themselves."""
    given: list[int] = []
    agenda = begin(Job("look", OFTEN, given.append))
    _until(lambda: len(given) >= 2)
    assert set(given) == {clock.at}
    _until(lambda: agenda.done.get("look") == clock.at)


def test_a_failing_job_is_told_and_runs_again(begin: Callable[..., Agenda], failures: Failures) -> None:
    """What it raises goes to the callback with its name; neither its schedule nor another job's ends."""
    others: list[int] = []

    def fail(now: int) -> None:
        raise OSError("the disk is gone")

    begin(Job("bad", OFTEN, fail), Job("good", OFTEN, others.append))
    _until(lambda: len(others) >= 3 and sum(str(error) == "the disk is gone" for _, error in failures) >= 2)
    assert {name for name, error in failures if isinstance(error, OSError)} == {"bad"}


def test_jobs_run_one_at_a_time(begin: Callable[..., Agenda]) -> None:
    """Two jobs that are due at once run one after the other."""
    inside: list[int] = []
    most: list[int] = []
    lock = threading.Lock()

    def work(now: int) -> None:
        with lock:
            inside.append(1)
            most.append(len(inside))
        time.sleep(0.01)
        with lock:
            inside.pop()

    begin(Job("a", OFTEN, work), Job("b", OFTEN, work), Job("c", OFTEN, work))
    _until(lambda: len(most) >= 6)
    assert set(most) == {1}


def test_daily_means_site_time(begin: Callable[..., Agenda]) -> None:
    """03:30 in Shanghai is 19:30 UTC, wherever the server stands."""
    agenda = begin(Job("backup", Daily(3, 30), lambda now: None))
    due = datetime.fromtimestamp(agenda.next_runs()["backup"] / 1000, UTC)
    assert (due.hour, due.minute) == (19, 30)
    assert timedelta(0) < due - datetime.fromtimestamp(Clock().now() / 1000, UTC) <= timedelta(days=1)


def test_every_site_prunes_forgets_and_backs_up(tmp_path: Path, begin: Callable[..., Agenda], duck: DuckStore) -> None:
    """The standard jobs are in the calendar, traces being forgotten before the backup is made."""
    due = begin(*standard_jobs(duck, tmp_path, tmp_path / "site.toml")).next_runs()
    assert set(due) == {"prune-journal", "sort-history", "forget-old", "forget-traces", "backup"}
    assert (due["backup"] - due["forget-traces"]) % 86_400_000 == 30 * 60_000


def test_the_nightly_backup_can_be_restored_and_old_ones_go(
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
    journal: "JournalFile",
    duck: DuckStore,
    row: Callable[..., Row],
) -> None:
    """While the office holds the history, each night makes an archive with all of it; the newest 7 stay."""
    journal.read(5)
    duck.append([row(n) for n in range(1, 6)], 5)
    site = tmp_path_factory.mktemp("etc") / "site.toml"
    site.write_text('[site]\nid = "zhongshan"\n')
    start = 1_760_000_000_000
    for night in range(KEEP_BACKUPS + 2):
        made = nightly_backup(duck, tmp_path, site, start + night * 86_400_000)
    kept = sorted((tmp_path / "backups").iterdir())
    assert len(kept) == KEEP_BACKUPS
    assert kept[-1] == made.path
    assert kept[-1].name == "zhian-20251017T085320Z.tar.gz"
    target = tmp_path_factory.mktemp("new") / "data"
    assert restore(kept[-1], target).manifest.history.rows == 5
    assert (target / "site.toml").read_text() == site.read_text()
    assert len(list((tmp_path / "history-snapshots").iterdir())) == 1
