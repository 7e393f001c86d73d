"""An interlock as people meet it: ordered on the page, refused by a real core, told in their language."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from hub.core import Core
from hub.journal.writer import Journal, connect, requested_orders
from hub.outcome import Outcome
from hub.reading import LinkChange, LinkState, Quality, Reading
from hub.settings.site import Interlock

if TYPE_CHECKING:
    from pathlib import Path

    from dashboard.office import Office
    from hub.rules.rule import Rule
    from hub.settings.site import Site
    from tests.dashboard.conftest import Browser, Field

NOW = 1_760_000_000_000


@pytest.fixture(scope="session")
def site(site: Site) -> Site:
    """North and east gate are an airlock."""
    return replace(site, interlocks=(Interlock(gates=("gate-north", "gate-east")),))


def decide(path: Path, site: Site, rules: tuple[Rule, ...], **gates: str) -> None:
    """The field process, up to the answer: gates say how they stand, then the orders of the page are taken."""
    core, journal = Core(site, rules, Journal(path, site).memory(), NOW), Journal(path, site)
    news: list[LinkChange | Reading] = [LinkChange(link="mqtt", state=LinkState.UP, detail="", rx=NOW)]
    news += [
        Reading(device=name.replace("_", "-"), quantity="gate", value=state, ts=NOW, rx=NOW, quality=Quality.GOOD)
        for name, state in gates.items()
    ]
    outcomes = [core.begin(NOW), core.accept(list(news), NOW)]
    db = connect(path, read_only=True)
    outcomes += [core.order(order, NOW) for order in requested_orders(db, 0)]
    db.close()
    journal.write([Outcome(orders=[order for each in outcomes for order in each.orders])])
    journal.close()


def test_the_page_says_why_in_both_languages(
    admin: Browser, field: Field, site: Site, rules: tuple[Rule, ...], office: Office
) -> None:
    """The manager presses "open" while the other door is open: refused, with the reason; the page names the lock."""
    field.all_well()
    admin.post("/devices/gate-north/do/open", reason="ambulance")
    decide(office.data / "journal.sqlite", site, rules, gate_north="closed", gate_east="open")
    (order,) = field.orders()
    assert (order["state"], order["outcome"]) == ("refused", "interlock-open:gate-east")
    english, chinese = (admin.client.get(f"/gates?lang={lang}").text for lang in ("en", "zh"))
    assert "interlock: another gate is not shut, close it first: East gate" in english
    assert "门禁联锁：另一扇门没有关好，请先关闭：东门门禁" in chinese
    assert 'unless these are shut: <a href="#gate-gate-east">' in english
    assert "联锁：以下门未关好时" in chinese


def test_the_api_says_it_in_both(
    admin: Browser, field: Field, site: Site, rules: tuple[Rule, ...], office: Office
) -> None:
    """`outcome` is for programs, `reason` for people; an order that went through has none."""
    field.all_well()
    admin.post("/devices/gate-north/do/open", reason="ambulance")
    decide(office.data / "journal.sqlite", site, rules, gate_north="closed")
    (order,) = field.orders()
    answer = admin.client.get(f"/api/v1/orders/{order['id']}").json
    assert answer["outcome"] == "interlock-unknown:gate-east"
    assert answer["reason"]["zh"].startswith("门禁联锁")
    assert answer["reason"]["en"].startswith("interlock")
