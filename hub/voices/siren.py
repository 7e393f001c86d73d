"""The voice of a zone's siren: an order to a device, which needs neither broker nor network nor the dashboard.

The device ends the sound by itself; the order's outcome (confirmed by the device, or not) stands in its own row.
"""

from hub.clock import Clock
from hub.commit import Committer
from hub.journal import put_order
from hub.outcome import Order
from hub.site import Site
from hub.voices import Announcement, VoiceError

EXPIRES_MS = 10_000
LATE_MS = 60_000  # a siren that sounds for an alarm older than this says something that may no longer be so


class SirenVoice:
    """Orders the siren of the announcement's zone."""

    def __init__(self, site: Site, committer: Committer, clock: Clock) -> None:
        """The zone's siren comes from the site file."""
        self._zones = site.zones_by_id()
        self._committer, self._clock = committer, clock

    async def say(self, announcement: Announcement) -> str:
        """Put the order in; the same announcement again is the same order."""
        zone = self._zones.get(announcement.zone)
        if zone is None or zone.siren is None:
            raise VoiceError(f"zone {announcement.zone or '-'} has no siren any more", permanent=True)
        siren, now = zone.siren, self._clock.now()
        if now - announcement.at > LATE_MS:
            raise VoiceError(f"the alarm was {(now - announcement.at) // 1000} s old", permanent=True)
        order = Order(
            id=0,
            token=f"siren/{announcement.id}",
            kind="command",
            target=siren.device,
            command=siren.command,
            seconds=siren.seconds,
            actor=f"rule:{announcement.rule}",
            text=announcement.title.en,
            issued=now,
            expires=now + EXPIRES_MS,
        )
        number = await self._committer.call(lambda journal: put_order(journal.db, order))
        return f"order {number}: {siren.device} {siren.command}"
