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
GIVE_UP_MS = 24 * 3600 * 1000
AT_ONCE = 20

_CLAIM = """
UPDATE outbox SET status = 'sending', attempts = attempts + 1, next_try = :until WHERE id IN (
  SELECT id FROM outbox WHERE voice = :voice AND status IN ('pending', 'sending') AND next_try <= :now
  ORDER BY id LIMIT :most)
RETURNING id, flip, kind, attempts
"""
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
        self._site, self._rules, self._committer, self._clock = site, rules, committer, clock
        self._voices: dict[str, Voice] = {SIREN: SirenVoice(site, committer, clock)}
        broker = next((link.id for link in site.links if isinstance(link, MqttBrokerLink)), "")
        for voice in site.voices:
            if voice.kind == "webhook":
                self._voices[voice.id] = WebhookVoice(voice.url, voice.secret_file)
            elif voice.kind == "mqtt":
                self._voices[voice.id] = MqttVoice(links[broker], voice.topic)
            else:
                self._voices[voice.id] = LogVoice()
        self._wakes = {name: asyncio.Event() for name in self._voices}

    async def run(self) -> None:
        """Speak until cancelled."""
        async with asyncio.TaskGroup() as group:
            for name in self._voices:
                group.create_task(self._speak(name), name=f"voice {name}")
            while True:
                await self._committer.announced.wait()
                self._committer.announced.clear()
                for wake in self._wakes.values():
                    wake.set()

    async def _speak(self, name: str) -> None:
        while True:
            for row in await self._committer.call(lambda journal: self._claim(journal, name)):
                status, next_try, detail = await self._say(name, row)
                await self._committer.call(lambda journal: _mark(journal, row["id"], status, next_try, detail))  # noqa: B023
            try:
                async with asyncio.timeout(LOOK_S):
                    await self._wakes[name].wait()
            except TimeoutError:
                continue
            self._wakes[name].clear()

    def _claim(self, journal: Journal, voice: str) -> list[sqlite3.Row]:
        now = self._clock.now()
        found = {"voice": voice, "now": now, "until": now + CLAIM_MS, "most": AT_ONCE}
        return journal.db.execute(_CLAIM, found).fetchall()

    async def _say(self, name: str, row: sqlite3.Row) -> tuple[str, int, str]:
        """Status, next try and words for the outbox row."""
        about = await self._committer.call(lambda journal: journal.db.execute(_ABOUT, (row["flip"],)).fetchone())
        announcement = self._announcement(row, about)
        now = self._clock.now()
        try:
            return "accepted", now, await self._voices[name].say(announcement)
        except VoiceError as error:
            LOG.warning("voice %s could not say %s: %s", name, announcement.id, error.detail)
            if error.permanent or now - announcement.at > GIVE_UP_MS:
                return "failed", now, error.detail
            pause_s = min(RETRY_MOST_S, RETRY_FIRST_S * 2 ** (row["attempts"] - 1))
            return "pending", now + int(pause_s * 1000), error.detail

    def _announcement(self, row: sqlite3.Row, about: sqlite3.Row) -> Announcement:
        word = vocabulary.find(about["quantity"]) if about["quantity"] else None
        return Announcement(
            id=f"{self._site.id}-{row['flip']}-{row['kind']}",
            kind=row["kind"],
            site=self._site.id,
            rule=about["rule"],
            title=self._rules[about["rule"]].title,
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
