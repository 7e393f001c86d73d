"""Batches of the journal into the history's table `fresh`: the usual ones by SQL, the others one by one.

A batch is a JSON array of readings. Almost all are plain: no escape, no comma within a text. DuckDB splits those by
their commas, faster than Python reads JSON; what does not come out as seven well-formed columns is read as JSON.
"""

import bisect
from collections.abc import Iterable, Iterator, Sequence

import duckdb

from device_profiles import vocabulary
from hub.history.store import by_energy
from hub.journal.batches import Batch, Damaged, Row, sound

_MANY = 2_000  # readings; fewer are sooner read as JSON than SQL is planned

# In two steps: both threads work on what lies in a table.
_LINES = """
CREATE OR REPLACE TEMP TABLE line AS SELECT first + unnest(range(last - first + 1)) AS seq, unnest(part) AS text FROM (
  SELECT first, last, CASE WHEN len(part) = last - first + 1 THEN part ELSE [] END AS part
  FROM (SELECT first, last, string_split(text, '],[') AS part
    FROM (SELECT unnest($first) AS first, unnest($last) AS last, unnest($text) AS text)))
"""
# Whatever is not well-formed has no device in the end. It is no WHERE: each condition would split the line once more.
# Nearly every line is usual: good, and nothing to add; only of the others are quality and detail looked at.
_READ = """(
  SELECT * EXCLUDE (device), CASE WHEN ts IS NOT NULL AND rx IS NOT NULL AND (text IS NOT NULL OR isfinite(number))
    AND (usual OR starts_with(quality, '"') AND (detail = 'null' OR starts_with(detail, '{'))) THEN device END AS device
  FROM (
    SELECT seq, usual, CASE WHEN len(part) = 7 THEN part[1] END AS device, part[2] AS quantity,
      TRY_CAST(part[4] AS BIGINT) AS ts, TRY_CAST(part[5] AS BIGINT) AS rx, TRY_CAST(part[3] AS DOUBLE) AS number,
      CASE WHEN number IS NULL AND starts_with(part[3], '"') THEN trim(part[3], '"') END AS text,
      CASE WHEN NOT usual THEN part[6] END AS quality, CASE WHEN NOT usual THEN part[7] END AS detail
    FROM (
      SELECT seq, string_split(text, ',') AS part, ends_with(text, ',"good",null') AS usual FROM line
      WHERE seq > $after))
) AS reading"""
_INSERT = f"""
INSERT INTO fresh
SELECT series.id, ts, seq, rx - ts, number, text,
  CASE WHEN quality <> '"good"' THEN trim(quality, '"') END, nullif(detail, 'null')
FROM {_READ}
JOIN (SELECT id, '"' || device || '"' AS device, '"' || quantity || '"' AS quantity FROM series) AS series
  USING (device, quantity)
"""
_PAIRS = f"SELECT DISTINCT device, quantity FROM {_READ}"
_MISSING = "SELECT seq FROM line ANTI JOIN (SELECT seq FROM fresh WHERE seq > ?) USING (seq) WHERE seq > ? ORDER BY seq"


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


def insert_batches(
    db: duckdb.DuckDBPyConnection, series: Series, batches: Sequence[Batch], after: int
) -> list[Damaged]:
    """Write the readings past number `after` into `fresh`, in the caller's transaction; returns what cannot be read."""
    bad: list[Damaged] = []
    for group in _runs(batches):
        many = group[-1].last - group[0].first >= _MANY
        rows, damaged = sound(_plain(db, series, group, after) if many else group, after)
        insert_rows(db, series, rows)
        bad += damaged
    return bad


def insert_rows(db: duckdb.DuckDBPyConnection, series: Series, rows: Sequence[Row]) -> None:
    """Write rows into `fresh`, in the caller's transaction."""
    if rows:
        series.learn(db, {(row.device, row.quantity) for row in rows})
        columns = [_columns(row, series.known[row.device, row.quantity]) for row in rows]
        with db.appender("fresh") as appender:  # executemany makes 1,500 rows/s, this 600,000
            appender.append_rows(columns)


def _runs(batches: Sequence[Batch]) -> Iterator[list[Batch]]:
    """Batches whose numbers follow each other without a hole: as a rule, all of them."""
    group: list[Batch] = []
    for batch in batches:
        if group and batch.first != group[-1].last + 1:
            yield group
            group = []
        group.append(batch)
    yield group


def _plain(db: duckdb.DuckDBPyConnection, series: Series, batches: list[Batch], after: int) -> list[Batch]:
    """Have the plain ones written by SQL; returns the others, of which nothing is written."""
    columns = {
        "first": [batch.first for batch in batches],
        "last": [batch.last for batch in batches],
        "text": [_text(batch) for batch in batches],
    }
    db.execute(_LINES, columns)
    wanted = batches[-1].last - max(batches[0].first - 1, after)
    if not series.known:
        series.learn(db, _pairs(db, after))
    if _insert(db, after) == wanted:
        return []
    if series.learn(db, _pairs(db, after)):
        _take_back(db, batches, after)
        if _insert(db, after) == wanted:
            return []
    missing = db.execute(_MISSING, [after, after]).fetchall()
    ends = [batch.last for batch in batches]
    odd = [batches[at] for at in sorted({bisect.bisect_left(ends, seq) for (seq,) in missing})]
    _take_back(db, odd, after)
    return odd


def _insert(db: duckdb.DuckDBPyConnection, after: int) -> int:
    """Write the lines of known series; returns how many."""
    return int(db.execute(_INSERT, {"after": after}).fetchall()[0][0])


def _pairs(db: duckdb.DuckDBPyConnection, after: int) -> list[tuple[str, str]]:
    """Device and quantity of all well-formed lines."""
    found = db.execute(_PAIRS, {"after": after}).fetchall()
    return [
        (pair[0][1:-1], pair[1][1:-1]) for pair in found if all(word and word[0] == word[-1] == '"' for word in pair)
    ]


def _take_back(db: duckdb.DuckDBPyConnection, batches: list[Batch], after: int) -> None:
    """Take out what was written of these."""
    db.execute(
        "DELETE FROM fresh USING (SELECT unnest($first) AS first, unnest($last) AS last) AS odd "
        "WHERE seq BETWEEN odd.first AND odd.last",
        {"first": [max(batch.first, after + 1) for batch in batches], "last": [batch.last for batch in batches]},
    )


def _text(batch: Batch) -> str:
    """The batch without its brackets, or nothing where it is not plain."""
    text = batch.text
    if text.startswith('[["') and text.endswith("]]") and "\\" not in text and (text.isascii() or _is_utf8(text)):
        return text[2:-2]
    return ""


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
