"""The voices that are orders to devices of the site: a zone's siren, and any device that is heard or seen.

They need neither network nor the dashboard. The device ends the sound by itself; a command that takes a text speaks the
alarm. The order's outcome (confirmed by the device, or not) stands in its own row.
"""

from collections.abc import Sequence

from device_profiles.types import speech_of
from hub.care.drill import shortened
from hub.clock import Clock
from hub.journal.commit import Committer
from hub.journal.writer import put_order
from hub.outcome import Order
from hub.settings.site import Siren, Site
from hub.voices import Announcement, Person, Said, Unlimited, VoiceError, Why
from hub.voices.text import spoken

EXPIRES_MS = 10_000
LATE_MS = 60_000  # a siren that sounds for an alarm older than this says something that may no longer be so


class DeviceVoice(Unlimited):
    """Orders one device, whatever the zone."""

    def __init__(
        self,
        name: str,
        siren: Siren,
        site: Site,
        committer: Committer,
        clock: Clock,
        languages: Sequence[str] = ("zh",),
    ) -> None:
        """`name` is the voice's own, so that two voices may order one device for one alarm."""
        self._name, self._siren, self._committer, self._clock = name, siren, committer, clock
        self._devices, self._languages = site.devices(), languages

    async def say(self, announcement: Announcement, person: Person | None = None) -> Said:
        """Put the order in; the same announcement again is the same order."""
        return await self._order(self._siren, announcement)

    async def _order(self, siren: Siren, announcement: Announcement) -> Said:
        now = self._clock.now()
        if now - announcement.at > LATE_MS:
            raise VoiceError(f"the alarm was {(now - announcement.at) // 1000} s old", Why.UNFIT)
        device = self._devices.get(siren.device)
        speech = speech_of(device.profile, siren.command) if device is not None else None
        words = announcement.title.en if speech is None else spoken(announcement, self._languages, speech.most)
        order = Order(
            id=0,
            token=f"{self._name}/{announcement.id}",
            kind="command",
            target=siren.device,
            command=siren.command,
            seconds=self._seconds(siren, announcement),
            actor=f"rule:{announcement.rule}",
            text=words,
            issued=now,
            expires=now + EXPIRES_MS,
        )
        number = await self._committer.call(lambda journal: put_order(journal.db, order))
        return Said(f"order {number}: {siren.device} {siren.command}")

    def _seconds(self, siren: Siren, announcement: Announcement) -> float | None:
        return siren.seconds


class SirenVoice(DeviceVoice):
    """Orders the siren of the announcement's zone."""

    def __init__(self, site: Site, committer: Committer, clock: Clock) -> None:
        """The zone's siren comes from the site file."""
        super().__init__("siren", Siren(device="", command=""), site, committer, clock)
        self._site, self._zones = site, site.zones_by_id()

    async def say(self, announcement: Announcement, person: Person | None = None) -> Said:
        """As DeviceVoice; a zone that lost its siren since is a refusal."""
        zone = self._zones.get(announcement.zone)
        if zone is None or zone.siren is None:
            raise VoiceError(f"zone {announcement.zone or '-'} has no siren any more", Why.UNFIT)
        return await self._order(zone.siren, announcement)

    def _seconds(self, siren: Siren, announcement: Announcement) -> float | None:
        """Short for a test."""
        return shortened(siren, self._site) if announcement.drill else siren.seconds
