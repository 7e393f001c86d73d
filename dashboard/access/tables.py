"""The tables of `office.sqlite` as SQLAlchemy sees them. The file itself is made and changed by `schema.py` alone.

Instants are ms since 1970. Secrets are stored as digests, and where they must be read again, sealed (`vault.py`).
"""

from sqlalchemy import ForeignKey
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Table(DeclarativeBase):
    """Base of the office's tables."""


class User(Table):
    """One person. An inactive one keeps the name in the audit trail and cannot sign in."""

    __tablename__ = "user"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    role: Mapped[str]
    password: Mapped[str]
    active: Mapped[bool] = mapped_column(default=True)
    created: Mapped[int]
    factor: Mapped[str] = mapped_column(default="")  # sealed secret of the one-time codes; empty: none
    counter: Mapped[int] = mapped_column(default=0)  # of the last code that was taken, 30 s each


class SignIn(Table):
    """One session. The token itself is never stored, only its SHA-256."""

    __tablename__ = "session"
    digest: Mapped[str] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("user.id", ondelete="CASCADE"), index=True)
    begun: Mapped[int]
    seen: Mapped[int]
    proved: Mapped[int]  # when the password was last given
    address: Mapped[str]
    ended: Mapped[int | None]
    half: Mapped[bool] = mapped_column(default=False)  # the password was right, the one-time code is still to come


class Throttle(Table):
    """How often a name or an address has failed to sign in, when last, and when that was last told."""

    __tablename__ = "throttle"
    key: Mapped[str] = mapped_column(primary_key=True)
    failures: Mapped[int]
    last: Mapped[int]
    told: Mapped[int] = mapped_column(default=0)


class Ticket(Table):
    """A one-time link with which somebody sets a password. The link itself is never stored, only its SHA-256."""

    __tablename__ = "ticket"
    digest: Mapped[str] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("user.id", ondelete="CASCADE"), unique=True)
    until: Mapped[int]


class RecoveryCode(Table):
    """One of the codes that replace a lost phone, once."""

    __tablename__ = "recovery"
    digest: Mapped[str] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("user.id", ondelete="CASCADE"), index=True)


class ApiClient(Table):
    """A program with a token of its own, of which only the SHA-256 is stored; `scopes`: words of roles.SCOPES."""

    __tablename__ = "client"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    digest: Mapped[str] = mapped_column(unique=True)
    scopes: Mapped[str]
    made: Mapped[int]
    made_by: Mapped[str]
    used: Mapped[int | None]
    ended: Mapped[int | None]


class PlanPlace(Table):
    """Where a zone stands on the site plan, 0 to 1 from the top left, when it was dragged there on the page."""

    __tablename__ = "plan_place"
    zone: Mapped[str] = mapped_column(primary_key=True)
    x: Mapped[float]
    y: Mapped[float]


class PlanPicture(Table):
    """The site's own picture, when it was given on the page: at most one row."""

    __tablename__ = "plan_picture"
    id: Mapped[int] = mapped_column(primary_key=True)
    mimetype: Mapped[str]
    picture: Mapped[bytes]
    at: Mapped[int]


class AuditRow(Table):
    """Who did what. Rows are only ever added, each bound to the one before by its hash (`audit.py`)."""

    __tablename__ = "audit"
    id: Mapped[int] = mapped_column(primary_key=True)
    at: Mapped[int]
    actor: Mapped[str]
    address: Mapped[str]
    event: Mapped[str]
    detail: Mapped[str]
    hash: Mapped[str]
