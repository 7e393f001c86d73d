"""The board of incidents, one incident, and the steps that a guard and a manager take."""

from typing import TYPE_CHECKING, Any

import pytest

from dashboard.language import duty_words
from hub.duty.casebook import ORDER
from hub.duty.file import FILE
from hub.duty.incident import NEEDS_TEXT, PEOPLES, TABLE, Effect, Event, State

if TYPE_CHECKING:
    from pathlib import Path

    from tests.dashboard.conftest import Browser, Field

NOW = 1_760_000_000_000
MINUTE = 60_000
DUTY = """
[[person]]
id = "p1"
name = "班长"
user = "guard"
address = { log = "p1" }
[[person]]
id = "p2"
name = "值班员"
[[shift]]
id = "day"
name = { zh = "白班", en = "Day" }
role = "guard"
hours = "00:00-24:00"
people = ["p1"]
"""


@pytest.fixture
def roster(tmp_path: "Path", field: "Field") -> None:
    """A roster, and a community where all is well."""
    field.all_well()
    (tmp_path / FILE).write_text(DUTY, encoding="utf-8")


def incident(field: "Field", state: str = "dispatched", since: int = NOW - MINUTE, **more: Any) -> int:  # Any: columns
    """An incident of a P1 at the lake."""
    columns = {"key": "sos/sos-lake", "occurrence": 1, "severity": "P1", "opened": since, "since": since, **more}
    return field.put("incident", state=state, **columns)


def send(browser: "Browser", number: int, way: str, **fields: Any) -> int:  # Any: as a form
    """A step; the status of the answer."""
    form = {"csrf_token": browser.token(f"/incidents/{number}"), **fields}
    return int(browser.client.post(f"/incidents/{number}/{way}", data=form).status_code)


def test_the_words_cover_the_machine() -> None:
    """Every state and event has its words, each state but the ends a step that is possible, each text its question."""
    assert set(duty_words.STATES) == set(State)
    assert set(duty_words.EVENTS) == set(PEOPLES)
    assert set(duty_words.LOG) == {*Event, "opened"}
    assert set(duty_words.WANTS) == NEEDS_TEXT
    assert set(duty_words.NEXT) == set(State) - {State.ARCHIVED, State.VOID}
    assert all(TABLE[state, event].effect is Effect.MOVE for state, event in duty_words.NEXT.items())


def test_what_is_overdue_says_so(roster: None, admin: "Browser", field: "Field") -> None:
    """By the roster's limit of the state (dispatched P1: 5 minutes), in words; what is in time does not."""
    incident(field, since=NOW - 12 * MINUTE, supervision=2)
    incident(field, since=NOW - 4 * MINUTE, key="sos/sos-gate")
    text = admin.client.get("/incidents").text
    assert text.count("Overdue by") == 1
    assert "Overdue by 7 min" in text
    assert "1 overdue" in text
    assert "supervision 2" in text


@pytest.mark.parametrize("state", list(duty_words.NEXT))
@pytest.mark.parametrize("role", ["viewer", "guard", "manager"])
def test_one_obvious_step_by_role(state: State, role: str, roster: None, browser: "Browser", field: "Field") -> None:
    """The board offers the next step to those who may take it, and nothing else; a guard is told whom it waits for."""
    incident(field, state)
    browser.enter(role)
    text = browser.client.get("/incidents").text
    event = duty_words.NEXT[state]
    leads = event in duty_words.LEADS
    offered = text.count("/incidents/1/") + text.count('href="/incidents/1#next"')
    assert offered == (role == "manager" or (role == "guard" and not leads))
    assert ("A manager is next." in text) is (role == "guard" and leads)


def test_a_step_is_the_same_order_as_on_the_command_line(roster: None, browser: "Browser", field: "Field") -> None:
    """Accept without words; dispatch with persons first and the words behind; sent twice it is one order."""
    number = incident(field)
    browser.enter("guard")
    for _ in range(2):
        assert send(browser, number, "work/accept", token="same") == 302
    assert send(browser, number, "work/dispatch", to=["p1", "p2"], text="life-buoy") == 302
    orders = [(o["kind"], o["target"], o["command"], o["text"], o["actor"]) for o in field.orders()]
    assert orders == [
        (ORDER, "1", "accept", "", "guard"),
        (ORDER, "1", "dispatch", "p1,p2 life-buoy", "guard"),
    ]


def test_a_guard_does_not_assess(roster: None, browser: "Browser", field: "Field") -> None:
    """Neither by the manager's address nor by the own one; a manager does, and puts off for a time."""
    number = incident(field, "done")
    browser.enter("guard")
    assert send(browser, number, "lead/pass") == 403
    assert send(browser, number, "work/pass") == 400
    assert field.orders() == []
    browser.enter("manager")
    assert send(browser, number, "lead/pass") == 302
    deferred = incident(field, "working", key="sos/sos-gate")
    assert send(browser, deferred, "lead/defer", text="rain", seconds=86400) == 302
    assert [(o["command"], o["seconds"]) for o in field.orders()] == [("pass", None), ("defer", 86400.0)]


@pytest.mark.parametrize(
    ("way", "fields", "words"),
    [
        ("work/feedback", {}, "Say it in a few words"),
        ("work/dispatch", {"to": "p9"}, "Choose somebody to send"),
        ("lead/defer", {"text": "rain", "seconds": "5"}, "Choose until when"),
        ("lead/archive", {}, "not possible any more"),
    ],
)
def test_what_the_hub_would_refuse_is_told_at_once(
    way: str, fields: dict[str, str], words: str, roster: None, admin: "Browser", field: "Field"
) -> None:
    """In the reader's words, and no order is put in."""
    number = incident(field)
    assert send(admin, number, way, **fields) == 302
    assert words in admin.client.get(f"/incidents/{number}").text
    assert field.orders() == []


def test_who_was_called_and_what_they_answered(roster: None, admin: "Browser", field: "Field") -> None:
    """Each call with its person, voice and end; the one who acknowledged is told apart from the one who did not."""
    alarm = field.alarm("sos", "sos-lake", severity="P1", acked=NOW, acked_by="guard")
    number = incident(field, assignee="p1,p2", kind="P1")
    flip = field.flip(alarm, "called", at=NOW - MINUTE)
    field.put("outbox", flip=flip, voice="log", kind="raised", person="p1", status="accepted", next_try=0)
    field.put("outbox", flip=flip, voice="log", kind="raised", person="p2", status="failed", detail="busy", next_try=0)
    field.put("incident_log", incident=number, at=NOW, event="accept", state="working", actor="guard")
    field.put("incident_log", incident=number, at=NOW, event="note", state="working", actor="guard", text="<b>wet")
    text = admin.client.get(f"/incidents/{number}").text
    assert text.count("acknowledged at") == 1
    assert text.count("accepted at") == 1
    assert "not delivered: busy" in text
    assert text.count("no acknowledgement from this person") == 1
    assert "&lt;b&gt;wet" in text
    assert f'href="/incidents/{number}"' in admin.client.get(f"/alarms/{alarm}").text


def test_without_a_roster_the_board_says_what_that_means(field: "Field", admin: "Browser") -> None:
    """An empty board alone would look as if all were well."""
    field.all_well()
    assert "the hub opens no incidents" in admin.client.get("/incidents").text
    assert admin.client.get("/incidents/7").status_code == 404
