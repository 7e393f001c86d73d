"""The register as a CSV file: what is read names each mistake by row and column; what is written is no formula.

Pure. A file is taken whole or not at all. Excel's Chinese files are GBK, all others UTF-8.
"""

import csv
import io
import re
from collections.abc import Iterable, Mapping
from datetime import date

import msgspec

from dashboard.places.dogs import LONGEST_NOTE, Dog, grouped
from dashboard.places.owners import Owner
from device_profiles.iso11784 import remark, understand
from hub.reading import Label

MOST_ROWS, MOST_BYTES = 5_000, 1 << 20
LONGEST_NAME = 60
MOST_ERRORS = 100
HEADERS: dict[str, Label] = {
    "chip": Label(zh="芯片号", en="chip"),
    "note": Label(zh="犬名", en="note"),
    "until": Label(zh="疫苗有效期至", en="vaccinated until"),
    "owner": Label(zh="犬主", en="owner"),
    "phone": Label(zh="电话", en="phone"),
}
_ALSO = {
    "chip": {"芯片", "芯片编号", "犬芯片号", "chip number", "microchip"},
    "note": {"名称", "备注", "品种", "name", "dog"},
    "until": {"疫苗到期", "疫苗到期日", "有效期至", "vaccinated_until", "rabies until"},
    "owner": {"主人", "姓名", "犬主姓名", "owner name"},
    "phone": {"手机", "联系电话", "电话号码", "mobile", "telephone"},
}
_COLUMNS = {name: key for key, label in HEADERS.items() for name in ({label.zh, label.en} | _ALSO[key])}
_SHORTENED = re.compile(r"\d(\.\d+)?[eE]\+?\d+")
_DATE = re.compile(r"(\d{4})[-/.年](\d{1,2})[-/.月](\d{1,2})日?")
_PHONE = re.compile(r"[\d+() -]{3,24}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_FORMULA = ("=", "+", "-", "@", "\t", "\r")  # OWASP, CSV injection


class Mistake(msgspec.Struct, frozen=True):
    """What is wrong in which row (the header is row 1) and column (by its header), and what would be right."""

    row: int
    column: str
    value: str
    why: Label


class Line(msgspec.Struct, frozen=True):
    """One dog of the file. None: the file says nothing of it, so that what is known stays."""

    row: int
    chip: str
    note: str | None
    until: str | None
    owner: str | None
    phone: str | None
    odd: Label | None


class Read(msgspec.Struct, frozen=True, kw_only=True):
    """A file as it was understood. `lines` are good only while there are no `mistakes`."""

    lines: list[Line] = []
    mistakes: list[Mistake] = []
    ignored: list[str] = []  # headers that mean nothing here


def decode(raw: bytes) -> str | None:
    """The text of a file in UTF-8 (with or without a mark) or GBK; None when it is neither."""
    for encoding in ("utf-8-sig", "gb18030"):
        try:
            text = raw.decode(encoding)
        except UnicodeDecodeError:
            continue
        return None if "\0" in text else text
    return None


def read(text: str) -> Read:
    """Every line understood, or every mistake (the first hundred)."""
    try:
        rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=_delimiter(text), strict=True))
    except csv.Error as error:
        return Read(mistakes=[_wrong(1, "", str(error), "不是 CSV 文件", "this is no CSV file")])
    filled = [(at, row) for at, row in enumerate(rows, 1) if any(cell.strip() for cell in row)]
    if not filled:
        return Read(mistakes=[_wrong(1, "", "", "文件是空的", "the file is empty")])
    header = [_plain(cell) for cell in filled[0][1]]
    columns = {at: key for at, name in enumerate(header) if (key := _COLUMNS.get(name.casefold())) is not None}
    mistakes = _heading(header, columns)
    if len(filled) - 1 > MOST_ROWS:
        mistakes.append(_wrong(MOST_ROWS + 2, "", "", f"最多 {MOST_ROWS} 行", f"at most {MOST_ROWS} rows"))
    if mistakes:
        return Read(mistakes=mistakes)
    lines, seen = [], dict[str, int]()
    for at, row in filled[1:]:
        line, wrong = _line(at, row, header, columns, seen)
        mistakes += wrong
        if line is not None:
            lines.append(line)
    ignored = [name for at, name in enumerate(header) if at not in columns and name]
    return Read(lines=[] if mistakes else lines, mistakes=mistakes[:MOST_ERRORS], ignored=ignored)


def write(dogs: Iterable[Dog], owners: Mapping[str, Owner], language: str) -> bytes:
    """For a spreadsheet: UTF-8 with its mark, no cell a formula, the chip in groups so that it stays text."""
    out = io.StringIO(newline="")
    table = csv.writer(out)
    table.writerow([label.zh if language == "zh" else label.en for label in HEADERS.values()])
    for dog in dogs:
        owner = owners.get(dog.chip, Owner(""))
        table.writerow([grouped(dog.chip), *(safe(cell) for cell in (dog.note, dog.until, owner.name, owner.phone))])
    return out.getvalue().encode("utf-8-sig")


def safe(cell: str) -> str:
    """A cell that a spreadsheet does not take for a formula: an apostrophe goes before what would begin one."""
    return f"'{cell}" if cell.startswith(_FORMULA) else cell


def as_date(text: str) -> str | None:
    """ISO 8601 from 2026-05-01, 2026/5/1 or 2026年5月1日; None when it is no day."""
    match = _DATE.fullmatch(text) or re.fullmatch(r"(\d{4})(\d\d)(\d\d)", text)
    try:
        return date(int(match[1]), int(match[2]), int(match[3])).isoformat() if match else None
    except ValueError:
        return None


def check_text(text: str, most: int) -> Label | None:
    """Why this is no word for the register; None when it is."""
    if len(text) > most:
        return Label(zh=f"最多 {most} 个字", en=f"at most {most} characters")
    if _CONTROL.search(text):
        return Label(zh="含有控制字符", en="holds control characters")
    return None


def check_phone(text: str) -> Label | None:
    """Why this is no telephone number."""
    if not text or _PHONE.fullmatch(text):
        return None
    return Label(zh="应为电话号码，如 13800000000", en="should be a telephone number, as 13800000000")


def _heading(header: list[str], columns: Mapping[int, str]) -> list[Mistake]:
    found = list(columns.values())
    right_zh = "、".join(label.zh for label in HEADERS.values())
    right_en = ", ".join(label.en for label in HEADERS.values())
    if "chip" not in found:
        zh, en = f"缺少“芯片号”列；可用的列：{right_zh}", f"there is no column “chip”; columns are {right_en}"
        return [_wrong(1, "", ", ".join(header), zh, en)]
    twice = [name for at, name in enumerate(header) if at in columns and found.count(columns[at]) > 1]
    return [_wrong(1, name, name, "同一列出现两次", "this column is there twice") for name in twice]


def _line(
    at: int, row: list[str], header: list[str], columns: Mapping[int, str], seen: dict[str, int]
) -> tuple[Line | None, list[Mistake]]:
    cells = {key: _plain(row[place]) if place < len(row) else "" for place, key in columns.items()}
    named = {key: header[place] for place, key in columns.items()}
    mistakes = []

    def blame(key: str, why: Label) -> None:
        mistakes.append(Mistake(at, named[key], cells[key][:40], why))

    if len(row) > len(header) and any(cell.strip() for cell in row[len(header) :]):
        mistakes.append(_wrong(at, "", row[len(header)][:40], "比表头多出一格", "is one cell more than the header has"))
    chip = _chip(cells["chip"])
    if isinstance(chip, Label):
        blame("chip", chip)
    elif chip in seen:
        blame("chip", Label(zh=f"与第 {seen[chip]} 行是同一个芯片", en=f"is the same chip as in row {seen[chip]}"))
    else:
        seen[chip] = at
    until = as_date(cells["until"]) if cells.get("until") else None
    if cells.get("until") and until is None:
        blame("until", Label(zh="应为日期，如 2026-05-01", en="should be a day, as 2026-05-01"))
    for key, most in (("note", LONGEST_NOTE), ("owner", LONGEST_NAME)):
        if why := check_text(cells.get(key, ""), most):
            blame(key, why)
    if why := check_phone(cells.get("phone", "")):
        blame("phone", why)
    if mistakes or isinstance(chip, Label):
        return None, mistakes
    said = {key: cells.get(key) or None for key in ("note", "owner", "phone")}
    return Line(at, chip, said["note"], until, said["owner"], said["phone"], remark(chip)), []


def _chip(cell: str) -> str | Label:
    if _SHORTENED.fullmatch(cell):
        return Label(
            zh="表格软件把号码缩短了：请把该列设为文本，重新填写 15 位数字",
            en="the spreadsheet has shortened the number: make the column text and write all 15 digits again",
        )
    return understand(cell)


def _wrong(row: int, column: str, value: str, zh: str, en: str) -> Mistake:
    return Mistake(row, column, value[:80], Label(zh=zh, en=en))


def _plain(cell: str) -> str:
    """Without blanks around it, and without the apostrophe that `safe` has put before it."""
    cell = cell.strip()
    return cell[1:] if cell.startswith("'") and cell[1:].startswith(_FORMULA) else cell


def _delimiter(text: str) -> str:
    head = text.partition("\n")[0]
    return max(",;\t", key=head.count)
