"""The office process: dashboard, users, history and the calendar's jobs of one site, behind the journal.

It may be down, slow or killed without anyone noticing in the yard. While it starts it waits for what is not there yet.
"""

import asyncio
import logging
import socket
import sys
from contextlib import closing
from pathlib import Path

import msgspec

from dashboard import create_app
from dashboard.asgi import asgi_app, serve
from dashboard.users import first_login, renew_login
from hub.agenda import Agenda, standard_jobs, vaccinations, voice_tests
from hub.batches import Row
from hub.clock import Clock
from hub.history import door, open_store
from hub.history.shipper import Shipper
from hub.history.store import HistoryStore, StoreError
from hub.journal import FILE, connect, quarantine
from hub.reading import Fault, FaultKind
from hub.site import Site

LOG = logging.getLogger("zhian.office")
RETRY_S = 2.0


async def serve_office(
    site: Site, site_path: Path, data: Path, listener: socket.socket, *, demo: bool, https: bool
) -> None:
    """Run until SIGTERM; whatever else ends a part of it ends all, and the supervisor starts anew.

    `demo`: the first login gets a new password at each start, for nobody wrote down the last. `https`: the page is
    reached by TLS only.
    """
    clock = Clock.from_environment()
    store = await _store(site, data, clock)
    app = create_app(site, data, clock, history=store, secure_cookies=https)
    password = renew_login(data, clock) if demo else first_login(data, clock)
    jobs = [*standard_jobs(store, data, site_path, site.history), voice_tests(site, data), vaccinations(site, data)]
    agenda = Agenda(site, clock, jobs, failed=_job_failed)
    try:
        async with asyncio.TaskGroup() as group:
            shipping = group.create_task(Shipper(data / FILE, store, clock).run(), name="history")
            answering = group.create_task(door.serve(store, data), name="door")
            _welcome(site, listener, password)
            await serve(asgi_app(app), listener)
            shipping.cancel()
            answering.cancel()
    finally:
        agenda.close()
        store.close()


async def _store(site: Site, data: Path, clock: Clock) -> HistoryStore:
    """The history store, however long it takes: alarms do not wait for it, and the journal remembers meanwhile."""
    while True:
        try:
            return await asyncio.to_thread(open_store, site, data, clock, lambda row, why: _refused(data, row, why))
        except StoreError as error:
            LOG.warning("history cannot be opened yet: %s", error)
            await asyncio.sleep(RETRY_S)


def _refused(data: Path, row: Row, why: str) -> None:
    """A reading that the store will never take goes where people can see it."""
    detail = f"history: {why}"
    LOG.warning("a reading of %s was refused by %s", row.device, detail)
    fault = Fault(
        source=row.device, kind=FaultKind.MALFORMED, detail=detail, rx=row.rx, payload=msgspec.json.encode(row)
    )
    with closing(connect(data / FILE)) as db:
        quarantine(db, fault)


def _job_failed(name: str, error: BaseException) -> None:
    LOG.error("%s failed: %s", name, error)


def _welcome(site: Site, listener: socket.socket, password: str | None) -> None:
    """What a person wants to know: where the page is, and the login, which is told this once."""
    host, port = listener.getsockname()[:2]
    shown = "127.0.0.1" if host == "0.0.0.0" else host  # noqa: S104  # only compared
    lines = [f"zhian: {site.name.zh} / {site.name.en}", f"zhian: dashboard at http://{shown}:{port}/"]
    if password is not None:
        lines.append(f"zhian: first login (told this once): admin {password}")
    sys.stdout.write("\n".join(lines) + "\n")
    sys.stdout.flush()
