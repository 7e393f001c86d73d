"""A page of the journal into the history's FRESH tables: the usual readings by SQL, the others one by one.

A batch is a JSON array of readings. Almost all are plain: no escape, no comma within a text. DuckDB splits those by
their commas, faster than Python reads JSON; what does not come out as seven well-formed columns is read as JSON.
"""

import bisect
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import duckdb

from device_profiles import vocabulary
from hub.history.store import Page, by_energy
from hub.journal.batches import Batch, Damaged, Row, sound

_MANY = 2_000  # readings; fewer are sooner read as JSON than SQL is planned

# In two steps: both threads work on what lies in a table; and this one is done ahead, while the page before is written.
_LINES = """
CREATE OR REPLACE TEMP TABLE line AS SELECT first + unnest(range(last - first + 1)) AS seq, unnest(part) AS text FROM (
  SELECT first, last, CASE WHEN len(part) = last - first + 1 THEN part ELSE [] END AS part
  FROM (SELECT first, last, string_split(text, '],[') AS part
    FROM (SELECT unnest($first) AS first, unnest($last) AS last, unnest($text) AS text)))
"""
_SERIES = """(SELECT id, '"' || device || '"' AS device, '"' || quantity || '"' AS quantity FROM series) AS series"""
# Whatever is not well-formed has no device in the end. It is no WHERE: each condition would split the line once more.
# Nearly every line is good and has nothing to add: of these the last two parts are not looked at.
_PLAIN = f"""
INSERT INTO fresh_plain SELECT id, ts, seq, rx - ts, number FROM (
  SELECT seq, CASE WHEN len(part) = 7 AND ts IS NOT NULL AND rx IS NOT NULL AND isfinite(number) THEN part[1] END
    AS device, part[2] AS quantity, ts, rx, number
  FROM (
    SELECT seq, part, TRY_CAST(part[3] AS DOUBLE) AS number, TRY_CAST(part[4] AS BIGINT) AS ts,
      TRY_CAST(part[5] AS BIGINT) AS rx
    FROM (SELECT seq, string_split(text, ',') AS part FROM line WHERE seq > $after AND ends_with(text, ',"good",null')))
) JOIN {_SERIES} USING (device, quantity)
"""
_READ = """(
  SELECT * EXCLUDE (device), CASE WHEN ts IS NOT NULL AND rx IS NOT NULL AND (text IS NOT NULL OR isfinite(number))
    AND starts_with(quality, '"') AND (detail = 'null' OR starts_with(detail, '{')) THEN device END AS device
  FROM (
    SELECT seq, CASE WHEN len(part) = 7 THEN part[1] END AS device, part[2] AS quantity,
      TRY_CAST(part[4] AS BIGINT) AS ts, TRY_CAST(part[5] AS BIGINT) AS rx, TRY_CAST(part[3] AS DOUBLE) AS number,
      CASE WHEN number IS NULL AND starts_with(part[3], '"') THEN trim(part[3], '"') END AS text,
      part[6] AS quality, part[7] AS detail
    FROM (SELECT seq, string_split(text, ',') AS part FROM line WHERE seq > $after))
) AS reading"""
_OTHER = f"""
INSERT INTO fresh_other
SELECT series.id, ts, seq, rx - ts, number, text, nullif(trim(quality, '"'), 'good'), nullif(detail, 'null')
FROM {_READ} JOIN {_SERIES} USING (device, quantity)
"""
_PAIRS = f"SELECT DISTINCT device, quantity FROM {_READ}"
_LEFT = """
CREATE OR REPLACE TEMP TABLE line AS SELECT * FROM line ANTI JOIN (
  SELECT seq FROM fresh_plain WHERE seq > $after UNION ALL SELECT seq FROM fresh_other WHERE seq > $after
) USING (seq) WHERE seq > $after
"""


class Lines(NamedTuple):
    """A page taken apart: the lines of its `plain` batches, if these are many, in a temporary table of `db`."""

    db: duckdb.DuckDBPyConnection
    page: Page
    plain: list[Batch]


class Series:
    """The numbers of the pairs of device and quantity, as the file has them; `known` follows it."""

    def __init__(self, db: duckdb.DuckDBPyConnection) -> None:
        """Read them."""
        found = db.execute("SELECT id, device, quantity FROM series").fetchall()
        self.known: dict[tuple[str, str], int] = {(device, quantity): number for number, device, quantity in found}

    def learn(self, db: duckdb.DuckDBPyConnection, pairs: Iterable[tuple[str, str]]) -> bool:
        """Number those that are new, in the caller's transaction; True when there were any.

        After a rollback, read all of them again.
        """
        new = sorted(set(pairs) - self.known.keys())
        if new:
            first = max(self.known.values(), default=0) + 1
            with db.appender("series") as appender:
                appender.append_rows([(n, *pair, by_energy(pair[1])) for n, pair in enumerate(new, first)])
            # a new table, not the old one changed: others read it meanwhile
            self.known = self.known | {pair: number for number, pair in enumerate(new, first)}
        return bool(new)

    def of_device(self, device: str) -> list[int]:
        """All series of a device."""
        return [number for (name, _), number in self.known.items() if name == device]

    def of_quantities(self, quantities: Iterable[str]) -> list[int]:
        """All series of these quantities, on any device and channel (relay: relay_1, relay_2 ...)."""
        wanted = set(quantities)
        return [number for (_, name), number in self.known.items() if name in wanted or _base(name) in wanted]


def _base(name: str) -> str:
    word = vocabulary.find(name)
    return word.quantity.name if word else name


def take_apart(db: duckdb.DuckDBPyConnection, page: Page) -> Lines:
    """The page in lines, which no other connection sees: any thread may do it while another writes."""
    plain = [batch for batch in page.batches if _is_plain(batch.text)]
    if sum(batch.last - batch.first + 1 for batch in plain) < _MANY:
        return Lines(db, page, [])
    columns = {
        "first": [batch.first for batch in plain],
        "last": [batch.last for batch in plain],
        "text": [batch.text[2:-2] for batch in plain],  # without its brackets
    }
    db.execute(_LINES, columns)
    return Lines(db, page, plain)


def insert_page(lines: Lines, series: Series) -> list[Damaged]:
    """Write the page's readings, in the caller's transaction on `lines.db`; returns what cannot be read."""
    db, (batches, after, _), plain = lines
    done = {batch.last for batch in plain} - {batch.last for batch in _insert_plain(db, series, plain, after)}
    rows, damaged = sound([batch for batch in batches if batch.last not in done], after)
    insert_rows(db, series, rows)
    return damaged


def insert_rows(db: duckdb.DuckDBPyConnection, series: Series, rows: Sequence[Row]) -> None:
    """Write rows, in the caller's transaction."""
    if rows:
        series.learn(db, {(row.device, row.quantity) for row in rows})
        columns = [_columns(row, series.known[row.device, row.quantity]) for row in rows]
        with db.appender("fresh_other") as appender:  # executemany makes 1,500 rows/s, this 600,000
            appender.append_rows(columns)


def _insert_plain(db: duckdb.DuckDBPyConnection, series: Series, batches: list[Batch], after: int) -> list[Batch]:
    """Have their lines written by SQL; returns those that are not plain, of which nothing is written."""
    if not batches:
        return []
    if not series.known:
        series.learn(db, _pairs(db, after))
    left = sum(batch.last - max(batch.first - 1, after) for batch in batches)
    for _ in range(2):  # the second time with the series that are new
        for insert in (_PLAIN, _OTHER):
            left -= db.execute(insert, {"after": after}).fetchall()[0][0]
            if not left:
                return []
            db.execute(_LEFT, {"after": after})
        if not series.learn(db, _pairs(db, after)):
            break
    ends = [batch.last for batch in batches]
    missing = db.execute("SELECT seq FROM line").fetchall()
    odd = [batches[at] for at in sorted({bisect.bisect_left(ends, seq) for (seq,) in missing})]
    _take_back(db, odd, after)
    return odd


def _pairs(db: duckdb.DuckDBPyConnection, after: int) -> list[tuple[str, str]]:
    """Device and quantity of all well-formed lines."""
    found = db.execute(_PAIRS, {"after": after}).fetchall()
    return [
        (pair[0][1:-1], pair[1][1:-1]) for pair in found if all(word and word[0] == word[-1] == '"' for word in pair)
    ]


def _take_back(db: duckdb.DuckDBPyConnection, batches: list[Batch], after: int) -> None:
    """Take out what was written of these."""
    for table in ("fresh_plain", "fresh_other"):
        db.execute(
            f"DELETE FROM {table} USING (SELECT unnest($first) AS first, unnest($last) AS last) AS odd "
            "WHERE seq BETWEEN odd.first AND odd.last",
            {"first": [max(batch.first, after + 1) for batch in batches], "last": [batch.last for batch in batches]},
        )


def _is_plain(text: str) -> bool:
    """As far as a quick look can tell."""
    return text.startswith('[["') and text.endswith("]]") and "\\" not in text and (text.isascii() or _is_utf8(text))


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _columns(row: Row, series: int) -> tuple[object, ...]:
    number, text = (None, row.value) if isinstance(row.value, str) else (row.value, None)
    quality = None if row.quality == "good" else row.quality
    return series, row.ts, row.seq, row.rx - row.ts, number, text, quality, row.detail
