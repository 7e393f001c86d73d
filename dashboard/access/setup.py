"""The first start: while nobody can sign in, nothing answers but the page on which the token from the console is given.

The token is 128 random bits, is good for half an hour and once, and only from this machine or its own network.
"""

import hmac
import ipaddress
import secrets
import threading
import time
from collections.abc import Callable

from sqlalchemy import exists, select
from sqlalchemy.engine import Engine
from sqlalchemy.orm import Session

from dashboard.access.tables import User

GOOD_S = 30 * 60


class Setup:
    """Whether an office still waits for its first administrator, and the token that makes one."""

    def __init__(self, engine: Engine, running: Callable[[], float] = time.monotonic) -> None:
        """`running`: seconds of a clock that nobody sets."""
        self._engine, self._running = engine, running
        self._lock = threading.Lock()
        self._token, self._until = "", 0.0
        self._done = False

    def needed(self) -> bool:
        """True until there is a user, whoever made it."""
        if not self._done:
            with Session(self._engine) as db:
                self._done = bool(db.scalar(select(exists().where(User.active))))
        return not self._done

    def issue(self) -> str:
        """A new token, in groups that can be read out; the one before is worth nothing any more."""
        with self._lock:
            self._token, self._until = secrets.token_hex(16), self._running() + GOOD_S
            return "-".join(self._token[at : at + 4] for at in range(0, 32, 4))

    def expired(self) -> bool:
        """True when there is no token that is still good."""
        return not self._token or self._running() >= self._until

    def fits(self, given: str) -> bool:
        """Whether this is the token, and still good."""
        with self._lock:
            plain = "".join(given.split()).replace("-", "").lower()
            return not self.expired() and hmac.compare_digest(plain.encode(), self._token.encode())

    def take(self, given: str) -> bool:
        """As `fits`, and the token is used up: of two who have it, one gets in."""
        if not self.fits(given):
            return False
        with self._lock:
            good, self._token = bool(self._token), ""
            return good


def is_near(address: str) -> bool:
    """This machine, or an address that no router of the internet forwards (RFC 1918, RFC 4193, RFC 3927)."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return False
    mapped = getattr(found, "ipv4_mapped", None) or found
    return bool(mapped.is_loopback or mapped.is_private or mapped.is_link_local)
