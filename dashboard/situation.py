"""What is going on now, as one value made from journal rows: the Now page, its JSON and /healthz are views of it.

Pure: nothing here reads a file or asks for the time. The sentence "all watched, nothing to do" is decided here, and
silence, a dead cable and a hub that does not answer all forbid it.
"""

from collections.abc import Collection, Iterable, Mapping
from typing import Literal, TypeAlias

import msgspec

from dashboard.journal_view import Happening, Told
from dashboard.language.words import Words
from hub.alarms.flood import KEY as FLOOD
from hub.outcome import Health, Mute, Order, Service, Upkeep
from hub.reading import Label, Reading, Value
from hub.rules.noise import NoiseLimits
from hub.settings.site import Device, Site
from hub.settings.site_voice import LogSpec, MqttSpec, Voice
from hub.speaking.muted import WAITING

HUB_FRESH_MS = 5_000
FIGURES = ("laeq", "water_level")  # what the strip at the bottom shows
Why: TypeAlias = Literal["silent", "offline", "link-down", "no-word", "shelved", "out-of-service", "calibration", "hub"]


class Unwatched(msgspec.Struct, frozen=True, kw_only=True):
    """Something that nobody watches: a device without word, an alarm that is muted, what is out of service."""

    source: str
    name: Label
    zone: str
    why: Why
    since: int | None = None
    until: int | None = None
    detail: str = ""


class Deed(msgspec.Struct, frozen=True, kw_only=True):
    """What the system did by itself about an alarm: sounded a siren (`order`), or told a voice (`told`)."""

    kind: Literal["siren", "voice"]
    name: Label
    order: Order | None = None
    told: Told | None = None
    withheld: bool = False  # by a mute of its zone, until that is over
    nobody: bool = False  # a log or a broker: no person knows by it


class Need(msgspec.Struct, frozen=True, kw_only=True):
    """One open alarm as a person needs it: what, where, since when, what was done, what to do."""

    happening: Happening
    title: Label
    place: Label
    source: Label
    response: Label | None
    deeds: list[Deed]
    pending: Order | None = None  # somebody's acknowledgement that the hub has not taken yet

    @property
    def active(self) -> bool:
        """The condition still holds."""
        return self.happening.cleared is None

    @property
    def unacked(self) -> bool:
        """Nobody has said yet that he has seen it."""
        return self.happening.acked is None


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """A zone's marker on the plan."""

    zone: str
    name: Label
    at: tuple[float, float]
    severity: str = ""
    count: int = 0
    unacked: bool = False
    unwatched: bool = False


class KeyValue(msgspec.Struct, frozen=True, kw_only=True):
    """One figure of the strip at the bottom. `value` is None when its device has no fresh word."""

    device: str
    quantity: str
    name: Label
    value: Value | None
    ts: int | None = None
    limit: float | None = None

    @property
    def over(self) -> bool:
        """Above its limit."""
        return isinstance(self.value, float) and self.limit is not None and self.value > self.limit


class Situation(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that the Now page says."""

    now: int
    hub_age_ms: int | None
    hub_fresh: bool
    needs: list[Need]
    muted: list[Need]
    unwatched: list[Unwatched]
    links_down: list[str]
    places: list[Place]
    figures: list[KeyValue]
    devices_ok: int
    devices: int
    mutes: list[Mute] = []

    @property
    def unacked(self) -> int:
        """How many alarms nobody has acknowledged yet."""
        return sum(need.unacked for need in self.needs)

    @property
    def urgent(self) -> Need | None:
        """The P1 alarm that nobody has acknowledged and that takes the screen, or None."""
        first = self.needs[0] if self.needs else None
        return first if first and first.unacked and first.happening.severity == "P1" else None

    @property
    def urgent_count(self) -> int:
        """How many P1 alarms nobody has acknowledged: the page sounds while there are any."""
        return sum(need.unacked and need.happening.severity == "P1" for need in self.needs)

    @property
    def flood(self) -> bool:
        """More alarms come than people can follow."""
        return any(need.happening.key == FLOOD for need in self.needs)

    @property
    def all_well(self) -> bool:
        """True when everything is watched and nothing needs anybody. Only then may the page say so."""
        trouble = self.needs or self.muted or self.unwatched or self.links_down or self.mutes
        return self.hub_fresh and self.devices > 0 and not trouble


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """The journal's rows that a situation is made of."""

    heartbeat: int | None
    health: Mapping[str, Health]
    latest: Mapping[tuple[str, str], Reading]
    open: list[Happening]
    told: Mapping[int, list[Told]]  # by happening
    sirens: Mapping[str, Order]  # by token
    acks: Mapping[tuple[str, int | None], Order]  # not yet taken, by alarm key and occurrence
    mutes: list[Mute] = []
    dragged: Mapping[str, tuple[float, float]] = {}  # where zones stand on the plan, when not as the site file says
    services: list[Service] = []
    calibrating: list[Upkeep] = []
    people: Mapping[str, str] = {}  # the roster's names, by id

    @property
    def out(self) -> frozenset[str]:
        """Devices and alarms that are out of service."""
        return frozenset(row.target for row in self.services)


def situation(site: Site, words: Words, facts: Facts, now: int, speed: float = 1.0) -> Situation:
    """Put the facts together. `speed`: how fast the clock runs, since a hub's second is then shorter for us."""
    age = None if facts.heartbeat is None else now - facts.heartbeat
    fresh = age is not None and age <= HUB_FRESH_MS * max(1.0, speed)
    needs = sorted((_need(site, words, facts, happening) for happening in facts.open), key=_urgency)
    visible = [need for need in needs if not need.happening.hidden]
    unwatched = [
        *_out_of_service(site, words, facts.services),
        *_calibrating(site, facts.calibrating, now),
        *_without_word(site, facts.health, facts.out),
        *_muted(words, facts.open),
    ]
    return Situation(
        now=now,
        hub_age_ms=age,
        hub_fresh=fresh,
        needs=visible,
        muted=[need for need in needs if need.happening.hidden],
        unwatched=unwatched,
        links_down=[
            health.source for health in facts.health.values() if health.kind == "link" and health.state != "up"
        ],
        places=_places(site, facts.dragged, visible, unwatched, hub_fresh=fresh),
        figures=list(_figures(site, facts, now, hub_fresh=fresh)),
        devices_ok=sum(
            why_blind(device, facts.health, facts.out, hub_fresh=fresh) is None for device in site.devices().values()
        ),
        devices=len(site.devices()),
        mutes=facts.mutes,
    )


def why_unwatched(device: Device, health: Mapping[str, Health], out: Collection[str] = ()) -> Why | None:
    """Why this device is not watching, or None. A device that is silent by nature watches while its cable is up.

    `out`: what is out of service.
    """
    if device.id in out:
        return "out-of-service"
    link, own = health.get(device.link), health.get(device.id)
    if link is None:
        return "no-word"
    if link.state != "up":
        return "link-down"
    if own is None or own.state == "unknown":
        return "no-word" if device.options.silent_after else None
    if own.state == "offline":
        return "offline"
    return None if own.state == "ok" else "silent"


def why_blind(
    device: Device, health: Mapping[str, Health], out: Collection[str] = (), *, hub_fresh: bool
) -> Why | None:
    """The same, and while the hub is silent no device watches, whatever was last written of it."""
    return why_unwatched(device, health, out) or (None if hub_fresh else "hub")


def _out_of_service(site: Site, words: Words, services: Iterable[Service]) -> Iterable[Unwatched]:
    """Said as such, whether an alarm of it is active or not."""
    devices = site.devices()
    for row in services:
        rule, _, rest = row.target.partition("/")
        source = rest.partition("/")[0] or row.target
        zone = devices[source].zone if source in devices else source if source in site.zones_by_id() else ""
        yield Unwatched(
            source=source,
            name=words.rule(rule) if rest else words.source(source),
            zone=zone,
            why="out-of-service",
            since=row.at,
            detail=f"{row.actor}: {row.reason}",
        )


def _calibrating(site: Site, rows: Iterable[Upkeep], now: int) -> Iterable[Unwatched]:
    """What a meter hears while a calibrator sits on it is of the calibrator."""
    devices = site.devices()
    for row in rows:
        if row.until > now and (device := devices.get(row.device)) is not None:
            detail = f"{row.actor}: {row.note}"
            yield Unwatched(
                source=device.id, name=device.name, zone=device.zone, why="calibration", since=row.at, detail=detail
            )


def _without_word(site: Site, health: Mapping[str, Health], out: Collection[str]) -> Iterable[Unwatched]:
    for device in site.devices().values():
        why = why_unwatched(device, health, out)
        if why is None or why == "out-of-service":
            continue
        about = health.get(device.link if why == "link-down" else device.id)
        yield Unwatched(
            source=device.id,
            name=device.name,
            zone=device.zone,
            why=why,
            since=about.since if about else None,
            detail=about.detail if about else "",
        )


def _muted(words: Words, happenings: Iterable[Happening]) -> Iterable[Unwatched]:
    for happening in happenings:
        if happening.hidden == "shelved":
            yield Unwatched(
                source=happening.source,
                name=words.rule(happening.rule),
                zone=happening.zone,
                why="shelved",
                until=happening.shelved_until,
            )


def _need(site: Site, words: Words, facts: Facts, happening: Happening) -> Need:
    return Need(
        happening=happening,
        title=words.rule(happening.rule),
        place=words.zone(happening.zone) if happening.zone else words.source(happening.source),
        source=words.source(happening.source),
        response=words.response(happening.rule),
        deeds=deeds(site, words, happening, facts.told.get(happening.id, []), facts.sirens, facts.mutes, facts.people),
        pending=facts.acks.get((happening.key, happening.occurrence)),
    )


def siren_token(site: Site, told: Told) -> str:
    """The token of the order that the siren's announcement became (hub/voices/siren.py)."""
    return f"siren/{site.id}-{told.flip}-{told.kind}"


def deeds(
    site: Site,
    words: Words,
    happening: Happening,
    told: Iterable[Told],
    sirens: Mapping[str, Order],
    mutes: Iterable[Mute] = (),
    people: Mapping[str, str] = {},
) -> list[Deed]:
    """What the system did for people to hear of it, first things first; of a person's calls the last by each voice.

    `people`: the roster's names by id.
    """
    told = list(told)
    last = {(one.person, one.voice): one.id for one in told}
    found, voices = [], {voice.id: voice for voice in site.voices}
    waits = happening.severity in WAITING and any(mute.zone == happening.zone for mute in mutes)
    for one in told:
        if one.kind != "raised" or (one.person and one.id != last[one.person, one.voice]):
            continue
        if one.voice != "siren":
            withheld = waits and one.status == "pending" and not one.person
            name = _listener(words, voices.get(one.voice), one, people)
            nobody = not one.person and _is_nobody(voices.get(one.voice))
            found.append(Deed(kind="voice", name=name, told=one, withheld=withheld, nobody=nobody))
            continue
        order = sirens.get(siren_token(site, one))
        zone = site.zones_by_id().get(happening.zone)
        device = order.target if order else zone.siren.device if zone and zone.siren else ""
        command = order.command if order else zone.siren.command if zone and zone.siren else ""
        found.append(Deed(kind="siren", name=words.channel(device, command), order=order, told=one))
    return found


def _listener(words: Words, voice: Voice | None, told: Told, people: Mapping[str, str]) -> Label:
    """Who was told. A broker and a log are nobody: what is written there must not look as if somebody knew."""
    name = words.voice(told.voice)
    if told.person:
        who = people.get(told.person, told.person)
        return Label(zh=f"{who}（{name.zh}）", en=f"{who} ({name.en})")
    if _is_nobody(voice):
        return Label(zh=f"其他系统（{name.zh}）", en=f"other systems ({name.en})")
    return name


def _is_nobody(voice: Voice | None) -> bool:
    return isinstance(voice, MqttSpec | LogSpec)


def _urgency(need: Need) -> tuple[str, bool, bool, int]:
    return (need.happening.severity, not need.unacked, not need.active, need.happening.raised)


def _places(
    site: Site,
    dragged: Mapping[str, tuple[float, float]],
    needs: list[Need],
    unwatched: list[Unwatched],
    *,
    hub_fresh: bool,
) -> list[Place]:
    blind = {one.zone for one in unwatched}
    places = []
    for zone in site.zones:
        here = [need for need in needs if need.happening.zone == zone.id]
        places.append(
            Place(
                zone=zone.id,
                name=zone.name,
                at=dragged.get(zone.id, zone.at),
                severity=min((need.happening.severity for need in here), default=""),
                count=len(here),
                unacked=any(need.unacked for need in here),
                unwatched=not hub_fresh or zone.id in blind,
            )
        )
    places.sort(key=lambda place: place.severity or "P9", reverse=True)  # the most urgent is drawn on top of the others
    return places


def _figures(site: Site, facts: Facts, now: int, *, hub_fresh: bool) -> Iterable[KeyValue]:
    zones, limits = site.zones_by_id(), NoiseLimits(site)
    for quantity in FIGURES:
        for device in site.devices().values():
            if quantity not in device.profile.reading:
                continue
            reading = facts.latest.get((device.id, quantity))
            alive = why_blind(device, facts.health, facts.out, hub_fresh=hub_fresh) is None
            yield KeyValue(
                device=device.id,
                quantity=quantity,
                name=zones[device.zone].name if device.zone in zones else device.name,
                value=reading.value if reading is not None and alive else None,
                ts=reading.ts if reading else None,
                limit=limits.at(device.zone, now) if quantity == "laeq" else None,
            )
