"""A speaker on a real journal: budgets, digests, classes of error, failing and working again, persons, and crashes."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from hub import speaker
from hub.budget import Budgets, Limit
from hub.clock import Clock
from hub.commit import Committer
from hub.journal import FILE, Journal
from hub.outbox import CLAIM_MS, Row, put
from hub.outcome import Flip, Occurrence, Outcome
from hub.reading import Label
from hub.site import Site
from hub.site_voice import LogSpec
from hub.speaker import LOCKED_S, PROBE_S, Common, Speaker
from hub.voices import Announcement, Person, Said, VoiceError, Why

NOW = 1_760_000_000_000
MINUTE = (Limit(8, 60.0),)  # two of them for P1
WORD = Label(zh="词", en="word")


class Hand(Clock):
    """A clock whose hands the test moves; who sleeps on it moves them on."""

    def __init__(self) -> None:
        """At NOW."""
        super().__init__()
        self.at = NOW

    def now(self) -> int:
        """What the test says."""
        return self.at

    async def sleep(self, seconds: float) -> None:
        """A probe sleeps for ever; a short pause is over at once."""
        if seconds >= PROBE_S:
            await asyncio.Event().wait()
        self.at += int(seconds * 1000)
        await asyncio.sleep(0)


class Mouth:
    """A voice that raises the next of `errors` (None: says it), and is slow while `open` is not set."""

    def __init__(self, limits: tuple[Limit, ...] = ()) -> None:
        """Says everything."""
        self.limits = limits
        self.errors: list[VoiceError | None] = []
        self.said: list[tuple[Announcement, str]] = []
        self.tried = 0
        self.confirmed = True
        self.open = asyncio.Event()
        self.open.set()

    def keys(self, person: Person | None) -> tuple[str, ...]:
        """One for all, one a person."""
        return (f"key {person.id if person else ''}",)

    async def say(self, announcement: Announcement, person: Person | None = None) -> Said:
        """As the test says."""
        self.tried += 1
        await self.open.wait()
        error = self.errors.pop(0) if self.errors else None
        if error is not None:
            raise error
        self.said.append((announcement, person.id if person else ""))
        return Said("yes", self.confirmed)

    def heard(self) -> list[str]:
        """The ids that were said."""
        return [announcement.id for announcement, _ in self.said]


class Hub:
    """Journal, committer and one speaker."""

    def __init__(self, path: Path, site: Site, mouth: Mouth, clock: Hand) -> None:
        """Opened, not yet running."""
        self.mouth, self.clock = mouth, clock
        self.journal = Journal(path, site)
        self.committer = Committer(self.journal)
        self.changes: list[tuple[str, bool, str]] = []
        self.people = {"li": Person(id="li", name="李"), "wang": Person(id="wang", name="王")}
        common = Common(
            site="test", committer=self.committer, clock=clock, budgets=Budgets(), compose=compose, test=live,
            person=self.people.get, changed=self._changed,
        )  # fmt: skip
        self.speaker = Speaker("v", mouth, common)
        self._tasks: list[asyncio.Task[None]] = []

    async def _changed(self, name: str, works: bool, detail: str) -> None:
        self.changes.append((name, works, detail))

    @contextlib.asynccontextmanager
    async def speaking(self) -> AsyncIterator[None]:
        """It runs; an exception of its own is raised at the end."""
        self._tasks = [asyncio.create_task(self.committer.run()), asyncio.create_task(self.speaker.run())]
        try:
            yield
        finally:
            for task in self._tasks:
                task.cancel()
            ends = await asyncio.gather(*self._tasks, return_exceptions=True)
            self.committer.close()
        assert [type(end) for end in ends] == [asyncio.CancelledError] * 2, ends

    def ask(self, sql: str) -> list[tuple[Any, ...]]:  # Any: the columns of any question
        """Rows of the journal."""
        return [tuple(row) for row in self.journal.db.execute(sql)]

    def statuses(self) -> list[str]:
        """Of all rows of the outbox."""
        return [row[0] for row in self.ask("SELECT status FROM outbox ORDER BY id")]

    async def until(self, what: Callable[[], object], seconds: float = 15.0) -> None:
        """Until it is true; fails at once when the speaker died."""
        async with asyncio.timeout(seconds):
            while not what():
                for task in self._tasks:
                    if task.done():
                        task.result()
                await asyncio.sleep(0.005)

    async def raised(self, *numbers: int, severity: str = "P2", kind: str = "raised") -> None:
        """Alarms are raised, each with this number."""
        for number in numbers:
            await self.committer.commit(told(number, severity, kind))
        self.speaker.wake()
        await asyncio.sleep(0)


def told(number: int, severity: str, kind: str = "raised") -> Outcome:
    """Alarm number `number`, raised or cleared."""
    key = f"r/{number}"
    chapter = Occurrence(
        key=key, occurrence=1, rule="r", source=f"s{number}", zone="", severity=severity, quantity="", raised=NOW
    )
    flip = Flip(at=NOW, key=key, occurrence=1, event=kind, before="a", after="b", announce=kind, severity=severity)
    return Outcome(flips=[flip], occurrences=[chapter])


def compose(rows: Sequence[Row]) -> Announcement:
    """Ids tell which rows it speaks of."""
    names = "+".join(row.source for row in rows)
    return _words(names, "digest" if len(rows) > 1 else rows[0].kind, rows[0].severity)


def live(voice: str) -> Announcement:
    """A live test."""
    return _words("test", "test", "P4")


def _words(name: str, kind: str, severity: str) -> Announcement:
    return Announcement(
        id=name, kind=kind, site="test", rule="r", title=WORD, severity=severity, source="s", zone="", occurrence=1,
        at=NOW, value=None,
    )  # fmt: skip


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Voices look more often than in a yard."""
    monkeypatch.setattr(speaker, "LOOK_S", 0.02)


@pytest.fixture
def opened(tmp_path: Path, site: Site) -> Callable[..., Hub]:
    """Opens the hub; its site has one voice, `v`, that takes everything."""

    def make(limits: tuple[Limit, ...] = (), clock: Hand | None = None) -> Hub:
        told_all = replace(site, voices=(LogSpec(id="v"),))
        return Hub(tmp_path / FILE, told_all, Mouth(limits), clock or Hand())

    return make


Opened = Callable[..., Hub]
TROUBLE, REFUSED = VoiceError("no way", Why.TROUBLE), VoiceError("never", Why.REFUSED)
LOCKED = VoiceError("wrong key", Why.LOCKED)


async def test_what_does_not_fit_is_folded_into_one(opened: Opened) -> None:
    """Six a minute are for P2 to P4: the first are said, the others wait, and go as one digest; none is dropped."""
    hub = opened(MINUTE)
    async with hub.speaking():
        for number in range(1, 7):
            await hub.raised(number, severity="P4")
            await hub.until(lambda n=number: hub.mouth.tried == n)  # type: ignore[misc]
            hub.clock.at += 5_000
        await hub.raised(7, 8, severity="P4")
        await hub.raised(9, severity="P3")
        await asyncio.sleep(0.1)
        assert hub.mouth.tried == 6
        hub.clock.at += 30_000
        await hub.until(lambda: "pending" not in hub.statuses() and "sending" not in hub.statuses())

        assert hub.mouth.heard() == ["s1", "s2", "s3", "s4", "s5", "s6", "s9+s7+s8"]
        assert hub.statuses() == ["accepted"] * 6 + ["folded", "folded", "accepted"]
        assert hub.ask("SELECT DISTINCT detail FROM outbox WHERE status = 'folded'") == [("within announcement 9",)]


async def test_a_storm_is_one_message_at_once(opened: Opened) -> None:
    """A hundred P4 rows at once do not use up the minute first: they go as one, and P2 goes by itself."""
    hub = opened(MINUTE)
    hub.journal.write([told(number, "P4") for number in range(100)] + [told(100, "P2")])
    async with hub.speaking():
        await hub.until(lambda: "pending" not in hub.statuses() and "sending" not in hub.statuses())

    assert [announcement.kind for announcement, _ in hub.mouth.said] == ["raised", "digest"]
    assert hub.mouth.heard()[1].count("+") == 99


async def test_p1_finds_its_reserve_and_p2_is_never_folded(opened: Opened) -> None:
    """With the budget of the others spent, P1 goes at once; P2 waits for its turn, one by one."""
    hub = opened(MINUTE)
    async with hub.speaking():
        await hub.raised(*range(1, 9), severity="P2")
        await hub.until(lambda: len(hub.mouth.said) == 6)
        await hub.raised(10, 11, severity="P1")
        await hub.until(lambda: len(hub.mouth.said) == 8)
        await asyncio.sleep(0.1)
        assert hub.mouth.heard()[6:] == ["s10", "s11"]
        hub.clock.at += 60_000
        await hub.until(lambda: len(hub.mouth.said) == 10)

    assert hub.mouth.heard()[8:] == ["s7", "s8"]


async def test_p1_does_not_wait_behind_a_slow_message(opened: Opened) -> None:
    """While a P3 message hangs, P1 is said by the other lane."""
    hub = opened()
    async with hub.speaking():
        hub.mouth.open.clear()
        await hub.raised(1, severity="P3")
        await hub.until(lambda: hub.mouth.tried == 1)
        await hub.raised(2, severity="P1")
        await hub.until(lambda: hub.mouth.tried == 2)
        hub.mouth.open.set()
        await hub.until(lambda: len(hub.mouth.said) == 2)


async def test_a_throttled_channel_waits_as_long_as_it_was_told(opened: Opened) -> None:
    """Retry-After holds back the whole channel, also rows that come meanwhile; then all is said."""
    hub = opened()
    hub.mouth.errors = [VoiceError("slow down", Why.THROTTLED, after_s=90.0)]
    async with hub.speaking():
        await hub.raised(1, severity="P2")
        await hub.until(lambda: hub.mouth.tried == 1)
        await hub.raised(2, severity="P1")
        hub.clock.at += 89_000
        await asyncio.sleep(0.1)
        assert hub.mouth.tried == 1
        hub.clock.at += 1_000
        await hub.until(lambda: sorted(hub.mouth.heard()) == ["s1", "s2"])

    assert hub.changes == []


@pytest.mark.parametrize(("error", "status"), [(LOCKED, "pending"), (REFUSED, "failed")])
async def test_what_only_a_person_can_mend_is_an_alarm_at_once(opened: Opened, error: VoiceError, status: str) -> None:
    """A wrong key and a refusal make the channel failing with the first try; the next success ends that."""
    hub = opened()
    hub.mouth.errors = [error]
    async with hub.speaking():
        await hub.raised(1)
        await hub.until(lambda: hub.changes)
        assert hub.changes == [("v", False, error.detail)]
        assert hub.statuses() == [status]
        assert hub.ask("SELECT failing, detail FROM voice") == [(NOW, error.detail)]
        hub.clock.at += int(LOCKED_S * 1000)
        await hub.raised(2)
        await hub.until(lambda: len(hub.changes) == 2)

    assert hub.changes[1] == ("v", True, "yes")


async def test_a_locked_channel_is_tried_once_a_minute(opened: Opened) -> None:
    """Many rows do not hammer a server that says no; when the key is mended, all that waited goes at once."""
    hub = opened()
    hub.mouth.errors = [LOCKED] * 3
    async with hub.speaking():
        await hub.raised(*range(1, 11))
        for tries in (1, 2, 3):
            await hub.until(lambda n=tries: hub.mouth.tried == n)  # type: ignore[misc]
            await asyncio.sleep(0.05)
            assert hub.mouth.tried == tries
            hub.clock.at += int(LOCKED_S * 1000)
        await hub.until(lambda: len(hub.mouth.said) == 10)

    assert [works for _, works, _ in hub.changes] == [False, True]


async def test_trouble_is_an_alarm_when_it_lasts(opened: Opened) -> None:
    """One lost connection is none; the third in a row is."""
    hub = opened()
    hub.mouth.errors = [TROUBLE] * 3
    async with hub.speaking():
        await hub.raised(1)
        for tries in (1, 2):
            await hub.until(lambda n=tries: hub.mouth.tried == n)  # type: ignore[misc]
            assert hub.changes == []
            hub.clock.at += 300_000
        await hub.until(lambda: hub.changes == [("v", False, "no way")])
        hub.clock.at += 300_000
        await hub.until(lambda: hub.changes[1:] == [("v", True, "yes")])

        assert hub.statuses() == ["accepted"]


async def test_what_says_nothing_of_the_channel_is_no_alarm(opened: Opened) -> None:
    """A siren order that came too late has failed; the siren has not."""
    hub = opened()
    hub.mouth.errors = [VoiceError("too old", Why.UNFIT)]
    async with hub.speaking():
        await hub.raised(1)
        await hub.until(lambda: hub.statuses() == ["failed"])

    assert hub.changes == []


async def test_a_restart_remembers_that_it_fails_and_what_it_spent(opened: Opened) -> None:
    """The core is told again, for a crash may have come between; the budget goes on where it was."""
    before = opened(MINUTE)
    async with before.speaking():
        await before.raised(*range(1, 7), severity="P2")
        await before.until(lambda: len(before.mouth.said) == 6)
        before.mouth.errors = [LOCKED]
        await before.raised(7, severity="P1")
        await before.until(lambda: before.changes)
    hub = opened(MINUTE, before.clock)
    async with hub.speaking():
        await hub.raised(8, severity="P2")
        hub.clock.at += 10_000
        await hub.until(lambda: len(hub.changes) == 2)

        assert hub.changes[0] == ("v", False, "wrong key")
        assert hub.mouth.heard() == ["s7"]
        assert hub.statuses()[-1] == "pending"
        assert hub.changes[1] == ("v", True, "yes")


async def test_a_digest_that_a_crash_cut_is_said_again(opened: Opened) -> None:
    """Rows that were being said belong to nobody after CLAIM_MS; none is lost, and none is marked that was not said."""
    before = opened(MINUTE)
    before.mouth.open.clear()
    before.journal.write([told(number, "P4") for number in range(20)])
    async with before.speaking():
        await before.until(lambda: before.mouth.tried == 1)
    hub = opened(MINUTE, before.clock)
    assert set(hub.statuses()) == {"sending"}
    hub.clock.at += CLAIM_MS
    async with hub.speaking():
        await hub.until(lambda: "sending" not in hub.statuses())

        assert hub.statuses() == ["accepted"] + ["folded"] * 19


async def test_what_is_not_confirmed_is_not_called_accepted(opened: Opened) -> None:
    """It went out, and nothing tells what came of it."""
    hub = opened()
    hub.mouth.confirmed = False
    async with hub.speaking():
        await hub.raised(1)
        await hub.until(lambda: hub.statuses() == ["unconfirmed"])


async def test_a_person_is_told_once_by_name(opened: Opened) -> None:
    """Two persons hear one flip by one voice, each once; a person that nobody knows any more ends the row in words."""
    hub = opened()
    async with hub.speaking():
        await hub.raised(1, severity="P1")
        for person in ("li", "wang", "li", "gone"):
            await hub.committer.call(
                lambda journal: put(journal.db, 1, "v", NOW, person=person, note=WORD)  # noqa: B023
            )
        await hub.until(lambda: len(hub.statuses()) == 4 and "pending" not in hub.statuses())
        await hub.until(lambda: "sending" not in hub.statuses())

        assert sorted(person for _, person in hub.mouth.said) == ["", "li", "wang"]
        gone = hub.ask("SELECT status, detail FROM outbox WHERE person = 'gone'")
        assert gone == [("failed", "nobody knows who 'gone' is any more")]


async def test_one_persons_spent_budget_holds_up_no_other(opened: Opened) -> None:
    """One call a minute is for one telephone."""
    hub = opened((Limit(1, 60.0),))
    hub.journal.write([told(1, "P1"), told(2, "P1")])
    hub.journal.db.execute("DELETE FROM outbox")
    for flip, person in ((1, "li"), (2, "li"), (2, "wang")):
        put(hub.journal.db, flip, "v", NOW, person=person)
    async with hub.speaking():
        await hub.until(lambda: len(hub.mouth.said) == 2)
        await asyncio.sleep(0.1)
        assert sorted(person for _, person in hub.mouth.said) == ["li", "wang"]
        hub.clock.at += 60_000
        await hub.until(lambda: len(hub.mouth.said) == 3)


async def test_a_live_test_says_how_the_voice_does(opened: Opened) -> None:
    """Passing trouble is tried thrice; a wrong key fails at once, is an alarm, and the next test ends it."""
    hub = opened()
    async with hub.speaking():
        hub.mouth.errors = [TROUBLE, TROUBLE]
        first = await hub.speaker.test()
        hub.mouth.errors = [LOCKED]
        second = await hub.speaker.test()
        third = await hub.speaker.test()

        assert [(state.passed, state.detail) for state in (first, second, third)] == [
            (1, "yes"), (0, "wrong key"), (1, "yes"),
        ]  # fmt: skip
        assert hub.changes == [("v", False, "wrong key"), ("v", True, "yes")]
        assert hub.ask("SELECT passed, failing, succeeded IS NOT NULL FROM voice") == [(1, None, 1)]


async def test_a_failing_voice_with_nothing_to_say_is_probed(opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise nobody would find out that it works again."""
    monkeypatch.setattr(speaker, "PROBE_S", 0.05)
    monkeypatch.setattr(Hand, "sleep", Clock.sleep)
    hub = opened()
    hub.mouth.errors = [REFUSED]
    async with hub.speaking():
        await hub.raised(1)
        await hub.until(lambda: [works for _, works, _ in hub.changes] == [False, True])
        tried = hub.mouth.tried
        await asyncio.sleep(0.2)

    assert hub.mouth.tried == tried == 2


async def test_a_clock_that_was_set_back_locks_no_channel(opened: Opened) -> None:
    """Pauses of another time are no pauses."""
    hub = opened()
    hub.mouth.errors = [LOCKED, VoiceError("slow", Why.THROTTLED, after_s=3000.0)]
    async with hub.speaking():
        await hub.raised(1)
        await hub.until(lambda: hub.mouth.tried == 1)
        hub.clock.at -= 86_400_000
        await hub.raised(2)
        await hub.until(lambda: hub.mouth.tried >= 2)
        hub.clock.at -= 86_400_000
        await hub.until(lambda: len(hub.mouth.said) == 2)
