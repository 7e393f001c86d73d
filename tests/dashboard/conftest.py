"""A community for the dashboard's tests: the demo's site, a journal made from the real schema, rows put in by hand.

The clock stands still unless a test moves it; the office runs on it as Flask test client, or in uvicorn on a free port.
"""

import asyncio
import contextlib
import re
import shutil
import socket
import sqlite3
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from string import Template
from typing import Any

import msgspec
import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from sqlalchemy.orm import Session

from dashboard import create_app
from dashboard.access import sessions
from dashboard.access.roles import ROLES
from dashboard.access.tables import User
from dashboard.access.users import create_user, open_office
from dashboard.asgi import OfficeApp, asgi_app, serve
from dashboard.office import EXTENSION, Office
from hub.clock import Clock
from hub.history.store import Bucket
from hub.journal import batches
from hub.reading import Reading
from hub.rules.door import Rule, load_rules
from hub.settings.door import load_site
from hub.settings.site import Site
from tests.dashboard.compiled import Compiled

ROOT = Path(__file__).parents[2]
NOW = 1_760_000_000_000  # 2025-10-09 16:53:20 in Shanghai
PASSWORD = "correct horse battery"


class StillClock(Clock):
    """A clock that only moves when it is told to."""

    def __init__(self, at: int = NOW) -> None:
        """It is `at` ms since 1970."""
        super().__init__()
        self.at = at

    def now(self) -> int:
        """What it was told."""
        return self.at


class ListHistory:
    """A history store of a few readings, (device, quantity, ts, value)."""

    def __init__(self) -> None:
        """Empty."""
        self.kept: list[tuple[str, str, int, float | str]] = []
        self.happened: list[batches.Row] = []

    def series(self, device: str, quantity: str, since_ms: int, until_ms: int, points: int) -> list[Bucket]:
        """One bucket a reading."""
        found = [row for row in self.kept if row[:2] == (device, quantity) and since_ms <= row[2] < until_ms]
        return [Bucket(ts, value, value, value, 1) for _, _, ts, value in found if not isinstance(value, str)][:points]

    def samples(self, device: str, quantity: str, since_ms: int, until_ms: int) -> Iterator[list[tuple[int, float]]]:
        """All on one page."""
        found = self._between(device, quantity, since_ms, until_ms)
        yield [(ts, value) for ts, value in found if not isinstance(value, str)]

    def states(self, device: str, quantity: str, since_ms: int, until_ms: int) -> Iterator[list[tuple[int, str]]]:
        """All on one page."""
        found = self._between(device, quantity, since_ms, until_ms)
        yield [(ts, value) for ts, value in found if isinstance(value, str)]

    def last_before(self, device: str, quantity: str, before_ms: int) -> tuple[int, float] | tuple[int, str] | None:
        """The newest of before."""
        found = self._between(device, quantity, 0, before_ms)
        return found[-1] if found else None  # type: ignore[return-value]  # a value is one or the other

    def _between(self, device: str, quantity: str, since: int, until: int) -> list[tuple[int, float | str]]:
        return sorted((ts, v) for *series, ts, v in self.kept if series == [device, quantity] and since <= ts < until)

    def happen(self, device: str, quantity: str, ts: int, value: str, **detail: str) -> None:
        """An event that history keeps."""
        text = msgspec.json.encode(detail).decode() if detail else None
        self.happened.append(batches.Row(len(self.happened) + 1, device, quantity, ts, ts, value, "good", detail=text))

    def events(self, device: str, quantity: str, since_ms: int, until_ms: int, limit: int) -> list[batches.Row]:
        """Newest first."""
        found = [row for row in self.happened if (row.device, row.quantity) == (device, quantity)]
        found = [row for row in found if since_ms <= row.ts < until_ms]
        return sorted(found, key=lambda row: row.ts, reverse=True)[:limit]


class Field:
    """Writes rows as the hub would, with defaults for what a test does not care about."""

    def __init__(self, path: Path, site: Site) -> None:
        """Make the journal."""
        self.site = site
        self.db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=5)
        self.db.execute("PRAGMA journal_mode = WAL")
        self.db.execute("PRAGMA synchronous = OFF")  # a test's journal need not outlive a power cut
        self.db.executescript((ROOT / "hub" / "journal" / "schema.sql").read_text())

    def put(self, table: str, **row: object) -> int:
        """INSERT OR REPLACE one row; returns its rowid."""
        names, marks = ", ".join(f'"{name}"' for name in row), ", ".join("?" * len(row))
        cursor = self.db.execute(f"INSERT OR REPLACE INTO {table} ({names}) VALUES ({marks})", list(row.values()))
        return cursor.lastrowid or 0

    def beat(self, at: int = NOW) -> None:
        """The hub lives."""
        self.put("meta", key="heartbeat", value=str(at))

    def all_well(self, at: int = NOW) -> None:
        """Every cable is up, every device works and has said something."""
        self.beat(at)
        for link in self.site.links:
            self.put("health", source=link.id, kind="link", state="up", since=at - 3_600_000, detail="", last_rx=at)
        for device in self.site.devices().values():
            self.put("health", source=device.id, kind="device", state="ok", since=at - 3_600_000, last_rx=at - 400)

    def health(self, source: str, state: str, since: int = NOW - 60_000, detail: str = "") -> None:
        """A device or link is in this state."""
        kind = "device" if source in self.site.devices() else "link"
        self.put("health", source=source, kind=kind, state=state, since=since, last_rx=since, detail=detail, faults=3)

    def read(self, device: str, quantity: str, value: float | str, ts: int = NOW, **detail: str) -> int:
        """A reading, in a batch of its own and in `latest`."""
        row = {
            "device": device,
            "quantity": quantity,
            "ts": ts,
            "rx": ts,
            "value": value,
            "quality": "good",
            "detail": msgspec.json.encode(detail).decode() if detail else None,
        }
        self.put("latest", **row)
        number = batches.last_seq(self.db) + 1
        reading = Reading(device=device, quantity=quantity, value=value, ts=ts, rx=ts, detail=detail or None)
        batches.add(self.db, number, [reading])
        return number

    def alarm(self, rule: str, source: str, *, severity: str = "P2", raised: int = NOW - 60_000, **more: Any) -> int:
        """An open alarm and its first flip; returns the occurrence's id. `more`: columns of either table."""
        device = self.site.devices().get(source)
        key, occurrence = more.pop("key", f"{rule}/{source}"), more.pop("occurrence", 1)
        both = {
            "key": key,
            "occurrence": occurrence,
            "rule": rule,
            "source": source,
            "zone": more.pop("zone", device.zone if device else ""),
            "severity": severity,
            "quantity": more.pop("quantity", ""),
            "value": more.pop("value", None),
            "limit": more.pop("limit", None),
            "raised": raised,
            "cleared": more.get("cleared"),
            "acked": more.get("acked"),
            "acked_by": more.get("acked_by", ""),
            "activations": more.pop("activations", 1),
        }
        overlay = {name: more.pop(name) for name in ("shelved_until", "suppressed", "out_of_service") if name in more}
        state = more.pop("state", "unacked" if more.get("acked") is None else "acked")
        self.put("alarm", **both, **overlay, filter="on", since=raised, last=raised, state=state, announced=1)
        number = self.put("occurrence", **both, **{k: v for k, v in more.items() if k not in both})
        self.flip(number, "raised", at=raised)
        return number

    def flip(self, number: int, event: str, *, at: int = NOW, actor: str = "", note: str = "") -> int:
        """A line in an alarm's timeline."""
        sql = "SELECT key, occurrence FROM occurrence WHERE id = ?"
        key, occurrence = self.db.execute(sql, (number,)).fetchone()
        about = {"key": key, "occurrence": occurrence, "before": "normal", "after": "unacked"}
        return self.put("flip", at=at, event=event, actor=actor, note=note, **about)

    def order(self, kind: str, target: str, **more: object) -> int:
        """An order of somebody's."""
        defaults = {"token": f"t{NOW}{target}{len(more)}", "actor": "lin", "issued": NOW, "expires": NOW + 60_000}
        return self.put("orders", **{**defaults, "kind": kind, "target": target, **more})

    def orders(self) -> list[dict[str, Any]]:
        """All orders, oldest first."""
        cursor = self.db.execute("SELECT * FROM orders ORDER BY id")
        names = [column[0] for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor]


class Buffered(FlaskClient):
    """A test client that reads every answer to its end, so that no file stays open."""

    def open(self, *args: Any, **kwargs: Any) -> Any:  # Any: as werkzeug
        """One request."""
        return super().open(*args, **{"buffered": True, **kwargs})


class Browser:
    """A Flask test client that fills in the CSRF token as a page's form would."""

    def __init__(self, app: Flask) -> None:
        """Signed out."""
        app.test_client_class = Buffered
        self.client: Any = app.test_client()  # Any: the JSON of its answers has no type
        self.client.environ_base["HTTP_ACCEPT_LANGUAGE"] = "en"

    def token(self, path: str = "/login") -> str:
        """The CSRF token of a page's form."""
        found = re.search(r'name="csrf_token" value="([^"]+)"', self.client.get(path).text)
        assert found is not None, f"no form on {path}"
        return found[1]

    def sign_in(self, name: str, password: str = PASSWORD, *, address: str = "127.0.0.1") -> int:
        """Try; returns the answer's status."""
        form = {"name": name, "password": password, "csrf_token": self.token()}
        return int(self.client.post("/login", data=form, environ_base={"REMOTE_ADDR": address}).status_code)

    def enter(self, name: str) -> str:
        """Be signed in without the login page, for tests that are not about it; returns the session's token."""
        office: Office = self.client.application.extensions[EXTENSION]
        with Session(office.users, expire_on_commit=False) as db:
            user = db.scalars(select(User).where(User.name == name)).one()
        token = sessions.begin(office.users, user, "127.0.0.1", office.clock.now())
        self.client.set_cookie("zhian", token)
        return token

    def post(self, path: str, form: str = "/account", **fields: str) -> Any:  # Any: werkzeug's test response
        """Send a form that stands on page `form`."""
        return self.client.post(path, data={**fields, "csrf_token": self.token(form)})


class Running:
    """The office in uvicorn, in a thread of its own."""

    def __init__(self, app: Flask) -> None:
        """Listens when the constructor returns."""
        self.asgi: OfficeApp = asgi_app(app)
        self._started = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._run, name="office")
        self.port = 0
        self._thread.start()
        assert self._started.wait(20)

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.port}"

    def stop(self) -> None:
        """Cancel, as a process that ends would; returns when everything is closed."""
        with contextlib.suppress(RuntimeError):  # it has stopped already, and its loop is closed
            self._loop.call_soon_threadsafe(self._task.cancel)
        self._thread.join(20)
        assert not self._thread.is_alive()

    def _run(self) -> None:
        self._task = self._loop.create_task(serve(self.asgi, self._listener, self._on_started))
        with contextlib.suppress(asyncio.CancelledError, RuntimeError):  # whoever wants it asks the task
            self._loop.run_until_complete(self._task)
        self._loop.run_until_complete(self._loop.shutdown_default_executor())
        self._loop.close()
        self._listener.close()

    def _on_started(self, port: int) -> None:
        self.port = port
        self._started.set()


@pytest.fixture(scope="session", autouse=True)
def _compiled_once() -> Iterator[None]:
    """For every application that is made here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(Flask.jinja_options, "bytecode_cache", Compiled())
        yield


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """The community of the demo."""
    text = (ROOT / "firmware_bridge" / "simulate" / "zhongshan.toml").read_text()
    path = tmp_path_factory.mktemp("site") / "site.toml"
    path.write_text(Template(text).substitute(data="/nowhere", broker=18830, relay=15020))
    return load_site(path)


@pytest.fixture(scope="session")
def rules(site: Site) -> tuple[Rule, ...]:
    """The rules that come with Zhian, read once."""
    return load_rules(site, Path("site.toml"))


@pytest.fixture
def clock() -> StillClock:
    """Stands at NOW."""
    return StillClock()


@pytest.fixture
def field(tmp_path: Path, site: Site) -> Iterator[Field]:
    """The hub's side of an empty journal."""
    hub = Field(tmp_path / "journal.sqlite", site)
    yield hub
    hub.db.close()


@pytest.fixture
def history() -> ListHistory:
    """A history store without readings."""
    return ListHistory()


@pytest.fixture(scope="session")
def people(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An office database with one user of each role, named as the role; made once, for passwords are slow to hash."""
    folder = tmp_path_factory.mktemp("people")
    engine = open_office(folder)
    for role in ROLES:
        create_user(engine, role, role, PASSWORD, NOW)
    engine.dispose()
    return folder / "office.sqlite"


@pytest.fixture
def app(
    tmp_path: Path,
    site: Site,
    clock: StillClock,
    field: Field,
    history: ListHistory,
    people: Path,
    rules: tuple[Rule, ...],
) -> Iterator[Flask]:
    """The office of the community with its people, over an empty journal."""
    shutil.copy(people, tmp_path)
    made = create_app(site, tmp_path, clock, history=history, rules=rules)
    yield made
    office: Office = made.extensions[EXTENSION]
    office.close()


@pytest.fixture
def office(app: Flask) -> Office:
    """The application's parts."""
    found: Office = app.extensions[EXTENSION]
    return found


@pytest.fixture
def new_browser() -> Callable[[Flask], Browser]:
    """For a test that needs another one."""
    return Browser


@pytest.fixture
def browser(app: Flask) -> Browser:
    """Signed out."""
    return Browser(app)


@pytest.fixture
def admin(app: Flask) -> Browser:
    """Signed in as the administrator."""
    made = Browser(app)
    made.enter("admin")
    return made


@pytest.fixture
def running(app: Flask) -> Iterator[Running]:
    """The office on a port of loopback."""
    server = Running(app)
    yield server
    server.stop()
