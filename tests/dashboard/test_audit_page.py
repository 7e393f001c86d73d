"""The audit trail on the page and as a file: filters, pages, formulas that stay text, and whether it is whole."""

import csv
import io
from typing import TYPE_CHECKING

import pytest

from dashboard.access import audit
from dashboard.access.audit_book import PAGE
from dashboard.csv_cell import cell
from tests.dashboard.conftest import NOW
from tests.dashboard.test_audit import tamper

if TYPE_CHECKING:
    from dashboard.office import Office
    from tests.dashboard.conftest import Browser, Field, StillClock

DAY_MS = 86_400_000
FORMULAS = ["=1+1", "+1", "-1+1", "@SUM(A1)", "\t=1", "\r=1", "  =1+1", "＝1+1", '=HYPERLINK("http://evil.example")']


@pytest.fixture(autouse=True)
def _field(field: "Field") -> None:
    """A journal is there."""


def put(office: "Office", number: int, *, actor: str = "lin", what: str = "ack", at: int = NOW, text: str = "") -> None:
    """So many rows."""
    for count in range(number):
        audit.append(office.users, at=at, actor=actor, address="10.0.0.9", what=what, detail=text or f"row {count}")


def rows(text: str) -> list[list[str]]:
    """A CSV file's rows."""
    return list(csv.reader(io.StringIO(text.removeprefix("\ufeff"))))


def test_newest_first_a_page_at_a_time(admin: "Browser", office: "Office") -> None:
    """Every row is on exactly one page."""
    put(office, 2 * PAGE + 5)
    seen: list[str] = []
    path = "/audit"
    while path:
        text = admin.client.get(path).text
        seen += [part.split("<")[0] for part in text.split("10.0.0.9 · #")[1:]]
        link = text.rpartition('<a class="button" href="/audit?')[2].partition('"')[0] if ">Older<" in text else ""
        path = f"/audit?{link.replace('&amp;', '&')}" if link else ""
    assert seen == [str(number) for number in range(2 * PAGE + 5, 0, -1)]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("actor=chen", {"chen ack"}),
        ("event=mute", {"lin mute"}),
        ("text=lake", {"lin mute"}),
        ("text=%25", set()),  # no wildcard
        ("since=2025-10-10", {"late ack"}),
        ("until=2025-10-08", {"early ack"}),
        ("since=nonsense&until=9999-12-31", {"early ack", "late ack", "chen ack", "lin mute"}),
        ("actor=chen&event=mute", set()),
    ],
)
def test_filters(query: str, expected: set[str], admin: "Browser", office: "Office") -> None:
    """By who, what, text and days of the site; the file has the same rows as the page."""
    put(office, 1, actor="chen")
    put(office, 1, what="mute", text="lake 1800 s")
    put(office, 1, actor="late", at=NOW + DAY_MS)
    put(office, 1, actor="early", at=NOW - DAY_MS)
    assert admin.client.get(f"/audit?{query}").status_code == 200
    found = rows(admin.client.get(f"/audit/audit.csv?{query}").text)[1:]
    assert {f"{row[2]} {row[4]}" for row in found if row[4] != "audit-export"} == expected


@pytest.mark.parametrize("text", FORMULAS)
def test_a_formula_stays_text(text: str, admin: "Browser", office: "Office") -> None:
    """A spreadsheet shows it and does not run it."""
    assert cell(text) == "'" + text
    put(office, 1, actor=text, text=text)
    (row,) = [row for row in rows(admin.client.get("/audit/audit.csv").text) if row[3] == "10.0.0.9"]
    assert row[2].startswith("'")
    assert row[5].startswith("'")


@pytest.mark.parametrize("value", [-1, 2.5, "plain", "a=b", "", None])
def test_what_is_no_formula_stays_as_it_is(value: object) -> None:
    """Numbers stay numbers."""
    assert cell(value) == value


def test_an_export_is_a_row_itself(admin: "Browser", office: "Office") -> None:
    """Who took the trail away, and which part of it."""
    admin.client.get("/audit/audit.csv?actor=lin")
    assert "exported the audit trail" in admin.client.get("/audit").text
    assert rows(admin.client.get("/audit/audit.csv").text)[1][5] == "actor=lin"


def test_what_somebody_typed_is_text(admin: "Browser", office: "Office") -> None:
    """Names, addresses and details of attackers are shown, and are no HTML."""
    put(office, 1, actor="<script>alert(1)</script>", text="</li><img src=x onerror=alert(1)>")
    text = admin.client.get('/audit?text="><script>alert(2)</script>').text + admin.client.get("/audit").text
    assert "<script>alert" not in text
    assert "<img" not in text
    assert "&lt;img src=x" in text


def test_the_page_says_how_far_it_is_verified(admin: "Browser", office: "Office", clock: "StillClock") -> None:
    """And names the first wrong row, where one is, also to the hub."""
    put(office, 5)
    assert "Verified up to row 5 " in admin.client.get("/audit").text
    put(office, 3)
    clock.at += 11 * 60_000
    assert "Verified up to row 8 " in admin.client.get("/audit").text
    tamper(office.data, "UPDATE audit SET actor = 'x' WHERE id = 7")
    clock.at += DAY_MS + 1
    admin.enter("admin")
    text = admin.client.get("/audit").text
    assert "Row 7 is not as it was written." in text
    assert office.watchman.facts()["audit-wrong"] == "#7"
