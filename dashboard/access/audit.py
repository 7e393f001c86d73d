"""The audit trail: who did what, as a chain in which each row's hash binds all rows before it. Nothing changes a row.

h(n) = HMAC-SHA256(key, h(n-1) || row n). A chain alone cannot show that its end was cut off: `anchor.py` keeps heads of
it elsewhere. Nothing here knows Flask.
"""

import hashlib
import hmac
from collections.abc import Iterable
from pathlib import Path

import msgspec
from sqlalchemy import select
from sqlalchemy.engine import Engine
from sqlalchemy.orm import Session

from dashboard.access.tables import AuditRow
from hub.durable import secret_key

KEY_FILE = "audit.key"
GENESIS = "0" * 64
LONGEST_DETAIL, LONGEST_ACTOR = 500, 64
Content = tuple[object, ...]  # id, at, actor, address, event, detail


class Anchor(msgspec.Struct, frozen=True):
    """The trail's last row at an instant, as it was kept outside of the office's database."""

    row: int
    hash: str
    at: int = 0


class Wrong(msgspec.Struct, frozen=True):
    """The first row that is not as it was written, and why that is known."""

    row: int
    why: str


class Verdict(msgspec.Struct, frozen=True):
    """`good` rows are as they were written, the last of them at `until` (ms); `anchored` of them are proved outside."""

    good: int
    until: int | None
    anchored: int
    wrong: Wrong | None = None


def key_of(data: Path) -> bytes:
    """The key of a data folder's trail, made at the first use. Raises OSError."""
    return secret_key(data / KEY_FILE)


def entry_hash(key: bytes, before: str, content: Content) -> str:
    """The hash of a row behind the row with hash `before`."""
    return hmac.new(key, bytes.fromhex(before) + msgspec.json.encode(content), hashlib.sha256).hexdigest()


def append(engine: Engine, *, at: int, actor: str, address: str, what: str, detail: str = "") -> None:
    """Add a row, durably; line breaks cannot forge another. Raises OperationalError where it cannot be written."""
    clean = " ".join(detail.split())[:LONGEST_DETAIL]
    with Session(engine) as db:
        db.connection().exec_driver_sql("BEGIN IMMEDIATE")  # two at once must not follow the same row
        last = db.execute(select(AuditRow.id, AuditRow.hash).order_by(AuditRow.id.desc()).limit(1)).first()
        number, before = (last[0] + 1, last[1]) if last is not None else (1, GENESIS)
        content = (number, at, actor[:LONGEST_ACTOR], address, what, clean)
        row = AuditRow(**dict(zip(_COLUMNS, content, strict=True)), hash=entry_hash(_key(engine), before, content))
        db.add(row)
        db.commit()


def verify(engine: Engine, anchors: Iterable[Anchor] = (), since: Anchor | None = None) -> Verdict:
    """Every row from the first on (or behind `since`, which was good), and every anchor; names the first wrong row."""
    kept = {anchor.row: anchor for anchor in anchors}
    key, before, good, until = _key(engine), GENESIS, 0, None
    if since is not None:
        before, good, until = since.hash, since.row, since.at
    anchored = max((row for row in kept if row <= good), default=0)
    with Session(engine) as db:
        asked = select(AuditRow).where(AuditRow.id > good).order_by(AuditRow.id)
        for row in db.scalars(asked.execution_options(yield_per=1000)):
            wrong = _judge(key, before, good + 1, row, kept.get(row.id))
            if wrong is not None:
                return Verdict(good, until, anchored, wrong)
            before, good, until = row.hash, row.id, row.at
            anchored = row.id if row.id in kept else anchored
    last = max(kept, default=0)
    if last > good:
        return Verdict(good, until, anchored, Wrong(good + 1, f"missing: an anchor knows row {last}"))
    return Verdict(good, until, anchored)


def head(engine: Engine) -> Anchor | None:
    """The last row; None while there is none."""
    with Session(engine) as db:
        row = db.scalar(select(AuditRow).order_by(AuditRow.id.desc()).limit(1))
        return None if row is None else Anchor(row.id, row.hash, row.at)


_COLUMNS = ("id", "at", "actor", "address", "event", "detail")


def _judge(key: bytes, before: str, expected: int, row: AuditRow, anchor: Anchor | None) -> Wrong | None:
    if row.id != expected:
        return Wrong(expected, "missing")
    if row.hash != entry_hash(key, before, tuple(getattr(row, name) for name in _COLUMNS)):
        return Wrong(row.id, "not as it was written, or not in its place")
    if anchor is not None and anchor.hash != row.hash:
        return Wrong(row.id, "an anchor knows another row of this number: the trail was written anew")
    return None


def _key(engine: Engine) -> bytes:
    return key_of(Path(engine.url.database or "").parent)
