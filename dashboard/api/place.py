"""The API's site, zones, devices, series and noise: where things are and what they say."""

from typing import Annotated, Literal

import msgspec
from flask import request
from msgspec import Meta

from dashboard import series, words
from dashboard.api.contract import LARGEST, Query, get
from dashboard.api.problem import Problem
from dashboard.gather import gather
from dashboard.office import office
from dashboard.pages.devices import Row, device_rows
from dashboard.permissions import Permission
from dashboard.series import Series
from device_profiles.door import nearest
from hub.noise import NoiseLimits
from hub.outcome import Health
from hub.reading import Kind, Label, Reading, Value
from hub.site import Device

Instant = Annotated[int, Meta(ge=0, le=LARGEST, description="ms since 1970 (UTC)")]
MOST_POINTS = 2000
DEFAULT_MS = 3_600_000


class SiteAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """The community."""

    id: str
    name: Label
    timezone: str
    noise_class: str
    night: str
    zones: int
    devices: int


class ZoneAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """A place; `at` is where it stands on the plan, 0 to 1 from the top left."""

    id: str
    name: Label
    at: tuple[float, float]
    noise_class: str
    devices: list[str]


class ReadingAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """The last fresh value of one quantity. `ts` by the device's clock, `rx` by the hub's."""

    quantity: str
    value: Value
    unit: str
    ts: int
    rx: int
    quality: str


class DeviceAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """A device. `why`: why nobody hears it (silent, offline, link-down, ...); null while it is watched."""

    id: str
    name: Label
    zone: str
    link: str
    profile: str
    watched: bool
    why: str | None
    health: Health | None
    readings: list[ReadingAnswer]
    commands: list[str]
    open_alarms: int


class DeviceList(msgspec.Struct, frozen=True):
    """All devices, at one instant."""

    now: int
    devices: list[DeviceAnswer]


class NoiseAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """One noise meter now: its last level and the limit of its place at this hour, both dB(A)."""

    device: str
    zone: str
    laeq_db: float | None
    ts: int | None
    limit_db: float
    over: bool | None


class NoiseList(msgspec.Struct, frozen=True):
    """All noise meters, at one instant."""

    now: int
    meters: list[NoiseAnswer]


class SeriesQuery(Query, frozen=True, kw_only=True):
    """Which stretch of which quantity, and how fine."""

    quantity: Annotated[str, Meta(max_length=64, description="a gauge or counter of the device, as laeq")] = ""
    span: Annotated[
        Literal["", "1h", "24h", "7d", "30d"],
        Meta(description="1h, 24h, 7d or 30d until now; instead of since, until and step"),
    ] = msgspec.field(name="range", default="")
    since: Instant | msgspec.UnsetType = msgspec.UNSET
    until: Instant | msgspec.UnsetType = msgspec.UNSET
    step: Annotated[int, Meta(ge=1, le=LARGEST, description="ms a point; 2000 points at most")] | msgspec.UnsetType = (
        msgspec.UNSET
    )


@get("/site", SiteAnswer, Permission.SEE)
def site() -> SiteAnswer:
    """The community: its name, time zone and size."""
    here = office().site
    return SiteAnswer(
        id=here.id,
        name=here.name,
        timezone=here.timezone,
        noise_class=here.noise_class,
        night=here.night,
        zones=len(here.zones),
        devices=len(here.devices()),
    )


@get("/zones", list[ZoneAnswer], Permission.SEE)
def zones() -> list[ZoneAnswer]:
    """The places of the community."""
    here = office().site
    return [
        ZoneAnswer(
            id=zone.id,
            name=zone.name,
            at=zone.at,
            noise_class=zone.noise_class or here.noise_class,
            devices=[device.id for device in here.devices().values() if device.zone == zone.id],
        )
        for zone in here.zones
    ]


@get("/devices", DeviceList, Permission.SEE)
def devices() -> DeviceList:
    """Every device with its state and last readings."""
    rows = device_rows(hub_fresh=gather(office()).hub_fresh)
    return DeviceList(office().clock.now(), [_device(row) for row in rows])


@get("/devices/<name>", DeviceAnswer, Permission.SEE)
def device(name: str) -> DeviceAnswer:
    """One device with its state and last readings."""
    wanted = known_device(name)
    rows = device_rows(hub_fresh=gather(office()).hub_fresh)
    return next(_device(row) for row in rows if row.device.id == wanted.id)


@get("/devices/<name>/series", Series, Permission.SEE, query=SeriesQuery, errors=(422,))
def device_series(name: str, query: SeriesQuery) -> Series:
    """One quantity over time, as a chart draws it.

    Parallel lists of points; a stretch without readings has null in them and stands in `gaps`. Sound levels are put
    together by energy, everything else by the arithmetic mean.
    """
    found = known_device(name)
    numbers = [word for word in found.profile.reading if words.kind(word) in (Kind.GAUGE, Kind.COUNTER)]
    if query.quantity not in numbers:
        right = nearest(query.quantity, numbers) if numbers else "this device measures nothing that is a number"
        detail = f"quantity: {found.id} measures no such thing"
        raise Problem(404, detail, at=("query", "quantity"), right=right)
    since, until, points = _stretch(query)
    return series.between(office(), found, query.quantity, since, until, points)


@get("/noise", NoiseList, Permission.SEE)
def noise() -> NoiseList:
    """Every noise meter's last level beside the limit of its place at this hour (GB 3096-2008)."""
    now, limits = office().clock.now(), NoiseLimits(office().site)
    rows = device_rows(hub_fresh=gather(office()).hub_fresh)
    return NoiseList(now, [_meter(row, limits, now) for row in rows if "laeq" in row.device.profile.reading])


def known_device(name: str) -> Device:
    """The device. Raises Problem."""
    found = office().site.devices().get(name)
    if found is None:
        raise Problem(404, "there is no such device", at=("path", "name"), right=nearest(name, office().site.devices()))
    return found


def _device(row: Row) -> DeviceAnswer:
    return DeviceAnswer(
        id=row.device.id,
        name=row.device.name,
        zone=row.device.zone,
        link=row.device.link,
        profile=row.device.profile.id,
        watched=row.why is None,
        why=row.why,
        health=row.health,
        readings=[_reading(reading) for reading in row.readings],
        commands=list(row.device.profile.command),
        open_alarms=row.alarms,
    )


def _reading(reading: Reading) -> ReadingAnswer:
    """Without its detail: that says who passed."""
    return ReadingAnswer(
        quantity=reading.quantity,
        value=reading.value,
        unit=words.unit(reading.quantity),
        ts=reading.ts,
        rx=reading.rx,
        quality=reading.quality,
    )


def _meter(row: Row, limits: NoiseLimits, now: int) -> NoiseAnswer:
    """A meter that nobody hears has no level: the last one it said is not the level now."""
    last = next((one for one in row.readings if one.quantity == "laeq"), None) if row.why is None else None
    level = last.value if last is not None and isinstance(last.value, float) else None
    limit = limits.at(row.device.zone, now)
    return NoiseAnswer(
        device=row.device.id,
        zone=row.device.zone,
        laeq_db=level,
        ts=last.ts if last is not None else None,
        limit_db=limit,
        over=level > limit if level is not None else None,
    )


def _stretch(query: SeriesQuery) -> tuple[int, int, int]:
    """since, until (ms) and how many points. Raises Problem where the parameters do not fit together."""
    now = office().clock.now()
    if query.span:
        clash = next((name for name in ("since", "until", "step") if name in request.args), None)
        if clash is not None:
            raise _unfit(clash, "cannot stand beside range", "either range, or since, until and step")
        return now - series.SPANS_MS[query.span], now, series.POINTS
    until = query.until if query.until is not msgspec.UNSET else now
    since = query.since if query.since is not msgspec.UNSET else max(0, until - DEFAULT_MS)
    if since >= until:
        raise _unfit("since", "is not before until", f"less than {until}")
    if until - since > series.LONGEST_MS:
        raise _unfit("since", "is too long before until", f"{series.LONGEST_MS} ms at most")
    points = series.POINTS if query.step is msgspec.UNSET else -(-(until - since) // query.step)
    if points > MOST_POINTS:
        right = f"at least {-(-(until - since) // MOST_POINTS)} ms for this stretch"
        raise _unfit("step", f"makes {points} points", right)
    return since, until, points


def _unfit(name: str, detail: str, right: str) -> Problem:
    return Problem(422, f"{name}: {detail}", at=("query", name), right=right)
