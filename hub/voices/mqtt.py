"""The voice that publishes the announcement as JSON, for whatever else the site runs."""

import msgspec

from firmware_bridge.raw import Link, Publish, SendError
from hub.voices import Announcement, Person, Said, Unlimited, VoiceError

EXPIRY_S = 3600


class MqttVoice(Unlimited):
    """Publishes on `topic` (may hold {site}, {rule}, {source}) with QoS 1, not retained."""

    def __init__(self, link: Link, topic: str) -> None:
        """`link` is the site's MQTT link."""
        self._link, self._topic = link, topic

    async def say(self, announcement: Announcement, person: Person | None = None) -> Said:
        """Publish; accepted when the broker acknowledged it."""
        what = announcement.kind  # a test or a digest is of no one rule and source
        names = {"rule": announcement.rule or what, "source": announcement.source or what}
        topic = self._topic.format(site=announcement.site, **names)
        try:
            await self._link.send("", Publish(topic, msgspec.json.encode(announcement), expires_s=EXPIRY_S))
        except SendError as error:
            raise VoiceError(error.detail) from error
        return Said(f"published on {topic}")
