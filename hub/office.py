"""The office process: dashboard, users, history and the calendar's jobs of one site, behind the journal.

It may be down, slow or killed without anyone noticing in the yard. While it starts it waits for what is not there yet.
"""

import asyncio
import logging
import socket
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

import msgspec
from sqlalchemy.exc import DBAPIError

from dashboard import create_app
from dashboard.access.anchor import drop_anchor
from dashboard.access.setup import Setup
from dashboard.access.tls import Pair, Tls, pair_of
from dashboard.access.users import renew_login
from dashboard.access.watchman import Watchman
from dashboard.asgi import asgi_app, serve
from dashboard.office import EXTENSION, Office
from dashboard.pages.history import CARRIER
from dashboard.warm import warm_up
from hub.clock import Clock
from hub.control import door as control
from hub.history import door, open_store
from hub.history.sat import Charts
from hub.history.shipper import Shipper
from hub.history.store import HistoryStore, StoreError
from hub.journal.batches import Damaged, Row
from hub.journal.writer import FILE, QUARANTINE_BYTES, connect, quarantine
from hub.keeping.agenda import Agenda, Every, Job, standard_jobs, vaccinations, voice_tests
from hub.keeping.backup import take_snapshot
from hub.keeping.rebuild import rebuild
from hub.processes import broker, hearsay
from hub.reading import Fault, FaultKind
from hub.settings.site import Site
from hub.settings.site_web import Way
from hub.sharing.share import Sharer

LOG = logging.getLogger("zhian.office")
RETRY_S = 2.0
ANCHOR_MIN = 5
WATCH_S = 10.0


async def serve_office(
    site: Site, site_path: Path, data: Path, listener: socket.socket, *, demo: bool, way: Way
) -> None:
    """Run until SIGTERM; whatever else ends a part of it ends all, and the supervisor starts anew.

    `demo`: the login gets a new password at each start, for nobody wrote down the last. Without it the first start
    prints a token for the page on which the first administrator is made.
    """
    clock = Clock.from_environment()
    store = await _store(site, data, clock)
    tls = Tls(pair_of(site, data, Clock().now())) if way is Way.TLS else None
    app = create_app(
        site,
        data,
        clock,
        history=Charts(store, data / FILE),
        secure_cookies=way is not Way.PLAIN,
        hsts=way is Way.PROXY or (tls is not None and not tls.pair.own),
    )
    office: Office = app.extensions[EXTENSION]
    office.watchman.pair = tls.pair if tls is not None else None
    office.watchman.broker_ends = lambda: broker.certificate_ends(site, data)
    password = renew_login(data, clock) if demo else None
    shipper = app.extensions[CARRIER] = Shipper(
        data / FILE, store, clock, damaged=lambda bad: _damaged(data, clock, bad)
    )
    agenda = Agenda(site, clock, _jobs(site, site_path, data, store, office), failed=_job_failed)
    try:
        async with asyncio.TaskGroup() as group:
            behind = [
                group.create_task(shipper.run(), name="history"),
                group.create_task(_watch(office.watchman, data), name="watchman"),
                group.create_task(Sharer(site, data, clock).run(), name="home-assistant"),
                group.create_task(door.serve(store, data, _chores(store, data, clock)), name="door"),
                group.create_task(warm_up(app), name="warm-up"),
            ]
            office.reports.regular(clock.now())
            _say(_welcome(site, listener, tls, office.setup, password))
            await serve(asgi_app(app), listener, tls=tls)
            for task in behind:
                task.cancel()
    finally:
        agenda.close()
        store.close()


def _jobs(site: Site, site_path: Path, data: Path, store: HistoryStore, office: Office) -> list[Job]:
    """What the office does by the calendar and the clock."""
    return [
        *standard_jobs(store, data, site_path, site.history, site.backup),
        voice_tests(site, data),
        vaccinations(site, data),
        Job("audit-anchor", Every(ANCHOR_MIN), lambda now: drop_anchor(office.users, data, now)),
        Job("noise-reports", Every(10), office.reports.regular),
        Job("broker-certificate", Every(60), lambda _: broker.renew_certificate(site, data)),
        Job("page-certificate", Every(60), lambda _: _renew(site, data, office.watchman.pair)),
    ]


def _renew(site: Site, data: Path, shown: Pair | None) -> None:
    """The page's own certificate, where it speaks TLS with one; browsers judge it by real time, a demo's too."""
    if shown is not None and shown.own:
        pair_of(site, data, Clock().now())


async def _watch(watchman: Watchman, data: Path) -> None:
    """What the office knows of its own door is told to the hub, again and again: either may have been restarted."""
    while True:
        try:
            facts = await asyncio.to_thread(watchman.facts)
            await asyncio.to_thread(_tell, data, facts)
        except (control.NotRunning, control.Refused, OSError, sqlite3.Error, DBAPIError) as error:
            LOG.debug("the hub was not told of the door: %s", error)
        await asyncio.sleep(WATCH_S)


def _tell(data: Path, facts: dict[str, str]) -> None:
    for _ in control.ask(data, hearsay.DO, dict(facts), timeout=WATCH_S):
        pass


async def _store(site: Site, data: Path, clock: Clock) -> HistoryStore:
    """The history store, however long it takes: alarms do not wait for it, and the journal remembers meanwhile."""
    while True:
        try:
            return await asyncio.to_thread(open_store, site, data, clock, lambda row, why: _refused(data, row, why))
        except StoreError as error:
            LOG.warning("history cannot be opened yet: %s", error)
            await asyncio.sleep(RETRY_S)


def _chores(store: HistoryStore, data: Path, clock: Clock) -> door.Chores:
    """What the command line may ask of whoever holds the store."""

    def snapshot() -> door.Taken:
        made = take_snapshot(store, data, clock.now())
        if made is None:
            raise StoreError(store.elsewhere)
        return door.Taken(made.at, made.rows)

    return door.Chores(snapshot, lambda wide: rebuild(data, store, clock.now(), snapshot=wide))


def _refused(data: Path, row: Row, why: str) -> None:
    """A reading that the store will never take goes where people can see it."""
    detail = f"history: {why}"
    LOG.warning("a reading of %s was refused by %s", row.device, detail)
    fault = Fault(
        source=row.device, kind=FaultKind.MALFORMED, detail=detail, rx=row.rx, payload=msgspec.json.encode(row)
    )
    _quarantine(data, fault)


def _damaged(data: Path, clock: Clock, bad: Damaged) -> None:
    """Readings that the journal itself cannot give any more: where people see what was refused."""
    LOG.error("readings %d to %d are lost: %s", bad.first, bad.last, bad.words)
    detail = f"history: readings {bad.first} to {bad.last} are lost: {bad.words}"
    _quarantine(data, Fault(source="history", kind=FaultKind.MALFORMED, detail=detail, rx=clock.now(), payload=b""))


def _quarantine(data: Path, fault: Fault) -> None:
    """Once: a server that is fed again refuses the same again."""
    same = "SELECT 1 FROM quarantine WHERE source = ? AND payload = ? AND (payload <> x'' OR detail = ?)"
    payload = (fault.payload or b"")[:QUARANTINE_BYTES]
    with closing(connect(data / FILE)) as db:
        if db.execute(same, (fault.source, payload, fault.detail)).fetchone() is None:
            quarantine(db, fault)


def _job_failed(name: str, error: BaseException) -> None:
    LOG.error("%s failed: %s", name, error)


def _welcome(site: Site, listener: socket.socket, tls: Tls | None, setup: Setup, password: str | None) -> list[str]:
    """What a person wants to know: where the page is and how to know it, and the way in, which is told this once."""
    host, port = listener.getsockname()[:2]
    shown = "127.0.0.1" if host == "0.0.0.0" else host  # noqa: S104  # only compared
    address = f"{'http' if tls is None else 'https'}://{shown}:{port}/"
    lines = [f"{site.name.zh} / {site.name.en}", f"dashboard at {address}"]
    if tls is not None:
        whose = "made here: your browser warns, compare" if tls.pair.own else "the site's"
        lines.append(f"certificate ({whose}) SHA-256 {tls.pair.fingerprint}")
    if password is not None:
        lines.append(f"first login (told this once): admin {password}")
    elif setup.needed():
        lines.append(f"first start: open {address}setup within 30 minutes, token (told this once): {setup.issue()}")
    return lines


def _say(lines: list[str]) -> None:
    sys.stdout.write("".join(f"zhian: {line}\n" for line in lines))
    sys.stdout.flush()
