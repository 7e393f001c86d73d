"""The field process for the kill test, on a disk as slow as an SD card's: each commit takes 30 ms longer.

With "early" it acknowledges what it received before the commit: the control.
"""

import sys
import time
from collections.abc import Iterable
from pathlib import Path

from firmware_bridge.links.mqtt_session import MqttSession
from firmware_bridge.raw import Arrival, Redelivery
from hub.__main__ import cli
from hub.journal import Journal
from hub.outcome import Outcome
from hub.reading import LinkChange

SLOW_DISK_S = 0.03


def slow_disk() -> None:
    """Make each transaction wait before it begins."""
    write = Journal.write

    def slowly(
        journal: Journal, outcomes: Iterable[Outcome], deliveries: Iterable[Redelivery] = (), heartbeat: int = 0
    ) -> None:
        time.sleep(SLOW_DISK_S)
        write(journal, outcomes, deliveries, heartbeat)

    Journal.write = slowly  # type: ignore[assignment, method-assign]  # a disk that can be had in a test


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
    slow_disk()
    if when == "early":
        acknowledge_early()
    cli(["field", str(Path(site)), "--data", data], standalone_mode=False)
