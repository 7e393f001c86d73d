"""The webhook: what is signed, by which id a repeat is known, and what counts as taken."""

import hashlib
import hmac
import json
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from hub.clock import Clock
from hub.settings.site_voice import WebhookSpec
from hub.voices import Announcement, Person, VoiceError, Why, http
from hub.voices.webhook import WebhookVoice, signature

if TYPE_CHECKING:
    from tests.hub.voices.conftest import Server

Keep = Callable[[str, str], str]


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits a quarter of a minute in a test."""
    monkeypatch.setattr(http, "ANSWER_S", 0.5)


async def test_it_is_signed_with_its_time_and_carries_its_id(
    server: "Server", said: Announcement, kept: Keep, clock: Clock
) -> None:
    """HMAC-SHA256 over "<timestamp>.<body>": an old announcement cannot be played again with a new time."""
    spec = WebhookSpec(id="w", url=server.url("/alarm"), secret_file=kept("secret", "s3cret\n"))

    answer = await WebhookVoice(spec, clock).say(said, Person(id="li", name="李"))

    (heard,) = server.heard
    wanted = hmac.new(b"s3cret", b"1760000000." + heard.body, hashlib.sha256).hexdigest()
    assert answer.detail == "HTTP 200"
    assert heard.headers["zhian-signature"] == f"sha256={wanted}"
    assert (heard.headers["zhian-event"], heard.headers["zhian-timestamp"]) == ("garden-7-raised", "1760000000")
    assert heard.headers["zhian-person"] == "li"
    assert heard.json["title"] == {"zh": "水边有人", "en": "Somebody at the water"}
    assert signature("s3cret", 1_760_000_001, heard.body) != heard.headers["zhian-signature"]


async def test_a_repeat_is_the_same_to_the_letter(server: "Server", said: Announcement, clock: Clock) -> None:
    """Said again after a crash, it has the same id and body, so that the receiver can drop it."""
    voice = WebhookVoice(WebhookSpec(id="w", url=server.url()), clock)

    await voice.say(said)
    await voice.say(said)

    first, second = server.heard
    assert (first.body, first.headers["zhian-event"]) == (second.body, second.headers["zhian-event"])


@pytest.mark.parametrize("badly", ["hang", "reset", "cut", "trickle", "garbage"])
async def test_a_bad_receiver_is_trouble(server: "Server", said: Announcement, clock: Clock, badly: str) -> None:
    """None of it counts as told."""
    server.answers = [badly]

    with pytest.raises(VoiceError) as error:
        await WebhookVoice(WebhookSpec(id="w", url=server.url()), clock).say(said)

    assert error.value.why is Why.TROUBLE


async def test_without_its_secret_nothing_is_sent(server: "Server", said: Announcement, clock: Clock) -> None:
    """An unsigned announcement is never sent where a signed one was wanted."""
    spec = WebhookSpec(id="w", url=server.url(), secret_file="/nowhere/no-such-file")

    with pytest.raises(VoiceError, match="no-such-file") as error:
        await WebhookVoice(spec, clock).say(said)

    assert error.value.why is Why.LOCKED
    assert server.heard == []


async def test_an_address_from_a_file_is_never_told(
    server: "Server", said: Announcement, clock: Clock, kept: Keep
) -> None:
    """Neither is what stands before an @ or behind a ? in one of the site file."""
    server.says({}, 404)
    hidden = WebhookSpec(id="w", url_file=kept("url", server.url("/hook/verysecret")))
    shown = WebhookSpec(id="w", url=server.url("/hook?key=verysecret").replace("//", "//me:verysecret@"))
    for spec, words in ((hidden, "127.0.0.1"), (shown, "/hook")):
        with pytest.raises(VoiceError, match=words) as error:
            await WebhookVoice(spec, clock).say(said)
        assert "verysecret" not in error.value.detail

    assert [json.loads(heard.body)["id"] for heard in server.heard] == ["garden-7-raised"] * 2
