"""The field process: what it promises at each of its edges, towards cables and disk."""

import asyncio
import sqlite3
from typing import TYPE_CHECKING

import pytest

from firmware_bridge.raw import Alive, Message, Redelivery
from hub.journal import commit
from hub.journal.writer import Journal

if TYPE_CHECKING:
    from tests.hub.field.conftest import Brake, Hub, Refuse


async def test_the_next_list_is_asked_for_after_the_commit(hub: "Hub", brake: "Brake") -> None:
    """Asking is acknowledging: it waits for the disk."""
    async with hub.running():
        hub.mqtt.up()
        await hub.until(lambda: hub.mqtt.asked == 2)
        brake.off.clear()
        hub.mqtt.offer(hub.gate())
        await hub.until(lambda: brake.held)
        await asyncio.sleep(0.1)
        assert hub.mqtt.asked == 2
        assert hub.values() == []

        brake.off.set()
        await hub.until(lambda: hub.mqtt.asked == 3)
        assert hub.values() == ["closed"]


async def test_one_cable_waits_for_no_other(hub: "Hub") -> None:
    """A cable on which nothing comes holds up nobody."""
    async with hub.running():
        hub.mqtt.up()
        hub.mqtt.offer(hub.gate())
        await hub.until(lambda: hub.mqtt.asked == 3)
        assert hub.port.asked == 1


async def test_a_durable_redelivery_is_not_stored_twice(hub: "Hub") -> None:
    """Same packet id and content with DUP: known again across a restart, acknowledged, and no second reading."""
    first = Redelivery("mqtt", 7, 99, again=False)
    async with hub.running():
        hub.mqtt.up(hub.gate(delivery=first))
        await hub.until(lambda: hub.mqtt.asked == 2)

    again = hub.again()
    async with again.running():
        again.mqtt.up(again.gate(delivery=Redelivery("mqtt", 7, 99, again=True)))
        await again.until(lambda: again.mqtt.asked == 2)
        assert again.values() == ["closed"]
        again.mqtt.offer(again.gate(delivery=first))  # the id was free again: these words were said anew
        await again.until(lambda: again.mqtt.asked == 3)
        assert again.values() == ["closed", "closed"]


async def test_a_redelivery_that_never_became_durable_is_stored(hub: "Hub") -> None:
    """DUP alone proves nothing: the first one may have been lost with a dead hub."""
    async with hub.running():
        hub.mqtt.up(hub.gate(delivery=Redelivery("mqtt", 7, 99, again=True)))
        await hub.until(lambda: hub.mqtt.asked == 2)
        assert hub.values() == ["closed"]


async def test_who_is_unknown_is_kept_for_people_to_see(hub: "Hub") -> None:
    """A message of no device of the site is a fault of its link, with its topic, and lies in the quarantine."""
    async with hub.running():
        hub.mqtt.up(hub.arrival("", Message("garden/stranger", b"hello")), hub.arrival("ghost", Alive(True)))
        await hub.until(lambda: hub.mqtt.asked == 2)

        assert hub.ask("SELECT source, kind, count FROM fault") == [("mqtt", "unknown-device", 2)]
        rows = hub.ask("SELECT kind, detail, payload FROM quarantine ORDER BY seq")
        assert rows[0] == ("unknown-device", "garden/stranger: no device of this site speaks here", b"hello")


async def test_a_cable_that_changes_is_seen_in_health(hub: "Hub") -> None:
    """Up and down, with the words of the link; and nothing else is lost by it."""
    async with hub.running():
        hub.mqtt.up()
        await hub.until(lambda: hub.mqtt.asked == 2)
        assert hub.ask("SELECT state, detail FROM health WHERE source = 'mqtt'")[0][0] == "up"
        hub.mqtt.down("cable cut")
        await hub.until(lambda: hub.mqtt.asked == 3)
        assert hub.ask("SELECT state, detail FROM health WHERE source = 'mqtt'") == [("down", "cable cut")]


async def test_a_device_that_speaks_nonsense_is_a_fault(hub: "Hub") -> None:
    """What cannot be read is counted and kept, and its neighbours in the list are stored."""
    async with hub.running():
        hub.mqtt.up(hub.arrival("gate-1", Message("x", b"{")), hub.gate())
        await hub.until(lambda: hub.mqtt.asked == 2)

        assert hub.ask("SELECT source, kind FROM fault") == [("gate-1", "malformed")]
        assert hub.values() == ["closed"]


@pytest.mark.parametrize("where", ["read", "send"])
async def test_a_link_that_is_broken_ends_the_process(hub: "Hub", where: str) -> None:
    """An exception that no contract names ends `run`, so that the supervisor starts anew; what was durable stays."""
    async with hub.running():
        hub.mqtt.up(hub.gate())
        await hub.until(lambda: hub.mqtt.asked == 2)
        if where == "read":
            hub.mqtt.break_with(RuntimeError("the test's own"))
        else:
            hub.mqtt.refusal = RuntimeError("the test's own")
            await hub.press()
        error = await hub.failure()

    assert error.subgroup(RuntimeError) is not None
    assert hub.values() == ["closed"]
    assert not hub.mqtt.entered
    assert not hub.port.entered
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        hub.journal.db.execute("SELECT 1")


async def test_a_disk_that_fails_ends_the_process(hub: "Hub", refuse: "Refuse") -> None:
    """A storage error other than a full disk ends `run`, with cables let go, and acknowledges nothing."""
    async with hub.running():
        hub.mqtt.up()
        await hub.until(lambda: hub.mqtt.asked == 2)
        refuse(sqlite3.SQLITE_IOERR)
        hub.mqtt.offer(hub.gate())
        error = await hub.failure()

    assert error.subgroup(sqlite3.OperationalError) is not None
    assert hub.mqtt.asked == 2
    assert not hub.mqtt.entered


async def test_a_disk_that_fails_at_the_start_ends_the_process(hub: "Hub", refuse: "Refuse") -> None:
    """The first thing that is written (what the stop left open) may fail as well."""
    refuse(sqlite3.SQLITE_CORRUPT)
    async with asyncio.timeout(10):
        with pytest.raises(ExceptionGroup) as caught:
            await hub.field.run()

    assert caught.value.subgroup(sqlite3.OperationalError) is not None
    assert hub.mqtt.asked == 0


async def test_a_full_disk_is_waited_out(hub: "Hub", refuse: "Refuse", monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is asked for while the disk is full, and everything is there when it no longer is."""
    monkeypatch.setattr(commit, "DISK_FULL_PAUSE_S", 0.02)
    write = Journal.write
    async with hub.running():
        hub.mqtt.up()
        await hub.until(lambda: hub.mqtt.asked == 2)
        refuse(sqlite3.SQLITE_FULL)
        hub.mqtt.offer(hub.gate())
        await asyncio.sleep(0.2)
        assert hub.mqtt.asked == 2
        monkeypatch.setattr(Journal, "write", write)
        await hub.until(lambda: hub.mqtt.asked == 3)
        assert hub.values() == ["closed"]


async def test_the_heart_beats(hub: "Hub") -> None:
    """Each second the journal says that the hub lives."""
    async with hub.running():
        await hub.until(lambda: hub.ask("SELECT 1 FROM meta WHERE key = 'heartbeat'"))
        first = hub.ask("SELECT value FROM meta WHERE key = 'heartbeat'")
        await hub.until(lambda: hub.ask("SELECT value FROM meta WHERE key = 'heartbeat'") != first)
