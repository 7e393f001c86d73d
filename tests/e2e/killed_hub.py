"""The field process for the kill test, on a disk as slow as an SD card's: each commit takes 30 ms longer.

With "early" it acknowledges what it received before the commit, with "promise" it gives receipts before it: controls.
"""

import sys
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

from firmware_bridge.links.mqtt_session import MqttSession
from firmware_bridge.raw import Arrival, Link, Redelivery
from hub.__main__ import cli
from hub.devices.numbering import Sequences
from hub.journal.writer import Journal
from hub.outcome import Outcome
from hub.reading import LinkChange
from hub.receipts import Receipts
from hub.settings.site import Site

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


def promise_early() -> None:
    """Make the hub give a receipt as soon as it has read a message."""
    desks: list[Receipts] = []
    made, wanted = Receipts.__init__, Sequences.receipts

    def remembered(desk: Receipts, site: Site, links: Mapping[str, Link]) -> None:
        made(desk, site, links)
        desks.append(desk)

    def at_once(sequences: Sequences) -> list[tuple[str, int]]:
        desks[-1].offer(wanted(sequences))
        return []

    Receipts.__init__ = remembered  # type: ignore[assignment, method-assign]  # the point
    Sequences.receipts = at_once  # type: ignore[assignment, method-assign]  # the point


if __name__ == "__main__":
    when, site, data = sys.argv[1:]
    slow_disk()
    if when == "early":
        acknowledge_early()
    if when == "promise":
        promise_early()
    cli(["field", str(Path(site)), "--data", data], standalone_mode=False)
