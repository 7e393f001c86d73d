"""What the running hub does for somebody at its door who wants to look at a cable: scan it, read once, watch it.

The hub stays the only master: a scan asks in turn with the polls, or has the line lent to it, which is said. It decides
nothing and writes nothing; whatever is asked for ends when the asker hangs up.
"""

import asyncio
import contextlib
import math
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from typing import Protocol, TypeVar

import msgspec

from device_profiles.types import ModbusLink
from firmware_bridge.links import sweep
from firmware_bridge.links.modbus_bus import ModbusBus
from firmware_bridge.links.mqtt_lanes import MqttLanes
from firmware_bridge.links.ports import PortError
from firmware_bridge.links.serial_port import SerialPort
from firmware_bridge.links.survey import Ask, Event, Where, answer_s, survey
from firmware_bridge.links.tap import Heard, Tap, for_a_while, listen
from firmware_bridge.raw import Link, Registers
from firmware_bridge.wire.modbus import READ_FUNCTION, Request
from hub.control.door import Handler, Refused, Said
from hub.settings.site import ModbusAsciiLink, ModbusRtuLink, SerialPortLink, Site, SiteLink

LENT = "line lent for a scan"
BURST, MOST_A_SECOND = 50, 500  # lines to a watcher: telling more would cost the alarm path its time
LOOK_S = 5.0  # how often a watcher's links are looked for: one that is gone would be silent for ever
READ_S = 1.0  # so long may a unit take that somebody asks by hand
T = TypeVar("T")


class Holder(Protocol):
    """Who has the cables: the field process."""

    @property
    def site(self) -> Site:
        """As it is now."""

    @property
    def links(self) -> Mapping[str, Link]:
        """By id, as they are now."""


class Scan(msgspec.Struct, forbid_unknown_fields=True):
    """Which units; `speeds`: have the line lent, and try others. `timeout` s until an answer begins, 0: as usual."""

    link: str
    units: tuple[int, ...]
    timeout: float = 0.0
    speeds: bool = False


class Read(msgspec.Struct, forbid_unknown_fields=True):
    """One read of one unit."""

    link: str
    unit: int
    table: str
    address: int
    count: int


class Answer(msgspec.Struct, omit_defaults=True):
    """What a read gave: `data`, or a fault with its words."""

    data: bytes = b""
    fault: str = ""
    detail: str = ""


class Watch(msgspec.Struct, forbid_unknown_fields=True):
    """What to hear: one link, or all; for so many seconds, 0 for ever."""

    link: str = ""
    seconds: float = 0.0


class Lending:
    """The handlers for `hub.control.door`."""

    def __init__(self, holder: Holder) -> None:
        """Asks `holder` each time anew: a site may be reloaded."""
        self._holder = holder
        self._scanned: set[str] = set()

    @property
    def handlers(self) -> Mapping[str, Handler]:
        """scan, read and watch."""
        return {"scan": self._scan, "read": self._read, "watch": self._watch}

    async def _scan(self, arguments: Said) -> AsyncIterator[Said]:
        """Progress, oddities and what was found, as `survey` says them."""
        wanted = parsed(arguments, Scan)
        link, holder = self._site_link(wanted.link), self._link(wanted.link)
        if wanted.link in self._scanned:
            raise Refused(f"{wanted.link} is being scanned already", mistake=False)
        self._scanned.add(wanted.link)
        try:
            where = place(self._holder.site, link, wanted)
            if isinstance(holder, SerialPort) and isinstance(link, SerialPortLink) and wanted.speeds:
                events = _on_loan(holder, sweep.everywhere(link.port, wanted.timeout or sweep.HEAR_S))
            elif not wanted.speeds:
                events = survey(self._bus(wanted.link).ask, where)
            elif isinstance(link, ModbusRtuLink):
                tried = sweep.settings(sweep.Setting(link.baud, link.parity, link.stop_bits))
                where = msgspec.structs.replace(where, timeout=wanted.timeout)
                events = _on_loan(self._bus(wanted.link), sweep.speeds(link.port, tried, where))
            elif isinstance(link, ModbusAsciiLink):
                raise Refused(f"{link.id} speaks ASCII: only RTU lines are tried at other speeds; leave --speeds out")
            else:
                raise Refused(f"{link.id} is no serial line: a network has no speeds; leave --speeds out")
            async with contextlib.aclosing(events) as going:
                async for event in going:
                    yield msgspec.to_builtins(event)
        except PortError as error:
            raise Refused(error.detail, mistake=False) from error
        finally:
            self._scanned.discard(wanted.link)

    async def _read(self, arguments: Said) -> AsyncIterator[Said]:
        wanted = parsed(arguments, Read)
        try:
            yield msgspec.to_builtins(await read(self._bus(wanted.link).ask, wanted))
        except PortError as error:
            raise Refused(error.detail, mistake=False) from error

    async def _watch(self, arguments: Said) -> AsyncIterator[Said]:
        wanted = parsed(arguments, Watch)
        chosen = [self._link(wanted.link)] if wanted.link else list(self._holder.links.values())
        left, told = wanted.seconds or math.inf, 0
        with listen(tap for link in chosen if (tap := tap_of(link)) is not None) as heard:
            while left > 0:
                async for exchange in for_a_while(heard, min(left, LOOK_S)):
                    yield msgspec.to_builtins(named(exchange, self._holder.site))
                    told += 1
                    if told % BURST == 0:
                        await asyncio.sleep(BURST / MOST_A_SECOND)
                left -= LOOK_S
                if any(self._holder.links.get(link.id) is not link for link in chosen):
                    raise Refused("the site was loaded anew: watch again", mistake=False)

    def _link(self, name: str) -> Link:
        if name not in self._holder.links:
            raise Refused(f"{name!r} is no link of the running hub; it has {', '.join(self._holder.links)}")
        return self._holder.links[name]

    def _site_link(self, name: str) -> SiteLink:
        self._link(name)
        return next(link for link in self._holder.site.links if link.id == name)

    def _bus(self, name: str) -> ModbusBus:
        link = self._link(name)
        if not isinstance(link, ModbusBus):
            more = ", `--speeds` has it lent and listens at others" if isinstance(link, SerialPort) else ""
            raise Refused(
                f"{name} is no Modbus line: nobody can be asked there; `zhian watch {name}` shows what it says{more}"
            )
        return link


async def _on_loan(
    holder: ModbusBus | SerialPort, sweeping: AsyncGenerator[Event, None]
) -> AsyncGenerator[Event, None]:
    """All speeds, on the port that the hub has let go of for so long."""
    async with holder.lend(LENT), contextlib.aclosing(sweeping) as events:
        async for event in events:
            yield event


def place(site: Site | None, link: SiteLink, wanted: Scan) -> Where:
    """Where to look, and what the site has there already."""
    baud = link.baud if isinstance(link, ModbusRtuLink) else 0
    name = str(sweep.Setting(link.baud, link.parity, link.stop_bits)) if isinstance(link, ModbusRtuLink) else link.id
    return Where(
        name=name,
        units=wanted.units,
        timeout=wanted.timeout or (answer_s(baud) if baud else sweep.TCP_ANSWER_S),
        baud=baud,
        known={device.options.unit: device.id for device in link.devices if isinstance(device.options, ModbusLink)},
        taken=tuple(site.devices()) if site else (),
    )


async def read(ask: Ask, wanted: Read) -> Answer:
    """One read, as data or as a fault. Raises PortError; Refused for what cannot be asked."""
    try:
        request = Request(wanted.unit, READ_FUNCTION[wanted.table], wanted.address, wanted.count)
    except (ValueError, KeyError) as error:
        raise Refused(f"cannot be asked: {error}") from None
    answer = await ask(request, READ_S)
    if isinstance(answer, Registers):
        return Answer(data=answer.data)
    return Answer(fault=answer.kind, detail=answer.detail)


def tap_of(link: Link) -> Tap | None:
    """Where one can listen at this link."""
    return link.tap if isinstance(link, ModbusBus | SerialPort | MqttLanes) else None


def named(heard: Heard, site: Site) -> Heard:
    """The same, with the device and its profile where the site knows them."""
    for link in site.links:
        for device in link.devices if link.id == heard.link else ():
            unit = device.options.unit if isinstance(device.options, ModbusLink) else None
            if device.id == heard.device or (heard.unit and unit == heard.unit):
                return msgspec.structs.replace(heard, device=device.id, profile=device.profile.id)
    return heard


def parsed(arguments: Said, kind: type[T]) -> T:
    """The arguments as a struct. Raises Refused."""
    try:
        return msgspec.convert(arguments, kind)
    except msgspec.ValidationError as error:
        raise Refused(f"not a question of {kind.__name__.lower()}: {error}") from None
