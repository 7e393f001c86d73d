"""A speaker on a real journal, with a voice in memory that does as the test says, and a clock whose hands it moves.

For annotations: `from tests.hub.speaker.conftest import Hub` under TYPE_CHECKING.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from hub.clock import Clock
from hub.journal.commit import Committer
from hub.journal.writer import FILE, Journal
from hub.outcome import Flip, Occurrence, Outcome
from hub.reading import Label
from hub.settings.site import Site
from hub.settings.site_voice import LogSpec
from hub.speaking import speaker
from hub.speaking.budget import Budgets, Limit
from hub.speaking.outbox import Row, put
from hub.speaking.speaker import PROBE_S, Common, Speaker
from hub.voices import Announcement, Person, Said, VoiceError

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
            person=lambda person, _: self.people.get(person), changed=self._changed,
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

    async def put(self, flip: int, person: str) -> None:
        """One person is to be told of a flip."""
        await self.committer.call(lambda journal: put(journal.db, flip, "v", NOW, person=person, note=WORD))

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

    def write(self, *numbers: int, severity: str) -> None:
        """Alarms are raised before the speaker runs."""
        self.journal.write([told(number, severity) for number in numbers])

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
