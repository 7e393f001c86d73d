"""The page behind a signed link: a preview acknowledges nothing, one button does, once, as the person of the link."""

from typing import TYPE_CHECKING

import pytest

from hub.durable import secret_key
from hub.duty.brieflink import KEY_FILE, PATH, Pass, sign
from hub.duty.file import FILE

if TYPE_CHECKING:
    from collections.abc import Callable

    from dashboard.office import Office
    from tests.dashboard.conftest import Browser, Field, StillClock

DUTY = """
[[person]]
id = "p1"
name = "甲"
user = "guard"
[[person]]
id = "p2"
name = "乙 <b>"
[[shift]]
id = "day"
name = { zh = "白班", en = "Day" }
role = "guard"
hours = "00:00-24:00"
people = ["p1"]
"""
HOUR_S = 3600


@pytest.fixture
def link(office: "Office", clock: "StillClock") -> "Callable[..., str]":
    """The path of a link."""
    (office.data / FILE).write_text(DUTY, encoding="utf-8")
    key = secret_key(office.data / KEY_FILE)

    def made(number: int, person: str = "p1", run: int = 1, seconds: int = HOUR_S) -> str:
        carried = Pass(number, run, person, clock.at // 1000 + seconds)
        return PATH + sign(key, office.site.id, carried)

    return made


@pytest.fixture
def sos(field: "Field") -> int:
    """An open P1."""
    return field.alarm("sos", "sos-lake", severity="P1")


def test_a_preview_acknowledges_nothing(
    browser: "Browser", field: "Field", sos: int, link: "Callable[..., str]"
) -> None:
    """Opening it, by whatever and however often, puts no order in; it shows what, where, since when and what to do."""
    for method in ("get", "head", "options"):
        assert getattr(browser.client, method)(link(sos)).status_code == 200
    text = browser.client.get(link(sos)).text
    assert field.orders() == []
    assert text.count("<button") == 1
    assert "SOS button pressed" in text
    assert "甲" in text
    assert browser.client.get(link(sos) + "/ack").status_code == 405


def test_the_button_acknowledges_as_the_person_of_the_link(
    browser: "Browser", field: "Field", sos: int, link: "Callable[..., str]", office: "Office"
) -> None:
    """Without login or form token; twice is once; it is in the audit trail with its address."""
    for _ in range(2):
        answer = browser.client.post(link(sos) + "/ack")
        assert (answer.status_code, answer.headers["Location"]) == (303, link(sos))
    orders = [(o["kind"], o["target"], o["occurrence"], o["actor"]) for o in field.orders()]
    assert orders == [("ack", "sos/sos-lake", 1, "guard")]
    with office.users.connect() as db:
        rows = db.exec_driver_sql("SELECT actor, event, detail FROM audit").fetchall()
    assert [tuple(row) for row in rows] == [("guard", "ack", "sos/sos-lake #1 by link")]
    page = browser.client.get(link(sos)).text
    assert "waiting for the hub" in page
    assert "<button" not in page


def test_one_occurrence_is_acknowledged_once_whoever_is_first(
    browser: "Browser", field: "Field", sos: int, link: "Callable[..., str]"
) -> None:
    """The second person's button does nothing; a later run of the same occurrence has links of its own."""
    browser.client.post(link(sos, "p2") + "/ack")
    browser.client.post(link(sos, "p1") + "/ack")
    assert [order["actor"] for order in field.orders()] == ["duty:p2"]
    browser.client.post(link(sos, "p1", run=2) + "/ack")
    assert [order["actor"] for order in field.orders()] == ["duty:p2", "guard"]


def test_a_used_link_says_so_when_the_alarm_came_back(
    browser: "Browser", field: "Field", sos: int, link: "Callable[..., str]"
) -> None:
    """Acknowledged once, raised again: the old link cannot do it for the new call."""
    browser.client.post(link(sos) + "/ack")
    field.db.execute("UPDATE orders SET state = 'done'")
    assert "has been used" in browser.client.get(link(sos)).text


@pytest.mark.parametrize(
    ("changes", "status", "words"),
    [
        ({"seconds": 0}, 410, "expired"),
        ({"person": "p9"}, 403, "not in the roster"),
        ({"number": 99}, 410, "not kept"),
    ],
)
@pytest.mark.parametrize("deed", ["", "/ack", "/accept"])
def test_a_link_that_opens_nothing_says_why(
    browser: "Browser",
    field: "Field",
    sos: int,
    link: "Callable[..., str]",
    changes: dict[str, int | str],
    status: int,
    words: str,
    deed: str,
) -> None:
    """Expired, of somebody who has left, of an alarm that is forgotten; and it does nothing."""
    path = link(**{"number": sos, **changes}) + deed
    answer = browser.client.post(path) if deed else browser.client.get(path)
    assert (answer.status_code, words in answer.text) == (status, True)
    assert field.orders() == []


def test_a_forged_link_opens_nothing(browser: "Browser", field: "Field", sos: int, link: "Callable[..., str]") -> None:
    """A changed number, or another's signature."""
    good = link(sos).removeprefix(PATH)
    number, rest = good.split(".", 1)
    for token in (f"{int(number) + 1}.{rest}", good[:-1] + ("A" if good[-1] != "A" else "B"), "x", "1.1.p1.9.é"):
        answer = browser.client.post(f"{PATH}{token}/ack")
        assert (answer.status_code, "not valid" in answer.text) == (403, True)
    assert field.orders() == []


def test_what_is_over_has_no_button(browser: "Browser", field: "Field", link: "Callable[..., str]") -> None:
    """Nothing to acknowledge; a late press is no order."""
    number = field.alarm("sos", "sos-lake", severity="P1", closed="cleared", ended=1, state="normal")
    assert "<button" not in browser.client.get(link(number)).text
    browser.client.post(link(number) + "/ack")
    assert field.orders() == []


def test_who_acknowledged_may_say_that_he_deals_with_it(
    browser: "Browser", field: "Field", link: "Callable[..., str]", clock: "StillClock"
) -> None:
    """The same page then accepts the incident; another person's link does not."""
    number = field.alarm("sos", "sos-lake", severity="P1", acked=clock.at, acked_by="guard")
    field.put("incident", key="sos/sos-lake", occurrence=1, severity="P1", opened=1, state="dispatched", since=1)
    assert browser.client.get(link(number)).text.count("<button") == 1
    assert "<button" not in browser.client.get(link(number, "p2")).text
    browser.client.post(link(number, "p2") + "/accept")
    browser.client.post(link(number) + "/accept")
    orders = [(o["kind"], o["target"], o["command"], o["actor"]) for o in field.orders()]
    assert orders == [("incident", "1", "accept", "guard")]
    page = browser.client.get(link(number)).text
    assert "waiting for the hub" in page
    assert "<button" not in page
    field.db.execute("UPDATE orders SET state = 'done', ended = issued")
    field.db.execute("UPDATE incident SET state = 'working'")
    assert "You are dealing with it since 2025-10-09 16:53:20." in browser.client.get(link(number)).text
    assert "You are dealing" not in browser.client.get(link(number, run=2)).text


def test_names_are_text(browser: "Browser", sos: int, link: "Callable[..., str]") -> None:
    """A name with a tag in it is shown as it is."""
    assert "乙 &lt;b&gt;" in browser.client.get(link(sos, "p2")).text


def test_the_page_is_in_the_readers_language(browser: "Browser", sos: int, link: "Callable[..., str]") -> None:
    """Chinese where the telephone asks for it."""
    text = browser.client.get(link(sos), headers={"Accept-Language": "zh-CN"}).text
    assert "身份：甲。" in text
