"""The stream: what a change is, how fast it comes, and that a session that has ended hears no more."""

import asyncio
import contextlib
import http.client
import threading
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from dashboard.access import sessions
from dashboard.asgi import MOST_A_SESSION
from dashboard.live.changes import TURN, Change, Listener, Watcher, tell_all, wake_in_turn

if TYPE_CHECKING:
    from flask import Flask

    from dashboard.office import Office
    from tests.dashboard.conftest import Browser, Field, Running, StillClock


class Stream:
    """One open /stream, read line by line."""

    def __init__(self, port: int, cookie: str = "", query: str = "", method: str = "GET") -> None:
        """Connected, and the headers read."""
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        self.connection.request(method, f"/stream{query}", headers={"Cookie": f"zhian={cookie}"})
        self.answer = self.connection.getresponse()

    def events(self) -> Iterator[tuple[str, Any]]:  # Any: JSON
        """Event and data, until the stream ends."""
        event = ""
        for line in self.answer:
            name, _, rest = line.decode().strip().partition(": ")
            if name == "event":
                event = rest
            elif name == "data":
                yield event, msgspec.json.decode(rest)

    def until(self, wanted: str) -> Any:  # Any: JSON
        """The data of the next event of this name."""
        return next(data for event, data in self.events() if event == wanted)

    def close(self) -> None:
        """Hang up."""
        self.answer.close()
        self.connection.close()


@pytest.fixture
def cookie(admin: "Browser") -> str:
    """The session of the administrator."""
    found = admin.client.get_cookie("zhian")
    assert found is not None
    return str(found.value)


def test_what_counts_as_a_change(office: "Office", field: "Field", clock: "StillClock") -> None:
    """Flips, orders, health, states and the hub's life, each by its name; a heartbeat alone is none."""
    field.all_well()
    field.read("gate-east", "gate", "closed")
    field.read("noise-east", "laeq", 50.0)
    watcher = Watcher(office.view, clock)
    watcher._values_due = -1e9
    assert watcher.look() is None

    def look() -> Change | None:
        watcher._values_due = 0.0
        return watcher.look()

    field.beat()
    assert look() is None
    number = field.alarm("gate-held", "gate-east")
    assert look() == Change(now=clock.at, what=frozenset({"alarms"}))
    order = field.order("command", "gate-east", command="close")
    assert look() == Change(now=clock.at, what=frozenset({"orders"}))
    field.db.execute("UPDATE orders SET state = 'confirmed' WHERE id = ?", (order,))
    assert look() == Change(now=clock.at, what=frozenset({"orders"}))
    field.health("gate-east", "silent")
    assert look() == Change(now=clock.at, what=frozenset({"health"}))
    field.read("gate-east", "gate", "closed", clock.at + 1)
    assert look() is None
    field.read("gate-east", "gate", "open", clock.at + 2)
    assert look() == Change(now=clock.at, what=frozenset({"states"}), values={"gate-east/gate": (clock.at + 2, "open")})
    field.read("noise-east", "laeq", 51.5, clock.at + 3)
    assert look() == Change(now=clock.at, values={"noise-east/laeq": (clock.at + 3, 51.5)})
    clock.at += 5001
    assert look() == Change(now=clock.at, what=frozenset({"hub"}))
    assert look() is None
    field.flip(number, "comment", note="x")
    assert look() == Change(now=clock.at, what=frozenset({"alarms"}))


def test_an_alarm_and_its_state_are_one_change(office: "Office", field: "Field", clock: "StillClock") -> None:
    """What is told together is fetched once: a state does not follow its alarm by the pace of the figures."""
    field.all_well()
    field.read("gate-east", "gate", "closed")
    watcher = Watcher(office.view, clock)
    watcher.look()
    watcher._values_due = 1e12
    field.read("gate-east", "gate", "open", clock.at + 1)
    assert watcher.look() is None
    field.alarm("gate-held", "gate-east")
    change = watcher.look()
    assert change is not None
    assert change.what == {"alarms", "states"}


def test_a_journal_that_goes_and_comes_is_told_once(office: "Office", field: "Field", clock: "StillClock") -> None:
    """Unreadable is a change of the hub; so is readable again."""
    field.all_well()
    watcher = Watcher(office.view, clock)
    watcher.look()
    field.db.execute("ALTER TABLE meta RENAME TO gone")
    assert watcher.look() == Change(now=clock.at, what=frozenset({"hub"}))
    assert watcher.look() is None
    field.db.execute("ALTER TABLE gone RENAME TO meta")
    change = watcher.look()
    assert change is not None
    assert "hub" in change.what


async def test_a_slow_page_costs_little_and_misses_nothing() -> None:
    """What a page has not taken yet is put together: all kinds of change, and the newest of each value it shows."""
    listener = Listener("session", frozenset({"a/x", "b/x"}))
    for n in range(10_000):
        listener.tell(Change(now=n, what=frozenset({("alarms", "orders")[n % 2]}), values={"a/x": (n, float(n))}))
    listener.tell(Change(now=10_000, values={"b/x": (1, 2.0), "c/x": (1, 2.0)}))
    news = await listener.next()
    assert news == Change(
        now=10_000, what=frozenset({"alarms", "orders"}), values={"a/x": (9999, 9999.0), "b/x": (1, 2.0)}
    )
    listener.tell(Change(now=1, values={"c/x": (1, 2.0)}))
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(listener.next(), 0.01)


async def test_a_page_that_hears_nothing_is_told_so_and_one_that_takes_nothing_is_cut_off() -> None:
    """A beat after so long without a word; the end for what was handed over and not taken, and not before."""
    listener = Listener("session", frozenset())
    listener.said_s = 100.0
    listener.look(104.0, 5.0, 30.0)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(listener.next(), 0.01)
    listener.look(105.0, 5.0, 30.0)
    assert await listener.next() is None
    listener.blocked = True
    loop_s = asyncio.get_running_loop().time()
    listener.said_s = loop_s - 29.0

    async def writes() -> None:
        async with listener.patience:
            listener.look(loop_s, 5.0, 30.0)
            await asyncio.sleep(0.01)
            assert listener.patience.when() is None
            listener.look(loop_s + 1.0, 5.0, 30.0)
            listener.look(loop_s + 2.0, 5.0, 30.0)
            await asyncio.sleep(10)

    with pytest.raises(TimeoutError):
        await writes()


def test_changes_come_fast(running: "Running", cookie: str, field: "Field") -> None:
    """From the row in the journal to the page in a fraction of a second."""
    field.all_well()
    stream = Stream(running.port, cookie, "?series=noise-east/laeq")
    assert stream.answer.getheader("Content-Type") == "text/event-stream; charset=utf-8"
    assert "default-src 'none'" in (stream.answer.getheader("Content-Security-Policy") or "")
    assert stream.until("beat")["speed"] == 1.0
    time.sleep(0.3)  # the watcher's first look is not news
    begun = time.monotonic()
    field.alarm("gate-held", "gate-east")
    assert any(event == "change" and "alarms" in data["what"] for event, data in stream.events())
    assert time.monotonic() - begun < 2.0  # 0.1 s on a quiet machine
    field.read("noise-east", "laeq", 61.0, 1_760_000_000_001)
    assert stream.until("values")["values"] == {"noise-east/laeq": [1_760_000_000_001, 61.0]}
    stream.close()


@pytest.mark.parametrize("how", ["logout", "password", "disabled", "idle"])
def test_a_session_that_has_ended_hears_no_more(
    how: str, running: "Running", cookie: str, admin: "Browser", office: "Office", clock: "StillClock", field: "Field"
) -> None:
    """Logout, a new password, a disabled user and idleness each end the stream within a second or so."""
    field.all_well()
    stream = Stream(running.port, cookie)
    stream.until("beat")
    begun = time.monotonic()
    match how:
        case "logout":
            admin.post("/logout")
        case "password":
            admin.post("/account/password", old="correct horse battery", new="another good", again="another good")
        case "disabled":
            with office.users.begin() as db:
                db.exec_driver_sql("UPDATE user SET active = 0")
        case "idle":
            clock.at += 31 * 60_000
    events = list(stream.events())
    assert events[-1] == ("ended", {"why": "signed-out"})
    assert time.monotonic() - begun < 3.0  # 0.5 s on a quiet machine
    stream.close()
    again = Stream(running.port, cookie)
    assert again.answer.status == 401
    again.close()


def test_a_duty_screen_stays_signed_in(app: "Flask", browser: "Browser", office: "Office", running: "Running") -> None:
    """A guard's open page keeps his session: a screen that signs itself out would hide alarms."""
    assert browser.sign_in("guard") == 302
    cookie = browser.client.get_cookie("zhian")
    assert cookie is not None
    with office.users.begin() as db:
        db.exec_driver_sql("UPDATE session SET seen = seen - 1700000")
        before = db.exec_driver_sql("SELECT max(seen) FROM session").scalar_one()
    stream = Stream(running.port, cookie.value)
    give_up = time.monotonic() + 10
    seen = before
    while seen == before and time.monotonic() < give_up:
        time.sleep(0.05)
        with office.users.begin() as db:
            seen = db.exec_driver_sql("SELECT max(seen) FROM session").scalar_one()
    assert seen > before
    stream.close()


def test_who_may_not_listen(running: "Running", cookie: str) -> None:
    """Nobody without a session, no method but GET, and so many pages a session and no more."""
    for given, method, status in (("", "GET", 401), ("forged", "GET", 401), (cookie, "POST", 405)):
        stream = Stream(running.port, given, method=method)
        assert stream.answer.status == status
        stream.close()
    streams = [Stream(running.port, cookie) for _ in range(MOST_A_SESSION)]
    assert {stream.answer.status for stream in streams} == {200}
    one_more = Stream(running.port, cookie)
    assert one_more.answer.status == 429
    for stream in [*streams, one_more]:
        stream.close()


def test_a_page_that_hangs_up_frees_its_place(running: "Running", cookie: str) -> None:
    """A closed stream does not count."""
    for _ in range(3 * MOST_A_SESSION):
        stream = Stream(running.port, cookie)
        if stream.answer.status == 200:
            stream.until("beat")
        stream.close()
        time.sleep(0.02)
    give_up = time.monotonic() + 5
    while running.asgi._listeners and time.monotonic() < give_up:
        time.sleep(0.05)
    assert not running.asgi._listeners


def test_stopping_ends_open_streams(running: "Running", cookie: str) -> None:
    """The process that stops does not wait for pages that listen for ever."""
    stream = Stream(running.port, cookie)
    stream.until("beat")
    begun = time.monotonic()
    running.stop()
    assert list(stream.events()) == [("ended", {"why": "stopping"})]
    assert time.monotonic() - begun < 4
    stream.close()


def test_a_watcher_that_dies_stops_the_office(running: "Running", monkeypatch: pytest.MonkeyPatch) -> None:
    """Better no page than one that looks alive while nothing watches: the process ends with the error."""

    def broken(_: Watcher) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(Watcher, "look", broken)
    give_up = time.monotonic() + 10
    while not running._task.done() and time.monotonic() < give_up:
        time.sleep(0.02)
    with contextlib.suppress(asyncio.InvalidStateError):
        assert isinstance(running._task.exception(), RuntimeError)
    assert running._task.done()


def test_a_page_that_opens_during_the_check_stays(
    running: "Running", cookie: str, field: "Field", browser: "Browser", monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whose session the check did not ask for has not ended: the page is not signed out."""
    field.all_well()
    asking, go, real = threading.Event(), threading.Event(), sessions.living

    def slow(*arguments: Any) -> Any:  # Any: as sessions.living
        found = real(*arguments)
        asking.set()
        go.wait(10)
        return found

    first = Stream(running.port, cookie)
    monkeypatch.setattr(sessions, "living", slow)
    assert asking.wait(10)
    second = Stream(running.port, browser.enter("guard"))
    second.until("beat")
    monkeypatch.setattr(sessions, "living", real)
    go.set()
    assert "beat" in (event for event, _ in second.events())  # one that is signed out ends before
    first.close()
    second.close()


@pytest.mark.parametrize("turn_s", [0.0, 0.001])
async def test_all_are_woken_some_at_a_time(turn_s: float) -> None:
    """Everybody who was told, in turn; who comes in between is served in between."""
    pages = [Listener("s", frozenset()) for _ in range(4 * TURN + 1)]
    told = tell_all(pages, Change(now=1, what=frozenset({"alarms"})))
    waking = asyncio.ensure_future(wake_in_turn(told, turn_s))
    await asyncio.sleep(0)
    assert 0 < sum(page._wake.is_set() for page in pages) < len(pages)
    await waking
    assert all(page._wake.is_set() for page in pages)
