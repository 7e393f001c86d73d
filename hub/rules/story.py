"""Runs a rule's own stories: the whole core, on a site of a device or two, one value a second.

For tests and for whoever writes a rule. The devices are made from the story; nothing of the real site is needed.
"""

import re
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from typing import NamedTuple

import msgspec
from msgspec.structs import replace

from device_profiles import vocabulary
from device_profiles.types import JsonField, MqttCommand, MqttLink, MqttProfile
from hub.care.drill import WITHHELD
from hub.core import Core
from hub.outcome import Memory, Order, Outcome
from hub.reading import Kind, Label, LinkChange, LinkState, News, Reading, Value
from hub.rules.door import Rule, Story
from hub.rules.kinds.expression import compiled
from hub.rules.rule import TESTS
from hub.settings.site import Device, Devices, MqttBrokerLink, Site, Zone
from hub.settings.site_voice import LogSpec
from hub.speaking.route import VOICE

DEVICE, LINK, ZONE = "a", "link", "zone"
TICK = 10_000  # ms between two looks at the clock, where the story's own step is longer
SILENT_AFTER = 20.0  # s: what a story's device is allowed to keep quiet
_TOKEN = re.compile(r"(.+?)(?:x(\d+))?")
_TZ = timezone(timedelta(hours=8))  # of Asia/Shanghai, which has had no summer time since 1991
_DAY = datetime(2026, 1, 5, tzinfo=_TZ)
_NAME = Label(zh="故事", en="story")


def values(series: str) -> list[str | None]:
    """One entry a second: "40x3 _x2" is 40, 40, 40, nothing, nothing."""
    found: list[str | None] = []
    for token in series.split():
        match = _TOKEN.fullmatch(token)
        value, times = (match[1], int(match[2] or 1)) if match is not None else (token, 1)
        found += [None if value == "_" else value] * times
    return found


class Verdict(NamedTuple):
    """A story as it was told: the state at each second, and where something else was expected."""

    rule: Rule
    story: Story
    seen: dict[int, str]
    wrong: dict[int, str]  # second -> what was expected there


def tell(rule: Rule, story: Story) -> Verdict:
    """Play it, and see whether it comes out as it says."""
    seen = play(rule, story)
    wanted = {int(second): state for second, state in story.expect.items()}
    return Verdict(rule, story, seen, {at: state for at, state in wanted.items() if seen.get(at) != state})


def play(rule: Rule, story: Story) -> dict[int, str]:
    """The operator's state at the end of each second that has a value."""
    start = _start(story)
    rule = replace(rule, zones=[], except_zones=[])  # a story plays somewhere else
    tracks = _tracks(rule, story)
    core = Core(stage(rule, story), (rule, *_companions(rule, story)), _memory(story, rule), start)
    journal = _Journal(rule.id)
    journal.write(core.begin(start))
    if rule.kind != "link-down":
        journal.write(core.accept([LinkChange(link=LINK, state=LinkState.UP, detail="", rx=start)], start))
    states: dict[int, str] = {}
    for step in range(max(len(track) for track in tracks.values())):
        second = round(step * story.every)
        now = start + round(step * story.every * 1000)
        said = {where: track[step] for where, track in tracks.items() if step < len(track)}
        journal.write(_say(core, rule, said, now))
        for moment in range(now, now + max(round(story.every * 1000), 1), TICK):
            journal.write(core.tick(moment))
        if str(second) in story.acts:
            _act(core, journal, story.acts[str(second)], second, now)
        states[second] = journal.state
    return states


def _companions(rule: Rule, story: Story) -> list[Rule]:
    """A rule about tests needs another one that takes part in them: whatever is not as at the story's beginning."""
    word = vocabulary.find(rule.quantity)
    if rule.kind not in TESTS or word is None:
        return []
    states = [state for state in word.quantity.states if state != values(story.series)[0]]
    return [replace(rule, id="seen", kind="state", states=states, within=0.0, drill="marks", when="zone-closed")]


def stage(rule: Rule, story: Story) -> Site:
    """A site with the devices that the story speaks of, in one zone, where and when it plays."""
    read: dict[str, set[str]] = {}
    for device, quantity in _tracks(rule, story):
        read.setdefault(device, set()).add(quantity)
    if rule.kind != "balance":
        read[DEVICE] |= {name for name in (rule.against, rule.cause) if name}
    if rule.expression:
        read[DEVICE] |= set(compiled(rule.expression).quantities)
    commands = [act.partition(" ")[2] for act in story.acts.values() if act.startswith("command ")]
    devices = [_device(device, rule, story, quantities, commands) for device, quantities in sorted(read.items())]
    zone = Zone(id=ZONE, name=_NAME, noise_class=story.noise_class, closed="00:00-24:00")
    link = MqttBrokerLink(id=LINK, devices=Devices(devices))
    voices = (LogSpec(id=LINK),)
    return Site(id="story", name=_NAME, timezone="Asia/Shanghai", zones=(zone,), links=(link,), voices=voices)


def _device(name: str, rule: Rule, story: Story, quantities: set[str], commands: list[str]) -> Device:
    folder = rule.applies[0] if rule.applies else "story"
    profile = MqttProfile(
        profile=1,
        id=f"{folder}/story",
        title=_NAME,
        source="made by hub.rules.story for one rule",
        sample=[],
        link=MqttLink(silent_after=SILENT_AFTER * story.every),
        reading={quantity: JsonField() for quantity in sorted(quantities)},
        command={text: _command(text) for text in commands} if name == DEVICE else {},
    )
    return Device(id=name, profile=profile, options=profile.link, zone=ZONE, name=_NAME, link=LINK)


def _command(text: str) -> MqttCommand:
    """`gate=open`: done when the gate says open, within eight seconds."""
    quantity, _, state = text.partition("=")
    return MqttCommand(label=_NAME, confirm={quantity: state}, within=8.0, payload={"do": text})


def _tracks(rule: Rule, story: Story) -> dict[tuple[str, str], list[str | None]]:
    """What each quantity of each device says, step by step."""
    tracks = {(DEVICE, _first(rule, story)): values(story.series)}
    for name, series in story.also.items():
        device, _, quantity = name.rpartition("/")
        tracks[device or DEVICE, quantity] = values(series)
    return tracks


def _first(rule: Rule, story: Story) -> str:
    """The quantity of the story's own series."""
    if rule.expression:
        return compiled(rule.expression).quantities[0]
    ordered = (act.removeprefix("command ").partition("=")[0] for act in story.acts.values() if "=" in act)
    return rule.quantity or next(ordered, "battery")


def _act(core: Core, journal: "_Journal", act: str, second: int, now: int) -> None:
    """What a person does: to the alarm, or to the device."""
    word, _, command = act.partition(" ")
    order = journal.order(word, second, now)
    if word == "command":
        order = replace(order, target=DEVICE, command=command, occurrence=None)
    elif word == "drill":
        order = replace(order, target=ZONE, command=WITHHELD, seconds=float(command))
    journal.write(core.order(order, now))
    if word == "command":
        journal.write(core.sent(order.id, now))


class _Journal:
    """What the story's outcomes say, as far as a story asks."""

    def __init__(self, rule: str) -> None:
        self.state, self._rule, self._key, self._occurrence = "normal", rule, "", 0

    def write(self, outcome: Outcome) -> None:
        for row in (row for row in outcome.alarms if row.rule == self._rule):
            self.state, self._key, self._occurrence = row.state, row.key, row.occurrence

    def order(self, kind: str, number: int, now: int) -> Order:
        return Order(
            id=number + 1,
            token=f"story-{number}",
            kind=kind,
            target=self._key,
            actor="story",
            issued=now,
            expires=now + 1000,
            occurrence=self._occurrence,
        )


def _start(story: Story) -> int:
    hour, minute = (int(part) for part in story.at.split(":"))
    return round((_DAY + timedelta(hours=hour, minutes=minute)).timestamp() * 1000)


def _memory(story: Story, rule: Rule) -> Memory:
    table = [{"list": rule.unless_in or rule.only_in, "id": entry} for entry in story.listed]
    return msgspec.convert({"entries": table}, Memory)


def _say(core: Core, rule: Rule, said: Mapping[tuple[str, str], str | None], now: int) -> Outcome:
    """The core hears what the devices say; of a `self` rule, whether it is so (1) or not (0)."""
    if rule.kind == "self":
        so = next(iter(said.values()), None)
        return core.know({rule.id: "so" if so == "1" else ""} if so is not None else {}, now)
    news = (_news(rule, where, value, now) for where, value in said.items())
    return core.accept([item for item in news if item is not None], now)


def _news(rule: Rule, where: tuple[str, str], value: str | None, now: int) -> News | None:
    if value is None:
        return None
    if rule.kind == "link-down":
        link = VOICE + LINK if "voice" in rule.applies else LINK
        return LinkChange(link=link, state=LinkState(value), detail="as the story says", rx=now)
    device, name = where
    word = vocabulary.find(name)
    number = word is not None and word.quantity.kind in (Kind.GAUGE, Kind.COUNTER)
    spoken: Value = float(value) if number else value
    return Reading(device=device, quantity=name, value=spoken, ts=now, rx=now)
