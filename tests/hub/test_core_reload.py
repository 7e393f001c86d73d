"""A reload at any moment changes no state: what stays goes on as if nothing had been, what goes is withdrawn aloud."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from device_profiles.types import MqttProfile
from hub.outcome import OrderState
from hub.reading import FaultKind, Label, LinkState, Value
from hub.settings.site import Devices, MqttBrokerLink, Site, Zone

if TYPE_CHECKING:
    from collections.abc import Callable

    from hub.rules.door import Rule
    from tests.hub.conftest import Yard

Act: TypeAlias = tuple[object, ...]
NAME = Label(zh="新", en="new")
LAKE = "water-presence/radar-1"
NOISE = "noise-limit/noise-1"
SAYING: list[tuple[str, str, Value]] = [
    ("noise-1", "laeq", 40.0), ("noise-1", "laeq", 75.0), ("noise-1", "lafmax", 95.0),
    ("noise-1", "battery_level", 5.0),
    ("radar-1", "presence", "present"), ("radar-1", "presence", "absent"),
    ("gate-1", "gate", "open"), ("gate-1", "gate", "stuck"), ("gate-1", "gate", "closed"),
    ("gate-1", "passage", "denied"), ("gate-1", "passage", "granted"),
    ("sos-1", "sos", "pressed"), ("sos-1", "sos", "normal"), ("relay-1", "relay_1", "on"),
    ("chip-1", "chip", "900000000000001"), ("chip-1", "chip", "900000000000002"),
]  # fmt: skip
KEYS = [NOISE, LAKE, "gate-held/gate-1", "sos/sos-1", "device-silent/gate-1", "link-down/mqtt"]
ACTS = st.one_of(
    st.tuples(st.just("say"), st.sampled_from(SAYING)),
    st.tuples(st.just("wait"), st.sampled_from([1, 1, 2, 5, 31, 61])),
    st.tuples(st.just("wait"), st.sampled_from([1, 3, 8, 20]), st.sampled_from(SAYING)),
    st.tuples(st.just("offline"), st.sampled_from(["gate-1", "radar-1", "chip-1"])),
    st.tuples(st.just("link"), st.sampled_from(["mqtt", "port"]), st.sampled_from(LinkState)),
    st.tuples(st.just("alarm"), st.sampled_from(["ack", "reset", "shelve", "unshelve"]), st.sampled_from(KEYS)),
    st.tuples(st.just("list"), st.sampled_from(["list-add", "list-remove"])),
    st.tuples(st.just("open"), st.booleans()),
)


def another(site: Site, device: str = "gate-9", link: str = "") -> Site:
    """The site with one gate more, on `link` or on a new one."""
    gate = site.devices()["gate-1"]
    new = replace(gate, id=device, name=NAME, link=link or "more")
    if not link:
        return replace(
            site, links=(*site.links, MqttBrokerLink(id="more", listen="127.0.0.1:2", devices=Devices([new])))
        )
    links = [replace(each, devices=Devices([*each.devices, new])) if each.id == link else each for each in site.links]
    return replace(site, links=tuple(links))


def renamed(site: Site) -> Site:
    """Zones and devices with other names, a zone more, and the links in another order: nothing that an alarm is of."""
    zones = (*(replace(zone, name=NAME) for zone in site.zones), Zone(id="more", name=NAME))
    links = [
        replace(link, devices=Devices(replace(device, name=NAME) for device in reversed(link.devices)))
        for link in reversed(site.links)
    ]
    return replace(site, zones=zones, links=tuple(links))


CHANGES: dict[str, Callable[[Site], Site]] = {
    "equal": lambda site: replace(site),
    "renamed": renamed,
    "a device more": lambda site: another(site, link="mqtt"),
    "a link more": another,
}


def reload(yard: Yard, site: Site | None = None, rules: tuple[Rule, ...] | None = None) -> None:
    """As `zhian reload` does it, in the core."""
    yard.site = yard.site if site is None else site
    yard.rules = yard.rules if rules is None else rules
    yard.keep(yard.core.rebind(yard.site, yard.rules, yard.now))


def play(yard: Yard, act: Act) -> None:
    """One thing happens."""
    match act:
        case ("say", saying):
            yard.say(*saying)  # type: ignore[misc]  # as SAYING has it
        case ("wait", seconds, *saying):
            yard.wait(seconds, *saying)  # type: ignore[arg-type]
        case ("offline", device):
            yard.fault(str(device), FaultKind.OFFLINE)
        case ("link", link, state):
            yard.link(str(link), LinkState(str(state)))
        case ("alarm", kind, key):
            row = yard.kept.alarms.get(str(key))
            yard.order(str(kind), str(key), occurrence=row.occurrence if row else 1, text="why", seconds=None)
        case ("list", kind):
            yard.order(str(kind), "dogs", text="900000000000001 Wang")
        case ("open", leaves):
            order = yard.order("command", "gate-1", command="open")
            if leaves:
                yard.keep(yard.core.sent(order.id, yard.now))


def told(yard: Yard) -> object:
    """All that people can see of what the site always had.

    Not of windows, which are looked at once a sixtieth of their length: a reload is one look more, and may see what the
    next one does not see any more. That the window itself goes on is pinned in test_core_kinds.
    """
    windows = {rule.id for rule in yard.rules if rule.kind in ("aggregate", "rate")}

    def old(key: str) -> bool:
        return not key.endswith(("gate-9", "more")) and key.partition("/")[0] not in windows

    return (
        {key: [flip for flip in yard.kept.flips if flip.key == key] for key in filter(old, yard.kept.alarms)},
        {key: occurrence for key, occurrence in yard.kept.occurrences.items() if old(key[0])},
        yard.kept.orders,
        {source: (row.state, row.faults, row.since) for source, row in yard.kept.health.items() if old(source)},
        yard.kept.readings,
        {key: row.state for key, row in yard.kept.alarms.items() if old(key)},
    )


@settings(max_examples=120, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    acts=st.lists(ACTS, min_size=4, max_size=30),
    at=st.lists(st.tuples(st.integers(0, 29), st.sampled_from(sorted(CHANGES))), min_size=1, max_size=4),
    hours=st.sampled_from([0.0, 9.99, 11.0]),
)
@example(
    acts=[("say", SAYING[0])] * 10 + [("wait", 8, SAYING[1]), ("say", SAYING[0])],
    at=[(11, "renamed")],
    hours=0.0,
)
@example(
    acts=[("say", SAYING[4]), ("wait", 1), ("wait", 2), ("wait", 8, SAYING[4]), ("alarm", "ack", LAKE), ("wait", 20)],
    at=[(1, "renamed"), (2, "renamed"), (4, "equal"), (5, "a device more")],
    hours=11.0,
)
def test_a_reload_of_the_same_or_more_changes_no_flip(
    open_yard: Callable[..., Yard], acts: list[Act], at: list[tuple[int, str]], hours: float
) -> None:
    """Whatever happens, with a reload in between (same site, other names, more devices): the same flips and states."""
    plain, reloaded = open_yard(hours), open_yard(hours)
    changes = dict(at)
    for index, act in enumerate(acts):
        if index in changes:
            reload(reloaded, CHANGES[changes[index]](plain.site))
        play(plain, act)
        play(reloaded, act)
    assert told(reloaded) == told(plain)


def test_what_did_not_change_is_the_same_object(yard: Yard) -> None:
    """A rule that is edited makes its own alarms anew, and touches no other."""
    yard.say("noise-1", "laeq", 40.0)
    before = dict(yard.core._bound.instances)
    reload(yard, another(yard.site), edited(yard.rules, "noise-limit", on_delay=7.0))
    after = yard.core._bound.instances

    assert {key for key, instance in before.items() if after[key] is not instance} == {NOISE}
    assert {key for key in after if key not in before} == {key for key in after if key.endswith(("/gate-9", "/more"))}


def edited(rules: tuple[Rule, ...], rule: str, **numbers: float) -> tuple[Rule, ...]:
    """With other numbers in one rule."""
    return tuple(replace(each, **numbers) if each.id == rule else each for each in rules)


def test_an_edited_limit_resets_no_alarm(yard: Yard) -> None:
    """A standing alarm stands, acknowledged, in the same occurrence, be the new limit under its value or over it."""
    yard.wait(31, ("noise-1", "laeq", 75.0))
    yard.order("ack", NOISE, occurrence=1)
    flips = len(yard.kept.flips)
    reload(yard, rules=edited(yard.rules, "noise-limit", plus=5.0))
    yard.wait(40, ("noise-1", "laeq", 75.0))
    assert yard.state(NOISE) == "acked"
    assert len(yard.kept.flips) == flips

    reload(yard, rules=edited(yard.rules, "noise-limit", plus=50.0))
    yard.wait(59, ("noise-1", "laeq", 75.0))
    assert yard.state(NOISE) == "acked"
    yard.wait(2, ("noise-1", "laeq", 75.0))
    assert (yard.state(NOISE), yard.told(NOISE)) == ("normal", ["raised", "cleared"])


def test_a_calm_value_is_judged_by_the_new_limit(yard: Yard) -> None:
    """What raised no question under the old limit does under the new one, though it has not changed since."""
    yard.wait(5, ("noise-1", "laeq", 45.0))
    reload(yard, rules=edited(yard.rules, "noise-limit", plus=-20.0))
    yard.wait(31, ("noise-1", "laeq", 45.0))
    assert yard.state(NOISE) == "unacked"


def test_a_delay_that_is_running_goes_on_under_the_new_rule(yard: Yard) -> None:
    """20 of 30 seconds have passed; with 25 there are 5 left, and none is counted twice."""
    yard.wait(21, ("noise-1", "laeq", 75.0))
    reload(yard, rules=edited(yard.rules, "noise-limit", on_delay=25.0))
    yard.wait(4, ("noise-1", "laeq", 75.0))
    assert yard.state(NOISE) == "normal"
    yard.wait(1, ("noise-1", "laeq", 75.0))
    assert yard.state(NOISE) == "unacked"


def test_an_edited_hold_counts_from_the_event(yard: Yard) -> None:
    """An event that is held for 60 seconds is held for 20 after the edit, from when it happened."""
    key = "chip-unregistered/chip-1/900000000000001"
    yard.say("chip-1", "chip", "900000000000001")
    yard.order("ack", key, occurrence=1)
    yard.wait(10)
    reload(yard, rules=edited(yard.rules, "chip-unregistered", hold=20.0))
    yard.wait(9)
    assert yard.state(key) == "acked"
    yard.wait(1)
    assert yard.state(key) == "normal"


def without(site: Site, device: str) -> Site:
    """The site with one device less."""
    links = [replace(each, devices=Devices(d for d in each.devices if d.id != device)) for each in site.links]
    return replace(site, links=tuple(links))


def test_what_is_removed_is_withdrawn_aloud(night: Yard) -> None:
    """The alarm of a device, and of a rule, that are gone ends with notice, in one step; it never comes back."""
    night.wait(5, ("radar-1", "presence", "present"), ("sos-1", "sos", "pressed"))
    reload(night, without(night.site, "radar-1"), tuple(rule for rule in night.rules if rule.id != "sos"))

    assert {flip.key: (flip.event, flip.announce) for flip in night.last.flips} == {
        LAKE: ("withdrawn", "cleared"),
        "sos/sos-1": ("withdrawn", "cleared"),
    }
    assert night.kept.occurrences[LAKE, 1].closed == "withdrawn"
    night.wait(30, ("sos-1", "sos", "pressed"))
    assert night.state(LAKE) == night.state("sos/sos-1") == "normal"
    night.say("radar-1", "presence", "present")
    assert night.kept.faults[-1].kind is FaultKind.UNKNOWN_DEVICE


def test_a_device_that_comes_back_begins_a_new_occurrence(night: Yard) -> None:
    """Removed by mistake and put back: what is there now is an alarm again, and its history is not overwritten."""
    site = night.site
    night.wait(5, ("radar-1", "presence", "present"))
    reload(night, without(site, "radar-1"))
    reload(night, site)
    night.wait(5, ("radar-1", "presence", "present"))
    assert night.state(LAKE) == "unacked"
    assert night.told(LAKE) == ["raised", "cleared", "raised"]
    assert night.kept.occurrences[LAKE, 1].closed == "withdrawn"


def test_a_new_device_is_watched_from_the_first_moment(yard: Yard) -> None:
    """It is unknown, falls silent when it says nothing, and alarms like any other."""
    reload(yard, another(yard.site, link="mqtt"))
    assert yard.kept.health["gate-9"].state == "unknown"
    yard.wait(61, ("gate-9", "gate", "open"))
    assert yard.state("gate-held/gate-9") == "unacked"
    yard.wait(21)
    assert yard.kept.health["gate-9"].state == "silent"


def wired(site: Site, device: str, link: str) -> Site:
    """One device on another cable."""
    moved = replace(site.devices()[device], link=link)
    rest = without(site, device)
    links = [replace(each, devices=Devices([*each.devices, moved])) if each.id == link else each for each in rest.links]
    return replace(rest, links=tuple(links))


def test_a_device_on_another_cable_is_unknown_until_it_speaks(night: Yard) -> None:
    """Its old value is not believed on the new cable, and its alarm neither clears nor comes again by that."""
    night.wait(5, ("radar-1", "presence", "present"))
    night.wait(1, ("radar-1", "presence", "absent"))
    reload(night, wired(night.site, "radar-1", "port"))
    assert night.kept.health["radar-1"].state == "unknown"
    night.wait(8)
    assert night.state(LAKE) == "unacked"
    night.wait(7, ("radar-1", "presence", "absent"))
    assert night.told(LAKE) == ["raised", "cleared"]


def test_a_profile_of_another_make_is_another_device(night: Yard) -> None:
    """The same id with another profile: what the old one said last does not stand for the new one."""
    radar = night.site.devices()["radar-1"]
    assert isinstance(radar.profile, MqttProfile)
    swapped = replace(radar, profile=replace(radar.profile, id="water/other"))
    night.say("radar-1", "presence", "present")
    links = [
        replace(each, devices=Devices(swapped if d is radar else d for d in each.devices)) for each in night.site.links
    ]
    reload(night, replace(night.site, links=tuple(links)))
    night.wait(9)
    assert night.state(LAKE) == "normal"


def test_a_link_that_is_opened_anew_is_not_blamed_for_it(yard: Yard) -> None:
    """Down on purpose: no alarm within the time that a start gives, and one when it does not come back."""
    links = [replace(link, listen="127.0.0.1:9") if link.id == "mqtt" else link for link in yard.site.links]
    reload(yard, replace(yard.site, links=tuple(links)))
    assert yard.kept.health["mqtt"].state == "down"
    assert yard.kept.health["port"].state == "up"
    yard.wait(10)
    assert yard.state("link-down/mqtt") == "normal"
    yard.wait(4)
    assert yard.state("link-down/mqtt") == "unacked"


def test_orders_under_way_go_on_or_end(yard: Yard) -> None:
    """An order is confirmed after a reload; one whose device is gone ends, sent ones as a question that is open."""
    order = yard.order("command", "gate-1", command="open")
    yard.keep(yard.core.sent(order.id, yard.now))
    siren = yard.order("command", "relay-1", command="pulse", seconds=2.0)
    reload(yard, without(yard.site, "relay-1"))
    assert yard.kept.orders[siren.id].state is OrderState.REFUSED
    yard.say("gate-1", "gate", "open")
    assert yard.kept.orders[order.id].state is OrderState.CONFIRMED

    order = yard.order("command", "gate-1", command="open")
    yard.keep(yard.core.sent(order.id, yard.now))
    reload(yard, without(yard.site, "gate-1"))
    assert yard.kept.orders[order.id].state is OrderState.UNCONFIRMED
    assert yard.kept.orders[order.id].outcome == "no-such-device:gate-1"


def test_a_silence_that_is_running_goes_on(yard: Yard) -> None:
    """15 of 20 seconds of silence are not begun anew by a reload; a new limit counts from the last word."""
    yard.say("gate-1", "gate", "closed")
    yard.wait(15)
    reload(yard, renamed(yard.site))
    yard.wait(4)
    assert yard.kept.health["gate-1"].state == "ok"
    yard.wait(1)
    assert yard.kept.health["gate-1"].state == "silent"
