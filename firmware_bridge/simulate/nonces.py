"""The numbers that a simulated controller has given out, each good once and for ten seconds. Pure but for chance.

They are in memory only: after a power cut all of them are worth nothing, which is right.
"""

import hmac
import secrets
from collections import deque

from firmware_bridge.wire.nonce import BYTES, LIFE_S

MOST = 4  # at a time: whoever asks and asks fills no memory


class Nonces:
    """Of one controller. `now`: seconds of a clock that nobody sets."""

    def __init__(self) -> None:
        """None yet."""
        self._given: deque[tuple[str, float]] = deque(maxlen=MOST)

    def give(self, now: float) -> str:
        """A fresh one."""
        self._given.append((secrets.token_hex(BYTES), now))
        return self._given[-1][0]

    def good(self, nonce: str, now: float) -> bool:
        """Whether it was given here, is not used, and not too old."""
        return any(_same(nonce, mine) and 0 <= now - at <= LIFE_S for mine, at in self._given)

    def spend(self, nonce: str) -> None:
        """It is used."""
        for mine, at in tuple(self._given):
            if _same(nonce, mine):
                self._given.remove((mine, at))


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode(), other.encode())
