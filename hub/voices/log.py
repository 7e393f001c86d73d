"""The voice that writes a line to the log: for a site without any other, and for the record of the service manager."""

import logging

from hub.voices import Announcement, Person, Said, Unlimited

LOG = logging.getLogger("zhian.alarm")


class LogVoice(Unlimited):
    """Never fails."""

    async def say(self, announcement: Announcement, person: Person | None = None) -> Said:
        """One line: severity, raised or cleared, rule, source, zone, value."""
        level = logging.WARNING if announcement.kind == "raised" else logging.INFO
        LOG.log(
            level,
            "%s %s: %s / %s, %s in %s, value %s",
            announcement.severity,
            announcement.kind,
            announcement.title.zh,
            announcement.title.en,
            announcement.source,
            announcement.zone or "-",
            announcement.value,
        )
        for item in announcement.items:  # of a digest: the log is a record, each alarm has its line
            LOG.info("%s / %s", item.zh, item.en)
        return Said("written")
