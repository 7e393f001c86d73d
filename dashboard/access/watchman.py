"""What the office finds out about its own door: guessing at passwords, a certificate that ends, a trail not whole.

Facts are told to the hub, whose `self` rules (hub/rules/office.toml) make alarms of them. It carries nothing.
"""

import threading
from pathlib import Path

import msgspec
from sqlalchemy.engine import Engine

from dashboard.access.anchor import anchors
from dashboard.access.audit import Anchor, Verdict, head, verify
from dashboard.access.sessions import guessing, real_now
from dashboard.access.tls import DAY_MS, Pair
from hub.clock import Clock

CHECK_MS = 10 * 60_000  # between two looks at what is new in the trail
ALL_MS = DAY_MS  # between two looks at all of it
# Days left -> the rule that says so; the first that fits.
ENDINGS = ((1, "certificate-ends-now"), (7, "certificate-ends-soon"), (30, "certificate-ends"))


class Checked(msgspec.Struct, frozen=True):
    """What the last look at the trail found, and when it was (ms)."""

    verdict: Verdict
    at: int


class Watchman:
    """Looks when it is asked; from any thread."""

    def __init__(self, engine: Engine, data: Path, clock: Clock) -> None:
        """Nothing seen yet."""
        self._engine, self._data, self._clock = engine, data, clock
        self._lock = threading.Lock()
        self._checked: Checked | None = None
        self._whole_at = 0
        self._good: Anchor | None = None
        self.pair: Pair | None = None  # the certificate in use, where the office speaks TLS itself

    def facts(self) -> dict[str, str]:
        """Id of a rule -> why it is so, or empty."""
        now = real_now(self._clock)
        wrong = self.verdict().verdict.wrong
        return {
            "login-guessing": ", ".join(guessing(self._engine, now)[:3]),
            "audit-wrong": f"#{wrong.row}" if wrong is not None else "",
            **self._endings(now),
        }

    def verdict(self, *, within_ms: int = CHECK_MS) -> Checked:
        """What is known of the trail, looked at again when that is so long ago."""
        with self._lock:
            now = real_now(self._clock)
            if self._checked is None or not 0 <= now - self._checked.at < within_ms:
                self._checked = Checked(self._look(now), now)
            return self._checked

    def _look(self, now: int) -> Verdict:
        """Once a day all of it, else what has come since; what was wrong is looked at wholly again."""
        if not 0 <= now - self._whole_at < ALL_MS:
            self._good, self._whole_at = None, now
        last = head(self._engine)
        found = verify(self._engine, anchors(self._data), self._good)
        self._good = last if found.wrong is None and last is not None and last.row <= found.good else None
        return found

    def _endings(self, now: int) -> dict[str, str]:
        told = dict.fromkeys((rule for _, rule in ENDINGS), "")
        try:
            left = (self.pair.ends - now) / DAY_MS if self.pair is not None else None
        except (OSError, ValueError):
            left = 0.0
        rule = next((rule for days, rule in ENDINGS if left is not None and left <= days), "")
        return {**told, **({rule: f"{max(0, round(left or 0))} d"} if rule else {})}
