"""The maker: one thing at a time in a thread of its own, reports by themselves when a month is over, failures said."""

import threading
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import pytest

from hub.history.sat import Measured
from hub.history.store import Sample, StoreError
from hub.reports import maker as room
from hub.reports.maker import RECENT_DAYS, Maker
from hub.reports.shelf import FOLDER, Wanted, all_of, papers, wanted_of

if TYPE_CHECKING:
    from tests.hub.reports.conftest import Community

XLSX = Wanted("square", "2026-10", "zh", "xlsx")


@pytest.fixture
def make(october: "Community") -> Iterator[Callable[..., Maker]]:
    """Makes makers over the community's store, or another one."""
    from tests.hub.reports.conftest import title

    made: list[Maker] = []

    def begin(samples: object = None) -> Maker:
        store = samples or october.store
        made.append(Maker(october.site, october.data, october.clock, store, title))  # type: ignore[arg-type]  # a double
        return made[-1]

    yield begin
    for each in made:
        each.close()


class Gated:
    """A history that answers when it is let, and counts who asks at once."""

    def __init__(self) -> None:
        """Shut."""
        self.open = threading.Event()
        self.asked = threading.Event()
        self.most = self.now = 0

    def samples(self, device: str, quantity: str, since_ms: int, until_ms: int) -> Iterator[Sequence[Sample]]:
        """Nothing, once it is open."""
        self.now += 1
        self.most = max(self.most, self.now)
        self.asked.set()
        assert self.open.wait(20)
        self.now -= 1
        yield [(since_ms + 1, 50.0)]


def evening(maker: Maker, october: "Community") -> float | None:
    """The level of a loud hour as the page has it."""
    device = october.site.devices()["meter-1"]
    maker.look([device])
    maker.idle()
    days = {str(day.day): day for day in maker.days(device) or ()}
    return days["2026-10-02"].hours[13].laeq


def test_what_is_written_down_afterwards_changes_what_was_made(
    make: Callable[..., Maker], october: "Community"
) -> None:
    """The report of that month and the newest days are made anew, once; other months, and zones, stay as they are."""
    maker = make(Measured(october.store, october.data / "journal.sqlite"))
    october.clock.at = october.local("2026-10-05T12:00")
    others = Wanted("square", "2026-09", "zh", "xlsx"), Wanted("hall", "2026-10", "zh", "xlsx")
    for wanted in (XLSX, *others):
        maker.ask([wanted])
    maker.idle()
    assert evening(maker, october) == pytest.approx(68.0)
    made = {paper.wanted: paper.made for paper in papers(october.data)}
    assert maker.renew() == []

    october.clock.at += 3_600_000
    october.calibrated("2026-10-02T19:00", "2026-10-02T21:00:01")
    october.clock.at += 60_001
    assert maker.renew() == [XLSX]
    maker.idle()
    again = {paper.wanted: paper.made for paper in papers(october.data)}
    assert {wanted for wanted in made if again[wanted] != made[wanted]} == {XLSX}
    assert evening(maker, october) is None
    assert maker.renew() == []


class Broken:
    """A history that cannot be read."""

    def samples(self, device: str, quantity: str, since_ms: int, until_ms: int) -> Iterator[Sequence[Sample]]:
        """It is down."""
        raise StoreError("influxdb: connection refused")


def test_a_report_is_made_and_stands_on_the_shelf(make: Callable[..., Maker], october: "Community") -> None:
    """Whole, for its owner alone, with the time of its figures; nothing else is left behind."""
    maker = make()

    assert maker.ask([XLSX])
    maker.idle()
    (paper,) = papers(october.data)
    assert (paper.wanted, paper.made) == (XLSX, october.clock.at)
    assert [path.name for path in (october.data / FOLDER).iterdir()] == [XLSX.name]
    assert (october.data / FOLDER).stat().st_mode & 0o077 == 0
    assert maker.jobs() == []


def test_a_month_that_is_over_is_made_once(make: Callable[..., Maker], october: "Community") -> None:
    """On the first of the month, once the last night is over: all languages and formats of zones with data, once."""
    maker = make()
    october.clock.at = october.local("2026-11-01T05:59")
    maker.regular(october.clock.at)
    maker.idle()
    assert papers(october.data) == []  # still October's last night

    october.clock.at = october.local("2026-11-01T06:05")
    assert {wanted.zone for wanted in maker.month_end(october.clock.at)} == {"square", "hall"}
    maker.idle()
    assert {paper.wanted for paper in papers(october.data)} == set(all_of("square", "2026-10"))  # the hall has no data
    assert {wanted.zone for wanted in maker.month_end(october.clock.at)} == {"hall"}


def test_a_report_from_before_the_months_end_is_made_anew(make: Callable[..., Maker], october: "Community") -> None:
    """What somebody had made in the middle of the month does not stand for the month."""
    maker = make()
    october.clock.at = october.local("2026-10-20T12:00")
    maker.ask([XLSX])
    maker.idle()
    october.clock.at = october.local("2026-11-01T07:00")
    maker.regular(october.clock.at)
    maker.idle()

    assert {paper.made for paper in papers(october.data)} == {october.clock.at}
    assert len(papers(october.data)) == 4


def test_one_at_a_time_and_only_so_many(make: Callable[..., Maker], monkeypatch: pytest.MonkeyPatch) -> None:
    """The same one asked for twice is one job; what is too much is refused; two are never made at once."""
    monkeypatch.setattr(room, "MOST_WAITING", 3)
    gate = Gated()
    maker = make(gate)
    months = [Wanted("hall", f"2026-0{month}", "zh", "xlsx") for month in range(1, 6)]

    assert [maker.ask([each]) for each in (*months[:3], months[0], months[3])] == [True, True, True, True, False]
    assert gate.asked.wait(20)
    assert len(maker.jobs()) == 3
    gate.open.set()
    maker.idle()
    assert gate.most == 1
    assert maker.ask([months[3]])


def test_a_failure_is_said_and_tried_again(make: Callable[..., Maker], october: "Community") -> None:
    """The job stays with the store's words until somebody asks again."""
    maker = make(Broken())
    maker.ask([XLSX])
    maker.idle()
    assert [(job.wanted, job.trouble) for job in maker.jobs()] == [(XLSX, "influxdb: connection refused")]
    assert papers(october.data) == []

    maker.ask([XLSX])
    maker.idle()
    assert [job.trouble for job in maker.jobs()] == ["influxdb: connection refused"]


def test_closing_ends_what_runs(make: Callable[..., Maker]) -> None:
    """An office that stops does not wait for a year of samples."""
    gate = Gated()
    maker = make(gate)
    maker.ask([XLSX])
    assert gate.asked.wait(20)
    threading.Timer(0.05, gate.open.set).start()
    maker.close()

    assert maker.ask([XLSX])  # refused by nobody, made by nobody
    assert [job.wanted for job in maker.jobs()] == [XLSX]


def test_the_newest_days_are_kept_and_renewed(make: Callable[..., Maker], october: "Community") -> None:
    """A page gets what is known at once, and days that are over are not read again."""
    asked: list[int] = []

    class Counting:
        """Tells how far back was asked."""

        def samples(self, device: str, quantity: str, since_ms: int, until_ms: int) -> Iterator[Sequence[Sample]]:
            """As the store."""
            asked.append(since_ms)
            yield from october.store.samples(device, quantity, since_ms, until_ms)

    maker = make(Counting())
    october.clock.at = october.local("2026-10-05T10:00")
    device = october.site.devices()["meter-1"]

    assert maker.days(device) is None
    maker.idle()
    days = maker.days(device)
    assert days is not None
    assert [day.day.day for day in days] == [28, 29, 30, 1, 2, 3, 4, 5]
    assert len(days) == RECENT_DAYS
    first = len(asked)
    assert maker.days(device) == days
    maker.idle()
    assert len(asked) == first  # fresh enough

    october.clock.at += 600_000
    maker.days(device)
    maker.idle()
    assert min(asked[first:]) > october.local("2026-10-05T05:49")


@pytest.mark.parametrize(
    "name",
    [
        "../journal.sqlite",
        "noise-square-2026-10-zh.xlsx.bak",
        ".noise-square-2026-10-zh.part.xlsx",
        "noise-a-2026-13-zh.pdf",
    ],
)
def test_only_reports_are_on_the_shelf(name: str) -> None:
    """A file of another name is none, whatever stands in the folder."""
    assert wanted_of(name) is None
    assert wanted_of("noise-north-gate-2026-10-zh.pdf") == Wanted("north-gate", "2026-10", "zh", "pdf")
