"""The field process for the kill test. With "early" it acknowledges what it received before the commit: the control."""

import sys
from pathlib import Path

from firmware_bridge.links.mqtt_session import MqttSession
from firmware_bridge.raw import Arrival
from hub.__main__ import cli
from hub.reading import LinkChange


def acknowledge_early() -> None:
    """Make the session acknowledge as soon as it hands a list over, as a client library's default does."""
    handed_over = MqttSession._received

    def received(session: MqttSession) -> list[Arrival | LinkChange]:
        news = handed_over(session)
        session._acknowledge()
        return news

    MqttSession._received = received  # type: ignore[assignment, method-assign]  # the point


if __name__ == "__main__":
    when, site, data = sys.argv[1:]
    if when == "early":
        acknowledge_early()
    cli(["field", str(Path(site)), "--data", data], standalone_mode=False)
