"""The alarm path is killed at every write: raise, announce, acknowledge, shelve, repair, clear, reset, timers, a flood.

What was read and not acknowledged comes again, as from a broker; orders wait in the journal. At the end the same alarms
have happened, and the same has been said: everything at least once, and only what was being said at the kill twice.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

import pytest
from msgspec.structs import replace

from hub.alarms.flood import RULE, told
from hub.core import Core
from hub.journal.writer import FILE, SIREN, Journal, put_order, requested_orders
from hub.outcome import Order, Outcome
from hub.reading import LinkChange, LinkState, News, Quality, Reading, Value
from hub.settings.site_voice import LogSpec
from hub.speaking import outbox
from hub.speaking.outbox import Claim, VoiceState, let_go
from tests.hub.conftest import NOON
from tests.hub.kill import Killed, Wire

if TYPE_CHECKING:
    import sqlite3
    from pathlib import Path

    from hub.rules.door import Rule
    from hub.settings.site import Site

NIGHT = NOON + 11 * 3_600_000
VOICE = "office"
QUIET: dict[tuple[str, str], Value] = {
    ("noise-1", "laeq"): 40.0,
    ("gate-1", "gate"): "closed",
    ("radar-1", "presence"): "absent",
    ("sos-1", "sos"): "idle",
    ("relay-1", "relay_1"): "off",
}
Deed = tuple[int, str, Any]  # Any: what the deed needs
STORY: list[Deed] = [
    (2, "say", ("radar-1", "presence", "present")),
    (4, "say", ("sos-1", "sos", "pressed")),
    (5, "order", ("ack", "sos/sos-1", "")),
    (6, "say", ("noise-1", "laeq", 70.0)),
    (9, "say", ("gate-1", "gate", "open")),
    (12, "order", ("ack", "water-presence/radar-1", "")),
    (14, "say", ("radar-1", "presence", "absent")),
    (16, "chips", 11),  # with the others more than ten: a flood
    (40, "order", ("shelve", "noise-limit/noise-1", "a festival")),
    (42, "say", ("sos-1", "sos", "idle")),
    (45, "order", ("unshelve", "noise-limit/noise-1", "over")),
    (46, "order", ("out-of-service", "sos/sos-1", "new button")),
    (47, "order", ("out-of-service", "radar-1", "painting")),
    (48, "order", ("reset", "sos/sos-1", "")),
    (50, "say", ("noise-1", "laeq", 40.0)),
    (52, "say", ("radar-1", "presence", "present")),
    (54, "say", ("sos-1", "sos", "pressed")),  # P1, and its siren stays silent
    (60, "order", ("in-service", "sos/sos-1", "")),  # still pressed: told, and sounds
    (62, "order", ("in-service", "radar-1", "")),
    (66, "say", ("sos-1", "sos", "idle")),
    (68, "say", ("radar-1", "presence", "absent")),
    (80, "say", ("gate-1", "gate", "closed")),
]
SECONDS = 84


class Hub:
    """Core, journal and voices as the field process has them, without its loops; it dies once, at statement `cut`."""

    def __init__(
        self, folder: Path, site: Site, rules: tuple[Rule, ...], cut: int | None, *, loose: bool, eager: bool
    ) -> None:
        """The negative controls: `loose`, without transactions; `eager`, which speaks before it has written."""
        folder.mkdir()
        self._site, self._rules, self._path, self._loose, self._eager = site, rules, folder / FILE, loose, eager
        self.now, self.deaths, self.said = NIGHT, 0, Counter[tuple[str, int, str, str]]()
        self.unfounded = 0
        self._last = dict(QUIET)
        self._orders = 0
        self._open(cut)

    def _open(self, cut: int | None) -> None:
        """As `zhian field` begins, up to the devices' first words."""
        self.journal = Journal(self._path, self._site)
        self.journal.db.execute("PRAGMA synchronous = OFF")  # a process dies here, not a disk
        self.wire = Wire(self.journal.db, cut, loose=self._loose)
        self.journal.db = cast("sqlite3.Connection", self.wire)
        self.begun = False

    def second(self, news: list[News]) -> None:
        """One second of the field process; where it dies it starts again, and what was not acknowledged comes again."""
        self.now += 1000
        while True:
            try:
                self._begin()
                self._take(self.core.accept(news, self.now))
                for order in requested_orders(self.journal.db, 0):
                    self._take(self.core.order(order, self.now))
                self._take(self.core.tick(self.now))
                self._announce()
                return
            except Killed:
                self.deaths += 1
                self.journal.close()
                self._open(None)
                self.unfounded += len(self._unfounded())

    def _unfounded(self) -> set[tuple[str, int, str]]:
        """What was said of which a hub that starts now knows nothing."""
        known = {(row[0], row[1], row[2]) for row in self.wire.whole.execute(_SAYABLE)}
        return {(rule, occurrence, kind) for rule, occurrence, kind, _ in self.said} - known

    def _begin(self) -> None:
        if self.begun:
            return
        self.core = Core(self._site, self._rules, self.journal.memory(), self.now)
        self.flood = self.journal.flood(self.now)
        let_go(self.journal)
        self._take(self.core.begin(self.now))
        up = [LinkChange(link=link.id, state=LinkState.UP, detail="", rx=self.now) for link in self._site.links]
        self._take(self.core.accept([*up, *self.words()], self.now))
        self.begun = True

    def _take(self, outcome: Outcome) -> None:
        """As Field does."""
        was, self.flood = self.flood, self.flood.step(told(outcome.flips), self.now)
        if self.flood.on is not was.on:
            outcome.add(self.core.know({RULE: "many" if self.flood.on else ""}, self.now))
        if self._eager:
            for flip in outcome.flips:
                if flip.announce:
                    rule, source, *value = flip.key.split("/")
                    which = value[0] if value else ""
                    self.said[rule, flip.occurrence, flip.announce, f"{source}/{which} {VOICE}"] += 1
        self.journal.write([outcome])

    def _announce(self) -> None:
        """As a speaker does: claim, say, mark."""
        for voice in (SIREN, VOICE):
            for urgent in (True, False):
                while rows := outbox.claim(self.journal, "test", Claim(voice=voice, urgent=urgent), self.now):
                    for row in rows:
                        which = row.value if row.source == "chip-1" else ""
                        if voice == SIREN or not self._eager:
                            self.said[row.rule, row.occurrence, row.kind, f"{row.source}/{which} {voice}"] += 1
                        state = VoiceState(id=voice, tried=self.now, succeeded=self.now)
                        outbox.mark(self.journal, [row], "accepted", self.now, "ok", state)

    def words(self) -> list[News]:
        """What everybody says each second."""
        return [self.word(*series, value) for series, value in self._last.items()]

    def word(self, device: str, quantity: str, value: Value) -> Reading:
        """One reading, now."""
        return Reading(device=device, quantity=quantity, value=value, ts=self.now, rx=self.now, quality=Quality.GOOD)

    def do(self, deed: str, what: Any) -> list[News]:  # Any: as in STORY
        """What happens besides; events that are said once."""
        if deed == "say":
            self._last[what[:2]] = what[2]
        elif deed == "order":
            self._orders += 1
            kind, target, text, *more = what
            order = Order(
                id=0, token=f"t{self._orders}", kind=kind, target=target, actor="keeper", issued=self.now,
                expires=self.now + 60_000, occurrence=1, text=text, seconds=1800.0,
            )  # fmt: skip
            put_order(self.wire.whole, replace(order, **dict(*more)))  # by another process
        return [self.word("chip-1", "chip", f"90000000000{at:04d}") for at in range(what)] if deed == "chips" else []


class Result:
    """What one life came to: alarms, their events in order, orders, outbox; and what was said how often."""

    def __init__(self, hub: Hub) -> None:
        """Of a hub that has lived through it."""
        rows = hub.wire.whole.execute
        self.kept = (
            sorted(map(tuple, rows("SELECT key, state, occurrence, activations, announced, filter FROM alarm"))),
            sorted(map(tuple, rows("SELECT key, occurrence, severity, activations, closed, acked_by FROM occurrence"))),
            sorted(map(tuple, rows("SELECT token, state, outcome FROM orders"))),
            sorted(map(tuple, rows("SELECT target, reason, ended IS NULL FROM service"))),
            sorted(map(tuple, rows(_TOLD))),
            sorted((row[0], row[1]) for row in rows("SELECT key, group_concat(event) FROM flip GROUP BY key")),
        )
        self.said, self.unfounded = hub.said, hub.unfounded


_SAYABLE = """
SELECT c.rule, c.occurrence, o.kind FROM outbox o JOIN flip f ON f.seq = o.flip
  JOIN occurrence c ON c.key = f.key AND c.occurrence = f.occurrence
"""
_TOLD = """
SELECT f.key, f.occurrence, o.kind, o.voice, o.status FROM outbox o LEFT JOIN flip f ON f.seq = o.flip
"""
Live = Callable[..., tuple[Result, int, int]]


@pytest.fixture
def live(tmp_path: Path, site: Site, odd: tuple[Rule, ...]) -> Live:
    """Lives through the story once: what it came to, how often it died, how many statements it took."""
    named = replace(site, voices=(LogSpec(id=VOICE),))

    def lived(cut: int | None = None, *, loose: bool = False, eager: bool = False) -> tuple[Result, int, int]:
        hub = Hub(tmp_path / f"{cut}-{loose}-{eager}", named, odd, cut, loose=loose, eager=eager)
        for second in range(SECONDS):
            deeds = [(deed, what) for at, deed, what in STORY if at == second]
            events = [each for deed, what in deeds for each in hub.do(deed, what)]
            hub.now += 1000
            once = [replace(cast("Reading", each), ts=hub.now, rx=hub.now) for each in events]
            news = [*hub.words(), *once]
            hub.now -= 1000
            hub.second(news)
        result = Result(hub)
        hub.journal.close()
        return result, hub.deaths, hub.wire.count

    return lived


def check(live: Live, cuts: range, want: Result) -> int:
    """Die at each of these statements, each in a life of its own; how many deaths there were."""
    deaths = 0
    for cut in cuts:
        got, died, _ = live(cut)
        deaths += died
        assert got.kept == want.kept, f"killed at statement {cut}"
        assert got.said.keys() == want.said.keys(), f"killed at statement {cut}"
        assert sum((got.said - want.said).values()) <= 1, f"killed at statement {cut}: said twice"
        assert not got.unfounded, f"killed at statement {cut}: said, and then not known"
    return deaths


def test_the_story_has_everything_in_it(live: Live) -> None:
    """What is killed below: all kinds of changes, P1 with its siren, a flood, and nothing said twice."""
    result, _, _ = live()
    events = set(",".join(events for _, events in result.kept[5]).split(","))
    assert {"raised", "acked", "cleared", "shelved", "unshelved", "reset", "out-of-service", "in-service"} <= events
    assert {("sos", SIREN), (RULE, VOICE)} <= {(rule, place.split()[1]) for rule, _, _, place in result.said}
    assert set(result.said.values()) == {1}
    assert any(rule == "gate-forced" for rule, *_ in result.said)
    assert result.kept[3] == [("radar-1", "painting", 0), ("sos/sos-1", "new button", 0)]


def test_a_kill_at_some_writes_changes_nothing(live: Live) -> None:
    """A few places of the soak below, others at each length of the story."""
    want, _, statements = live()
    assert check(live, range(7, statements, statements // 12), want) > 10


@pytest.mark.soak
@pytest.mark.timeout(1800)
def test_a_kill_at_every_write_changes_nothing(live: Live) -> None:
    """Every statement of the story."""
    want, _, statements = live()
    assert check(live, range(statements), want) == statements


def test_the_kill_test_can_fail(live: Live) -> None:
    """The control: where each statement is a transaction of its own, kills lose alarms or words."""
    want, _, _ = live(loose=True)
    lost = 0
    for cut in range(80, 210, 3):
        got, _, _ = live(cut, loose=True)
        lost += got.kept != want.kept or got.said.keys() != want.said.keys()
    assert lost > 3


def test_words_before_the_write_are_caught(live: Live) -> None:
    """The other control: a hub that speaks before it has written says what nobody knows of after a kill."""
    want, _, statements = live(eager=True)
    assert not want.unfounded
    unfounded = 0
    for cut in range(7, statements, statements // 40):
        got, _, _ = live(cut, eager=True)
        unfounded += got.unfounded > 0
    assert unfounded > 3
