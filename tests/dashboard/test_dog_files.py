"""Dogs by file: GBK or UTF-8, mistakes by row and column, all or nothing, and no formula on the way out."""

import csv
import io
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard.journal_view import JournalUnreadable, OrderDesk
from dashboard.places import owners
from dashboard.places.dog_csv import MOST_ROWS, as_date, decode, read, safe, write
from dashboard.places.dogs import Dog
from dashboard.places.owners import Owner

if TYPE_CHECKING:
    from dashboard.office import Office
    from tests.dashboard.conftest import Browser, Field, StillClock

ZH = """芯片号,犬名,疫苗有效期至,犬主,电话
156000000000101,豆豆,2026/5/1,陈女士,13800000000
3E7.1CBE991A14,旺财,2026年12月1日,,
"""
EN = "Chip;Note;Owner\n156000000000101;Doudou;Chen\n"


def upload(browser: "Browser", raw: bytes, name: str = "dogs.csv") -> Any:  # Any: werkzeug's test response
    """Have a file checked."""
    fields = {"csrf_token": browser.token("/dogs/import").encode(), f'file"; filename="{name}': raw}
    parts = [
        b'--x\r\nContent-Disposition: form-data; name="%s"\r\n\r\n%s\r\n' % (k.encode(), v) for k, v in fields.items()
    ]
    body = b"".join([*parts, b"--x--\r\n"])
    return browser.client.post("/dogs/import", data=body, content_type="multipart/form-data; boundary=x")


def take(browser: "Browser", page: str) -> Any:  # Any: as above
    """Import what was checked."""
    digest = page.partition('name="digest" value="')[2].partition('"')[0]
    return browser.post("/dogs/import/do", form="/dogs/import", digest=digest)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gbk", "gb18030"])
def test_a_chinese_file_is_read_in_each_encoding(encoding: str) -> None:
    """Headers in Chinese, days as people write them, chips in any spelling; an empty cell says nothing."""
    text = decode(ZH.encode(encoding))
    assert text is not None
    found = read(text)
    assert found.mistakes == []
    first, second = found.lines
    assert (first.chip, first.note, first.until, first.owner) == ("156000000000101", "豆豆", "2026-05-01", "陈女士")
    assert (second.chip, second.until, second.owner) == ("999123456789012", "2026-12-01", None)
    assert second.odd is not None  # 999 is for tests


def test_english_headers_semicolons_and_strangers() -> None:
    """Column names whatever their case; a column that means nothing is named, not swallowed."""
    found = read(EN.replace("Owner", "Owner;Colour").replace("Chen", "Chen;brown"))
    assert [line.owner for line in found.lines] == ["Chen"]
    assert found.ignored == ["Colour"]


@pytest.mark.parametrize(
    ("text", "row", "column", "words"),
    [
        ("", 1, "", "empty"),
        ("name\nD\n", 1, "", "no column “chip”"),
        ("chip,芯片号\n1,2\n", 1, "chip", "twice"),
        ("chip\n1.56E+14\n", 2, "chip", "shortened"),
        ("chip\n15600000000010\n", 2, "chip", "15 digits"),
        ("chip\n156000000000101\n\n156.000.000.000.101\n", 4, "chip", "row 2"),
        ("chip,until\n156000000000101,31.02.2026\n", 2, "until", "a day"),
        ("chip,phone\n156000000000101,call me\n", 2, "phone", "telephone"),
        ("chip,note\n156000000000101," + "x" * 81 + "\n", 2, "note", "at most 80"),
        ("chip,note\n156000000000101,a\x07b\n", 2, "note", "control"),
        ("chip\n156000000000101,surplus\n", 2, "", "one cell more"),
        ('chip,note\n156000000000101,"open\n', 1, "", "no CSV"),
        ("chip\n" + "156000000000101\n" * (MOST_ROWS + 1), MOST_ROWS + 2, "", "at most"),
    ],
)
def test_a_mistake_is_named_by_row_and_column(text: str, row: int, column: str, words: str) -> None:
    """And there is no line to import."""
    text = text.replace(",until", ",vaccinated until")
    found = read(text)
    assert found.lines == []
    first = found.mistakes[0]
    assert (first.row, first.column) == (row, column.replace("until", "vaccinated until"))
    assert words in first.why.en


def test_all_mistakes_are_named_at_once() -> None:
    """Whoever mends a file wants to do it once."""
    found = read("chip,vaccinated until,phone\n1,x,y\n2,x,y\n")
    assert [(each.row, each.column) for each in found.mistakes] == [
        (2, "chip"), (2, "vaccinated until"), (2, "phone"), (3, "chip"), (3, "vaccinated until"), (3, "phone"),
    ]  # fmt: skip


@given(st.text(max_size=200))
def test_no_file_breaks_the_reader(text: str) -> None:
    """Whatever it holds, it is lines or mistakes, never both and never an exception."""
    found = read("chip,note\n" + text)
    assert not (found.lines and found.mistakes)


@given(st.lists(st.text(alphabet="=+-@\t\r'ab,\"\n", max_size=8), min_size=3, max_size=3))
def test_no_cell_of_the_export_is_a_formula(cells: list[str]) -> None:
    """OWASP's list of beginnings; and nothing of it breaks the file."""
    note, owner, phone = cells
    raw = write([Dog(chip="156000000000101", note=note)], {"156000000000101": Owner(owner, phone)}, "en")
    header, *rows = csv.reader(io.StringIO(raw.decode("utf-8-sig"), newline=""))
    assert len(rows) == 1
    assert len(rows[0]) == len(header)
    assert not any(cell.startswith(("=", "+", "-", "@", "\t", "\r")) for cell in rows[0])


def test_what_was_exported_comes_in_again() -> None:
    """The same dogs, whatever begins their names."""
    dogs = [Dog(chip="156000000000101", note="=1+1", until="2026-05-01"), Dog(chip="999123456789012", note="旺财")]
    raw = write(dogs, {"156000000000101": Owner("+Li", "+86 138")}, "zh")
    found = read(decode(raw) or "")
    assert found.mistakes == []
    assert [(line.chip, line.note, line.until) for line in found.lines] == [
        ("156000000000101", "=1+1", "2026-05-01"), ("999123456789012", "旺财", None),
    ]  # fmt: skip
    assert (found.lines[0].owner, found.lines[0].phone) == ("+Li", "+86 138")
    assert safe("Doudou") == "Doudou"


def test_days() -> None:
    """As people write them, and no day that is none."""
    assert {as_date(text) for text in ("2026-5-1", "2026/05/01", "2026.5.1", "2026年5月1日", "20260501")} == {
        "2026-05-01"
    }
    assert as_date("2026-02-30") is as_date("05/01/2026") is as_date("soon") is None


def test_a_dry_run_changes_nothing(field: "Field", admin: "Browser", office: "Office") -> None:
    """What is new and changed is told; orders and owners come with the second press, in one step."""
    field.all_well()
    field.put("entry", list="dogs", id="156000000000101", note="豆豆")
    page = upload(admin, ZH.encode("gbk")).text
    assert "No mistake. Nothing is imported yet." in page
    assert "1 new · 1 changed · 0 as before" in " ".join(page.split())
    assert (field.orders(), owners.owners(office.users)) == ([], {})
    assert take(admin, page).headers["Location"] == "/dogs"
    found = [(order["kind"], order["target"], order["text"]) for order in field.orders()]
    assert found == [
        ("list-add", "vaccinated-until", "156000000000101 2026-05-01"),
        ("list-add", "dogs", "999123456789012 旺财"),
        ("list-add", "vaccinated-until", "999123456789012 2026-12-01"),
    ]
    assert owners.owners(office.users) == {"156000000000101": Owner("陈女士", "13800000000")}
    assert take(admin, page).headers["Location"] == "/dogs/import"  # once


def test_one_mistake_and_nothing_comes_in(field: "Field", admin: "Browser", office: "Office") -> None:
    """No button, no draft, no order."""
    field.all_well()
    page = upload(admin, (ZH + "1.56E+14,x,,,\n").encode()).text
    assert "1 mistake: nothing was imported." in page
    assert 'name="digest"' not in page
    assert (field.orders(), owners.owners(office.users)) == ([], {})


@pytest.mark.parametrize("raw", [b"\xff\xfe\x00\x01", b"PK\x03\x04\x00", b"x" * (1 << 20) + b"x"])
def test_what_is_no_text_is_refused(raw: bytes, field: "Field", admin: "Browser") -> None:
    """A spreadsheet's own format, a picture, a file that is too large."""
    field.all_well()
    assert "CSV" in upload(admin, raw, "dogs.xlsx").text.partition('id="mistakes"')[2]


def test_a_large_file_is_taken_there_and_nowhere_else(field: "Field", admin: "Browser") -> None:
    """Two thousand dogs are no comment."""
    field.all_well()
    lines = "".join(f"156{number:012d},Dog {number},Owner {number}\n" for number in range(1, 3001))
    page = upload(admin, ("chip,note,owner\n" + lines).encode()).text
    assert "Import 3000 dogs" in page
    take(admin, page)
    assert len(field.orders()) == 3000
    big = {"csrf_token": admin.token("/account"), "old": "x" * 100_000}
    assert admin.client.post("/account/password", data=big).status_code == 413


def test_a_checked_file_is_somebodys_and_fresh(
    field: "Field", admin: "Browser", browser: "Browser", clock: "StillClock"
) -> None:
    """Another manager cannot import it, and after an hour nobody can."""
    field.all_well()
    page = upload(admin, EN.encode()).text
    browser.enter("manager")
    assert take(browser, page).headers["Location"] == "/dogs/import"
    clock.at += 3_600_001
    field.all_well(clock.at)
    admin.enter("admin")
    take(admin, page)
    assert field.orders() == []


def test_an_import_that_cannot_be_put_in_leaves_nothing(
    field: "Field", admin: "Browser", office: "Office", monkeypatch: pytest.MonkeyPatch
) -> None:
    """The journal is locked or the disk is full: no owner without a dog, and the file may be imported again."""
    field.all_well()
    page = upload(admin, EN.encode()).text

    def full(*_: object) -> None:
        raise JournalUnreadable("disk is full")

    with monkeypatch.context() as broken:
        broken.setattr(OrderDesk, "put_all", full)
        assert take(admin, page).status_code == 503
    assert owners.owners(office.users) == {}
    take(admin, page)
    assert len(field.orders()) == 1
