"""Readings as a file: CSV that a spreadsheet opens in Chinese, or Parquet. Streaming: memory does not grow with it.

The file appears whole or not at all; nothing is overwritten unasked. It may say who went where: mode 0600.
"""

import contextlib
import csv
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import IO, TypeAlias

import duckdb

from device_profiles.door import Refusal
from hub.batches import Row
from hub.history.duck_file import CONFIG, first_line, quoted
from hub.history.sheet import COLUMNS, Cell, Sheet, safe
from hub.history.store import StoreError

AT_ONCE = 5_000
Written: TypeAlias = Callable[[Path, Iterable[Row], Sheet], None]


def writer_for(out: Path, *, force: bool) -> Written:
    """By the name's end. Raises Refusal for another end, and for a file that is there already (unless `force`)."""
    writer = {".csv": write_csv, ".parquet": write_parquet}.get(out.suffix.lower())
    if writer is None:
        raise Refusal(out, "--out", "unknown kind of file", value=out.suffix, right="FILE.csv or FILE.parquet")
    if out.is_dir() or (out.exists() and not force):
        raise Refusal(out, "--out", "is there already", right="choose another name, or --force to replace it")
    if not out.absolute().parent.is_dir():
        raise Refusal(out, "--out", "its folder does not exist", right="a file in a folder that is there")
    return writer


def write_csv(out: Path, rows: Iterable[Row], sheet: Sheet) -> None:
    """UTF-8 with a byte order mark (by which Excel knows it), RFC 4180 lines; no cell is taken for a formula."""
    with _part(out) as part, part.open("w", encoding="utf-8-sig", newline="") as file:
        lines = csv.writer(file)
        lines.writerow(sheet.header())
        for row in rows:
            lines.writerow([safe(cell) for cell in sheet.cells(row)])
        _flush(file)


def write_parquet(out: Path, rows: Iterable[Row], sheet: Sheet) -> None:
    """Columns named as in COLUMNS; a value is in `number` or in `text`, `time` is without zone, `time_utc` in UTC.

    Rows are gathered in a database file beside it, which needs about as much room again while it is written.
    """
    left = iter(rows)
    with _part(out) as part:
        try:
            with _gathered(out) as db:
                while some := list(islice(left, AT_ONCE)):
                    with db.appender("sheet") as appender:
                        appender.append_rows([_split(sheet.cells(row)) for row in some])
                db.execute(f"COPY ({_SELECT}) TO {quoted(part)} (FORMAT parquet, COMPRESSION zstd, USE_TMP_FILE false)")
        except duckdb.Error as error:
            raise StoreError(f"{out.name}: {first_line(error)}") from error
        with part.open("rb") as file:
            os.fsync(file.fileno())


_VALUE = list(COLUMNS).index("value")
_NAMES = [name for before in COLUMNS for name in (("number", "text") if before == "value" else (before,))]
_TYPES = {"ts": "BIGINT", "rx": "BIGINT", "number": "DOUBLE"}
_SHEET = ", ".join(f"{name} {_TYPES.get(name, 'VARCHAR')}" for name in _NAMES)
_CASTS = {
    "time": "time::TIMESTAMP AS time",
    "ts": "ts, epoch_ms(ts) AS time_utc",
    "rx": "rx, epoch_ms(rx) AS received_utc",
    "detail": "nullif(detail, '') AS detail",
    "delete_by": "nullif(delete_by, '')::TIMESTAMP AS delete_by",
}
_SELECT = f"SELECT {', '.join(_CASTS.get(name, name) for name in _NAMES)} FROM sheet"  # noqa: S608  # our own names


def _split(cells: list[Cell]) -> Sequence[Cell | None]:
    """The value in one of two columns: a column of Parquet has one type."""
    value = cells[_VALUE]
    both: tuple[Cell | None, Cell | None] = (None, value) if isinstance(value, str) else (value, None)
    return (*cells[:_VALUE], *both, *cells[_VALUE + 1 :])


@contextlib.contextmanager
def _gathered(out: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """A database in a folder for us alone, gone afterwards, with the empty table `sheet`."""
    with tempfile.TemporaryDirectory(prefix=".zhian-", dir=out.parent) as folder:
        path = str(Path(folder) / "gather.duckdb")
        with contextlib.closing(duckdb.connect(path, config={**CONFIG, "memory_limit": "128MB"})) as db:
            db.execute(f"CREATE TABLE sheet ({_SHEET})")
            yield db


@contextlib.contextmanager
def _part(out: Path) -> Iterator[Path]:
    """A new file of mode 0600 beside `out`, which takes its place when all went well."""
    part = out.with_name(f"{out.name}.part")
    part.unlink(missing_ok=True)
    part.touch(mode=0o600, exist_ok=False)
    try:
        yield part
        part.replace(out)
    except OSError as error:
        error.filename = error.filename or str(out)  # a full disk names no file
        raise
    finally:
        part.unlink(missing_ok=True)


def _flush(file: IO[str]) -> None:
    file.flush()
    os.fsync(file.fileno())
