"""Noise and reports: the page says no more than it knows, the form makes what was asked, files are handed out."""

import re
from datetime import datetime, timedelta
from io import BytesIO
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import msgspec
import openpyxl
import pytest

from dashboard.access.roles import Role
from dashboard.charts.noise_bars import BOTTOM, HEIGHT, bars
from dashboard.pages.noise import KEPT, Drawn, scale_share
from hub.figures.month import Figure, NoiseDay
from hub.figures.periods import Part
from hub.reading import Label
from hub.reports.shelf import FOLDER
from hub.settings.site import Site

if TYPE_CHECKING:
    from flask import Flask

    from dashboard.office import Office
    from tests.dashboard.conftest import Browser, Field, ListHistory, StillClock

TZ = ZoneInfo("Asia/Shanghai")
PACE = 5000


@pytest.fixture(scope="session")
def site(site: Site) -> Site:
    """The demo's community with the usual night, and a square with a name that wants to be more than a name."""
    evil = Label(zh='=1+1<img src="x">', en='=1+1<img src="x">')
    zones = tuple(msgspec.structs.replace(zone, name=evil) if zone.id == "square" else zone for zone in site.zones)
    return msgspec.structs.replace(site, night="22:00-06:00", zones=zones)


def local(text: str) -> int:
    """An instant in Shanghai."""
    return int(datetime.fromisoformat(text).replace(tzinfo=TZ).timestamp() * 1000)


def fill(history: "ListHistory", since: str, until: str, level: float, device: str = "noise-square") -> None:
    """Readings at the meter's pace."""
    history.kept += [(device, "laeq", at, level) for at in range(local(since) + PACE, local(until) + 1, PACE)]


@pytest.fixture
def week(history: "ListHistory", clock: "StillClock", field: "Field") -> None:
    """It is 23:30; a quiet day, a loud night, and half of today."""
    clock.at = local("2025-10-09T23:30")
    field.all_well(clock.at)
    fill(history, "2025-10-08T06:00", "2025-10-08T22:00", 50.0)
    fill(history, "2025-10-08T22:00", "2025-10-09T06:00", 47.0)
    fill(history, "2025-10-09T06:00", "2025-10-09T12:00", 58.0)
    field.read("noise-square", "laeq", 46.2, clock.at - 1000)


def table(text: str, meter: str) -> list[list[str]]:
    """The rows of a meter's table, as texts."""
    found = re.search(rf'id="table-{meter}".*?</table>', text, re.DOTALL)
    assert found is not None
    rows = re.findall(r"<tr>(.*?)</tr>", found[0], re.DOTALL)
    return [[re.sub(r"<[^>]+>", "", cell).strip() for cell in re.findall(r"<t[hd].*?</t[hd]>", row)] for row in rows]


@pytest.mark.usefixtures("week")
def test_the_figures_of_the_days(admin: "Browser", office: "Office") -> None:
    """First the page says that they are being made, then Ld and Ln stand there with coverage and verdict."""
    assert "The figures of the days are being made" in admin.client.get("/noise").text
    office.reports.idle()
    rows = table(admin.client.get("/noise").text, "noise-square")

    assert rows[2] == ["10-08", "50.0", "100 %", "within the limit", "47.0", "100 %", "above the limit", "53.7"]
    assert rows[1] == ["10-09", "(58.0)", "38 %", "too little measured", "–", "0 %", "so far", "–"]
    assert rows[3][1:4] == ["–", "0 %", "too little measured"]


@pytest.mark.usefixtures("week")
def test_days_are_drawn_again_when_they_change(
    admin: "Browser", office: "Office", app: "Flask", monkeypatch: pytest.MonkeyPatch
) -> None:
    """Drawn once for many pages, in each language; again when a day has another figure."""
    kept: dict[tuple[str, str], Drawn] = app.extensions.setdefault(KEPT, {})
    admin.client.get("/noise")
    office.reports.idle()
    first = admin.client.get("/noise").text
    drawing = kept["noise-square", "en"]
    assert drawing.text in first
    admin.client.get("/noise")
    assert kept["noise-square", "en"] is drawing
    chinese = admin.client.get("/noise?lang=zh").text
    assert kept["noise-square", "zh"].text in chinese
    days = [msgspec.structs.replace(day, ldn=99.9) for day in drawing.days]
    monkeypatch.setattr(office.reports, "days", lambda _: days)
    assert "99.9" in admin.client.get("/noise?lang=en").text


@pytest.mark.usefixtures("week")
def test_the_limit_of_the_hour(admin: "Browser", clock: "StillClock", field: "Field") -> None:
    """At 23:30 it is 45 dB until 06:00, and 46.2 is above it; at 06:00 it is 55, and the same figure is below."""
    text = admin.client.get("/noise").text
    assert "The limits of the night hold until 10-10 06:00." in text
    assert "1.2 dB above" in text

    clock.at = local("2025-10-10T06:00")
    field.all_well(clock.at)
    admin.enter("admin")
    text = admin.client.get("/noise").text
    assert "The limits of the day hold until 22:00:00." in text
    assert "8.8 dB below" in text


@pytest.mark.usefixtures("week")
@pytest.mark.parametrize("trouble", ["silent", "heartbeat", "never"])
def test_an_old_level_is_no_level(trouble: str, admin: "Browser", clock: "StillClock", field: "Field") -> None:
    """A silent meter, one that never spoke and a hub that does not answer have no value, hatched."""
    match trouble:
        case "silent":
            field.health("noise-square", "silent")
        case "heartbeat":
            clock.at += 60_000
        case "never":
            field.db.execute("DELETE FROM latest")
    found = re.search(r'id="meter-noise-square".*?</article>', admin.client.get("/noise").text, re.DOTALL)

    assert found is not None
    assert 'class="level blind"' in found[0]
    assert "no value" in found[0]
    assert "46.2 dB" not in found[0]
    assert "dB above" not in re.sub(r'data-above="[^"]*"', "", found[0])


@pytest.mark.usefixtures("week")
def test_exceedances_of_the_week(admin: "Browser", field: "Field", clock: "StillClock") -> None:
    """Noise alarms of the last seven days, and no other alarm."""
    number = field.alarm("noise-laeq", "noise-square", severity="P3", raised=clock.at - 86_400_000)
    old = field.alarm("noise-limit", "noise-square", severity="P3", raised=clock.at - 8 * 86_400_000, occurrence=2)
    other = field.alarm("gate-held", "gate-east")
    text = admin.client.get("/noise").text

    assert f'id="row-{number}"' in text
    assert f'id="row-{old}"' not in text
    assert f'id="row-{other}"' not in text


def figure(laeq: float | None, *, valid: bool = True, exceeds: bool | None = False) -> Figure:
    """A day's."""
    return Figure(
        start=0, end=1, part=Part.DAY, hour=None, laeq=laeq, lafmax=None, highest=None, l5=None, l10=None, l50=None,
        l90=None, l95=None, coverage=1.0, valid=valid, limit=55.0, exceeds=exceeds,
    )  # fmt: skip


def test_bars_are_places_on_paper() -> None:
    """What counts is filled, what does not is hollow, nothing is a stub; higher is higher, the limit where it is."""
    figures = [
        figure(50.0),
        figure(60.0, exceeds=True),
        figure(58.0, valid=False, exceeds=None),
        figure(None, valid=False),
    ]
    first = datetime(2026, 10, 1, tzinfo=TZ).date()
    days = [
        NoiseDay(day=first + timedelta(days=n), ld=each, ln=None, ldn=None, hours=[]) for n, each in enumerate(figures)
    ]
    drawn = bars(days)
    found = [column.bars[0] for column in drawn.columns]

    assert [bar.look for bar in found] == ["counts", "counts", "hollow", "nothing"]
    assert [bar.over for bar in found] == [False, True, False, False]
    assert found[1].y < found[0].limit_y < found[0].y < HEIGHT - BOTTOM
    assert all(bar.y + bar.height == HEIGHT - BOTTOM for bar in found)
    assert [column.x for column in drawn.columns] == sorted(column.x for column in drawn.columns)
    assert bars([]).columns == []
    assert [scale_share(level) for level in (10, 30, 60, 90, 140)] == [0, 0, 50, 100, 100]


# --- reports -----------------------------------------------------------------------------------------------------


def ask(browser: "Browser", **more: str) -> int:
    """Send the form; returns the answer's status."""
    form = {"zone": "square", "month": "2025-10", "language": "en", "format": "xlsx", **more}
    return int(browser.post("/reports", "/reports", **form).status_code)


@pytest.mark.usefixtures("week")
def test_a_report_is_made_and_handed_out(admin: "Browser", office: "Office") -> None:
    """Asked for on the page, made beside it, listed as unfinished, and given as a file with the right type."""
    assert "No report has been made yet." in admin.client.get("/reports").text
    assert ask(admin) == 302
    office.reports.idle()
    text = admin.client.get("/reports").text
    assert "until 10-09 23:30" in text
    answer = admin.client.get("/reports/noise-square-2025-10-en.xlsx")

    assert answer.status_code == 200
    assert answer.headers["Content-Disposition"] == "attachment; filename=noise-square-2025-10-en.xlsx"
    assert answer.headers["Cache-Control"] == "no-store"
    book = openpyxl.load_workbook(BytesIO(answer.data))
    assert book["Days"]["B9"].value == 50.0


@pytest.mark.usefixtures("week")
def test_hostile_names_stay_names(admin: "Browser", office: "Office") -> None:
    """In the pages they are escaped, in the workbook they are text and no formula."""
    assert '<img src="x">' not in admin.client.get("/noise").text
    ask(admin)
    office.reports.idle()
    text = admin.client.get("/reports").text
    assert '<img src="x">' not in text
    assert "=1+1&lt;img" in text
    sheet = openpyxl.load_workbook(BytesIO(admin.client.get("/reports/noise-square-2025-10-en.xlsx").data))["Summary"]
    named = [cell for row in sheet.iter_rows() for cell in row if "1+1" in str(cell.value)]
    assert {cell.data_type for cell in named} == {"s"}


@pytest.mark.parametrize(
    "wrong",
    [
        {"zone": "../x"},
        {"zone": "lake"},
        {"month": "2025-13"},
        {"month": "1999-01"},
        {"language": "tlh"},
        {"format": "exe"},
    ],
)
def test_nothing_else_can_be_made(wrong: dict[str, str], admin: "Browser", office: "Office", field: "Field") -> None:
    """A zone without a meter, a month out of reach, an unknown language or format: refused, and nothing waits."""
    field.all_well()

    assert ask(admin, **wrong) == 400
    assert office.reports.jobs() == []


@pytest.mark.parametrize("name", ["office.sqlite", "..%2Foffice.sqlite", "noise-square-2025-10-en.xlsx", ".part"])
def test_only_reports_are_handed_out(name: str, admin: "Browser", office: "Office", field: "Field") -> None:
    """Other files of the folder, paths out of it, and reports that are not there: no such page."""
    field.all_well()
    (office.data / FOLDER).mkdir()
    (office.data / FOLDER / "office.sqlite").write_text("secret")

    assert admin.client.get(f"/reports/{name}").status_code == 404


def test_a_viewer_takes_and_does_not_make(browser: "Browser", field: "Field") -> None:
    """Who may only see is shown no form, and is refused when he sends one."""
    field.all_well()
    browser.enter(Role.VIEWER.value)

    assert "Make it" not in browser.client.get("/reports").text
    assert browser.post("/reports", "/account", zone="square", month="2025-10").status_code == 403


def test_a_store_that_is_down_is_said(
    admin: "Browser", office: "Office", field: "Field", history: "ListHistory", monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reports page says why it could not be made; the noise page shows no figures rather than old or empty ones."""
    from hub.history.store import StoreError

    def down(*_: object) -> None:
        raise StoreError("history.duckdb: disk full")

    field.all_well()
    monkeypatch.setattr(history, "samples", down)
    ask(admin)
    admin.client.get("/noise")
    office.reports.idle()

    assert "could not be made: history.duckdb: disk full" in admin.client.get("/reports").text
    assert "The figures of the days are being made" in admin.client.get("/noise").text
