"""A roster of four opaque people, a site with two voices, and a journal that can be killed at any write."""

import asyncio
import sqlite3
from collections.abc import Callable
from datetime import date, datetime
from pathlib import Path
from typing import Any, TypeVar, cast
from zoneinfo import ZoneInfo

import pytest

from hub.calendar.days import Days, seed
from hub.clock import Clock
from hub.duty.callees import Callees
from hub.duty.file import FILE as DUTY
from hub.duty.file import Duty, read_duty
from hub.duty.room import look
from hub.duty.roster import Roster
from hub.journal.commit import Committer
from hub.journal.writer import FILE, Journal
from hub.outcome import Alarm, Flip, Occurrence, Outcome
from hub.reading import Label
from hub.settings.site import Site
from hub.settings.site_voice import LogSpec
from hub.speaking.announce import Announcer
from hub.speaking.outbox import let_go
from hub.voices import Announcement, Person, Said, Unlimited, VoiceError
from tests.hub.kill import Killed, Wire

TEXT = """
[[person]]
id = "p1"
name = "甲"
user = "guard"
address = { phone = "1001", robot = "@p1" }
[[person]]
id = "p2"
name = "乙"
address = { phone = "1002" }
[[person]]
id = "p3"
name = "丙"
address = { robot = "@p3" }
[[person]]
id = "p4"
name = "丁"

[[shift]]
id = "day"
name = { zh = "白班", en = "Day" }
role = "guard"
hours = "07:00-19:00"
people = ["p1", "p2"]
rotate_days = 2
since = 2026-01-05
[[shift]]
id = "night"
name = { zh = "夜班", en = "Night" }
role = "guard"
hours = "19:00-07:00"
people = ["p2", "p3", "p1"]
rotate_days = 1
since = 2026-01-05
[[shift]]
id = "office"
name = { zh = "值班经理", en = "Manager" }
role = "manager"
hours = { workday = "09:00-18:00", weekend = "", holiday = "10:00-12:00" }
people = ["p3", "p4"]

[[escalation]]
severity = "P1"
again = 300.0
act_within = 600.0
  [[escalation.step]]
  after = 0.0
  to = ["guard"]
  voices = ["phone"]
  [[escalation.step]]
  after = 60.0
  to = ["manager", "on-duty"]
  [[escalation.step]]
  after = 120.0
  to = ["all"]
"""


@pytest.fixture(scope="session")
def site() -> Site:
    """A site without devices."""
    return Site(
        id="court",
        name=Label(zh="小区", en="Court"),
        timezone="Asia/Shanghai",
        zones=(),
        links=(),
        page="https://duty.example.org",
        voices=(LogSpec(id="phone"), LogSpec(id="robot")),
    )


@pytest.fixture(scope="session")
def text() -> str:
    """The roster as it stands in the file."""
    return TEXT


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data folder with the roster."""
    (tmp_path / DUTY).write_text(TEXT, encoding="utf-8")
    return tmp_path


@pytest.fixture
def duty(data: Path, site: Site) -> Duty:
    """The roster as structs."""
    return read_duty(data / DUTY, site)


@pytest.fixture
def roster(duty: Duty, site: Site) -> Roster:
    """The roster in the site's time zone."""
    return Roster(duty, site.tz, Days(seed()))


def instant(text: str, zone: str = "Asia/Shanghai") -> int:
    """A wall-clock time as ms since 1970."""
    return round(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp() * 1000)


def day_of(at: int, zone: str = "Asia/Shanghai") -> date:
    """The date on the wall."""
    return datetime.fromtimestamp(at / 1000, ZoneInfo(zone)).date()


T0 = 1_767_610_800_000  # 2026-01-05 19:00 in Shanghai: p2 has the night
KEY = b"k" * 32
CALLS = "FROM outbox JOIN flip ON seq = flip WHERE person <> ''"
VOICES = frozenset({"phone", "robot"})
EVERYBODY = [("phone", "1001"), ("phone", "1002"), ("robot", "@p1"), ("robot", "@p3")]
T = TypeVar("T")


class Still(Clock):
    """A clock that the test sets."""

    def __init__(self) -> None:
        """At T0."""
        super().__init__()
        self.at = T0

    def now(self) -> int:
        """What the test says."""
        return self.at


class Mouth(Unlimited):
    """A voice that can be told to fail."""

    def __init__(self, name: str, room: "Room") -> None:
        """Of this room."""
        self._name, self._room = name, room

    async def say(self, announcement: Announcement, person: Person | None = None) -> Said:
        """To one person who is called; what everybody is told is not noted."""
        if person is None:
            return Said("heard")
        if self._room.error is not None:
            raise self._room.error
        assert announcement.to == person.phone
        self._room.said.append(((self._room.clock.at - T0) // 1000, self._name, announcement.to))
        self._room.links.append(announcement.page)
        self._room.ids.append((self._name, announcement.id))
        return Said("heard")


class Room:
    """A journal with its duty, without loops: `tick` is a look and all announcements that are due."""

    def __init__(self, folder: Path, site: Site, roster: Roster, cut: int | None = None) -> None:
        """`cut`: the statement at which the process dies, once; it starts again from what was written."""
        self._path, self._site, self._cut = folder / FILE, site, cut
        self.clock = Still()
        self.said: list[tuple[int, str, str]] = []
        self.links: list[str] = []
        self.ids: list[tuple[str, str]] = []
        self.error: VoiceError | None = None
        self.deaths = self.statements = 0
        self._open(cut)
        self.become(roster)

    def become(self, roster: Roster) -> None:
        """Another roster."""
        self.roster, self.callees.duty = roster, roster.duty

    def _open(self, cut: int | None) -> None:
        self.journal = Journal(self._path, self._site)
        self.journal.db.execute("PRAGMA synchronous = OFF")  # a process dies here, not a disk
        self.wire = Wire(self.journal.db, cut)
        self.journal.db = cast("sqlite3.Connection", self.wire)
        self.callees = Callees(self._site, KEY, self.clock)
        committer = cast("Committer", self)
        announcer = Announcer(self._site, {}, committer, {}, self.clock, people=self.callees)
        self.speakers = [announcer._speakers[voice] for voice in sorted(VOICES)]
        for speaker, voice in zip(self.speakers, sorted(VOICES), strict=True):
            speaker.renew(Mouth(voice, self))

    async def call(self, work: Callable[[Journal], T]) -> T:
        """As the committer does."""
        return work(self.journal)

    def tick(self, second: int) -> None:
        """One second of the field process; where it dies, it starts again and goes on."""
        self.clock.at = T0 + second * 1000
        while True:
            try:
                look(self.journal, self.roster, VOICES, self.clock.at)
                for speaker in self.speakers:
                    for urgent in (True, False):
                        asyncio.run(speaker.once(urgent))
                return
            except Killed:
                self.deaths += 1
                self.statements += self.wire.count
                self.journal.close()
                self._open(None)
                self.become(self.roster)
                let_go(self.journal)

    def alarm(self, state: str = "unacked", *, severity: str = "P1", key: str = "sos/s1", **more: Any) -> None:
        """The alarm as the core has written it; `more`: columns."""
        rule, _, source = key.partition("/")
        both: dict[str, Any] = {"key": key, "rule": rule, "source": source, "zone": "", "severity": severity}
        both |= {"occurrence": 1, **more}
        row = Alarm(**both, filter="on", since=T0, last=T0, state=state, announced=True)
        fields = {name: value for name, value in both.items() if name in Occurrence.__struct_fields__}
        fields |= {"raised": T0, "quantity": ""}
        fields |= {"closed": "cleared", "ended": self.clock.at} if state == "normal" else {}
        flip = Flip(at=self.clock.at, key=key, occurrence=1, event="raised", before="normal", after=state)
        self.journal.db = self.wire.whole  # the core's own writes are not what is cut here
        self.journal.write([Outcome(alarms=[row], occurrences=[Occurrence(**fields)], flips=[flip])])
        self.journal.db = cast("sqlite3.Connection", self.wire)

    def rows(self, sql: str) -> list[tuple[Any, ...]]:  # Any: the columns of any question
        """Rows of the journal."""
        return [tuple(row) for row in self.wire.whole.execute(sql)]


Opened = Callable[..., Room]


@pytest.fixture
def opened(tmp_path: Path, site: Site, roster: Roster) -> Opened:
    """Opens the room in a folder of its own."""

    def make(name: str = "room", cut: int | None = None) -> Room:
        (tmp_path / name).mkdir()
        return Room(tmp_path / name, site, roster, cut)

    return make
