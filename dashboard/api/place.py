"""The API's site, zones, devices, series and noise: where things are and what they say."""

from typing import Annotated, Any, Literal

import msgspec
from flask import request
from msgspec import Meta

from dashboard.access.permissions import Permission
from dashboard.api.contract import LARGEST, Query, get
from dashboard.api.problem import Problem
from dashboard.charts import bars, series, series_csv, stretches
from dashboard.charts.bars import Counts, Increases
from dashboard.charts.series import Series
from dashboard.charts.stretches import Stretches
from dashboard.charts.window import SPANS_MS, Window, asked_for
from dashboard.gather import gather
from dashboard.language import words
from dashboard.office import office
from dashboard.pages.devices import Row, device_rows
from device_profiles.door import nearest
from hub.outcome import Health
from hub.reading import Kind, Label, Reading, Value
from hub.rules.noise import NoiseLimits
from hub.settings.site import Device

Instant = Annotated[int, Meta(ge=0, le=LARGEST, description="ms since 1970 (UTC)")]
Day = Annotated[str, Meta(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$", description="a date of the site, as 2026-01-31")]
SPANS = ", ".join(SPANS_MS)
MOST_POINTS = 2000
Shown = Series | Stretches | Counts | Increases


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
    """Which stretch of which quantity, and how fine: `range`, or `since` and `until`, or `from` and `to`."""

    quantity: Annotated[str, Meta(max_length=64, description="a quantity of the device, as laeq")] = ""
    range: Annotated[Literal["1h", "24h", "7d", "30d", "90d", "1y"], Meta(description="until now: one of " + SPANS)] = (
        "1h"
    )
    since: Instant | msgspec.UnsetType = msgspec.UNSET
    until: Instant | msgspec.UnsetType = msgspec.UNSET
    first: Day | msgspec.UnsetType = msgspec.field(name="from", default=msgspec.UNSET)
    last: Day | msgspec.UnsetType = msgspec.field(name="to", default=msgspec.UNSET)
    step: Annotated[int, Meta(ge=1, le=LARGEST, description="ms a point, of a gauge; 2000 points at most")] | (
        msgspec.UnsetType
    ) = msgspec.UNSET
    format: Annotated[Literal["json", "csv"], Meta(description="json or csv")] = "json"
    lang: Annotated[Literal["", "zh", "en"], Meta(description="zh or en, of the words in a csv")] = ""


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


@get("/devices/<name>/series", Shown, Permission.SEE, query=SeriesQuery, errors=(422,), also="text/csv")
def device_series(name: str, query: SeriesQuery) -> Any:
    """One quantity over time, as a chart draws it; `kind` says how.

    A gauge: parallel lists of points, null where nothing was measured, sound levels put together by energy. A counter:
    its increases. Events: how many. A state: how long. Stretches without word stand in `gaps`; `whole` false: the
    history could not be asked.
    """
    found = known_device(name)
    if query.quantity not in found.profile.reading:
        right = nearest(query.quantity, found.profile.reading)
        raise Problem(404, f"quantity: {found.id} has no such", at=("query", "quantity"), right=right)
    window, kind = _window(query), words.kind(query.quantity)
    shown: Shown
    if kind is Kind.GAUGE:
        shown = series.read(office(), found, query.quantity, window, _points(query, window))
    else:
        read = stretches.read if kind is Kind.STATE else bars.read
        shown = read(office(), found, query.quantity, window)  # type: ignore[assignment]  # Counts or Increases
    return series_csv.answer(shown, office().site) if query.format == "csv" else shown


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


def _window(query: SeriesQuery) -> Window:
    """Raises Problem where the parameters do not fit together."""
    ways = [
        way for way in (("range",), ("since", "until"), ("from", "to")) if any(name in request.args for name in way)
    ]
    if len(ways) > 1:
        raise _unfit(ways[-1][0], f"cannot stand beside {ways[0][0]}", "range, or since and until, or from and to")
    found = asked_for(request.args, office().clock.now(), office().site.tz)
    if found is None:
        right = "both ends, ten seconds to ten years, not in the future; dates are included, as from=2026-01-01"
        raise _unfit(ways[0][0], "is no stretch of time", right)
    return found


def _points(query: SeriesQuery, window: Window) -> int:
    points = series.POINTS if query.step is msgspec.UNSET else -(-window.length // query.step)
    if points > MOST_POINTS:
        right = f"at least {-(-window.length // MOST_POINTS)} ms for this stretch"
        raise _unfit("step", f"makes {points} points", right)
    return points


def _unfit(name: str, detail: str, right: str) -> Problem:
    return Problem(422, f"{name}: {detail}", at=("query", name), right=right)
