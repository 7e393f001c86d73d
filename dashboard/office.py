"""What every page needs, in one frozen value, and how a page gets at it. No page logic, no routes.

`office()` is the running application's; `me()` is who asks. Both only inside a request.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

import msgspec
from flask import current_app, g
from sqlalchemy.engine import Engine

from dashboard.access.sessions import Present, Signed
from dashboard.access.setup import Setup
from dashboard.access.vault import Vault
from dashboard.access.watchman import Watchman
from dashboard.journal_view import JournalView, OrderDesk
from dashboard.language.words import Words
from dashboard.live.shared import Shared
from dashboard.places.plan import Drawing
from hub.clock import Clock
from hub.history.store import Bucket, Said, Sample
from hub.journal.batches import Row
from hub.reports.maker import Maker
from hub.settings.site import Site

EXTENSION = "zhian"


class HistoryReader(Protocol):
    """The history store as charts read it."""

    def series(self, device: str, quantity: str, since_ms: int, until_ms: int, points: int) -> Sequence[Bucket]:
        """At most `points` buckets of [since, until), oldest first; stretches without readings are left out."""

    def samples(self, device: str, quantity: str, since_ms: int, until_ms: int) -> Iterator[Sequence[Sample]]:
        """Every number, oldest first, a page at a time."""

    def states(self, device: str, quantity: str, since_ms: int, until_ms: int) -> Iterator[Sequence[Said]]:
        """Every state or event, oldest first, a page at a time."""

    def last_before(self, device: str, quantity: str, before_ms: int) -> Sample | Said | None:
        """What was said last before an instant."""

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
    reports: Maker
    users: Engine
    setup: Setup
    vault: Vault
    watchman: Watchman
    secure: bool
    shared: Shared = msgspec.field(default_factory=Shared)
    present: Present = msgspec.field(default_factory=Present)

    def close(self) -> None:
        """End what is being made, and let go of both databases."""
        self.reports.close()
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
