"""Readings as a file: CSV that a spreadsheet opens in Chinese, or Parquet. Streaming: memory does not grow with it.

The file appears whole or not at all; nothing is overwritten unasked. It may say who went where: mode 0600.
"""

import contextlib
import csv
import os
import tempfile
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import IO, Protocol, TypeVar

import duckdb

from device_profiles.door import Refusal
from hub.history.duck_file import CONFIG, first_line, quoted
from hub.history.sheet import Cell, Layout, safe
from hub.history.store import StoreError

AT_ONCE = 5_000

R = TypeVar("R", contravariant=True)
T = TypeVar("T")


class Table(Protocol[R]):
    """What is written: its head, a row as cells, and how these lie in a file of columns."""

    layout: Layout

    def header(self) -> list[str]:
        """What the columns are called."""

    def cells(self, row: R) -> list[Cell | None]:
        """A cell a column."""


class Write(Protocol):
    """A kind of file."""

    def __call__(self, out: Path, rows: Iterable[T], table: Table[T], /) -> None:
        """Write all rows, or leave no file."""


def writer_for(out: Path, *, force: bool) -> Write:
    """By the name's end. Raises Refusal for another end, and for a file that is there already (unless `force`)."""
    kinds: dict[str, Write] = {".csv": write_csv, ".parquet": write_parquet}
    writer = kinds.get(out.suffix.lower())
    if writer is None:
        raise Refusal(out, "--out", "unknown kind of file", value=out.suffix, right="FILE.csv or FILE.parquet")
    if out.is_dir() or (out.exists() and not force):
        raise Refusal(out, "--out", "is there already", right="choose another name, or --force to replace it")
    if not out.absolute().parent.is_dir():
        raise Refusal(out, "--out", "its folder does not exist", right="a file in a folder that is there")
    return writer


def write_csv(out: Path, rows: Iterable[T], table: Table[T]) -> None:
    """UTF-8 with a byte order mark (by which Excel knows it), RFC 4180 lines; no cell is taken for a formula."""
    with _part(out) as part, part.open("w", encoding="utf-8-sig", newline="") as file:
        lines = csv.writer(file)
        lines.writerow(table.header())
        for row in rows:
            lines.writerow(["" if cell is None else safe(cell) for cell in table.cells(row)])
        _flush(file)


def write_parquet(out: Path, rows: Iterable[T], table: Table[T]) -> None:
    """Columns go by their names in English; `time` is without zone, `time_utc` in UTC.

    Rows are gathered in a database file beside it, which needs about as much room again while it is written.
    """
    left, layout = iter(rows), table.layout
    with _part(out) as part:
        try:
            with _gathered(out, layout) as db:
                while some := list(islice(left, AT_ONCE)):
                    with db.appender("sheet") as appender:
                        appender.append_rows([layout.split(table.cells(row)) for row in some])
                select = f"SELECT {', '.join(layout.casts.get(name, name) for name in layout.names)} FROM sheet"  # noqa: S608  # our own names
                db.execute(f"COPY ({select}) TO {quoted(part)} (FORMAT parquet, COMPRESSION zstd, USE_TMP_FILE false)")
        except duckdb.Error as error:
            raise StoreError(f"{out.name}: {first_line(error)}") from error
        with part.open("rb") as file:
            os.fsync(file.fileno())


@contextlib.contextmanager
def _gathered(out: Path, layout: Layout) -> Iterator[duckdb.DuckDBPyConnection]:
    """A database in a folder for us alone, gone afterwards, with the empty table `sheet`."""
    with tempfile.TemporaryDirectory(prefix=".zhian-", dir=out.parent) as folder:
        path = str(Path(folder) / "gather.duckdb")
        with contextlib.closing(duckdb.connect(path, config={**CONFIG, "memory_limit": "128MB"})) as db:
            columns = ", ".join(f"{name} {layout.types.get(name, 'VARCHAR')}" for name in layout.names)
            db.execute(f"CREATE TABLE sheet ({columns})")
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
