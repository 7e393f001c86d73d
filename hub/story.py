"""Runs a rule's own stories: the whole core, on a site of one device, one value a second.

For tests and for whoever writes a rule. The device is made from the story; nothing of the real site is needed.
"""

import re
from datetime import datetime, timedelta, timezone

import msgspec

from device_profiles import vocabulary
from device_profiles.types import JsonField, MqttLink, MqttProfile
from hub.core import Core
from hub.outcome import Memory, Order, Outcome
from hub.reading import Kind, Label, LinkChange, LinkState, News, Reading, Value
from hub.rules import Rule, Story
from hub.site import Device, Devices, MqttBrokerLink, Site, Zone

DEVICE, LINK, ZONE = "device", "link", "zone"
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


def play(rule: Rule, story: Story) -> dict[int, str]:
    """The operator's state at the end of each second of the story."""
    start = _start(story)
    core = Core(stage(rule, story), (rule,), _memory(story, rule), start)
    journal = _Journal()
    journal.write(core.begin(start))
    if rule.kind != "link-down":
        journal.write(core.accept([LinkChange(link=LINK, state=LinkState.UP, detail="", rx=start)], start))
    states: dict[int, str] = {}
    for second, value in enumerate(values(story.series)):
        now = start + second * 1000
        if value is not None and rule.kind == "self":
            journal.write(core.know({rule.id: "so" if value == "1" else ""}, now))
        elif value is not None:
            journal.write(core.accept([_news(rule, value, now)], now))
        journal.write(core.tick(now))
        if str(second) in story.acts:
            journal.write(core.order(journal.order(story.acts[str(second)], second, now), now))
        states[second] = journal.state
    return states


def stage(rule: Rule, story: Story) -> Site:
    """A site with one device that reads what the rule is about, where and when the story plays."""
    quantity = rule.quantity or "battery"
    folder = rule.applies[0] if rule.applies else "story"
    profile = MqttProfile(
        profile=1,
        id=f"{folder}/story",
        title=_NAME,
        source="made by hub.story for one rule",
        sample=[],
        link=MqttLink(silent_after=SILENT_AFTER),
        reading={quantity: JsonField()},
    )
    device = Device(id=DEVICE, profile=profile, options=profile.link, zone=ZONE, name=_NAME, link=LINK)
    zone = Zone(id=ZONE, name=_NAME, noise_class=story.noise_class, closed="00:00-24:00")
    link = MqttBrokerLink(id=LINK, devices=Devices((device,)))
    return Site(id="story", name=_NAME, timezone="Asia/Shanghai", zones=(zone,), links=(link,))


class _Journal:
    """What the story's outcomes say, as far as a story asks."""

    def __init__(self) -> None:
        self.state, self._key, self._occurrence = "normal", "", 0

    def write(self, outcome: Outcome) -> None:
        for row in outcome.alarms:
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
    table = [{"list": rule.unless_in, "id": entry} for entry in story.listed]
    return msgspec.convert({"entries": table}, Memory)


def _news(rule: Rule, value: str, now: int) -> News:
    if rule.kind == "link-down":
        return LinkChange(link=LINK, state=LinkState(value), detail="as the story says", rx=now)
    name = rule.quantity or "battery"
    word = vocabulary.find(name)
    number = word is not None and word.quantity.kind in (Kind.GAUGE, Kind.COUNTER)
    spoken: Value = float(value) if number else value
    return Reading(device=DEVICE, quantity=name, value=spoken, ts=now, rx=now)
