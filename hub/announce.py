"""Speaks what the journal's outbox holds: claims a row, says it, marks it. The state change was committed before.

One task a voice, so that a webhook that hangs never holds up the siren. A claim survives a crash: what was being said
when the hub died is said again (twice is better than never).
"""

import asyncio
import logging
import sqlite3
from collections.abc import Mapping

from device_profiles import vocabulary
from firmware_bridge.raw import Link
from hub.clock import Clock
from hub.commit import Committer
from hub.journal import SIREN, Journal
from hub.reading import Label
from hub.rules import Rule
from hub.site import MqttBrokerLink, Site
from hub.voices import Announcement, Voice, VoiceError
from hub.voices.log import LogVoice
from hub.voices.mqtt import MqttVoice
from hub.voices.siren import SirenVoice
from hub.voices.webhook import WebhookVoice

LOG = logging.getLogger("zhian.announce")
LOOK_S = 1.0  # how long a voice sleeps when nothing wakes it
CLAIM_MS = 30_000  # a claim older than this belongs to a hub that died while it spoke
RETRY_FIRST_S, RETRY_MOST_S = 2.0, 300.0
GIVE_UP_TRIES = 300  # about a day; counted, because the clock may be set meanwhile
AT_ONCE = 20

_CLAIM = """
UPDATE outbox SET status = 'sending', attempts = attempts + 1, next_try = :until WHERE id IN (
  SELECT b.id FROM outbox b LEFT JOIN flip f ON f.seq = b.flip
  WHERE b.voice = :voice AND b.status IN ('pending', 'sending')
    -- a try further ahead than any pause was noted by a clock that has been set back since
    AND (b.attempts = 0 OR b.next_try NOT BETWEEN :now + 1 AND :now + :longest)
    -- of one occurrence, "cleared" never overtakes a "raised" that is still to be said
    AND NOT EXISTS (
      SELECT 1 FROM outbox e JOIN flip g ON g.seq = e.flip
      WHERE e.status IN ('pending', 'sending') AND e.voice = b.voice AND e.id < b.id
        AND g.key = f.key AND g.occurrence = f.occurrence)
  ORDER BY b.id LIMIT :most)
RETURNING id, flip, kind, attempts
"""
_NOBODY = (
    "UPDATE outbox SET status = 'failed', detail = ?, done = ? WHERE status IN ('pending', 'sending') AND voice = ?"
)
_ABOUT = """
SELECT f.at, f.key, f.occurrence, f.value, o.rule, o.source, o.zone, o.severity, o.quantity
FROM flip f JOIN occurrence o ON o.key = f.key AND o.occurrence = f.occurrence WHERE f.seq = ?
"""


class Announcer:
    """The site's voices, each with its own task."""

    def __init__(
        self, site: Site, rules: Mapping[str, Rule], committer: Committer, links: Mapping[str, Link], clock: Clock
    ) -> None:
        """Every voice of the site, and the sirens of its zones."""
        self._committer, self._clock = committer, clock
        self._wakes: dict[str, asyncio.Event] = {}
        self._group: asyncio.TaskGroup | None = None
        self.renew(site, rules, links)

    def renew(self, site: Site, rules: Mapping[str, Rule], links: Mapping[str, Link]) -> None:
        """Another site file. What is being said is said to its end; a voice that is gone then falls silent."""
        self._site, self._rules = site, rules
        self._voices: dict[str, Voice] = {SIREN: SirenVoice(site, self._committer, self._clock)}
        broker = next((link.id for link in site.links if isinstance(link, MqttBrokerLink)), "")
        for voice in site.voices:
            if voice.kind == "webhook":
                self._voices[voice.id] = WebhookVoice(voice.url, voice.secret_file)
            elif voice.kind == "mqtt":
                self._voices[voice.id] = MqttVoice(links[broker], voice.topic)
            else:
                self._voices[voice.id] = LogVoice()
        self._begin()

    async def tell(self, voice: str, announcement: Announcement) -> str:
        """Say it to `announcement.to` by one voice; returns what was answered. Raises VoiceError."""
        if voice not in self._voices:
            raise VoiceError(f"the site has no voice {voice!r} any more", permanent=True)
        return await self._voices[voice].say(announcement)

    async def run(self) -> None:
        """Speak until cancelled."""
        await self._committer.call(self._end_voiceless)
        async with asyncio.TaskGroup() as self._group:
            self._begin()
            while True:
                await self._committer.announced.wait()
                self._committer.announced.clear()
                for wake in self._wakes.values():
                    wake.set()

    def _begin(self) -> None:
        """A task for each voice that has none yet, once we are running."""
        if self._group is None:
            return
        for name in self._voices.keys() - self._wakes.keys():
            self._wakes[name] = asyncio.Event()
            self._group.create_task(self._speak(name), name=f"voice {name}")

    async def _speak(self, name: str) -> None:
        while name in self._voices:
            while rows := await self._committer.call(lambda journal: self._claim(journal, name)):
                for row in rows:
                    status, next_try, detail = await self._say(name, row)
                    await self._committer.call(lambda journal: _mark(journal, row["id"], status, next_try, detail))  # noqa: B023
            try:
                async with asyncio.timeout(LOOK_S):
                    await self._wakes[name].wait()
            except TimeoutError:
                continue
            self._wakes[name].clear()
        del self._wakes[name]
        await self._committer.call(self._end_voiceless)

    def _claim(self, journal: Journal, voice: str) -> list[sqlite3.Row]:
        now = self._clock.now()
        longest = int(RETRY_MOST_S * 1000)
        found = {"voice": voice, "now": now, "until": now + CLAIM_MS, "longest": longest, "most": AT_ONCE}
        return sorted(journal.db.execute(_CLAIM, found), key=lambda row: int(row["id"]))

    def _end_voiceless(self, journal: Journal) -> None:
        """What was left for a voice that the site no longer has would wait for ever."""
        left = journal.db.execute("SELECT DISTINCT voice FROM outbox WHERE status IN ('pending', 'sending')").fetchall()
        for (voice,) in left:
            if voice not in self._voices:
                journal.db.execute(_NOBODY, (f"the site has no voice {voice!r} any more", self._clock.now(), voice))

    async def _say(self, name: str, row: sqlite3.Row) -> tuple[str, int, str]:
        """Status, next try and words for the outbox row."""
        about = await self._committer.call(lambda journal: journal.db.execute(_ABOUT, (row["flip"],)).fetchone())
        voice = self._voices.get(name)
        if about is None or voice is None:
            why = "the alarm was forgotten" if about is None else "the voice was taken out of the site file"
            return "failed", self._clock.now(), f"{why} before it could be said"
        announcement = self._announcement(row, about)
        try:
            detail = await voice.say(announcement)
        except VoiceError as error:
            LOG.warning("voice %s could not say %s: %s", name, announcement.id, error.detail)
            if error.permanent or row["attempts"] >= GIVE_UP_TRIES:
                return "failed", self._clock.now(), error.detail
            pause_s = min(RETRY_MOST_S, RETRY_FIRST_S * 2 ** (row["attempts"] - 1))
            return "pending", self._clock.now() + int(pause_s * 1000), error.detail
        return "accepted", self._clock.now(), detail

    def _announcement(self, row: sqlite3.Row, about: sqlite3.Row) -> Announcement:
        word = vocabulary.find(about["quantity"]) if about["quantity"] else None
        rule = self._rules.get(about["rule"])  # None: a rule that is gone, whose last word is still to be said
        return Announcement(
            id=f"{self._site.id}-{row['flip']}-{row['kind']}",
            kind=row["kind"],
            site=self._site.id,
            rule=about["rule"],
            title=rule.title if rule else Label(zh=about["rule"], en=about["rule"]),
            severity=about["severity"],
            source=about["source"],
            zone=about["zone"],
            occurrence=about["occurrence"],
            at=about["at"],
            value=about["value"],
            unit=word.quantity.unit if word else "",
        )


def _mark(journal: Journal, row: int, status: str, next_try: int, detail: str) -> None:
    done = next_try if status in ("accepted", "failed") else None
    journal.db.execute(
        "UPDATE outbox SET status = ?, next_try = ?, detail = ?, done = ? WHERE id = ?",
        (status, next_try, detail, done, row),
    )
