"""The style sheets as a whole: one scale of type, one grid, colours that are named once. No browser."""

import re
from pathlib import Path

import pytest

STATIC = Path(__file__).parents[2] / "dashboard" / "static"
SHEETS = sorted(STATIC.glob("*.css"))
SCALE = {"16px", "18px", "20px", "24px", "28px", "40px", "inherit"}
ALARMING = r"\.p[1-4]\b|\.lost|\.hub-lost|\.noise \.(limit|key\.line)"
SPACE = re.compile(r"\b(margin|padding|gap|inset)[a-z-]*:([^;]+);")


def plain(sheet: Path) -> str:
    """Its text without comments, and without what is drawn in the units of a picture."""
    text = re.sub(r"/\*.*?\*/", "", sheet.read_text(encoding="utf-8"), flags=re.DOTALL)
    return re.sub(r"[^{}]*(\.name|\.bars|\.shape|\.sign)[^{}]*{[^{}]*}", "", text)


@pytest.mark.parametrize("sheet", SHEETS, ids=lambda sheet: sheet.name)
def test_type_has_one_scale(sheet: Path) -> None:
    """Six sizes, none below 16 px on a screen: what is more important is larger, and nothing is almost as large."""
    screen = plain(sheet).partition("@media print")[0]
    sizes = set(re.findall(r"font-size: ([^;]+);", screen)) | set(re.findall(r"font: (?:\d+ )?([\d.]+\w+)/", screen))
    assert sizes <= SCALE


@pytest.mark.parametrize("sheet", SHEETS, ids=lambda sheet: sheet.name)
def test_space_is_on_one_grid(sheet: Path) -> None:
    """Distances are multiples of 4 px; 1 to 3 px are a border's business, 10 make a line of 24 a target of 44."""
    odd = [
        (name, value)
        for name, value in SPACE.findall(plain(sheet))
        for number in re.findall(r"(\d+)px", value)
        if int(number) % 4 and int(number) not in (1, 2, 3, 10)
    ]
    assert odd == []


@pytest.mark.parametrize("sheet", SHEETS, ids=lambda sheet: sheet.name)
def test_colour_is_of_alarms_alone(sheet: Path) -> None:
    """What has an alarm's colour is an alarm, the word that nothing is live or watched, or a limit's thin line."""
    text = re.sub(r"/\*.*?\*/", "", sheet.read_text(encoding="utf-8"), flags=re.DOTALL)
    rules = re.findall(r"([^{}]+){([^{}]*var\(--p[1-4](?:-ink)?\)[^{}]*)}", text)
    wrong = [each for selector, _ in rules for each in selector.split(",") if not re.search(ALARMING, each)]
    assert wrong == []
    assert sheet.name != "app.css" or rules


@pytest.mark.parametrize("sheet", SHEETS, ids=lambda sheet: sheet.name)
def test_colours_are_named_once(sheet: Path) -> None:
    """Only `app.css` knows colours, by name and in both schemes; black on white is what paper is."""
    text = re.sub(r":root {.*?}", "", plain(sheet), flags=re.DOTALL)
    assert set(re.findall(r"#[0-9a-f]{3,8}\b(?![^{}]*{)", text)) <= {"#fff", "#000"}
