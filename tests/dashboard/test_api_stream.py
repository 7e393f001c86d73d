"""The stream for programs: opened by a token, ended with it, and resumed without a gap or with a word about it."""

import http.client
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from dashboard.access import clients
from dashboard.live.changes import Change, Recent

if TYPE_CHECKING:
    from dashboard.office import Office
    from tests.dashboard.conftest import Browser, Field, Running, StillClock


class Stream:
    """One open /api/v1/stream, read line by line."""

    def __init__(self, port: int, path: str = "/api/v1/stream", **headers: str) -> None:
        """Connected, and the headers read."""
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        self.connection.request("GET", path, headers={name.replace("_", "-"): value for name, value in headers.items()})
        self.answer = self.connection.getresponse()

    def events(self) -> Iterator[tuple[str, Any, str]]:  # Any: JSON
        """Event, data and id, until the stream ends."""
        found: dict[str, str] = {}
        for line in self.answer:
            name, _, rest = line.decode().strip().partition(": ")
            if name:
                found[name] = rest
            elif found:
                yield found["event"], msgspec.json.decode(found["data"]), found.get("id", "")
                found = {}

    def until(self, wanted: str) -> tuple[Any, str]:
        """Data and id of the next event of this name."""
        return next((data, number) for event, data, number in self.events() if event == wanted)

    def close(self) -> None:
        """Hang up."""
        self.answer.close()
        self.connection.close()


@pytest.fixture
def token(office: "Office", clock: "StillClock") -> str:
    """Of a program that may read."""
    return clients.make(office.users, "reader", ["read"], "admin", clock.at)


def test_a_token_opens_the_stream_and_its_end_ends_it(
    running: "Running", office: "Office", field: "Field", token: str, clock: "StillClock"
) -> None:
    """Within a second of being taken back (told here on a loaded machine: within five)."""
    field.all_well()
    stream = Stream(running.port, Authorization=f"Bearer {token}")
    assert stream.answer.getheader("Content-Type") == "text/event-stream; charset=utf-8"
    stream.until("beat")
    clients.end(office.users, 1, clock.at)
    began = time.monotonic()
    assert stream.until("ended")[0] == {"why": "signed-out"}
    assert time.monotonic() - began < 5
    stream.close()
    refused = Stream(running.port, Authorization=f"Bearer {token}")
    assert refused.answer.status == 401
    assert msgspec.json.decode(refused.answer.read())["status"] == 401
    refused.close()


def test_a_wrong_token_is_nobody_beside_a_good_cookie(
    running: "Running", admin: "Browser", field: "Field", token: str
) -> None:
    """And a good one counts under /api/ alone."""
    field.all_well()
    cookie = f"zhian={admin.client.get_cookie('zhian').value}"
    for path, status, headers in (
        ("/api/v1/stream", 401, {"Authorization": "Bearer x", "Cookie": cookie}),
        ("/stream", 401, {"Authorization": f"Bearer {token}"}),
        ("/api/v1/stream", 401, {}),
        ("/api/v1/stream", 200, {"Cookie": cookie}),
    ):
        stream = Stream(running.port, path, **headers)
        assert stream.answer.status == status, (path, headers)
        stream.close()


def test_who_comes_back_is_told_what_came_meanwhile(running: "Running", field: "Field", token: str) -> None:
    """By the id of the last event; an id that is not known (another run of the office) means: read everything again."""
    field.all_well()
    bearer = f"Bearer {token}"
    stream = Stream(running.port, Authorization=bearer)
    stream.until("beat")
    field.alarm("gate-held", "gate-east")
    change, last = stream.until("change")
    while "alarms" not in change["what"]:  # that all is well is news too
        change, last = stream.until("change")
    stream.close()
    watching = Stream(running.port, Authorization=bearer)
    watching.until("beat")
    field.health("gate-east", "silent")
    watching.until("change")
    watching.close()
    back = Stream(running.port, Authorization=bearer, Last_Event_ID=last)
    kinds = [event for event, _, _ in (next(events) for events in [back.events()] for _ in range(2))]
    assert kinds == ["beat", "change"]
    back.close()
    lost = Stream(running.port, Authorization=bearer, Last_Event_ID="0badcafe-7")
    event, data, number = next(lost.events())
    assert (event, set(data)) == ("resync", {"now"})
    assert number
    lost.close()


def test_what_is_remembered_is_bounded() -> None:
    """By changes and by values; what was forgotten is said to be so, and nothing is told twice."""
    recent = Recent("run", most=3, most_values=4)
    ids = []
    for at in range(6):
        recent.add(Change(now=at, what=frozenset({"alarms"})))
        ids.append(recent.id)
    assert recent.since(ids[-1]) == []
    assert [change.now for change in recent.since(ids[2]) or ()] == [3, 4, 5]
    assert recent.since(ids[1]) is None
    for bad in ("", "run-", "run--1", "run-99", "other-5", "run-5x", "x"):
        assert recent.since(bad) is None
    recent.add(Change(now=6, values={f"a/{at}": (0, 1.0) for at in range(5)}))
    assert recent.since(ids[-1]) is None
    assert recent.since(recent.id) == []
