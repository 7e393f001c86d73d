"""Whose dog it is: the one table with owners' names, in the office's own database, for managers and above.

The hub and its journal never hear of it: there a dog is its chip. What is taken off the register loses its row here.
"""

from collections.abc import Iterable

import msgspec
from sqlalchemy import delete, select
from sqlalchemy.engine import Engine
from sqlalchemy.orm import Mapped, Session, mapped_column

from dashboard.access.tables import Table

DRAFT_MS = 3600 * 1000  # a file that was checked and not imported is kept so long


class Owner(msgspec.Struct, frozen=True):
    """Name and telephone number, as the manager wrote them."""

    name: str
    phone: str = ""


class OwnerRow(Table):
    """One dog's owner."""

    __tablename__ = "dog_owner"
    chip: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str]
    phone: Mapped[str]


class DraftRow(Table):
    """A checked file that its manager may import: one a person."""

    __tablename__ = "dog_draft"
    actor: Mapped[str] = mapped_column(primary_key=True)
    at: Mapped[int]
    digest: Mapped[str]
    text: Mapped[str]


def owners(engine: Engine) -> dict[str, Owner]:
    """All, by chip."""
    with Session(engine) as db:
        return {row.chip: Owner(row.name, row.phone) for row in db.scalars(select(OwnerRow))}


def put(db: Session, chip: str, owner: Owner | None) -> None:
    """Keep it in the caller's transaction; None, or an empty one, forgets it."""
    if owner is None or not (owner.name or owner.phone):
        db.execute(delete(OwnerRow).where(OwnerRow.chip == chip))
    else:
        db.merge(OwnerRow(chip=chip, name=owner.name, phone=owner.phone))


def put_all(db: Session, found: Iterable[tuple[str, Owner]]) -> None:
    """Many, all or none."""
    for chip, owner in found:
        put(db, chip, owner)
    db.flush()


def keep_draft(engine: Engine, actor: str, digest: str, text: str, now: int) -> None:
    """Remember a checked file; older ones of everybody are forgotten."""
    with Session(engine) as db, db.begin():
        db.execute(delete(DraftRow).where(~DraftRow.at.between(now - DRAFT_MS, now)))
        db.merge(DraftRow(actor=actor, at=now, digest=digest, text=text))


def draft(engine: Engine, actor: str, digest: str, now: int) -> str | None:
    """The file with this digest that this person had checked within the hour, or None."""
    with Session(engine) as db:
        row = db.get(DraftRow, actor)
        fresh = row is not None and row.digest == digest and 0 <= now - row.at <= DRAFT_MS
        return row.text if row is not None and fresh else None


def drop_draft(db: Session, actor: str) -> None:
    """It was imported."""
    db.execute(delete(DraftRow).where(DraftRow.actor == actor))
