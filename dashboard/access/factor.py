"""The second factor: one-time codes of a phone (RFC 6238), and ten recovery codes for the day on which it is lost.

A code counts once; one that is older than the last is refused, also after a clock was set back. Nothing here
knows Flask.
"""

import io
import secrets

import msgspec
import pyotp
import segno
from pyotp.exceptions import OTPVerificationError
from sqlalchemy import delete, func, select, update
from sqlalchemy.engine import Engine
from sqlalchemy.orm import Session

from dashboard.access.tables import RecoveryCode, User
from dashboard.access.vault import Vault

WINDOW = 1  # codes of 30 s before and after: a phone's clock may be off by so much
RECOVERY_CODES = 10
GOOD_MS = 15 * 60 * 1000  # so long may it take from the picture to the first code
_ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"  # nothing that is read for something else


class Offer(msgspec.Struct, frozen=True):
    """A secret that a person is shown, and has not proved to have yet."""

    user_id: int
    secret: str
    at: int

    def uri(self, name: str, site: str) -> str:
        """What the picture says to the phone."""
        return pyotp.TOTP(self.secret).provisioning_uri(name=name, issuer_name=site)


def offer(user_id: int, now: int) -> Offer:
    """A new secret of 160 random bits (RFC 4226 R6)."""
    return Offer(user_id, pyotp.random_base32(), now)


def picture(uri: str) -> str:
    """The QR code as an SVG element without style of its own: dark on white in either colour scheme."""
    out = io.BytesIO()
    segno.make_qr(uri, error="m").save(
        out, kind="svg", scale=5, border=3, xmldecl=False, svgns=True, light="#fff", dark="#000", omitsize=True
    )
    return out.getvalue().decode()


def enrol(engine: Engine, vault: Vault, offered: Offer, code: str, now: int) -> list[str] | None:
    """From now on this factor is asked for: the recovery codes, which are told this once. None: the code is wrong."""
    counter = _counter(offered.secret, code, now)
    if counter is None or not 0 <= now - offered.at < GOOD_MS:
        return None
    codes = [
        "-".join("".join(secrets.choice(_ALPHABET) for _ in range(5)) for _ in range(2)) for _ in range(RECOVERY_CODES)
    ]
    with Session(engine) as db, db.begin():
        db.execute(
            update(User).where(User.id == offered.user_id).values(factor=vault.seal(offered.secret), counter=counter)
        )
        db.execute(delete(RecoveryCode).where(RecoveryCode.user_id == offered.user_id))
        db.add_all(
            RecoveryCode(digest=_digest(vault, offered.user_id, each), user_id=offered.user_id) for each in codes
        )
    return codes


def accept(engine: Engine, vault: Vault, user_id: int, code: str, now: int) -> str:
    """ "code" or "recovery" when this is one that was never given before, else empty."""
    with Session(engine) as db:
        db.connection().exec_driver_sql("BEGIN IMMEDIATE")  # the same code twice at once is once
        user = db.get_one(User, user_id)
        secret = vault.open(user.factor, str) if user.factor else None
        counter = _counter(secret, code, now) if secret else None
        if counter is not None and counter > user.counter:
            user.counter = counter
            kind = "code"
        else:
            row = db.get(RecoveryCode, _digest(vault, user_id, code))
            kind = "recovery" if row is not None else ""
            if row is not None:
                db.delete(row)
        db.commit()
        return kind


def remove(engine: Engine, user_id: int) -> None:
    """No second factor any more, and no recovery codes."""
    with Session(engine) as db, db.begin():
        db.execute(update(User).where(User.id == user_id).values(factor=""))
        db.execute(delete(RecoveryCode).where(RecoveryCode.user_id == user_id))


def codes_left(engine: Engine, user_id: int) -> int:
    """How many recovery codes were not used yet."""
    with Session(engine) as db:
        return db.scalar(select(func.count()).select_from(RecoveryCode).where(RecoveryCode.user_id == user_id)) or 0


def _counter(secret: str, code: str, now: int) -> int | None:
    """Which of the codes of about now this is."""
    plain = "".join(code.split())
    if len(plain) != 6 or not (plain.isascii() and plain.isdigit()):
        return None
    try:
        return pyotp.TOTP(secret).verify_and_get_timecode(plain, for_time=now // 1000, valid_window=WINDOW)
    except (OTPVerificationError, ValueError):  # ValueError: a clock before 1970
        return None


def _digest(vault: Vault, user_id: int, code: str) -> str:
    return vault.digest(f"{user_id}/{''.join(code.split()).replace('-', '').lower()}")
