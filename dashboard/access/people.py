"""What an administrator does to users: roles, disabling, one-time links with which they set a password. No Flask.

The last administrator can be neither disabled nor made something else: nobody could undo it.
"""

import secrets

import msgspec
from sqlalchemy import delete, func, select
from sqlalchemy.engine import Engine
from sqlalchemy.orm import Session

from dashboard.access import users
from dashboard.access.roles import ROLES, Role
from dashboard.access.schema import FILE
from dashboard.access.sessions import digest_of
from dashboard.access.tables import SignIn, Ticket, User
from device_profiles.door import Refusal, nearest

LINK_MS = 24 * 3600 * 1000


class Person(msgspec.Struct, frozen=True):
    """A user as the administrator sees them. `seen`: last sign of life; `invited`: a link waits to be used."""

    id: int
    name: str
    role: str
    active: bool
    factor: bool
    created: int
    seen: int | None
    invited: bool


class LastAdministrator(Exception):
    """Nobody could undo it."""


def people(engine: Engine, now: int) -> list[Person]:
    """Everybody, the active first, by name."""
    seen = select(SignIn.user_id, func.max(SignIn.seen).label("seen")).where(~SignIn.half).group_by(SignIn.user_id)
    last = seen.subquery()
    with Session(engine) as db:
        invited = set(db.scalars(select(Ticket.user_id).where(Ticket.until > now)))
        rows = db.execute(
            select(User, last.c.seen).outerjoin(last, last.c.user_id == User.id).order_by(~User.active, User.name)
        )
        return [
            Person(user.id, user.name, user.role, user.active, bool(user.factor), user.created, at, user.id in invited)
            for user, at in rows
        ]


def person(engine: Engine, number: int, now: int) -> Person | None:
    """One of them."""
    return next((each for each in people(engine, now) if each.id == number), None)


def invite(engine: Engine, name: str, role: str, now: int) -> str:
    """A new user, who gets in by the returned link's token alone. Raises Refusal, users.Busy."""
    users.create_user(engine, name, role, None, now)
    with Session(engine) as db:
        number = db.scalars(select(User.id).where(User.name == name)).one()
    return link(engine, number, now)


def link(engine: Engine, number: int, now: int) -> str:
    """The token of a one-time link with which this user sets a password within a day; an older one is worth nothing."""
    token = secrets.token_urlsafe(24)
    with Session(engine) as db, db.begin():
        db.execute(delete(Ticket).where((Ticket.user_id == number) | (Ticket.until <= now)))
        db.add(Ticket(digest=digest_of(token), user_id=number, until=now + LINK_MS))
    return token


def owner(engine: Engine, token: str, now: int) -> User | None:
    """Whose link this is, while it is good."""
    with Session(engine, expire_on_commit=False) as db:
        found: User | None = db.scalar(
            select(User)
            .join(Ticket, Ticket.user_id == User.id)
            .where(Ticket.digest == digest_of(token), Ticket.until > now, User.active)
        )
        return found


def use_link(engine: Engine, token: str, password: str, now: int) -> User | None:
    """Set the password, end the sessions, use the link up; None where it is none. Raises Refusal, users.Busy."""
    user = owner(engine, token, now)
    if user is None:
        return None
    users.check_user(user.name, password)
    with Session(engine) as db, db.begin():
        used = db.execute(delete(Ticket).where(Ticket.digest == digest_of(token)).returning(Ticket.user_id)).all()
    if not used:
        return None  # somebody was faster
    users.change_password(engine, user.name, password, now)
    return user


def set_role(engine: Engine, number: int, role: str) -> None:
    """From the next request on. Raises Refusal, LastAdministrator."""
    if role not in ROLES:
        raise Refusal(FILE, "role", "no such role", value=role, right=nearest(role, ROLES))
    with Session(engine) as db, db.begin():
        db.connection().exec_driver_sql("BEGIN IMMEDIATE")
        user = db.get_one(User, number)
        _spare_the_last(db, user, role == Role.ADMIN)
        user.role = role


def set_active(engine: Engine, number: int, now: int, *, active: bool) -> None:
    """Disabled: no sign-in, and all sessions end now. Raises LastAdministrator."""
    with Session(engine) as db:
        db.connection().exec_driver_sql("BEGIN IMMEDIATE")
        user = db.get_one(User, number)
        _spare_the_last(db, user, active)
        user.active = active
        if not active:
            db.execute(delete(Ticket).where(Ticket.user_id == number))
            for sign_in in db.scalars(select(SignIn).where(SignIn.user_id == number, SignIn.ended.is_(None))):
                sign_in.ended = now
        db.commit()


def _spare_the_last(db: Session, user: User, stays: bool) -> None:
    """`stays`: an administrator is one afterwards too."""
    admins = db.scalar(select(func.count()).select_from(User).where(User.role == Role.ADMIN, User.active))
    if not stays and user.role == Role.ADMIN and user.active and admins == 1:
        raise LastAdministrator
