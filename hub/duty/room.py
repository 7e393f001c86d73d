"""The field process's part in duty: looks at the roster, escalations and incidents once a second, and at itself.

It carries: what is decided stands in hub.duty.callbook, hub.duty.casebook and hub.duty.roster. The files of the data
folder are read again when they change; a file with a mistake changes nothing but raises an alarm.
"""

import logging
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from device_profiles.door import Refusal
from hub.calendar import days
from hub.calendar.days import Days, load_calendar
from hub.clock import Clock
from hub.core import Core
from hub.durable import secret_key
from hub.duty import callbook, casebook
from hub.duty import desk as duty_desk
from hub.duty import file as duty
from hub.duty.brieflink import KEY_FILE
from hub.duty.callees import Callees
from hub.duty.file import load_duty
from hub.duty.roster import Roster
from hub.journal.commit import Committer
from hub.journal.file import transaction
from hub.journal.writer import Journal
from hub.outcome import Outcome
from hub.settings.site import Site

LOG = logging.getLogger("zhian.duty")
LOOK_S = 1.0
THINK_MS = 60_000  # between two looks at calendar and roster for what is missing
AHEAD_MS = 7 * 86_400_000
T = TypeVar("T")


class DutyRoom:
    """One site's duty. `take` writes what the core says."""

    def __init__(
        self,
        site: Site,
        core: Core,
        committer: Committer,
        take: Callable[[Outcome], Awaitable[None]],
        data: Path,
        clock: Clock,
    ) -> None:
        """`data`: where calendar, roster and key are. `callees`: whom the voices reach."""
        self._core, self._committer, self._take = core, committer, take
        self._data, self._clock = data, clock
        self._days = Days()
        self._roster: Roster | None = None
        self._mistakes: dict[str, str] = {}
        self.callees = Callees(site, secret_key(data / KEY_FILE), clock)
        self.renew(site)
        self._read_roster()  # before the voices begin: they take up calls that a stop left

    def renew(self, site: Site) -> None:
        """Another site file: the roster is read again, for its voices and its time zone may be other ones."""
        self._site = site
        self._voices = frozenset(voice.id for voice in site.voices)
        self.callees.renew(site)
        self._stamps: dict[str, tuple[int, int] | None] = {}
        self._told: dict[str, str] = {}
        self._think_at = 0

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            await self._look()
            await self._clock.sleep(LOOK_S)

    async def _look(self) -> None:
        now = self._clock.now()
        await self._read_again(now)
        asked, site = self._roster, self._site
        await self._committer.call(lambda journal: duty_desk.obey(journal.db, self._data, site, asked, now))
        nobody = ""
        if self._roster is not None:
            roster = self._roster
            nobody, called = await self._committer.call(lambda journal: look(journal, roster, self._voices, now))
            if called:
                self._committer.announced.set()
        if not 0 <= now - self._think_at < THINK_MS:
            self._think_at = now
            await self._know(self._missing(now), now)
        await self._know({"nobody-reacted": nobody}, now)

    async def _read_again(self, now: int) -> None:
        if self._changed(days.FILE):
            calendar = self._read(days.FILE, lambda: load_calendar(self._data))
            if calendar is not None:
                self._days.calendar = calendar
                await self._take(self._core.exchange(calendar, now))
            self._think_at = 0
        self._read_roster()

    def _read_roster(self) -> None:
        if not self._changed(duty.FILE):
            return
        if not (self._data / duty.FILE).exists():
            self.callees.duty = self._roster = None
        read = self._read(duty.FILE, lambda: load_duty(self._data, self._site))
        if read is not None:
            self.callees.duty, self._roster = read, Roster(read, self._site.tz, self._days)
        self._think_at = 0

    def _changed(self, name: str) -> bool:
        try:
            found = (self._data / name).stat()
            stamp: tuple[int, int] | None = (found.st_mtime_ns, found.st_ino)
        except FileNotFoundError:
            stamp = None
        if name in self._stamps and self._stamps[name] == stamp:
            return False
        self._stamps[name] = stamp
        return True

    def _read(self, name: str, read: Callable[[], T]) -> T | None:
        self._mistakes.pop(name, None)
        try:
            return read()
        except Refusal as error:
            LOG.error("%s: what was known before counts on", error)
            self._mistakes[name] = str(error)
            return None

    def _missing(self, now: int) -> dict[str, str]:
        today = datetime.fromtimestamp(now // 1000, UTC).astimezone(self._site.tz).date()
        year = self._days.calendar.missing(today)
        hole = self._mistakes.get(duty.FILE, "")
        if self._roster is not None and not hole:
            found = self._roster.first_hole(now, now + AHEAD_MS, self._voices)
            hole = local_minute(found.at, self._site) if found is not None else ""
        return {"calendar-missing": self._mistakes.get(days.FILE, str(year or "")), "duty-hole": hole}

    async def _know(self, own: Mapping[str, str], now: int) -> None:
        news = {rule: why for rule, why in own.items() if self._told.get(rule) != why}
        if news:
            self._told |= news
            await self._take(self._core.know(news, now))


def look(journal: Journal, roster: Roster, voices: frozenset[str], now: int) -> tuple[str, int]:
    """One look at everything, in one transaction.

    Returns the P1 alarms that nobody has reacted to, in words, and how many calls are to be made.
    """
    db = journal.db
    with transaction(db):
        casebook.obey(db, roster, now)
        casebook.look(db, roster, now)
        called = callbook.look(db, roster, voices, now)
        nobody = callbook.exhausted(db)
    return ", ".join(sorted(nobody)), called


def local_minute(at: int, site: Site) -> str:
    """An instant on the wall clock of the site, to the minute."""
    return f"{datetime.fromtimestamp(at // 1000, UTC).astimezone(site.tz):%Y-%m-%d %H:%M}"
