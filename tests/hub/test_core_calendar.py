"""The calendar in the deciding core: hours by the kind of the day, and a calendar that is exchanged while it runs."""

from collections.abc import Callable
from datetime import date, datetime
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pytest
from msgspec.structs import replace

from hub.calendar.days import DayKind, Year, seed
from hub.core import Core
from hub.settings.site import DayHours, Zone

if TYPE_CHECKING:
    from hub.rules.door import Rule
    from hub.settings.site import Site
    from tests.hub.conftest import Yard

SATURDAY = round(datetime(2026, 3, 7, 12, tzinfo=ZoneInfo("Asia/Shanghai")).timestamp() * 1000)
KEY = "water-presence/radar-1"


def closed_on_weekends(site: "Site") -> "Site":
    """The lake is closed on weekends and holidays all day, and on workdays at night."""
    hours = DayHours(workday="22:00-06:00", weekend="00:00-24:00")

    def at(zone: Zone) -> Zone:
        return replace(zone, closed=hours) if zone.closed else zone

    return replace(site, zones=tuple(map(at, site.zones)))


def test_a_worked_weekend_is_open_and_a_holiday_closed(
    site: "Site", rules: "tuple[Rule, ...]", open_yard: "Callable[..., Yard]"
) -> None:
    """From one look to the next, when somebody says what the day is; what stands is cleared by that, too."""
    yard = open_yard()
    yard.site, yard.now = closed_on_weekends(site), SATURDAY
    yard.core = Core(yard.site, rules, yard.kept.memory(), yard.now)
    yard.keep(yard.core.begin(yard.now))
    yard.link_up()
    yard.wait(4, ("radar-1", "presence", "present"))
    assert yard.state(KEY) == "unacked"

    today = [date(2026, 3, 7)]
    worked = seed().with_days(today, DayKind.ADJUSTED, source="test")
    yard.keep(yard.core.exchange(worked, yard.now))
    yard.wait(6, ("radar-1", "presence", "present"))
    assert yard.state(KEY) == "returned"

    yard.keep(yard.core.exchange(worked.with_days(today, DayKind.HOLIDAY, source="test"), yard.now))
    yard.wait(3, ("radar-1", "presence", "present"))
    assert yard.state(KEY) == "unacked"


def test_an_exchange_reaches_rules_that_are_calm(site: "Site", rules: "tuple[Rule, ...]", yard: "Yard") -> None:
    """A number that was no question until tonight becomes one when the day changes its kind."""
    level = next(rule for rule in rules if rule.id == "noise-limit")
    quiet = replace(level, when="zone-closed", on_delay=0.0, above=40.0)
    zones = tuple(
        replace(zone, closed=DayHours(workday="", weekend="00:00-24:00")) if zone.id == "square" else zone
        for zone in site.zones
    )
    monday = round(datetime(2026, 3, 9, 12, tzinfo=ZoneInfo("Asia/Shanghai")).timestamp() * 1000)
    yard.now = monday
    yard.core = Core(replace(site, zones=zones), (quiet,), yard.kept.memory(), monday)
    yard.keep(yard.core.begin(monday))
    yard.link_up()
    yard.wait(3, ("noise-1", "laeq", 60.0))
    assert yard.state("noise-limit/noise-1") == "normal"
    yard.keep(yard.core.exchange(seed().with_days([date(2026, 3, 9)], DayKind.HOLIDAY, source="test"), yard.now))
    yard.wait(2, ("noise-1", "laeq", 60.0))
    assert yard.state("noise-limit/noise-1") == "unacked"


@pytest.mark.parametrize("night", ["22:00-06:00", "21:00-07:00"])
def test_an_exchange_reaches_rules_after_a_reload(
    site: "Site", rules: "tuple[Rule, ...]", yard: "Yard", night: str
) -> None:
    """Questions that go on as they were, and those that a changed file makes anew, lean on the one calendar."""
    level = next(rule for rule in rules if rule.id == "noise-limit")
    quiet = replace(level, when="zone-closed", on_delay=0.0, above=40.0)
    hours = DayHours(workday="", weekend="00:00-24:00")
    zones = tuple(replace(zone, closed=hours) if zone.id == "square" else zone for zone in site.zones)
    yard.now = round(datetime(2026, 3, 9, 12, tzinfo=ZoneInfo("Asia/Shanghai")).timestamp() * 1000)
    yard.core = Core(replace(site, zones=zones), (quiet,), yard.kept.memory(), yard.now)
    yard.keep(yard.core.begin(yard.now))
    yard.link_up()
    yard.keep(yard.core.rebind(replace(site, zones=zones, night=night), (quiet,), yard.now))
    yard.wait(3, ("noise-1", "laeq", 60.0))
    assert yard.state("noise-limit/noise-1") == "normal"
    yard.keep(yard.core.exchange(seed().with_days([date(2026, 3, 9)], DayKind.HOLIDAY, source="test"), yard.now))
    yard.wait(2, ("noise-1", "laeq", 60.0))
    assert yard.state("noise-limit/noise-1") == "unacked"


def test_what_the_hub_knows_of_itself_is_an_alarm(yard: "Yard") -> None:
    """Raised with why, kept up to date, cleared; a rule that the site does not use is no mistake."""
    yard.keep(yard.core.know({"duty-hole": "2026-01-06 07:00", "no-such-rule": "x"}, yard.now))
    assert (yard.state("duty-hole/hub"), yard.kept.alarms["duty-hole/hub"].value) == ("unacked", "2026-01-06 07:00")
    yard.keep(yard.core.know({"duty-hole": "2026-01-07 07:00"}, yard.now))
    yard.wait(2)  # a row that differs in its value alone is written once a second
    assert yard.kept.alarms["duty-hole/hub"].value == "2026-01-07 07:00"
    yard.restart(60)
    assert yard.state("duty-hole/hub") == "unacked", "nothing was said: a restart clears nothing"
    yard.keep(yard.core.know({"duty-hole": ""}, yard.now))
    assert yard.told("duty-hole/hub") == ["raised", "cleared"]


def test_the_hub_raises_again_what_was_acknowledged(yard: "Yard") -> None:
    """By an order of its own, which names the occurrence: people are told anew, and it wants one again."""
    yard.say("sos-1", "sos", "pressed")
    yard.order("ack", "sos/sos-1", occurrence=1)
    assert yard.order("realarm", "sos/sos-1", occurrence=2).outcome == "occurrence-over"
    assert yard.state("sos/sos-1") == "acked"
    assert yard.order("realarm", "sos/sos-1", occurrence=1).state == "done"
    assert yard.state("sos/sos-1") == "unacked"
    assert yard.told("sos/sos-1") == ["raised", "raised"]


def test_a_year_is_a_frozen_thing() -> None:
    """A new table is a new calendar: nothing that looks at the old one is surprised."""
    old = seed()
    new = old.with_year(2027, Year(holiday=[date(2027, 1, 1)]))
    assert (old.knows(2027), new.knows(2027)) == (False, True)
