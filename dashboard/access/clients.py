"""Programs that ask the API: each with a token of its own, shown once, stored as a digest, and to be taken back.

What a token may do is the union of its scopes (`roles.SCOPES`); users are never among it.
"""

import re
import secrets
from collections.abc import Iterable

import msgspec
from sqlalchemy import select, update
from sqlalchemy.engine import Engine
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from dashboard.access.roles import SCOPES, Permission, Role
from dashboard.access.schema import FILE
from dashboard.access.sessions import Signed, digest_of
from dashboard.access.tables import ApiClient
from device_profiles.door import Refusal

PREFIX = "zhian_"  # so that whoever finds one in a file knows what it is
TOUCH_MS = 60_000  # `used` is written at most so often
_NAME = re.compile(r"[\w.@-]{1,40}")


class Client(msgspec.Struct, frozen=True):
    """A client as people see it. `ended`: when its token was taken back."""

    id: int
    name: str
    scopes: tuple[str, ...]
    made: int
    made_by: str
    used: int | None
    ended: int | None


def make(engine: Engine, name: str, scopes: Iterable[str], by: str, now: int) -> str:
    """A new client; returns its token (256 random bits), which is told nowhere else. Raises Refusal."""
    wanted = sorted(set(scopes))
    if not _NAME.fullmatch(name):
        raise Refusal(FILE, "name", "not a client's name", value=name, right="letters, digits, . _ @ - and at most 40")
    if not wanted or not set(wanted) <= set(SCOPES):
        raise Refusal(FILE, "scopes", "not scopes", value=" ".join(wanted), right=" ".join(SCOPES))
    token = PREFIX + secrets.token_urlsafe(32)
    row = ApiClient(name=name, digest=digest_of(token), scopes=" ".join(wanted), made=now, made_by=by)
    try:
        with Session(engine) as db, db.begin():
            db.add(row)
    except IntegrityError:
        raise Refusal(FILE, "name", "there is or was one of this name already", value=name) from None
    return token


def find(engine: Engine, token: str, now: int) -> Signed | None:
    """Who holds this token, with what its scopes allow; None when it was taken back or never was."""
    with Session(engine) as db, db.begin():
        found = db.scalar(select(ApiClient).where(ApiClient.digest == digest_of(token), ApiClient.ended.is_(None)))
        if found is None:
            return None
        if found.used is None or not 0 <= now - found.used < TOUCH_MS:
            found.used = now
        grants = frozenset[Permission]().union(*(SCOPES.get(scope, frozenset()) for scope in found.scopes.split()))
        return Signed(found.digest, 0, f"api:{found.name}", Role.VIEWER, 0, grants)


def living(engine: Engine, digests: Iterable[str]) -> set[str]:
    """Those of the tokens (by digest) that have not been taken back."""
    with Session(engine) as db:
        asked = select(ApiClient.digest).where(ApiClient.digest.in_(list(digests)), ApiClient.ended.is_(None))
        return set(db.scalars(asked))


def end(engine: Engine, number: int, now: int) -> None:
    """Take a token back; it is worth nothing from the next request on."""
    with Session(engine) as db, db.begin():
        db.execute(update(ApiClient).where(ApiClient.id == number, ApiClient.ended.is_(None)).values(ended=now))


def clients(engine: Engine) -> list[Client]:
    """All that there are and were, the living first."""
    with Session(engine) as db:
        rows = db.scalars(select(ApiClient).order_by(ApiClient.ended.is_not(None), ApiClient.name))
        return [
            Client(row.id, row.name, tuple(row.scopes.split()), row.made, row.made_by, row.used, row.ended)
            for row in rows
        ]
