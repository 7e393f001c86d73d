"""Readings as a table for people: what its columns are called, and a reading as their cells. Pure; writes no file.

Local times are such as a spreadsheet takes for times; the instant itself stands beside them in ms since 1970, UTC.
"""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache
from typing import Literal, NamedTuple, TypeAlias

from device_profiles import vocabulary
from hub.journal.batches import Row
from hub.keeping.retention import KEEP_TRACES_MS, TRACES
from hub.reading import Label
from hub.settings.site import Device, Site

Language: TypeAlias = Literal["zh", "en"]
Cell: TypeAlias = str | int | float
MINUTE_MS = 60_000

COLUMNS: dict[str, Label] = {
    "time": Label(zh="时间（当地）", en="time (local)"),
    "zone": Label(zh="时区", en="time zone"),
    "ts": Label(zh="时间戳（UTC 毫秒）", en="UTC ms"),
    "area": Label(zh="区域", en="area"),
    "device": Label(zh="设备编号", en="device"),
    "name": Label(zh="设备名称", en="device name"),
    "quantity": Label(zh="量代号", en="quantity"),
    "what": Label(zh="量", en="quantity name"),
    "value": Label(zh="值", en="value"),
    "unit": Label(zh="单位", en="unit"),
    "words": Label(zh="值（文字）", en="value in words"),
    "quality": Label(zh="质量", en="quality"),
    "detail": Label(zh="附加信息", en="detail"),
    "rx": Label(zh="收到（UTC 毫秒）", en="received, UTC ms"),
    "delete_by": Label(zh="个人信息，须删除于", en="personal data, delete by"),
}


class Layout(NamedTuple):
    """How a table's cells lie in a file of columns (Parquet), each of which has one type, in SQL."""

    names: list[str]
    types: dict[str, str]  # VARCHAR where none is named
    casts: dict[str, str]
    split: Callable[[list[Cell | None]], Sequence[Cell | None]]


_VALUE = list(COLUMNS).index("value")


def _split(cells: list[Cell | None]) -> Sequence[Cell | None]:
    """The value in one of two columns, `number` and `text`."""
    value = cells[_VALUE]
    both: tuple[Cell | None, Cell | None] = (None, value) if isinstance(value, str) else (value, None)
    return (*cells[:_VALUE], *both, *cells[_VALUE + 1 :])


TIMES = {"time": "time::TIMESTAMP AS time", "ts": "ts, epoch_ms(ts) AS time_utc"}
READINGS = Layout(
    names=[name for before in COLUMNS for name in (("number", "text") if before == "value" else (before,))],
    types={"ts": "BIGINT", "rx": "BIGINT", "number": "DOUBLE"},
    casts=TIMES | {
        "rx": "rx, epoch_ms(rx) AS received_utc",
        "detail": "nullif(detail, '') AS detail",
        "delete_by": "nullif(delete_by, '')::TIMESTAMP AS delete_by",
    },
    split=_split,
)  # fmt: skip


class Local(NamedTuple):
    """An instant as the site's clock showed it, and that clock's distance from UTC."""

    time: str
    zone: str


class Sheet:
    """The cells of one site's readings in one language. A device that the site has no more goes by its id."""

    layout = READINGS

    def __init__(self, site: Site | None, zone: tzinfo, language: Language) -> None:
        """`zone`: of the local times."""
        self._devices: dict[str, Device] = site.devices() if site else {}
        self._areas = {area.id: area.name for area in site.zones} if site else {}
        self._zone, self._language = zone, language
        self._minute = lru_cache(maxsize=4096)(self._minute_of)

    def header(self) -> list[str]:
        """What the columns are called."""
        return [self.said(label) for label in COLUMNS.values()]

    def said(self, label: Label) -> str:
        """A label in the sheet's language."""
        return str(getattr(label, self._language))

    def cells(self, row: Row) -> list[Cell | None]:
        """One reading, a cell a column."""
        local = self.local(row.ts)
        what, unit, words = self.quantity(row.quantity, row.value)
        area, name = self.place(row.device)
        delete_by = self.local(row.ts + KEEP_TRACES_MS).time if row.quantity in TRACES else ""
        return [
            local.time, local.zone, row.ts, area, row.device, name, row.quantity, what, row.value, unit, words,
            row.quality, row.detail or "", row.rx, delete_by,
        ]  # fmt: skip

    def local(self, ts: int) -> Local:
        """To the millisecond; a zone never changes within a minute."""
        minute, ms = divmod(ts, MINUTE_MS)
        head, zone = self._minute(minute)
        return Local(f"{head}:{ms // 1000:02d}.{ms % 1000:03d}", zone)

    def _minute_of(self, minute: int) -> tuple[str, str]:
        there = datetime.fromtimestamp(minute * 60, UTC).astimezone(self._zone)
        return there.strftime("%Y-%m-%d %H:%M"), _offset(there)

    def place(self, device: str) -> tuple[str, str]:
        """Its area and its name; empty for one that the site has no more."""
        found = self._devices.get(device)
        if found is None:
            return "", ""
        area = self._areas.get(found.zone) if found.zone else None
        return self.said(area) if area else "", self.said(found.name)

    def quantity(self, quantity: str, value: float | str) -> tuple[str, str, str]:
        """A quantity's name, its unit, and a state's name where the value is one."""
        word = vocabulary.find(quantity)
        if word is None:
            return quantity, "", ""
        label = self.said(word.quantity.label) + (f" {word.channel}" if word.channel else "")
        named = word.quantity.states.get(value) if isinstance(value, str) else None
        return label, word.quantity.unit, self.said(named) if named else ""


def _offset(there: datetime) -> str:
    seconds = int((there.utcoffset() or timedelta()).total_seconds())
    hours, rest = divmod(abs(seconds), 3600)
    return f"UTC{'-' if seconds < 0 else '+'}{hours:02d}:{rest // 60:02d}"


def safe(cell: Cell) -> Cell:
    """A text that no spreadsheet takes for a formula, or for a number whose last digits it would drop (16 and more).

    The signs are those of OWASP, "CSV Injection", and their full-width forms, which Chinese input methods type.
    """
    if isinstance(cell, str) and cell and (cell.lstrip(" ")[:1] in _FORMULA or (len(cell) > 15 and cell.isdigit())):
        return "'" + cell
    return cell


_FORMULA = frozenset("=+-@\t\r\n＝＋－＠")
