"""Says to people what the rows of `call` ask for: claims a row, says it to one person by one voice, marks it.

One task a voice. A claim survives a crash: what was being said when the hub died is said again (twice is better than
never). Whom to call, and when, was decided in hub.callbook.
"""

import asyncio
import logging
import sqlite3
from collections.abc import Awaitable, Callable, Mapping
from typing import TypeAlias

from device_profiles import vocabulary
from hub.brieflink import PATH, Pass, sign
from hub.clock import Clock
from hub.commit import Committer
from hub.duty import Duty, Person
from hub.journal import Journal
from hub.reading import Label
from hub.rules import Rule
from hub.site import Site
from hub.voices import Announcement, VoiceError

LOG = logging.getLogger("zhian.duty")
LOOK_S = 1.0
CLAIM_MS = 60_000  # a claim older than this was lost
RETRY_FIRST_S, RETRY_MOST_S = 2.0, 60.0
GIVE_UP_TRIES = 20  # some 15 minutes: by then others have been called
AT_ONCE = 20
Tell: TypeAlias = Callable[[str, Announcement], Awaitable[str]]
"""Says an announcement to its `to` by one voice of the site; returns what was answered. Raises VoiceError."""

_CLAIM = """
UPDATE call SET status = 'sending', attempts = attempts + 1, next_try = :until WHERE id IN (
  SELECT id FROM call WHERE voice = :voice AND status IN ('pending', 'sending')
    AND next_try NOT BETWEEN :now + 1 AND :now + :longest  -- further ahead: by a clock that was set back since
  ORDER BY id LIMIT :most)
RETURNING *
"""
_ABOUT = "SELECT * FROM occurrence WHERE key = ? AND occurrence = ?"


class Caller:
    """The site's voices as they speak to single people. `duty` is asked at each call: addresses are never stored."""

    def __init__(
        self,
        site: Site,
        rules: Mapping[str, Rule],
        committer: Committer,
        clock: Clock,
        tell: Tell,
        duty: Callable[[], Duty | None],
        key: bytes,
    ) -> None:
        """`key` signs the links."""
        self._site, self._rules, self._committer, self._clock = site, rules, committer, clock
        self._tell, self._duty, self._key = tell, duty, key

    async def run(self) -> None:
        """Speak until cancelled."""
        await self._committer.call(let_go)
        speaking: set[str] = set()
        async with asyncio.TaskGroup() as group:
            while True:
                for voice in {voice.id for voice in self._site.voices} - speaking:
                    speaking.add(voice)
                    group.create_task(self._speak(voice), name=f"call {voice}")
                await asyncio.sleep(LOOK_S)

    def renew(self, site: Site, rules: Mapping[str, Rule]) -> None:
        """Another site file. A voice that is gone has its calls refused, each with its reason."""
        self._site, self._rules = site, rules

    async def once(self, voice: str) -> int:
        """Say by this voice what is due now; how many calls that were."""
        rows = await self._committer.call(lambda journal: self._claim(journal, voice))
        for row in rows:
            status, next_try, detail = await self._say(row)
            await self._committer.call(lambda journal: _mark(journal, row["id"], status, next_try, detail))  # noqa: B023
        return len(rows)

    async def _speak(self, voice: str) -> None:
        while True:
            if not await self.once(voice):
                await asyncio.sleep(LOOK_S)

    def _claim(self, journal: Journal, voice: str) -> list[sqlite3.Row]:
        now = self._clock.now()
        found = {"voice": voice, "now": now, "until": now + CLAIM_MS, "longest": CLAIM_MS, "most": AT_ONCE}
        return sorted(journal.db.execute(_CLAIM, found), key=lambda row: int(row["id"]))

    async def _say(self, row: sqlite3.Row) -> tuple[str, int, str]:
        """Status, next try and words for the call's row."""
        duty, key = self._duty(), (row["key"], row["occurrence"])
        about = await self._committer.call(lambda journal: journal.db.execute(_ABOUT, key).fetchone())
        person = duty.people().get(row["person"]) if duty is not None else None
        if duty is None or person is None or row["voice"] not in person.address or about is None:
            return "failed", self._clock.now(), "the person, the address or the alarm is gone"
        try:
            detail = await self._tell(row["voice"], self._announcement(duty, person, row, about))
        except VoiceError as error:
            LOG.warning("voice %s could not call %s: %s", row["voice"], person.id, error.detail)
            if error.permanent or row["attempts"] >= GIVE_UP_TRIES:
                return "failed", self._clock.now(), error.detail
            pause_s = min(RETRY_MOST_S, RETRY_FIRST_S * 2 ** (row["attempts"] - 1))
            return "pending", self._clock.now() + int(pause_s * 1000), error.detail
        return "accepted", self._clock.now(), detail

    def _announcement(self, duty: Duty, person: Person, row: sqlite3.Row, about: sqlite3.Row) -> Announcement:
        word = vocabulary.find(about["quantity"]) if about["quantity"] else None
        rule = self._rules.get(about["rule"])
        return Announcement(
            id=f"{self._site.id}-call-{row['id']}",
            kind="raised",
            site=self._site.id,
            rule=about["rule"],
            title=rule.title if rule else Label(zh=about["rule"], en=about["rule"]),
            severity=about["severity"],
            source=about["source"],
            zone=about["zone"],
            occurrence=about["occurrence"],
            at=about["raised"],
            value=about["value"],
            unit=word.quantity.unit if word else "",
            to=person.address[row["voice"]],
            page=self._link(duty, person, int(about["id"]), int(row["run"])),
        )

    def _link(self, duty: Duty, person: Person, number: int, run: int) -> str:
        if not duty.page:
            return ""
        expires = self._clock.now() // 1000 + duty.link_hours * 3600
        return duty.page.rstrip("/") + PATH + sign(self._key, self._site.id, Pass(number, run, person.id, expires))


def let_go(journal: Journal) -> None:
    """Only one field process runs on a journal: what is being said now is said by nobody."""
    journal.db.execute("UPDATE call SET status = 'pending', next_try = 0 WHERE status = 'sending'")


def _mark(journal: Journal, row: int, status: str, next_try: int, detail: str) -> None:
    """A call that was dropped meanwhile is not taken up again."""
    done = next_try if status in ("accepted", "failed") else None
    journal.db.execute(
        "UPDATE call SET status = ?, next_try = ?, detail = ?, done = ? WHERE id = ? AND status = 'sending'",
        (status, next_try, detail, done, row),
    )
