"""The page on duty, the names in the header and on alarm cards, and the handover sheet."""

from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from hub.duty.desk import ORDER, Ask
from hub.duty.file import FILE, Override

if TYPE_CHECKING:
    from pathlib import Path

    from flask import Flask

    from tests.dashboard.conftest import Browser, Field

NOW = 1_760_000_000_000  # Thursday 2025-10-09 16:53:20 in Shanghai
HOUR = 3_600_000
DUTY = """
[[person]]
id = "p1"
name = "班长"
user = "guard"
phone = "10000000001"
address = { log = "p1" }
[[person]]
id = "p2"
name = "值班员 <b>"
phone = "10000000002"
address = { log = "p2" }
[[shift]]
id = "day"
name = { zh = "白班", en = "Day" }
role = "guard"
hours = "07:00-19:00"
people = ["p1"]
[[shift]]
id = "night"
name = { zh = "夜班", en = "Night" }
role = "guard"
hours = "19:00-06:30"
people = ["p2"]
"""


@pytest.fixture
def roster(tmp_path: "Path", field: "Field") -> "Path":
    """A roster with half an hour that nobody covers, and a community where all is well."""
    field.all_well()
    path = tmp_path / FILE
    path.write_text(DUTY, encoding="utf-8")
    return path


@pytest.fixture
def guard(app: "Flask", browser: "Browser") -> "Browser":
    """Signed in as the guard who is on duty."""
    browser.enter("guard")
    return browser


def sent(browser: "Browser", path: str, **fields: Any) -> int:  # Any: as a form
    """A form of the page on duty, and the status of the answer."""
    form = {"csrf_token": browser.token("/duty"), **fields}
    return int(browser.client.post(path, data=form).status_code)


def test_who_is_on_and_who_is_next(roster: "Path", admin: "Browser") -> None:
    """The header names who is on duty on every page; the page names the next shift; names are escaped."""
    assert "班长 on duty" in admin.client.get("/devices").text
    text = admin.client.get("/duty").text
    assert text.index('id="next"') < text.index("值班员 &lt;b&gt;")
    assert "<b>" not in text.replace("<b>0</b>", "")
    assert 'href="tel:10000000001"' in text


def test_minutes_that_nobody_covers_are_named(roster: "Path", admin: "Browser") -> None:
    """Each of the 30 mornings with its half hour; none where the night shift is long enough."""
    text = admin.client.get("/duty").text
    assert text.count("06:30 – ") >= 30
    assert "2025-10-10 06:30 – 2025-10-10 07:00" in text
    roster.write_text(DUTY.replace("06:30", "07:00"), encoding="utf-8")
    text = admin.client.get("/duty").text
    assert "At every minute of the next 30 days" in text
    assert 'id="holes"' not in text


def test_without_a_roster_the_page_says_how_to_make_one(field: "Field", admin: "Browser", tmp_path: "Path") -> None:
    """No file: what that means and which command makes one. A file with a mistake: the mistake, on every page."""
    field.all_well()
    text = admin.client.get("/duty").text
    assert "nobody is called by name" in text
    assert "zhian duty set FILE" in text
    (tmp_path / FILE).write_text(DUTY.replace('role = "guard"', 'role = "p1"'), encoding="utf-8")
    assert "shift[0].role" in admin.client.get("/duty").text
    assert "Roster unreadable" in admin.client.get("/").text


@pytest.mark.parametrize(("role", "calls"), [("viewer", 0), ("auditor", 0), ("guard", 1), ("manager", 1), ("admin", 1)])
def test_an_unacknowledged_p1_has_a_call_button(
    role: str, calls: int, roster: "Path", field: "Field", browser: "Browser"
) -> None:
    """Beside P1 and P2 while nobody has acknowledged; not for those who only look."""
    number = field.alarm("sos", "sos-lake", severity="P1")
    field.alarm("noise-limit", "noise-east", severity="P3")
    field.alarm("gate-held", "gate-east", severity="P2", acked=NOW, acked_by="lin")
    browser.enter(role)
    assert browser.client.get("/").text.count("tel:") == calls
    one = browser.client.get(f"/alarms/{number}").text
    assert one.count('href="tel:10000000001"') == calls
    assert "班长" in one
    assert ("tel:" in browser.client.get("/duty").text) is (role in ("guard", "manager", "admin"))


def test_a_stand_in_is_an_order_to_the_hub(roster: "Path", admin: "Browser", field: "Field") -> None:
    """The order carries the change and who asked, with a row in the audit trail; the page itself writes no file."""
    before = roster.read_text()
    fields = {"person": "p1", "instead": "p2", "from": "2025-10-10T07:00", "until": "2025-10-10T19:00", "text": "ill"}
    assert sent(admin, "/duty/stand-in", **fields) == 302
    order = field.orders()[-1]
    assert (order["kind"], order["command"], order["target"], order["actor"]) == (ORDER, Ask.STAND_IN, "p1", "admin")
    change = msgspec.json.decode(order["text"], type=Override)
    assert (change.person, change.instead, change.reason) == ("p1", "p2", "ill (admin)")
    assert f"{change.since:%d %H:%M} {change.until:%d %H:%M}" == "10 07:00 10 19:00"
    assert roster.read_text() == before
    assert "waiting for the hub" in admin.client.get("/duty").text


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"until": "2025-10-10T06:00"}, "The end must be after the beginning"),
        ({"from": "2025-10-01T07:00", "until": "2025-10-02T07:00"}, "and in the future"),
        ({"until": "soon"}, "from when until when"),
        ({"until": "2027-10-10T06:00"}, "Longer than a year"),
        ({"text": " "}, "Say why"),
    ],
)
def test_a_wrong_change_is_told_at_once(
    wrong: dict[str, str], words: str, roster: "Path", admin: "Browser", field: "Field"
) -> None:
    """In words, and no order is put in."""
    fields = {"person": "p1", "instead": "", "from": "2025-10-10T07:00", "until": "2025-10-10T19:00", "text": "ill"}
    assert sent(admin, "/duty/stand-in", **(fields | wrong)) == 302
    assert words in admin.client.get("/duty").text
    assert field.orders() == []


def test_the_person_on_duty_says_that_the_shift_is_taken_over(
    roster: "Path", guard: "Browser", field: "Field", admin: "Browser"
) -> None:
    """By the login of the roster alone; done, it stands beside the name until the shift ends; yesterday's does not."""
    field.order(ORDER, "day", command="take-over", text="p1", state="done", issued=NOW - 20 * HOUR, token="old")
    assert "not taken over yet" in guard.client.get("/duty").text
    assert "Taken over: 班长" not in admin.client.get("/duty").text
    assert sent(guard, "/duty/take-over", shift="night", person="p2") == 400
    assert sent(guard, "/duty/take-over", shift="day", person="p1") == 302
    order = field.orders()[-1]
    assert (order["target"], order["text"], order["actor"]) == ("day", "p1", "guard")
    field.db.execute("UPDATE orders SET state = 'done', ended = issued")
    text = guard.client.get("/duty").text
    assert "took over at" in text
    assert "not taken over yet" not in text


@pytest.mark.parametrize(("lang", "words", "none"), [("zh", "未确认", "NOT ACK"), ("en", "NOT ACKNOWLEDGED", "未确认")])
def test_the_sheet_speaks_one_language(
    lang: str, words: str, none: str, roster: "Path", admin: "Browser", field: "Field"
) -> None:
    """What is open, who took over and what was changed, in the reader's language alone."""
    field.alarm("sos", "sos-lake", severity="P1")
    change = '{"person":"p1","from":"2025-10-10T07:00:00","until":"2025-10-10T19:00:00","instead":"p2","reason":"<i>"}'
    field.order(ORDER, "p1", command="stand-in", text=change, state="done", token="a", issued=NOW - 1)
    field.order(ORDER, "day", command="take-over", text="p1", state="done", token="b", issued=NOW - 1)
    field.order("command", "yard-relay", command="pulse_2", state="unconfirmed", token="c", issued=NOW - 1)
    text = admin.client.get(f"/duty/handover?lang={lang}").text
    ordered = {"zh": "湖边声光 定时吸合", "en": "Lake siren Pulse"}
    assert ordered[lang] in text
    assert ("设备未确认，状态不明" in text) is (lang == "zh")
    assert words in text
    assert none not in text
    assert "班长 → 值班员 &lt;b&gt; · 10-10 07:00 - 10-10 19:00 (lin: &lt;i&gt;)" in text
    assert ("接班确认" in text) is (lang == "zh")
    assert admin.client.get("/duty/handover?hours=99999").status_code == 200


def test_a_card_names_who_was_called_and_stays_short(roster: "Path", field: "Field", admin: "Browser") -> None:
    """A P1 that nobody acknowledges is called again for hours: the card keeps the last call of each person."""
    number = field.alarm("sos", "sos-lake", severity="P1")
    for at in range(5):
        flip = field.flip(number, "called", at=NOW - 50_000 + at)
        for person in ("p1", "p2"):
            field.put("outbox", flip=flip, voice="log", kind="raised", person=person, status="accepted", next_try=0,
                      done=NOW - 40_000 + at * 1000)  # fmt: skip
    text = admin.client.get("/").text
    assert text.count("16:52:44") == 2
    assert "16:52:43" not in text
