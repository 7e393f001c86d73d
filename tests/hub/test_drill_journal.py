"""Daily tests in the journal: what is told of them, what their sirens do, and a kill at any write."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace

from hub.care.drill import is_drill
from hub.clock import Clock
from hub.journal.commit import Committer
from hub.settings.site_voice import LogSpec
from hub.speaking.announce import Announcer
from hub.speaking.outbox import Claim, claim
from hub.voices.siren import SirenVoice
from tests.hub.test_kill_alarms import VOICE, Deed, Hub, Result

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from hub.rules.door import Rule
    from hub.settings.site import Site
    from hub.voices import Announcement

Lived = tuple[Hub, Any, int]  # Any: the rows that are compared
SECONDS = 110
STORY: list[Deed] = [
    (4, "order", ("drill", "lake", "", {"command": "short", "seconds": 60.0})),
    (8, "say", ("radar-1", "presence", "present")),
    (13, "order", ("ack", "water-presence/radar-1", "")),
    (16, "say", ("radar-1", "presence", "absent")),
    (95, "say", ("radar-1", "presence", "present")),
    (100, "order", ("verdict", "water-presence/radar-1", "", {"command": "real"})),
]
LAKE = "water-presence/radar-1"


@pytest.fixture
def live(tmp_path: Path, site: Site, odd: tuple[Rule, ...]) -> Callable[..., Lived]:
    """Lives through a test and a real alarm after it, as the kill test of alarms does."""
    named = replace(site, voices=(LogSpec(id=VOICE),))

    def lived(cut: int | None = None, *, loose: bool = False, seconds: int = SECONDS) -> Lived:
        rules = tuple(rule for rule in odd if rule.kind != "sequence")
        hub = Hub(tmp_path / str(sum(1 for _ in tmp_path.iterdir())), named, rules, cut, loose=loose, eager=False)
        for second in range(seconds):
            for at, deed, what in STORY:
                if at == second:
                    hub.do(deed, what)
            hub.now += 1000
            news = hub.words()
            hub.now -= 1000
            hub.second(news)
        rows = hub.wire.whole.execute
        tests = sorted(map(tuple, rows("SELECT zone, state, siren, caught, ended, ended_by FROM drill")))
        sirens = sorted(map(tuple, rows(_SIRENS)))
        return hub, (Result(hub).kept, tests, sirens), hub.wire.count

    return lived


_SIRENS = f"""
SELECT f.event, b.kind, {is_drill("f.key", "f.occurrence", "o.zone", "o.raised", "f.seq")}
FROM outbox b JOIN flip f ON f.seq = b.flip JOIN occurrence o ON o.key = f.key AND o.occurrence = f.occurrence
WHERE b.voice = 'siren' AND f.key = '{LAKE}'
"""  # our own names


def test_what_is_told_is_a_test_until_it_is_real(live: Callable[..., Lived]) -> None:
    """The siren's row of the test says so; the one of two minutes later does not; incidents know the difference."""
    hub, (_, tests, sirens), _ = live()
    assert [row[:3] for row in tests] == [("lake", "begun", "withheld"), ("lake", "passed", "short")]
    assert sirens == [("raised", "raised", 0), ("raised", "raised", 1)]
    found = hub.wire.whole.execute(
        f"SELECT o.occurrence, {is_drill('o.key', 'o.occurrence', 'o.zone', 'o.raised')} FROM occurrence o"
        " WHERE key = ? ORDER BY 1", (LAKE,),
    )  # fmt: skip
    assert list(map(tuple, found)) == [(1, 1), (2, 0)]
    hub.journal.close()


async def test_the_words_and_the_siren_of_a_test(
    live: Callable[..., Lived], site: Site, rules: tuple[Rule, ...]
) -> None:
    """People read that it is a drill and what to do; the siren sounds two seconds instead of eight."""
    hub, _, _ = live(seconds=13)
    hub.second(hub.words())
    hub.journal.db.execute("UPDATE outbox SET status = 'pending', attempts = 0")
    committer, clock = Committer(hub.journal), Clock()
    clock.now = lambda: hub.now  # type: ignore[method-assign]  # it stands still
    announcer = Announcer(site, {rule.id: rule for rule in rules}, committer, {}, clock)
    said: list[Announcement] = []
    for voice in ("siren", VOICE):
        rows = claim(hub.journal, site.id, Claim(voice=voice, urgent=True), hub.now)
        said += [announcer._compose([row]) for row in rows if row.rule == "water-presence"]
    siren, words = said
    assert siren.drill
    assert words.title.zh.startswith("演练：")
    assert words.title.en.startswith("Drill: ")
    assert "daily test" in (words.response.en if words.response else "")
    sounding, lake = SirenVoice(site, committer, clock), site.zones_by_id()["lake"].siren
    assert lake is not None
    assert sounding._seconds(lake, siren) == 2.0
    assert sounding._seconds(lake, replace(siren, drill=False)) == 8.0
    committer.close()


def check(live: Callable[..., Lived], cuts: range, *, loose: bool = False) -> int:
    """Die at each of these statements; how many lives came to something else."""
    hub, want, _ = live(loose=loose)
    hub.journal.close()
    other = 0
    for cut in cuts:
        hub, got, _ = live(cut, loose=loose)
        hub.journal.close()
        other += got != want
    return other


def test_a_kill_at_some_writes_changes_nothing(live: Callable[..., Lived]) -> None:
    """The same tests, the same sirens, the same alarms."""
    hub, _, statements = live()
    hub.journal.close()
    assert check(live, range(5, statements, statements // 12)) == 0


@pytest.mark.soak
def test_a_kill_at_every_write_changes_nothing(live: Callable[..., Lived]) -> None:
    """Every statement of the story."""
    hub, _, statements = live()
    hub.journal.close()
    assert check(live, range(statements)) == 0


def test_the_kill_test_can_fail(live: Callable[..., Lived]) -> None:
    """The control: where each statement is a transaction of its own, kills lose something."""
    assert check(live, range(60, 190, 8), loose=True) > 0
