"""`zhian calendar`, `duty` and `incidents`: exit codes, JSON, what is written, and what is refused."""

import json
import re
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from hub.__main__ import main
from hub.calendar.days import FILE as CALENDAR
from hub.duty.callbook import UNREACHED
from hub.duty.file import FILE as DUTY
from hub.journal.writer import FILE, Journal
from hub.outcome import Alarm, Flip, Health, Occurrence, Outcome, Service
from hub.settings.door import load_site
from hub.speaking.outbox import put

SITE = """
[site]
id = "court"
name = { zh = "小区", en = "Court" }
timezone = "Asia/Shanghai"
[[voice]]
id = "phone"
kind = "log"
[[voice]]
id = "robot"
kind = "log"
"""
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A data folder as `zhian run` has made it."""
    (tmp_path / "site.toml").write_text(SITE, encoding="utf-8")
    data = tmp_path / "data"
    data.mkdir()
    journal = Journal(data / FILE, load_site(tmp_path / "site.toml"))
    journal.remember("site_file", str(tmp_path / "site.toml"))
    journal.close()
    return data


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], folder: Path) -> Run:
    """Runs `zhian` with these arguments on the data folder: exit code, standard output, standard error."""

    def ran(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["zhian", *arguments, "--data", str(folder)])
        code = 0
        try:
            main()
        except SystemExit as end:
            code = int(end.code or 0)
        output = capsys.readouterr()
        return code, output.out, output.err

    return ran


@pytest.fixture
def rostered(run: Run, folder: Path, text: str) -> Path:
    """With a roster."""
    (folder.parent / "ours.toml").write_text(text, encoding="utf-8")
    assert run("duty", "set", str(folder.parent / "ours.toml"))[0] == 0
    return folder


def test_the_calendar_is_shown_set_and_imported(run: Run, folder: Path, tmp_path: Path) -> None:
    """What is known, a day by hand, and a year from either form of table."""
    years = [json.loads(line) for line in run("calendar", "show", "--json")[1].splitlines()]
    assert {"year": 2026, "complete": True, "holidays": 33, "adjusted": 6, "source": "chinesecalendar 1.11.0"} in years
    code, out, _ = run("calendar", "set", "2027-02-05..2027-02-11", "holiday")
    assert (code, "2027 is not complete" in out) == (0, True)
    days = [json.loads(line) for line in run("calendar", "show", "2027", "--json")[1].splitlines()]
    assert [day["date"] for day in days] == [f"2027-02-{n:02}" for n in range(5, 12)]
    assert run("calendar", "set", "2027-02-11", "plain", "--complete")[1] == ""
    announced = {"year": 2027, "days": [{"name": "元旦", "date": "2027-01-01", "isOffDay": True},
                                        {"name": "春节", "date": "2027-02-14", "isOffDay": False}]}  # fmt: skip
    (tmp_path / "2027.json").write_text(json.dumps(announced), encoding="utf-8")
    assert run("calendar", "import", str(tmp_path / "2027.json"))[1] == "2027: 1 holidays, 1 adjusted workdays\n"
    assert "2027-02-14" in run("calendar", "show", "2027")[1]
    (tmp_path / "own.toml").write_text("[year.2028]\nholiday = [2028-01-01]\n", encoding="utf-8")
    assert run("calendar", "import", str(tmp_path / "own.toml"))[0] == 0
    assert (folder / CALENDAR).read_text(encoding="utf-8").count("[year.") == 2


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("calendar", "show", "2031"), "zhian calendar import FILE"),
        (("calendar", "set", "tomorrow", "holiday"), "2027-02-05..2027-02-11"),
        (("calendar", "set", "2027-01-04", "adjusted"), "Saturday or a Sunday"),
        (("calendar", "import", "/nowhere.json"), "cannot be read"),
        (("duty", "now"), "zhian duty set FILE"),
        (("duty", "swap", "p1", "2026-02-03T19:00", "2026-02-04T07:00"), "zhian duty set FILE"),
        (("incidents", "log", "9"), "zhian incidents list"),
    ],
)
def test_a_mistake_is_told(run: Run, folder: Path, arguments: tuple[str, ...], words: str) -> None:
    """Exit 2, what is wrong and what would be right; nothing is written."""
    code, _, told = run(*arguments)
    assert code == 2
    assert words in " ".join(told.split())
    assert not (folder / CALENDAR).exists()


def test_who_is_on_duty(run: Run, rostered: Path) -> None:
    """By the wall clock of the site; exit 1 when nobody is."""
    code, out, _ = run("duty", "now", "--at", "2026-01-06T03:00", "--json")
    line = json.loads(out)
    assert (code, line["person"], line["name"], line["voices"]) == (0, "p2", "乙", ["phone"])
    run("duty", "swap", "p2", "2026-01-05T19:00", "2026-01-06T07:00", "--reason", "leave")
    assert run("duty", "now", "--at", "2026-01-06T03:00")[0] == 1
    run("duty", "swap", "p2", "2026-01-05T19:00", "2026-01-06T07:00", "--instead", "p1")
    assert "(for p2)" in run("duty", "now", "--at", "2026-01-06T03:00")[1]


def test_the_turns_are_whole(run: Run, rostered: Path) -> None:
    """Each stretch begins where the one before ends, over as many days as asked."""
    lines = [json.loads(line) for line in run("duty", "show", "--days", "3", "--json")[1].splitlines()]
    assert all(before["until"] == after["since"] for before, after in pairwise(lines))
    assert len(lines) >= 6


def test_a_hole_is_found(run: Run, rostered: Path, text: str) -> None:
    """`duty check` exits 1 with the first minute; `check --data` and `set` warn of it."""
    site = str(rostered.parent / "site.toml")
    assert run("duty", "check")[:2] == (0, "somebody can be reached at every minute of the next 30 days\n")
    assert _of_the_roster(run, site) == []
    (rostered.parent / "bad.toml").write_text(text.replace('"07:00-19:00"', '"07:00-18:00"'), encoding="utf-8")
    assert "reaches nobody on duty" in run("duty", "set", str(rostered.parent / "bad.toml"))[1]
    code, out, _ = run("duty", "check", "--json")
    hole = json.loads(out)
    assert (code, hole["until"] % 86_400_000) == (1, 11 * 3_600_000)  # 19:00 in Shanghai
    assert 0 < hole["until"] - hole["from"] <= 3_600_000  # less when it is past six there just now
    (warning,) = _of_the_roster(run, site)
    assert re.search(r"18:\d\d until", warning)


def test_a_site_without_a_roster_is_warned(run: Run, folder: Path) -> None:
    """Nobody is called: said once at the check, not left to be found out at night."""
    warnings = _of_the_roster(run, str(folder.parent / "site.toml"))
    assert ["no roster" in warning for warning in warnings] == [True]


def _of_the_roster(run: Run, site: str) -> list[str]:
    """What `check` warns of; that nothing is connected to this site is another matter."""
    warnings = json.loads(run("check", site, "--json")[1])["warnings"]
    return [warning for warning in warnings if warning != "no device: nothing is watched"]


def test_a_bad_roster_is_not_installed(run: Run, rostered: Path, text: str) -> None:
    """The one before stays."""
    bad = rostered.parent / "bad.toml"
    bad.write_text(text.replace('to = ["all"]', 'to = ["nobody"]'), encoding="utf-8")
    code, _, told = run("duty", "set", str(bad))
    assert (code, "escalation[0].step[2].to" in told) == (2, True)
    assert (rostered / DUTY).read_text(encoding="utf-8") == text


def test_an_incident_is_listed_and_a_step_needs_the_hub(run: Run, rostered: Path) -> None:
    """The list comes from the journal; a step is an order, and without a hub it says so."""
    site = load_site(rostered.parent / "site.toml")
    journal = Journal(rostered / FILE, site)
    journal.db.execute(
        "INSERT INTO incident (key, occurrence, severity, opened, state, since) VALUES ('sos/s1', 1, 'P1', 1, 'new', 1)"
    )
    journal.close()
    line = json.loads(run("incidents", "list", "--json")[1])
    assert (line["id"], line["key"], line["state"]) == (1, "sos/s1", "new")
    code, _, told = run("incidents", "step", "1", "note", "--text", "looked")
    assert (code, "no hub took the order" in told) == (1, True)
    assert run("incidents", "step", "1", "archives")[0] == 2


def test_the_sheet_says_what_is_open_and_what_happened(run: Run, rostered: Path, tmp_path: Path) -> None:
    """Open, muted, silent, calls that reached nobody, orders and comments; what people wrote is escaped in HTML."""
    import time

    now = time.time_ns() // 1_000_000
    journal = Journal(rostered / FILE, load_site(rostered.parent / "site.toml"))
    both = {"rule": "sos", "zone": "", "severity": "P1", "occurrence": 1, "quantity": ""}
    open_one = Occurrence(key="sos/s1", source="s1", raised=now - 60_000, **both)  # type: ignore[arg-type]
    alarm = {"filter": "on", "since": now, "last": now, "state": "unacked", "announced": True}
    rows = [
        Alarm(key="sos/s1", source="s1", **both, **alarm),  # type: ignore[arg-type]
        Alarm(key="tamper/g1", source="g1", shelved_until=now + 10**6, **{**both, "rule": "tamper", "severity": "P2"}, **alarm),  # type: ignore[arg-type]  # noqa: E501
    ]  # fmt: skip
    said: dict[str, Any] = {"event": "comment", "actor": "lin", "note": "<b>wet</b>"}
    flip = Flip(at=now, key="sos/s1", occurrence=1, before="", after="", **said)
    health = Health(source="g1", kind="device", state="silent", since=now, detail="nothing for 20 s")
    journal.write([Outcome(alarms=rows, occurrences=[open_one], flips=[flip], health=[health])])
    none = Flip(at=now - 1000, key="sos/s1", occurrence=1, before="", after="", event=UNREACHED, note="guard")
    journal.write([Outcome(flips=[none])])
    put(journal.db, 1, "phone", now, person="p2")
    journal.db.execute("UPDATE outbox SET status = 'failed', detail = 'busy' WHERE person = 'p2'")
    journal.write([Outcome(services=[Service(target="sos/s1", at=now, actor="lin", reason="new button")])])
    journal.close()
    text = run("duty", "handover")[1]
    told = ["求助按钮按下", "NOT ACKNOWLEDGED", "静默 muted", "g1 · 无数据 silent", "<b>wet</b>", "lin: new button"]
    for words in [*told, "nobody could be reached (guard)", "乙 运行日志（phone） log (phone): busy"]:
        assert words in text
    run("duty", "handover", "--html", str(tmp_path / "sheet.html"))
    page = (tmp_path / "sheet.html").read_text(encoding="utf-8")
    assert "&lt;b&gt;wet&lt;/b&gt;" in page
    assert "<b>wet" not in page
