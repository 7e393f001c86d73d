"""Names that are not what they seem: whatever stands in them, a message is one message to those who are meant."""

import email
import email.policy
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from hub.reading import Label
from hub.settings.site_voice import MailSpec
from hub.voices.mail import MailVoice
from hub.voices.text import compose, headline

if TYPE_CHECKING:
    from hub.clock import Clock
    from hub.voices import Announcement

NAMES = [
    "gate\r\nBcc: thief@evil.example",
    "gate\nX-Priority: 1\n\nall is well",
    "gate\x00\x1b[2J",
    "gate\u2028Subject: well",
    "=?utf-8?b?QmNjOg==?=",
    "<script>alert(1)</script>",
]


def dressed(said: "Announcement", name: str) -> "Announcement":
    """Every name in it is this one."""
    label = Label(zh=name, en=name)
    return replace(said, title=label, site_name=label, source_name=label, zone_name=label, value_text=label)


@pytest.mark.parametrize("name", NAMES)
def test_a_name_adds_no_header_and_no_receiver(name: str, said: "Announcement", clock: "Clock") -> None:
    """The mail has the headers that it always has, one of each, and one text."""
    spec = MailSpec(id="m", host="127.0.0.1", port=25, security="none", sender="a@garden.example", to=("b@garden.example",))  # noqa: E501  # fmt: skip
    voice = MailVoice(spec, clock)
    plain = voice._message(said, spec.to)
    found = email.message_from_bytes(
        voice._message(dressed(said, name), spec.to).as_bytes(), policy=email.policy.default
    )
    assert sorted(found.keys()) == sorted(plain.keys())
    assert found["To"] == "b@garden.example"
    assert "\n" not in found["Subject"]
    assert not found.is_multipart()
    assert found.get_content_type() == "text/plain"


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("tongue", ["zh", "en"])
def test_a_headline_is_one_line(name: str, tongue: str, said: "Announcement") -> None:
    """Also where it becomes a title of a robot's message or a text message."""
    found = headline(dressed(said, name), tongue)
    assert len(found.splitlines()) == 1
    assert compose(dressed(said, name), (tongue,), 2000)
