"""Makes reports and the newest days' figures in one thread of its own, one at a time, so that no page waits for them.

Bounded: only so many jobs wait. A job that fails says so where people look, and is tried when asked again.
"""

import logging
import sqlite3
import threading
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import date, timedelta
from functools import partial
from pathlib import Path

import msgspec

from hub.calendar.schedule import parse_span
from hub.clock import Clock
from hub.figures.month import NoiseDay
from hub.figures.periods import cells, month_before, month_days, noise_day
from hub.history.store import StoreError
from hub.journal.file import FILE as JOURNAL
from hub.reports.noise import NoiseReport, Samples, Titles, noise_meters, noise_report, recent_days
from hub.reports.shelf import Wanted, all_of, papers, shelve
from hub.settings.site import Device, Site

LOG = logging.getLogger("zhian.office")
MOST_WAITING = 200
RECENT_DAYS = 8  # today and a week
STALE_MS = 60_000
LATE_MS = 3_600_000  # a day is done when readings that were held up have had this long to come


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """One report on its way. `done` 0 to 1; `trouble` says why it failed."""

    wanted: Wanted
    done: float = 0.0
    trouble: str = ""


class Stopping(Exception):
    """The office stops: what is half done is dropped."""


class Maker:
    """May be asked from any thread. Close it before the store that it reads."""

    def __init__(self, site: Site, data: Path, clock: Clock, samples: Samples, titles: Titles) -> None:
        """Starts no thread until there is something to do."""
        self._site, self._data, self._clock, self._samples, self._titles = site, data, clock, samples, titles
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="reports")
        self._lock = threading.Lock()
        self._jobs: dict[Wanted, Job] = {}
        self._days: dict[str, dict[date, NoiseDay]] = {}
        self._looked: dict[str, int] = {}
        self._looking: set[str] = set()
        self._stop = threading.Event()

    def close(self) -> None:
        """Drop what waits, end what runs."""
        self._stop.set()
        self._pool.shutdown(wait=True, cancel_futures=True)

    def ask(self, wanted: Iterable[Wanted]) -> bool:
        """Have these reports of one zone and month made; False when too many wait already."""
        with self._lock:
            fresh = [each for each in wanted if each not in self._jobs or self._jobs[each].trouble]
            waiting = sum(not job.trouble for job in self._jobs.values())
            if waiting + len(fresh) > MOST_WAITING:
                return False
            if len(self._jobs) > MOST_WAITING:  # what failed and was never asked for again
                self._jobs = {each: job for each, job in self._jobs.items() if not job.trouble}
            self._jobs.update({each: Job(wanted=each) for each in fresh})
        if fresh:
            self._submit(partial(self._make, fresh), partial(self._failed, fresh))
        return True

    def jobs(self) -> list[Job]:
        """What waits, runs or has failed."""
        with self._lock:
            return list(self._jobs.values())

    def days(self, device: Device) -> list[NoiseDay] | None:
        """The meter's newest days as they were last looked at, and a look at those that have changed since.

        None: not looked at yet, ask again in a moment.
        """
        self.look([device])
        with self._lock:
            found = self._days.get(device.id)
            return None if found is None else [found[day] for day in sorted(found)]

    def look(self, devices: Iterable[Device]) -> None:
        """Bring the newest days of these meters up to date, where they are older than STALE_MS."""
        now = self._clock.now()
        for device in devices:
            with self._lock:
                fresh = abs(now - self._looked.get(device.id, -STALE_MS)) < STALE_MS
                if fresh or device.id in self._looking:
                    continue
                self._looking.add(device.id)
            self._submit(partial(self._look, device), partial(self._blind, device))

    def month_end(self, now: int) -> list[Wanted]:
        """Have the last month's reports made that are not there yet, or were made before it was over."""
        today = noise_day(now, parse_span(self._site.night), self._site.tz)
        month = month_before(today)
        made = {paper.wanted: paper.made for paper in papers(self._data)}
        over = noise_month_end(self._site, month)
        missing = []
        for zone in {device.zone: None for device in noise_meters(self._site) if device.zone}:
            wanted = [each for each in all_of(zone, month) if made.get(each, 0) < over]
            if wanted and self.ask(wanted):
                missing += wanted
        return missing

    def regular(self, now: int) -> None:
        """What the calendar asks for, again and again: the newest days, and the reports of a month that is over."""
        self.look(noise_meters(self._site))
        self.month_end(now)

    def idle(self) -> None:
        """Return when everything that was asked for so far is done. For tests and the end of a command."""
        self._pool.submit(lambda: None).result()

    # --- in the thread ---------------------------------------------------------------------------------------

    def _submit(self, work: Callable[[], None], failed: Callable[[str], None]) -> None:
        def ended(future: "Future[None]") -> None:
            error = None if future.cancelled() else future.exception()
            if error is None or isinstance(error, Stopping):
                return
            if isinstance(error, StoreError | sqlite3.Error | OSError):
                LOG.warning("reports: %s", error)
            else:
                LOG.error("reports: a job failed", exc_info=error)
            failed(str(error) or type(error).__name__)

        try:
            self._pool.submit(work).add_done_callback(ended)
        except RuntimeError:  # the pool is closed: the office stops
            failed("")

    def _make(self, wanted: list[Wanted]) -> None:
        first = wanted[0]
        zone = self._site.zones_by_id()[first.zone]
        report = noise_report(
            self._site, zone, first.month, self._samples, self._data / JOURNAL, self._titles, self._clock.now(),
            lambda share: self._told(wanted, share),
        )  # fmt: skip
        for each in wanted:
            self._go_on()
            if len(wanted) == 1 or measured(report):  # nobody wants four empty reports that were not asked for
                shelve(report, self._site, each, self._data)
            with self._lock:
                del self._jobs[each]

    def _told(self, wanted: list[Wanted], share: float) -> None:
        self._go_on()
        with self._lock:
            self._jobs.update({each: Job(wanted=each, done=share) for each in wanted})

    def _failed(self, wanted: list[Wanted], why: str) -> None:
        with self._lock:
            self._jobs.update({each: Job(wanted=each, trouble=why) for each in wanted if each in self._jobs})

    def _look(self, device: Device) -> None:
        self._go_on()
        now = self._clock.now()
        today = noise_day(now, parse_span(self._site.night), self._site.tz)
        wanted = [today - timedelta(days=n) for n in reversed(range(RECENT_DAYS))]
        with self._lock:
            known: Mapping[date, NoiseDay] = self._days.get(device.id, {})
        first = next(day for day in wanted if day == today or not _done(known.get(day), self._looked.get(device.id, 0)))
        fresh = {
            each.day: each for each in recent_days(self._site, device, self._samples, now, (today - first).days + 1)
        }
        with self._lock:
            self._days[device.id] = {day: found for day in wanted if (found := fresh.get(day) or known.get(day))}
            self._looked[device.id] = now
            self._looking.discard(device.id)

    def _blind(self, device: Device, why: str) -> None:
        LOG.info("the days of %s: %s", device.id, why)
        with self._lock:
            self._looking.discard(device.id)

    def _go_on(self) -> None:
        if self._stop.is_set():
            raise Stopping


def measured(report: NoiseReport) -> bool:
    """Whether there is anything in it."""
    return any(meter.month.coverage for meter in report.meters)


def noise_month_end(site: Site, month: str) -> int:
    """When a noise month is over: with the night that begins on its last day. In ms since 1970."""
    last = month_days(month)[1]
    return cells(last, last, parse_span(site.night), site.tz)[-1].end


def _done(day: NoiseDay | None, looked: int) -> bool:
    return day is not None and bool(day.hours) and day.hours[-1].end + LATE_MS <= looked
