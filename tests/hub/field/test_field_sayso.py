"""Limits and mutes through the field process: taken from the file, durable, and there again after a restart."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from hub.journal.writer import connect, put_order
from hub.outcome import Order

if TYPE_CHECKING:
    from hub.settings.site import Site
    from tests.hub.field.conftest import Hub


def put(hub: Hub, token: str, kind: str, target: str, command: str = "", seconds: float | None = None) -> None:
    """As the dashboard puts it in."""
    now = hub.clock.now()
    order = Order(id=0, token=token, kind=kind, target=target, command=command, seconds=seconds, text="why",
                  actor="lin", issued=now, expires=now + 10_000)  # fmt: skip
    with contextlib.closing(connect(hub.path)) as db:
        put_order(db, order)


async def test_what_was_set_survives_the_process(hub: Hub) -> None:
    """Order and row in one transaction; the next process knows both, and takes the limit back."""
    async with hub.running():
        put(hub, "a", "limit", "gate-held/square", "on_delay=45")
        put(hub, "b", "mute", "lake", seconds=1800.0)
        put(hub, "c", "limit", "sos", "use=off")
        await hub.until(lambda: not hub.ask("SELECT 1 FROM orders WHERE state = 'requested'"))
        states = hub.ask("SELECT state, outcome FROM orders ORDER BY id")
    assert states == [("done", "done"), ("done", "done"), ("refused", "p1-only-stricter:use = on")]
    assert hub.ask("SELECT rule, zone, key, value, before, actor, reason FROM rule_limit") == [
        ("gate-held", "square", "on_delay", 45.0, 60.0, "lin", "why")
    ]
    again = hub.again()
    async with again.running():
        put(again, "d", "limit-clear", "gate-held/square", "on_delay")
        put(again, "e", "unmute", "lake")
        await again.until(lambda: not again.ask("SELECT 1 FROM orders WHERE state = 'requested'"))
    assert again.ask("SELECT value, before FROM rule_limit ORDER BY id") == [(45.0, 60.0), (None, 45.0)]
    assert again.ask("SELECT zone, ended_by, ended < until FROM mute") == [("lake", "lin", 1)]


async def test_a_reload_keeps_what_was_set(hub: Hub, site: Site) -> None:
    """A gate may stand open for a minute by the files, and not at all since somebody said so: also after a reload."""
    async with hub.running():
        put(hub, "a", "limit", "gate-held/square", "on_delay=0")
        await hub.until(lambda: hub.ask("SELECT 1 FROM rule_limit"))
        await hub.rebind(site, hub.mqtt, hub.port)
        hub.mqtt.up(hub.gate(value="open"))
        await hub.until(lambda: hub.ask("SELECT 1 FROM alarm WHERE rule = 'gate-held' AND state = 'unacked'"))
