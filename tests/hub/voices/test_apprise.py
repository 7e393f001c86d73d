"""The door to the library apprise: what it hands over is marked unconfirmed, and its addresses stay secret."""

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from hub.settings.site_voice import AppriseSpec
from hub.voices import Announcement, VoiceError, Why
from hub.voices.apprise import AppriseVoice

if TYPE_CHECKING:
    from tests.hub.voices.conftest import Server

Keep = Callable[[str, str], str]
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # its plugins import what Python will drop


async def test_what_it_hands_over_is_unconfirmed(server: "Server", said: Announcement, kept: Keep) -> None:
    """The library says yes to a 200 whatever its body says, so nobody is told that it arrived."""
    server.says({"errcode": 310000, "errmsg": "no"})
    voice = AppriseVoice(AppriseSpec(id="a", urls_file=kept("urls", server.url("/verysecret").replace("http", "json"))))

    answer = await voice.say(said)

    assert not answer.confirmed
    assert server.heard[0].json["title"].startswith("【P1 告警】水边有人")
    assert "处置：立即派人到现场。" in server.heard[0].json["message"]


async def test_a_failure_is_trouble_and_tells_no_address(
    server: "Server", said: Announcement, kept: Keep, caplog: pytest.LogCaptureFixture
) -> None:
    """The library's own log would print them."""
    server.says({}, 500)
    voice = AppriseVoice(AppriseSpec(id="a", urls_file=kept("urls", server.url("/verysecret").replace("http", "json"))))

    with caplog.at_level(logging.DEBUG), pytest.raises(VoiceError) as error:
        await voice.say(said)

    assert error.value.why is Why.TROUBLE
    assert "verysecret" not in error.value.detail
    assert not [record for record in caplog.records if record.name.startswith("apprise") and record.levelno >= 20]


async def test_an_address_that_it_does_not_know_locks(said: Announcement, kept: Keep) -> None:
    """Somebody has to mend the file."""
    voice = AppriseVoice(AppriseSpec(id="a", urls_file=kept("urls", "no-such-thing://verysecret")))

    with pytest.raises(VoiceError, match="none that the library knows") as error:
        await voice.say(said)

    assert error.value.why is Why.LOCKED
