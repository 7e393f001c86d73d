"""What every page needs, in one frozen value, and how a page gets at it. No page logic, no routes.

`office()` is the running application's; `me()` is who asks. Both only inside a request.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import msgspec
from flask import current_app, g
from sqlalchemy.engine import Engine

from dashboard.journal_view import JournalView, OrderDesk
from dashboard.plan import Drawing
from dashboard.sessions import Signed
from dashboard.setup import Setup
from dashboard.vault import Vault
from dashboard.watchman import Watchman
from dashboard.words import Words
from hub.batches import Row
from hub.clock import Clock
from hub.history.store import Bucket
from hub.site import Site

EXTENSION = "zhian"


class HistoryReader(Protocol):
    """The history store as charts read it."""

    def series(self, device: str, quantity: str, since_ms: int, until_ms: int, points: int) -> Sequence[Bucket]:
        """At most `points` buckets of [since, until), oldest first; stretches without readings are left out."""

    def events(self, device: str, quantity: str, since_ms: int, until_ms: int, limit: int) -> Sequence[Row]:
        """The newest `limit` states or events of [since, until), newest first."""


class Office(msgspec.Struct, frozen=True, kw_only=True):
    """The office process's parts."""

    site: Site
    data: Path
    clock: Clock
    words: Words
    drawing: Drawing
    view: JournalView
    desk: OrderDesk
    history: HistoryReader
    users: Engine
    setup: Setup
    vault: Vault
    watchman: Watchman
    secure: bool

    def close(self) -> None:
        """Let go of both databases."""
        self.view.close()
        self.users.dispose()


def office() -> Office:
    """The office of the running application."""
    found: Office = current_app.extensions[EXTENSION]
    return found


def me() -> Signed:
    """Who asks. Only behind a permission."""
    signed: Signed = g.signed
    return signed
