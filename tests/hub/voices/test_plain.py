"""The voices that need no server of others: log, MQTT, and orders to devices."""

import json
import logging

import pytest
from msgspec.structs import replace

from firmware_bridge.raw import Action, Publish, SendError
from hub.reading import FaultKind, Label
from hub.voices import Announcement, VoiceError, Why
from hub.voices.log import LogVoice
from hub.voices.mqtt import MqttVoice

SAID = Announcement(
    id="garden-7-raised", kind="raised", site="garden", rule="gate-held", title=Label(zh="门常开", en="Gate held open"),
    severity="P2", source="gate-a", zone="north", occurrence=3, at=1_760_000_000_000, value="open",
)  # fmt: skip


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


async def test_a_digest_and_a_test_have_topics_without_holes() -> None:
    """Neither is of one rule and source: what it is stands in their places."""
    cable = Cable()
    voice = MqttVoice(cable, "{site}/alarm/{rule}/{source}")  # type: ignore[arg-type]  # a link that only sends
    await voice.say(replace(SAID, kind="test", rule="", source=""))
    (publish,) = cable.sent
    assert isinstance(publish, Publish)
    assert publish.topic == "garden/alarm/test/test"


async def test_mqtt_without_a_broker_is_tried_again() -> None:
    """A broker that is down is no reason to give up."""
    cable = Cable(SendError(FaultKind.LINK_DOWN, "broker away"))

    with pytest.raises(VoiceError, match="broker away") as error:
        await MqttVoice(cable, "x").say(SAID)  # type: ignore[arg-type]

    assert error.value.why is Why.TROUBLE


async def test_log_says_it_in_both_languages(caplog: pytest.LogCaptureFixture) -> None:
    """One line with severity, title, source and zone."""
    with caplog.at_level(logging.INFO, "zhian.alarm"):
        await LogVoice().say(SAID)

    (line,) = caplog.messages
    assert all(word in line for word in ("P2", "raised", "门常开", "Gate held open", "gate-a", "north"))
