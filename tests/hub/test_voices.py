"""The voices against real peers on loopback: what was heard, and what is said when it was not."""

import hashlib
import hmac
import json
import logging
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from firmware_bridge.raw import Action, Publish, SendError
from hub.reading import FaultKind, Label
from hub.voices import Announcement, VoiceError
from hub.voices.log import LogVoice
from hub.voices.mqtt import MqttVoice
from hub.voices.webhook import WebhookVoice

SAID = Announcement(
    id="garden-7-raised", kind="raised", site="garden", rule="gate-held", title=Label(zh="门常开", en="Gate held open"),
    severity="P2", source="gate-a", zone="north", occurrence=3, at=1_760_000_000_000, value="open",
)  # fmt: skip


class Peer(ThreadingHTTPServer):
    """Answers with `code` and keeps what it was sent."""

    def __init__(self) -> None:
        """On a free port."""
        super().__init__(("127.0.0.1", 0), Handler)
        self.code = 200
        self.heard: list[tuple[dict[str, str], bytes]] = []
        self.url = f"http://127.0.0.1:{self.server_address[1]}/alarm"


class Handler(BaseHTTPRequestHandler):
    """One request of a Peer."""

    server: Peer

    def do_POST(self) -> None:
        """Keep it and answer."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.heard.append((dict(self.headers), body))
        self.send_response(self.server.code)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def peer() -> Iterator[Peer]:
    """A listening peer."""
    with Peer() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


async def test_webhook_is_signed_and_carries_its_id(peer: Peer, tmp_path: Path) -> None:
    """The body is the announcement; the signature is the HMAC-SHA256 of the body with the receiver's secret."""
    secret = tmp_path / "secret"
    secret.write_text("s3cret\n")

    answer = await WebhookVoice(peer.url, str(secret)).say(SAID)

    ((headers, body),) = peer.heard
    assert answer == "HTTP 200"
    assert json.loads(body)["title"] == {"zh": "门常开", "en": "Gate held open"}
    assert headers["Zhian-Event"] == "garden-7-raised"
    assert headers["Zhian-Signature"] == "sha256=" + hmac.new(b"s3cret", body, hashlib.sha256).hexdigest()


@pytest.mark.parametrize(("code", "permanent"), [(400, True), (404, True), (408, False), (429, False), (500, False)])
async def test_webhook_says_what_may_be_tried_again(peer: Peer, code: int, permanent: bool) -> None:
    """A refusal is for good, an overload is not."""
    peer.code = code

    with pytest.raises(VoiceError, match=f"HTTP {code}") as error:
        await WebhookVoice(peer.url).say(SAID)

    assert error.value.permanent is permanent


async def test_webhook_without_a_peer(peer: Peer) -> None:
    """Nobody there: tried again later, with the address in the words."""
    peer.server_close()

    with pytest.raises(VoiceError, match=r"127\.0\.0\.1") as error:
        await WebhookVoice(peer.url).say(SAID)

    assert not error.value.permanent


async def test_webhook_without_its_secret(peer: Peer, tmp_path: Path) -> None:
    """An unsigned announcement is never sent where a signed one was wanted."""
    with pytest.raises(VoiceError, match="no-such-file"):
        await WebhookVoice(peer.url, str(tmp_path / "no-such-file")).say(SAID)

    assert peer.heard == []


class Cable:
    """An MQTT link that keeps what it was given, or refuses it."""

    id = "mqtt"

    def __init__(self, error: SendError | None = None) -> None:
        """`error` is raised by each send."""
        self.sent: list[Action] = []
        self.error = error

    async def send(self, device: str, action: Action) -> None:
        """Keep it."""
        assert device == ""
        if self.error:
            raise self.error
        self.sent.append(action)


async def test_mqtt_publishes_on_the_topic_of_the_alarm() -> None:
    """Site, rule and source stand in the topic; the message expires."""
    cable = Cable()

    await MqttVoice(cable, "{site}/alarm/{rule}/{source}").say(SAID)  # type: ignore[arg-type]  # sending is all it does

    (publish,) = cable.sent
    assert isinstance(publish, Publish)
    assert publish.topic == "garden/alarm/gate-held/gate-a"
    assert publish.expires_s == 3600
    assert json.loads(publish.payload)["severity"] == "P2"


async def test_mqtt_without_a_broker_is_tried_again() -> None:
    """A broker that is down is no reason to give up."""
    cable = Cable(SendError(FaultKind.LINK_DOWN, "broker away"))

    with pytest.raises(VoiceError, match="broker away") as error:
        await MqttVoice(cable, "x").say(SAID)  # type: ignore[arg-type]

    assert not error.value.permanent


async def test_log_says_it_in_both_languages(caplog: pytest.LogCaptureFixture) -> None:
    """One line with severity, title, source and zone."""
    with caplog.at_level(logging.INFO, "zhian.alarm"):
        await LogVoice().say(SAID)

    (line,) = caplog.messages
    assert all(word in line for word in ("P2", "raised", "门常开", "Gate held open", "gate-a", "north"))
