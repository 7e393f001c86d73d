"""Who may use the office: users, their roles and passwords, in `office.sqlite` (SQLAlchemy 2).

Passwords are argon2id hashes. Nothing here knows Flask; sessions and the login's delays are in `sessions.py`.
"""

import contextlib
import os
import re
import secrets
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError, VerifyMismatchError
from sqlalchemy import create_engine, event, select
from sqlalchemy.engine import Engine
from sqlalchemy.orm import Session

from dashboard.access import audit, factor
from dashboard.access.audit import key_of
from dashboard.access.roles import ROLES, Role
from dashboard.access.schema import FILE, prepare
from dashboard.access.tables import SignIn, User
from device_profiles.door import Refusal, nearest
from hub.clock import Clock

T = TypeVar("T")
SHORTEST, LONGEST = 8, 256  # characters; ASVS 5.0 6.2.1 and 6.2.9, no rules of composition (6.2.5)
HASHES_AT_ONCE = 2  # each holds 19 MiB for some 20 ms: a burst of logins must not starve the hub's machine
PATIENCE_S = 3.0
_NAME = re.compile(r"[\w.@-]{1,64}")
# OWASP password storage cheat sheet: argon2id, m = 19 MiB, t = 2, p = 1.
_HASHER = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)
_HASHING = ThreadPoolExecutor(HASHES_AT_ONCE, thread_name_prefix="argon2")
_TURN = threading.BoundedSemaphore(HASHES_AT_ONCE)
_NOBODY = _HASHER.hash(secrets.token_urlsafe(16))  # verified for unknown names, so that they take as long


# ASVS 5.0 6.2.4 in small: what guessers try first is a word with digits, or a run of neighbouring keys.
_WORDS = frozenset(
    {
        "password", "passw0rd", "admin", "administrator", "root", "guest", "welcome", "letmein", "iloveyou", "monkey",
        "dragon", "qwerty", "abc", "zhian", "woaini", "changeme", "default", "secret", "master", "test", "user",
        "system", "security", "baoan", "wuye", "xiaoqu",
    }
)  # fmt: skip
_RUNS = ("01234567890123456789", "abcdefghijklmnopqrstuvwxyz", "qwertyuiopasdfghjklzxcvbnm", "1qaz2wsx3edc4rfv5tgb6yhn")


class Busy(Exception):
    """Too many passwords are being checked at once. Worth trying again in a moment."""


def open_office(data: Path) -> Engine:
    """The office database of a data folder, made when it is not there, readable by its owner alone. Raises Refusal."""
    path = data / FILE
    data.mkdir(parents=True, exist_ok=True)
    os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    prepare(path, key_of(data))
    engine = create_engine(f"sqlite:///{path}")
    event.listen(engine, "connect", _settings)
    return engine


def add_user(data: Path, name: str, role: str, password: str | None = None) -> str:
    """Add a user and return the password, made at random when none is given. Raises Refusal."""
    with console(data, "user-add", f"{name} {role}") as (engine, now):
        return create_user(engine, name, role, password, now)


def set_password(data: Path, name: str, password: str | None = None) -> str:
    """Give a user a new password (random when None), end the sessions, return the password. Raises Refusal."""
    with console(data, "user-password", name) as (engine, now):
        return change_password(engine, name, password, now)


def forget_factor(data: Path, name: str) -> None:
    """Take a user's second factor away. Raises Refusal."""
    with console(data, "user-factor", name) as (engine, _):
        with Session(engine) as db:
            number = _existing(db, name).id
        factor.remove(engine, number)


@contextlib.contextmanager
def console(data: Path, what: str, detail: str) -> Iterator[tuple[Engine, int]]:
    """The office of a data folder and now, for what is done on the console and done well: it is noted afterwards."""
    engine, now = open_office(data), Clock.from_environment().now()
    try:
        yield engine, now
        audit.append(engine, at=now, actor="console", address="", what=what, detail=detail)
    finally:
        engine.dispose()


def renew_login(data: Path, clock: Clock) -> str:
    """A new random password for `admin`, who is made when not there: for a demo, where nobody wrote down the last."""
    engine = open_office(data)
    try:
        with Session(engine) as db:
            known = db.scalar(select(User).where(User.name == "admin")) is not None
        if known:
            return change_password(engine, "admin", None, clock.now())
        return create_user(engine, "admin", Role.ADMIN, None, clock.now())
    finally:
        engine.dispose()


def list_users(data: Path) -> list[tuple[str, str]]:
    """Name and role of every active user, by name."""
    engine = open_office(data)
    try:
        with Session(engine) as db:
            return [(user.name, user.role) for user in db.scalars(select(User).where(User.active).order_by(User.name))]
    finally:
        engine.dispose()


def check_user(name: str, password: str | None) -> str:
    """The password, made at random when None, of a user who may be made. Raises Refusal."""
    if not _NAME.fullmatch(name):
        raise Refusal(FILE, "name", "not a user name", value=name, right="letters, digits, . _ @ - and at most 64")
    return _checked(name, password)


def create_user(engine: Engine, name: str, role: str, password: str | None, now: int) -> str:
    """As `add_user`, in an open office."""
    if role not in ROLES:
        raise Refusal(FILE, "role", "no such role", value=role, right=nearest(role, ROLES))
    chosen = check_user(name, password)
    with Session(engine) as db, db.begin():
        if db.scalar(select(User).where(User.name == name)):
            raise Refusal(FILE, "name", "there is one of this name already", value=name)
        db.add(User(name=name, role=str(role), password=_hash(chosen), created=now))
    return chosen


def change_password(engine: Engine, name: str, password: str | None, now: int) -> str:
    """As `set_password`, in an open office."""
    chosen = _checked(name, password)
    with Session(engine) as db, db.begin():
        user = _existing(db, name)
        user.password = _hash(chosen)
        for sign_in in db.scalars(select(SignIn).where(SignIn.user_id == user.id, SignIn.ended.is_(None))):
            sign_in.ended = now
    return chosen


def exists(engine: Engine, name: str) -> bool:
    """Whether there is a user of this name."""
    with Session(engine) as db:
        return db.scalar(select(User.id).where(User.name == name)) is not None


def verify(engine: Engine, name: str, password: str) -> User | None:
    """The active user with this name and password, or None; it takes as long for a name that nobody has."""
    with Session(engine, expire_on_commit=False) as db:
        user = db.scalar(select(User).where(User.name == name))
    try:
        _in_turn(lambda: _HASHER.verify(user.password if user else _NOBODY, password[:LONGEST]))
    except (VerifyMismatchError, VerificationError, InvalidHashError):
        return None
    return user if user is not None and user.active else None


def _existing(db: Session, name: str) -> User:
    user = db.scalar(select(User).where(User.name == name))
    if user is None:
        raise Refusal(FILE, "name", "no such user", value=name, right=nearest(name, db.scalars(select(User.name))))
    return user


def _checked(name: str, password: str | None) -> str:
    if password is None:
        return secrets.token_urlsafe(12)
    if not SHORTEST <= len(password) <= LONGEST:
        raise Refusal(FILE, "password", "too short or too long", right=f"{SHORTEST} to {LONGEST} characters")
    if password.casefold() == name.casefold() or is_guessed(password):
        raise Refusal(FILE, "password", "is one that everybody tries first", right="anything that is harder to guess")
    return password


def is_guessed(password: str) -> bool:
    """Runs along keyboard, alphabet or digits, few different characters, and words that head every list."""
    plain = password.casefold()
    if len(set(plain)) < 4 or plain.strip("0123456789!@#.") in _WORDS:
        return True
    return any(plain in run or plain[::-1] in run for run in _RUNS)


def _hash(password: str) -> str:
    return _in_turn(lambda: _HASHER.hash(password))


def _in_turn(work: Callable[[], T]) -> T:
    """In one of the few threads that are there for it: what a thread has once used it keeps. Raises Busy."""
    if not _TURN.acquire(timeout=PATIENCE_S):
        raise Busy
    try:
        return _HASHING.submit(work).result()
    finally:
        _TURN.release()


def _settings(connection: Any, _record: object) -> None:  # Any: the driver's connection
    cursor = connection.cursor()
    for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON", "busy_timeout = 5000"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()
