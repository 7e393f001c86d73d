"""The journal's outbox: rows are put, claimed, marked and let go, each by one transaction on the journal's thread.

A row is claimed by compare-and-set and belongs to the claimer until `next_try`; what a hub that died was saying is
then said again. Nothing here speaks or decides.
"""

import sqlite3
from collections.abc import Collection, Iterable, Sequence

import msgspec

from hub.alarms.firstout import FEW, Group, look
from hub.care.drill import is_drill
from hub.journal.file import transaction
from hub.journal.writer import Journal
from hub.reading import Label, Value
from hub.rows import to_struct
from hub.speaking.muted import AGAIN, FOLD_LATER, LAST, LATER, WAITS, WITHHELD
from hub.speaking.state import VoiceState as VoiceState

CLAIM_MS = 30_000  # a claim older than this belongs to a hub that died while it spoke
LONGEST_MS = 3_600_000  # no pause between two tries is longer
AT_ONCE = 20
FOLDABLE = ("P3", "P4")

# The daily list of what is out of service is of no occurrence: it waits for its channel as what is least urgent.
_SEVERITY = "CASE b.kind WHEN 'reminder' THEN 'P4' ELSE coalesce(o.severity, '') END"

_CLAIM = f"""
UPDATE outbox SET status = 'sending', attempts = attempts + 1, next_try = :until WHERE id IN (
  SELECT b.id FROM outbox b LEFT JOIN flip f ON f.seq = b.flip
    LEFT JOIN occurrence o ON o.key = f.key AND o.occurrence = f.occurrence
  WHERE b.voice = :voice AND b.status IN ('pending', 'sending')
    AND (coalesce(o.severity, '') = 'P1') = :urgent
    AND (:among IS NULL OR (b.person = :person AND o.severity IN (SELECT value FROM json_each(:among))))
    AND b.person || ' ' || {_SEVERITY} NOT IN (SELECT value FROM json_each(:held))
    AND NOT {WAITS}
    -- a try further ahead than any pause was noted by a clock that has been set back since
    AND (b.attempts = 0 OR b.next_try NOT BETWEEN :now + 1 AND :now + :longest)
    -- of one occurrence, "cleared" never overtakes a "raised" that is still to be said; CROSS JOIN: by the flip's index
    AND NOT EXISTS (
      SELECT 1 FROM flip g CROSS JOIN outbox e ON e.flip = g.seq AND e.voice = b.voice AND e.person = b.person
      WHERE g.key = f.key AND g.occurrence = f.occurrence AND e.id < b.id AND e.status IN ('pending', 'sending'))
  ORDER BY o.severity, b.id LIMIT :most)
RETURNING id
"""  # noqa: S608  # our own words
_FULL = f"""
SELECT b.id, b.flip, b.voice, b.person, b.note, b.kind, b.attempts, b.next_try AS until,
  {_SEVERITY} AS severity, coalesce(f.at, 0) AS at, f.value, o.id AS number, coalesce(o.rule, '') AS rule,
  coalesce(o.source, '') AS source, coalesce(o.zone, '') AS zone, coalesce(o.quantity, '') AS quantity, o."limit",
  o.raised, coalesce(f.occurrence, 0) AS occurrence,
  (SELECT r.state FROM orders r WHERE r.token = 'siren/' || :site || '-' || b.flip || '-' || b.kind) AS siren,
  (SELECT e.run FROM escalation e WHERE e.key = f.key AND e.occurrence = f.occurrence) AS run,
  {is_drill("f.key", "f.occurrence", "o.zone", "o.raised", "f.seq")} AS drill,
  CASE WHEN b.kind = 'reminder' THEN f.note ELSE '' END AS listing,
  {WITHHELD} AS withheld, {LATER} AS later, {AGAIN} AS again, {LAST} AS last
FROM outbox b LEFT JOIN flip f ON f.seq = b.flip
  LEFT JOIN occurrence o ON o.key = f.key AND o.occurrence = f.occurrence
WHERE b.id IN (SELECT value FROM json_each(:ids)) ORDER BY o.severity, b.id
"""  # noqa: S608  # our own words
_CLAIMED = "WHERE status = 'sending' AND attempts = ? AND id IN (SELECT value FROM json_each(?))"
_MARK = f"UPDATE outbox SET status = ?, next_try = ?, detail = ?, done = ? {_CLAIMED}"  # noqa: S608
_RELEASE = f"UPDATE outbox SET status = 'pending', attempts = attempts - 1, next_try = ?, detail = ? {_CLAIMED}"  # noqa: S608
_NOBODY = (
    "UPDATE outbox SET status = 'failed', detail = ?, done = ? WHERE status IN ('pending', 'sending') AND voice = ?"
)
_DROP = """
UPDATE outbox SET status = 'dropped', done = ? WHERE status = 'pending' AND person <> '' AND flip IN (
  SELECT f.seq FROM flip f JOIN escalation e ON e.key = f.key AND e.occurrence = f.occurrence
  WHERE f.seq = outbox.flip AND e.state IN ('idle', 'acked'))
"""
_OUTDO = """
UPDATE outbox SET status = CASE detail WHEN '' THEN 'dropped' ELSE 'failed' END, done = :now,
  detail = CASE detail WHEN '' THEN 'the next call says it' ELSE detail END
WHERE status = 'pending' AND person <> '' AND person = :person AND voice = :voice AND flip IN (
  SELECT g.seq FROM flip f JOIN flip g ON g.key = f.key AND g.occurrence = f.occurrence
  WHERE f.seq = :flip AND g.seq < f.seq)
"""
_VOICE = """
INSERT INTO voice (id, tried, succeeded, failing, detail, tested, passed)
VALUES (:id, :tried, :succeeded, :failing, :detail, :tested, :passed)
ON CONFLICT (id) DO UPDATE SET tried = excluded.tried, succeeded = coalesce(excluded.succeeded, succeeded),
  failing = excluded.failing, detail = excluded.detail,
  tested = coalesce(excluded.tested, tested), passed = coalesce(excluded.passed, passed)
"""


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """A claimed row, with what its flip and occurrence say. `number` None: the alarm was forgotten meanwhile.

    `run`: which escalation of the occurrence is under way; None: there was never one.
    """

    id: int
    flip: int
    voice: str
    person: str
    note: str
    kind: str
    attempts: int
    until: int
    severity: str
    at: int
    value: Value | None
    number: int | None
    rule: str
    source: str
    zone: str
    quantity: str
    limit: float | None
    raised: int | None
    occurrence: int
    siren: str | None
    run: int | None
    drill: bool = False  # it was raised by a test
    withheld: bool = False  # by a mute of its zone that is over now
    later: tuple[int, ...] = ()  # the rows of its occurrence that were withheld after it, and are said with it
    again: int = 0  # how many of these say "raised"
    last: str = ""  # the kind of the last of them, or its own
    group: Group | None = None  # of alarms that came together with it, when it is said
    listing: str = ""  # of a reminder: what is out of service (hub/care/reminder.py)

    @property
    def foldable(self) -> bool:
        """True for what may be said together with others."""
        return self.severity in FOLDABLE and not self.listing


class Claim(msgspec.Struct, frozen=True, kw_only=True):
    """Which rows: of a voice, P1 or the rest; not those `held` ("person severity"); `among`: of one person only."""

    voice: str
    urgent: bool
    held: tuple[str, ...] = ()
    person: str = ""
    among: tuple[str, ...] | None = None
    most: int = AT_ONCE


def put(db: sqlite3.Connection, flip: int, voice: str, now: int, *, kind: str = "raised", person: str = "",
        note: Label | None = None) -> None:  # fmt: skip
    """Have `voice` say this flip, to one person where one is named. The same again is the same row."""
    words = msgspec.json.encode(note).decode() if note is not None else ""
    db.execute(
        "INSERT OR IGNORE INTO outbox (flip, voice, kind, next_try, person, note) VALUES (?, ?, ?, ?, ?, ?)",
        (flip, voice, kind, now, person, words),
    )


def drop(db: sqlite3.Connection, now: int) -> None:
    """Nobody is called any more for what somebody has seen, or what is over. What is being said is said to its end."""
    db.execute(_DROP, (now,))


def outdo(db: sqlite3.Connection, flip: int, voice: str, person: str, now: int) -> None:
    """An older call of this occurrence that still waits gives way to that of `flip`: one is enough."""
    db.execute(_OUTDO, {"flip": flip, "voice": voice, "person": person, "now": now})


def let_go(journal: Journal) -> None:
    """At the start: only one field process runs on a journal, so what was being said is said by nobody now."""
    journal.db.execute("UPDATE outbox SET status = 'pending', next_try = 0 WHERE status = 'sending'")


def claim(journal: Journal, site: str, what: Claim, now: int) -> list[Row]:
    """Take rows that are due, the most urgent first."""
    asked = {
        "voice": what.voice,
        "urgent": what.urgent,
        "held": msgspec.json.encode(what.held).decode(),
        "person": what.person,
        "among": msgspec.json.encode(what.among).decode() if what.among is not None else None,
        "now": now,
        "until": now + CLAIM_MS,
        "longest": LONGEST_MS,
        "most": what.most,
    }
    ids = [row[0] for row in journal.db.execute(_CLAIM, asked)]
    if not ids:
        return []
    found = journal.db.execute(_FULL, {"ids": msgspec.json.encode(ids).decode(), "site": site})
    rows = [to_struct(Row, row) for row in found]
    return _in_groups(journal, rows) if what.among is None else rows


def _in_groups(journal: Journal, rows: list[Row]) -> list[Row]:
    """With the alarms that each came with: one that is told is told which came first."""
    raised = [row.raised for row in rows if row.raised is not None]
    found = look(lambda sql, values: journal.db.execute(sql, values).fetchall(), raised, journal.links, FEW)
    return [msgspec.structs.replace(row, group=found.get(row.number or 0)) for row in rows] if found else rows


def mark(
    journal: Journal, rows: Iterable[Row], status: str, next_try: int, detail: str, voice: VoiceState | None
) -> None:
    """What became of claimed rows, and how their voice does, in one transaction."""
    done = None if status == "pending" else next_try
    marks = _claimed(_MARK, (status, next_try, detail, done), rows)
    _together(journal, marks + ([(_VOICE, _named(voice))] if voice is not None else []))


def fold(journal: Journal, rows: Sequence[Row], status: str, now: int, detail: str, voice: VoiceState) -> None:
    """Many rows were said in one announcement: the first carries what became of it, the others point to it."""
    first, others = rows[0], rows[1:]
    words = f"within announcement {first.id}"
    marks = _claimed(_MARK, (status, now, detail, now), [first]) + _claimed(_MARK, ("folded", now, words, now), others)
    marks += [(FOLD_LATER, (words, now, msgspec.json.encode(row.later).decode())) for row in rows if row.later]
    _together(journal, [*marks, (_VOICE, _named(voice))])


def release(journal: Journal, rows: Iterable[Row], now: int, why: str) -> None:
    """Give claimed rows back untried."""
    _together(journal, _claimed(_RELEASE, (now, why), rows))


def note_voice(journal: Journal, voice: VoiceState) -> None:
    """How a voice does."""
    journal.db.execute(_VOICE, _named(voice))


def voice_states(db: sqlite3.Connection) -> dict[str, VoiceState]:
    """How every voice does that has ever tried."""
    return {row["id"]: to_struct(VoiceState, row) for row in db.execute("SELECT * FROM voice")}


def hurry(journal: Journal, voice: str, now: int) -> None:
    """A voice gets through again: what waits for its next try need not wait."""
    journal.db.execute("UPDATE outbox SET next_try = ? WHERE voice = ? AND status = 'pending'", (now, voice))


def said_since(journal: Journal, voice: str, since: int) -> list[tuple[int, str]]:
    """Instants and persons of what a voice has said since then: what its budget has spent already."""
    found = journal.db.execute(
        "SELECT done, person FROM outbox WHERE voice = ? AND status IN ('accepted', 'unconfirmed') AND done > ?",
        (voice, since),
    )
    return [(row[0], row[1]) for row in found]


def end_voiceless(journal: Journal, voices: Collection[str], now: int) -> None:
    """What was left for a voice that the site no longer has would wait for ever."""
    left = journal.db.execute("SELECT DISTINCT voice FROM outbox WHERE status IN ('pending', 'sending')").fetchall()
    for (voice,) in left:
        if voice not in voices:
            journal.db.execute(_NOBODY, (f"the site has no voice {voice!r} any more", now, voice))


def _claimed(sql: str, values: tuple[object, ...], rows: Iterable[Row]) -> list[tuple[str, object]]:
    """The statement for these rows, as far as they are still ours; one a number of tries."""
    tries: dict[int, list[int]] = {}
    for row in rows:
        tries.setdefault(row.attempts, []).append(row.id)
    return [(sql, (*values, attempts, msgspec.json.encode(ids).decode())) for attempts, ids in tries.items()]


def _named(voice: VoiceState) -> dict[str, object]:
    return msgspec.structs.asdict(voice)


def _together(journal: Journal, statements: Sequence[tuple[str, object]]) -> None:
    with transaction(journal.db):
        for sql, values in statements:
            journal.db.execute(sql, values)  # type: ignore[arg-type]  # tuples and dicts, as SQLite takes them
