"""Server-side sessions, and the growing delay that a wrong password earns. Time is an argument: real ms since 1970.

A session ends after 30 idle minutes, after 12 hours, at logout, and when the user is disabled; the stream asks every
second. Delays are per name and per address, are kept in the database, and never lock anybody out for good.
"""

import hashlib
import logging
import secrets
from collections.abc import Iterable

import msgspec
from sqlalchemy import Select, delete, func, select, update
from sqlalchemy.engine import Engine
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from dashboard.access.front import subscriber
from dashboard.access.roles import GRANTS, Permission, Role
from dashboard.access.tables import SignIn, Throttle, User
from hub.clock import Clock

LOG = logging.getLogger("zhian.sessions")
IDLE_MS = 30 * 60 * 1000
MOST_MS = 12 * 3600 * 1000
KNOWN_S = 0.75  # a session that has ended is refused within a second everywhere
TOUCH_MS = 15 * 1000  # `seen` is written at most so often
MOST_TOUCHED = 2048  # sessions that are remembered for it
PROOF_MS = 5 * 60 * 1000  # so long after the password was given may dangerous things be done without giving it again
HALF_MS = 5 * 60 * 1000
NUMBER = 16  # characters of a digest that tell one session from another
FREE_TRIES = 3
LONGEST_DELAY_MS = {"user": 60_000, "address": 15 * 60_000}
FORGET_MS = 24 * 3600 * 1000
REMEMBER_MS = 30 * FORGET_MS  # from where somebody has signed in
MOST_KEYS = 10_000  # of names and addresses that have failed; the oldest are forgotten first
TELL_MS = 60_000  # a delay is written down at most so often for a name and an address
GUESSING, GUESSING_MS = 10, 15 * 60_000  # so many failures, the last not longer ago: somebody is guessing


class Signed(msgspec.Struct, frozen=True):
    """Who asks, by which session or token, and what they may do; `proved`: when the password was last given."""

    digest: str
    user_id: int
    name: str
    role: Role
    proved: int
    grants: frozenset[Permission]
    factor: bool = False  # has a second factor


class Stay(msgspec.Struct, frozen=True):
    """One session that has not ended, as its owner sees it; `number` is not its token."""

    number: str
    begun: int
    seen: int
    address: str


class Present:
    """Who has a page open, as the database said a moment ago: a page that looks again need not ask it once more.

    And whose sign of life is being written: of all that somebody asks for meanwhile one waits for the disk, not each.
    """

    def __init__(self) -> None:
        """Nobody."""
        self._known: tuple[dict[str, Signed], float] = ({}, 0.0)
        self._touched: dict[str, int] = {}

    def know(self, found: dict[str, Signed], asked_s: float) -> None:
        """These sessions lived at `asked_s`."""
        self._known = (found, asked_s + KNOWN_S)

    def signed(self, token: str, now_s: float) -> Signed | None:
        """Who holds this token, or None where the database must be asked."""
        found, until = self._known
        return found.get(digest_of(token)) if now_s < until else None

    def touches(self, token: str, now: int) -> bool:
        """Whether this request is the one that writes that the person is there: one in TOUCH_MS of each session."""
        digest = digest_of(token)
        if 0 <= now - self._touched.get(digest, -TOUCH_MS) < TOUCH_MS:
            return False
        if len(self._touched) >= MOST_TOUCHED:
            self._touched.clear()
        self._touched[digest] = now
        return True


def real_now(clock: Clock) -> int:
    """Real ms since 1970, also where a demo's clock runs faster: a session's 30 minutes are the person's."""
    return int(clock.anchor_ms + (clock.now() - clock.anchor_ms) / clock.speed)


def digest_of(token: str) -> str:
    """What is stored of a token."""
    return hashlib.sha256(token.encode()).hexdigest()


def begin(engine: Engine, user: User, address: str, now: int, *, half: bool = False) -> str:
    """A new session; returns its token (256 random bits). `half`: good for nothing but giving the one-time code."""
    token = secrets.token_urlsafe(32)
    with Session(engine) as db, db.begin():
        db.execute(delete(SignIn).where(SignIn.begun < now - REMEMBER_MS))
        sign_in = SignIn(
            digest=digest_of(token),
            user_id=user.id,
            begun=now,
            seen=now,
            proved=now,
            address=address,
            ended=None,
            half=half,
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
    return _signed(sign_in, user)


def find_half(engine: Engine, token: str, now: int) -> User | None:
    """Whose password was right a moment ago and whose one-time code is still to come."""
    with Session(engine, expire_on_commit=False) as db:
        found: User | None = db.scalar(
            select(User)
            .join(SignIn, User.id == SignIn.user_id)
            .where(SignIn.digest == digest_of(token), SignIn.half, SignIn.ended.is_(None), User.active)
            .where(SignIn.begun.between(now - HALF_MS, now))
        )
        return found


def stays(engine: Engine, user_id: int, now: int) -> list[Stay]:
    """A user's sessions that have not ended, the newest first."""
    with Session(engine) as db:
        rows = db.execute(_living(now).where(SignIn.user_id == user_id).order_by(SignIn.begun.desc()))
        return [Stay(row.digest[:NUMBER], row.begun, row.seen, row.address) for row, _ in rows]


def end_stay(engine: Engine, user_id: int, number: str, now: int) -> None:
    """End one of a user's own sessions by its number."""
    mine = (SignIn.user_id == user_id, SignIn.ended.is_(None))
    with Session(engine) as db, db.begin():
        db.execute(
            update(SignIn).where(*mine, func.substr(SignIn.digest, 1, NUMBER) == number[:NUMBER]).values(ended=now)
        )


def living(engine: Engine, digests: Iterable[str], now: int) -> dict[str, Signed]:
    """Those of the sessions that have not ended, with what the user is now."""
    with Session(engine) as db:
        rows = db.execute(_living(now).where(SignIn.digest.in_(list(digests))))
        return {sign_in.digest: _signed(sign_in, user) for sign_in, user in rows}


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


def end_others(engine: Engine, user_id: int, digest: str, now: int) -> None:
    """End all sessions of a user but this one."""
    others = (SignIn.user_id == user_id, SignIn.digest != digest, SignIn.ended.is_(None))
    with Session(engine) as db, db.begin():
        db.execute(update(SignIn).where(*others).values(ended=now))


def delay_ms(failures: int, most_ms: int) -> int:
    """How long after the last failure the next try is heard: nothing for three, then 1 s, 2 s, 4 s ..."""
    if failures < FREE_TRIES:
        return 0
    return min(most_ms, 1000 << min(failures - FREE_TRIES, 20))


def wait_ms(engine: Engine, name: str, address: str, now: int) -> int:
    """How long this name and this address must still wait. 0: the try is counted as a failure until `succeeded`."""
    with Session(engine) as db:
        db.connection().exec_driver_sql("BEGIN IMMEDIATE")  # two tries at once must not both find the door open
        keys = _keys(name, address, known=_is_known(db, name, address))
        counters = {row.key: row for row in db.scalars(select(Throttle).where(Throttle.key.in_(keys)))}
        left = 0
        for key, most in keys.items():
            if (counter := counters.get(key)) is not None and now - counter.last < FORGET_MS:
                delay = delay_ms(counter.failures, most)
                left = max(left, min(delay, counter.last + delay - now))  # a clock set back must not add to it
        if left <= 0:
            _forget(db, now)
            for key in keys:
                _count(db, counters.get(key), key, now)
        db.commit()
        return max(0, left)


def tell(engine: Engine, address: str, now: int) -> bool:
    """Whether a delay of this address is to be written down: once a minute, or guessing fills the disk."""
    with Session(engine) as db, db.begin():
        counter = db.get(Throttle, f"address:{subscriber(address)}")
        if counter is None or 0 <= now - counter.told < TELL_MS:
            return counter is None
        counter.told = now
        return True


def guessing(engine: Engine, now: int) -> list[str]:
    """Names of users, and addresses, that somebody is guessing at or from just now; the worst first."""
    with Session(engine) as db:
        names = {_hashed(name): name for name in db.scalars(select(User.name))}
        rows = db.scalars(
            select(Throttle)
            .where(Throttle.failures >= GUESSING, Throttle.last.between(now - GUESSING_MS, now))
            .order_by(Throttle.failures.desc(), Throttle.key.desc())
        )
        found = (row.key.partition(":")[2].partition("@")[0] for row in rows)
        return list(dict.fromkeys(names.get(each, each) for each in found if len(each) < 32 or each in names))


def succeeded(engine: Engine, name: str, address: str) -> None:
    """The password was right: forget the name's failures, and take this try back from the address's."""
    with Session(engine) as db, db.begin():
        user_key, address_key = _keys(name, address, known=_is_known(db, name, address))
        db.execute(delete(Throttle).where(Throttle.key == user_key))
        db.execute(update(Throttle).where(Throttle.key == address_key).values(failures=Throttle.failures - 1))


def _count(db: Session, counter: Throttle | None, key: str, now: int) -> None:
    if counter is None:
        db.add(Throttle(key=key, failures=1, last=now))
        return
    counter.failures = 1 if now - counter.last >= FORGET_MS else counter.failures + 1
    counter.last = now


def _keys(name: str, address: str, *, known: bool) -> dict[str, int]:
    """Where the person has been before, only what was tried from there counts: others cannot shut them out."""
    place = subscriber(address)
    own = f"user:{_hashed(name)}" + (f"@{place}" if known else "")
    return {own: LONGEST_DELAY_MS["user"], f"address:{place}": LONGEST_DELAY_MS["address"]}


def _hashed(name: str) -> str:
    return hashlib.sha256(name.casefold().encode()).hexdigest()[:32]  # a password typed as a name is not kept


def _is_known(db: Session, name: str, address: str) -> bool:
    been = select(SignIn.digest).join(User, User.id == SignIn.user_id)
    return db.scalar(been.where(User.name == name, SignIn.address == address, ~SignIn.half).limit(1)) is not None


def _forget(db: Session, now: int) -> None:
    """What is over, and beyond MOST_KEYS what was longest ago: guessing must not fill the disk."""
    db.execute(delete(Throttle).where(Throttle.last < now - FORGET_MS))
    more = select(Throttle.key).order_by(Throttle.last.desc()).offset(MOST_KEYS)
    db.execute(delete(Throttle).where(Throttle.key.in_(more)))


def _signed(sign_in: SignIn, user: User) -> Signed:
    role = Role(user.role)
    return Signed(sign_in.digest, user.id, user.name, role, sign_in.proved, GRANTS[role], bool(user.factor))


def _living(now: int) -> Select[SignIn, User]:
    return (
        select(SignIn, User)
        .join(User, User.id == SignIn.user_id)
        .where(
            ~SignIn.half, SignIn.ended.is_(None), SignIn.seen > now - IDLE_MS, SignIn.begun > now - MOST_MS, User.active
        )
    )
