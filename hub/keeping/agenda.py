"""What the calendar asks for: nightly backup, pruning, forgetting. Never polling, never alarms.

The jobs are plain functions of paths and `now`; `Agenda` only runs them, one at a time, in the site's time zone.
"""

import logging
from collections.abc import Callable, Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from apscheduler.events import EVENT_JOB_ERROR, EVENT_JOB_EXECUTED, EVENT_JOB_MISSED, JobExecutionEvent
from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler

from hub.clock import Clock
from hub.devices.kennel import OVERDUE, VACCINATED, Change, changes
from hub.history.store import HistoryStore
from hub.journal.writer import FILE as JOURNAL
from hub.journal.writer import connect, put_order
from hub.keeping.backup import BACKUPS, Backup, Source, backup, take_snapshot
from hub.keeping.retention import forget_old, forget_traces, prune_journal
from hub.outcome import Order
from hub.settings.site import History, Site
from hub.speaking.outbox import voice_states
from hub.speaking.trial import DAY_MS, EXPIRES_MS, due_trials

KEEP_BACKUPS = 7


class Daily(msgspec.Struct, frozen=True):
    """Once a day, in site time."""

    hour: int
    minute: int = 0


class Every(msgspec.Struct, frozen=True):
    """Again and again."""

    minutes: float


class Job(msgspec.Struct, frozen=True):
    """`run` is given now in ms since 1970; what it raises is reported, and it is run again next time."""

    name: str
    when: Daily | Every
    run: Callable[[int], object]


class Missed(Exception):
    """A job's time passed without it: the machine slept, or another job was not done. It runs at its next time."""


Failed = Callable[[str, BaseException], None]


class Agenda:
    """Runs jobs in one background thread, from now until closed. `failed` is told a job's name and what it raised."""

    def __init__(self, site: Site, clock: Clock, jobs: Sequence[Job], failed: Failed) -> None:
        """Begin at once."""
        self._clock = clock
        self._failed = failed
        self._scheduler = BackgroundScheduler(
            timezone=site.tz,
            executors={"default": ThreadPoolExecutor(1)},  # one at a time
            job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": 3600},
        )
        self._scheduler.add_listener(self._heard, EVENT_JOB_ERROR | EVENT_JOB_EXECUTED | EVENT_JOB_MISSED)
        logging.getLogger("apscheduler").setLevel(logging.CRITICAL)  # `failed` is told, and logs once
        self.done: dict[str, int] = {}
        for job in jobs:
            self._add(job)
        self._scheduler.start()

    def close(self) -> None:
        """No more jobs; waits for the one that runs."""
        self._scheduler.shutdown(wait=True)

    def next_runs(self) -> dict[str, int]:
        """When each job runs next, in ms since 1970."""
        return {job.id: int(job.next_run_time.timestamp() * 1000) for job in self._scheduler.get_jobs()}

    def _add(self, job: Job) -> None:
        def run() -> object:
            return job.run(self._clock.now())

        match job.when:
            case Daily(hour, minute):
                self._scheduler.add_job(run, "cron", id=job.name, hour=hour, minute=minute)
            case Every(minutes):
                self._scheduler.add_job(run, "interval", id=job.name, seconds=minutes * 60)

    def _heard(self, event: JobExecutionEvent) -> None:
        if event.code == EVENT_JOB_EXECUTED:
            self.done[event.job_id] = self._clock.now()
        else:
            self._failed(event.job_id, event.exception or Missed(f"not run at {event.scheduled_run_time}"))


def standard_jobs(store: HistoryStore, data: Path, site_path: Path, history: History | None = None) -> list[Job]:
    """What every site does: pruning each 10 minutes; at night the history is sorted, what is too old and old traces are
    forgotten, and then a backup is made, without them.
    """
    keep = history or History()
    return [
        Job("prune-journal", Every(10), lambda now: prune_journal(data / JOURNAL, now)),
        Job("sort-history", Daily(2), lambda _: store.compact()),
        Job("forget-old", Daily(2, 30), lambda now: forget_old(store, data, keep, now)),
        Job("forget-traces", Daily(3), lambda now: forget_traces(store, data, now, keep.trace_days * DAY_MS)),
        Job("backup", Daily(3, 30), lambda now: nightly_backup(store, data, site_path, now)),
    ]


def voice_tests(site: Site, data: Path) -> Job:
    """Each day at 10:00, when people are awake: the voices that have had no live test for a week are to get one."""

    def put(now: int) -> int:
        with closing(connect(data / JOURNAL)) as db:
            orders = due_trials(site.voices, voice_states(db), now)
            for order in orders:
                put_order(db, order)
        return len(orders)

    return Job("test-voices", Daily(10), put)


def vaccinations(site: Site, data: Path) -> Job:
    """Each hour (a box may be off at midnight): dogs whose certificate has run out go on the list of a rule."""

    def put(now: int) -> int:
        today = datetime.fromtimestamp(now / 1000, site.tz).date()
        with closing(connect(data / JOURNAL)) as db:
            entries = {name: dict(db.execute(_ENTRIES, (name,)).fetchall()) for name in (VACCINATED, OVERDUE)}
            due = changes(entries[VACCINATED], entries[OVERDUE].keys(), today)
            for change in due:
                put_order(db, _list_order(change, now))
        return len(due)

    return Job("vaccinations", Every(60), put)


_ENTRIES = "SELECT id, note FROM entry WHERE list = ?"


def _list_order(change: Change, now: int) -> Order:
    return Order(
        id=0,
        token=f"vaccination/{change.chip}/{change.overdue}/{now // DAY_MS}",
        kind="list-add" if change.overdue else "list-remove",
        target=OVERDUE,
        actor="calendar",
        issued=now,
        expires=now + EXPIRES_MS,
        text=change.chip,
    )


def nightly_backup(store: HistoryStore, data: Path, site_path: Path, now: int) -> Backup:
    """A snapshot of the history, an archive in `backups/`, and only the newest 7 of them kept.

    Raises StoreError, BackupError, OSError.
    """
    take_snapshot(store, data, now)
    folder = data / BACKUPS
    file = folder / f"zhian-{datetime.fromtimestamp(now / 1000, UTC):%Y%m%dT%H%M%SZ}.tar.gz"
    made = backup(data, file, now, site=site_path, force=True, history=Source(elsewhere=store.elsewhere))
    for old in sorted(folder.glob("zhian-*.tar.gz"))[:-KEEP_BACKUPS]:
        old.unlink()
    return made
