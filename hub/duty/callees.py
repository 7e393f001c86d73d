"""Whom the voices reach when one person is told: the address for a voice, and the signed link to the briefing.

People are looked up in the roster as it is now, for rows carry ids alone. Who is called when is hub.duty.callbook's.
"""

from hub.clock import Clock
from hub.duty.brieflink import PATH, Pass, sign
from hub.duty.file import Duty
from hub.settings.site import Site
from hub.speaking.outbox import Row
from hub.voices import Person


class Callees:
    """The people of `duty`, which is None while there is no roster: then nobody is known."""

    def __init__(self, site: Site, key: bytes, clock: Clock) -> None:
        """`key` signs the links."""
        self.duty: Duty | None = None
        self._key, self._clock = key, clock
        self.renew(site)

    def renew(self, site: Site) -> None:
        """Another site file."""
        self._site = site
        self._kinds = {voice.id: voice.kind for voice in site.voices}

    def person(self, person: str, voice: str) -> Person | None:
        """With the address for this voice: a mail address for mail, for all others what the roster says."""
        found = self.duty.people().get(person) if self.duty is not None else None
        if found is None or voice not in found.address:
            return None
        address = found.address[voice]
        if self._kinds.get(voice) == "mail":
            return Person(id=found.id, name=found.name, mail=address)
        return Person(id=found.id, name=found.name, phone=address)

    def link(self, row: Row) -> str:
        """The briefing, which this person may open and acknowledge without a login until the link ends."""
        if self.duty is None or not self._site.page or row.number is None or row.run is None:
            return ""
        expires = self._clock.now() // 1000 + self.duty.link_hours * 3600
        carried = Pass(row.number, row.run, row.person, expires)
        return self._site.page + PATH + sign(self._key, self._site.id, carried)
