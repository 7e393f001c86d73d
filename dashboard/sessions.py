"""Server-side sessions, and the growing delay that a wrong password earns. Time is an argument: real ms since 1970.

A session ends after 30 idle minutes, after 12 hours, at logout, and when the user is disabled; the stream asks every
second. Delays are per name and per address, are kept in the database, and never lock anybody out for good.
"""

import hashlib
import logging
import secrets
from collections.abc import Iterable

import msgspec
from sqlalchemy import delete, select, update
from sqlalchemy.engine import Engine
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from dashboard.front import subscriber
from dashboard.roles import Role
from dashboard.tables import SignIn, Throttle, User
from hub.clock import Clock

LOG = logging.getLogger("zhian.sessions")
IDLE_MS = 30 * 60 * 1000
MOST_MS = 12 * 3600 * 1000
TOUCH_MS = 15 * 1000  # `seen` is written at most so often
PROOF_MS = 5 * 60 * 1000  # so long after the password was given may dangerous things be done without giving it again
FREE_TRIES = 3
LONGEST_DELAY_MS = {"user": 60_000, "address": 15 * 60_000}
FORGET_MS = 24 * 3600 * 1000


class Signed(msgspec.Struct, frozen=True):
    """Who is signed in, by which session; `proved`: when the password was last given."""

    digest: str
    user_id: int
    name: str
    role: Role
    proved: int


def real_now(clock: Clock) -> int:
    """Real ms since 1970, also where a demo's clock runs faster: a session's 30 minutes are the person's."""
    return int(clock.anchor_ms + (clock.now() - clock.anchor_ms) / clock.speed)


def digest_of(token: str) -> str:
    """What is stored of a token."""
    return hashlib.sha256(token.encode()).hexdigest()


def begin(engine: Engine, user: User, address: str, now: int) -> str:
    """A new session; returns its token (256 random bits)."""
    token = secrets.token_urlsafe(32)
    with Session(engine) as db, db.begin():
        db.execute(delete(SignIn).where(SignIn.begun < now - 7 * MOST_MS))
        sign_in = SignIn(
            digest=digest_of(token), user_id=user.id, begun=now, seen=now, proved=now, address=address, ended=None
        )
        db.add(sign_in)
    return token


def find(engine: Engine, token: str, now: int, *, touch: bool = True) -> Signed | None:
    """Who holds this token, or None when its session has ended. `touch`: this is a sign of life of the person."""
    digest = digest_of(token)
    with Session(engine) as db:
        row = db.execute(_living(now).where(SignIn.digest == digest)).first()
    if row is None:
        return None
    sign_in, user = row
    if touch and now - sign_in.seen > TOUCH_MS:
        keep(engine, [digest], now)
    return Signed(digest, user.id, user.name, Role(user.role), sign_in.proved)


def living(engine: Engine, digests: Iterable[str], now: int) -> dict[str, Role]:
    """Those of the sessions that have not ended, with the user's role now."""
    with Session(engine) as db:
        rows = db.execute(_living(now).where(SignIn.digest.in_(list(digests))))
        return {sign_in.digest: Role(user.role) for sign_in, user in rows}


def keep(engine: Engine, digests: Iterable[str], now: int) -> None:
    """These sessions are in use. Where that cannot be written, they end in their time, and are read until then."""
    try:
        with Session(engine) as db, db.begin():
            db.execute(update(SignIn).where(SignIn.digest.in_(list(digests)), SignIn.ended.is_(None)).values(seen=now))
    except OperationalError as error:  # a full disk: whoever looks at an alarm must not lose the page for it
        LOG.warning("that a session is in use cannot be written: %s", error.orig)


def prove(engine: Engine, digest: str, now: int) -> None:
    """The password was given again."""
    with Session(engine) as db, db.begin():
        db.execute(update(SignIn).where(SignIn.digest == digest).values(proved=now))


def end(engine: Engine, digest: str, now: int) -> None:
    """End one session."""
    with Session(engine) as db, db.begin():
        db.execute(update(SignIn).where(SignIn.digest == digest).values(ended=now))


def end_all(engine: Engine, user_id: int, now: int) -> None:
    """End all sessions of a user."""
    with Session(engine) as db, db.begin():
        db.execute(update(SignIn).where(SignIn.user_id == user_id, SignIn.ended.is_(None)).values(ended=now))


def delay_ms(failures: int, most_ms: int) -> int:
    """How long after the last failure the next try is heard: nothing for three, then 1 s, 2 s, 4 s ..."""
    if failures < FREE_TRIES:
        return 0
    return min(most_ms, 1000 << min(failures - FREE_TRIES, 20))


def wait_ms(engine: Engine, name: str, address: str, now: int) -> int:
    """How long this name and this address must still wait. 0: the try is counted as a failure until `succeeded`."""
    keys = _keys(name, address)
    with Session(engine) as db:
        db.connection().exec_driver_sql("BEGIN IMMEDIATE")  # two tries at once must not both find the door open
        counters = {row.key: row for row in db.scalars(select(Throttle).where(Throttle.key.in_(keys)))}
        left = 0
        for key, most in keys.items():
            if (counter := counters.get(key)) is not None and now - counter.last < FORGET_MS:
                delay = delay_ms(counter.failures, most)
                left = max(left, min(delay, counter.last + delay - now))  # a clock set back must not add to it
        if left <= 0:
            for key in keys:
                _count(db, counters.get(key), key, now)
        db.commit()
        return max(0, left)


def succeeded(engine: Engine, name: str, address: str) -> None:
    """The password was right: forget the name's failures, and take this try back from the address's."""
    user_key, address_key = _keys(name, address)
    with Session(engine) as db, db.begin():
        db.execute(delete(Throttle).where(Throttle.key == user_key))
        db.execute(update(Throttle).where(Throttle.key == address_key).values(failures=Throttle.failures - 1))


def _count(db: Session, counter: Throttle | None, key: str, now: int) -> None:
    if counter is None:
        db.add(Throttle(key=key, failures=1, last=now))
        return
    counter.failures = 1 if now - counter.last >= FORGET_MS else counter.failures + 1
    counter.last = now


def _keys(name: str, address: str) -> dict[str, int]:
    hashed = hashlib.sha256(name.casefold().encode()).hexdigest()[:32]  # a password typed as a name is not kept
    return {f"user:{hashed}": LONGEST_DELAY_MS["user"], f"address:{subscriber(address)}": LONGEST_DELAY_MS["address"]}


def _living(now: int):  # type: ignore[no-untyped-def]  # SQLAlchemy's Select of two entities
    return (
        select(SignIn, User)
        .join(User, User.id == SignIn.user_id)
        .where(SignIn.ended.is_(None), SignIn.seen > now - IDLE_MS, SignIn.begun > now - MOST_MS, User.active)
    )
