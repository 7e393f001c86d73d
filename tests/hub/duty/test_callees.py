"""Whom a voice reaches when one person is told."""

from typing import TYPE_CHECKING

from msgspec.structs import replace

from hub.clock import Clock
from hub.duty.brieflink import Pass, open_link
from hub.duty.callees import Callees
from hub.settings.site_voice import LogSpec, MailSpec
from hub.speaking.outbox import Row
from hub.voices import Person

if TYPE_CHECKING:
    from hub.duty.file import Duty
    from hub.settings.site import Site

KEY = b"k" * 32
CALL = Row(
    id=1, flip=2, voice="phone", person="p1", note="", kind="raised", attempts=1, until=0, severity="P1", at=0,
    value=None, number=7, rule="sos", source="s1", zone="", quantity="", limit=None, raised=0, occurrence=1, siren=None,
    run=3,
)  # fmt: skip


def callees(site: "Site", duty: "Duty | None") -> Callees:
    """With this roster."""
    made = Callees(site, KEY, Clock())
    made.duty = duty
    return made


def test_an_address_is_what_its_voice_takes_it_for(site: "Site", duty: "Duty") -> None:
    """A mail address for mail, else a number; nobody without an address for the voice, or without a roster."""
    people = tuple(
        replace(p, address={**p.address, "post": "jia@example.org"}) if p.id == "p1" else p for p in duty.person
    )
    with_mail = replace(site, voices=(*site.voices, MailSpec(id="post"), LogSpec(id="other")))
    found = callees(with_mail, replace(duty, person=people))
    assert found.person("p1", "post") == Person(id="p1", name="甲", mail="jia@example.org")
    assert found.person("p1", "phone") == Person(id="p1", name="甲", phone="1001")
    assert (found.person("p1", "other"), found.person("p9", "phone")) == (None, None)
    assert callees(site, None).person("p1", "phone") is None


def test_a_link_is_the_persons_own(site: "Site", duty: "Duty") -> None:
    """Below the site's page; none without a page, a roster, or an escalation that it could stop."""
    link = callees(site, duty).link(CALL)
    opened = open_link(KEY, "court", link.removeprefix("https://duty.example.org/b/"), Clock().now())
    assert isinstance(opened, Pass)
    assert (opened.number, opened.run, opened.person) == (7, 3, "p1")
    assert callees(replace(site, page=""), duty).link(CALL) == ""
    assert callees(site, None).link(CALL) == ""
    assert callees(site, duty).link(replace(CALL, run=None)) == ""
