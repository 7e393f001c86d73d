"""What the page asks of the running hub about its cables: how full they are, what crosses them, who answers there.

The hub stays the only master, and writes nothing here: a device is read once in turn with the polls, by the file's text
as it would be. Whatever is asked for is bounded, and ends by itself or when the asker hangs up.
"""

import asyncio
import math
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from pathlib import Path

import msgspec

from device_profiles.door import Refusal
from device_profiles.types import ModbusProfile, MqttLink
from firmware_bridge.links.modbus_bus import ModbusBus
from firmware_bridge.links.ports import PortError
from firmware_bridge.links.serial_port import SerialPort
from firmware_bridge.links.tap import for_a_while, listen
from firmware_bridge.raw import Frame, Raw
from firmware_bridge.wire.decode import decode
from firmware_bridge.wire.load import LinkLoad, link_load
from firmware_bridge.wire.modbus import Request
from hub.control.bus_load import crowded
from hub.control.door import Handler, Refused, Said
from hub.control.exchange import line_of
from hub.control.lending import READ_S, Holder, Watch, named, parsed, tap_of
from hub.control.overhear import LISTEN_S, Login, OpenGuest, login, overhear, topic_of
from hub.reading import Fault, Reading
from hub.rules.door import load_rules
from hub.settings.door import load_site
from hub.settings.site import Device, ModbusLine, Site
from hub.settings.voices import check_secrets
from hub.speaking.route import check_routes

LONGEST_S, MOST_LINES = 60.0, 300
BURST, PAUSE_S = 20, 0.1  # lines to a page: it shows them to a person
HEAR_S = 10.0  # so long is listened to a device that speaks by itself


class Try(msgspec.Struct, forbid_unknown_fields=True):
    """The site file's text as it would be, and the device in it. `ask`: read it too."""

    text: str
    device: str
    ask: bool = True


class Tried(msgspec.Struct, omit_defaults=True):
    """What the device said. `way`: read | heard | login (to be typed in first) | listened | later (it cannot be tried).

    `warnings`: of the file. By MQTT: its `topic`, for how long it was listened to, whether it is `online` by its own
    word, its `login` at our own broker, and the topics of `strangers` that were heard meanwhile.
    """

    way: str
    readings: dict[str, float | str] = {}
    faults: list[str] = []
    warnings: list[str] = []
    topic: str = ""
    seconds: float = 0.0
    online: bool | None = None
    login: Login | None = None
    strangers: list[str] = []


class Trying:
    """The handlers for `hub.control.door`. `path`: of the site file, for words and what it names beside it."""

    def __init__(
        self, holder: Holder, path: Path, now: Callable[[], int], data: Path, open_guest: OpenGuest,
        listen_s: float = LISTEN_S,
    ) -> None:  # fmt: skip
        """Asks `holder` each time anew: a site may be reloaded. `open_guest`: a broker's link beside the hub's own."""
        self._holder, self._path, self._now = holder, path, now
        self._data, self._open_guest, self._listen_s = data, open_guest, listen_s
        self._listening = asyncio.Lock()
        self._loads: dict[str, tuple[ModbusLine, LinkLoad]] = {}

    @property
    def handlers(self) -> Mapping[str, Handler]:
        """loads, frames and try."""
        return {"loads": self._answer_loads, "frames": self._answer_frames, "try": self._answer_try}

    async def _answer_loads(self, _: Said) -> AsyncIterator[Said]:
        """One answer a Modbus line: `load` 1 = full, each device's `every` and `read_every` in s."""
        for link in self._holder.site.links:
            if not isinstance(link, ModbusLine):
                continue
            known = self._loads.get(link.id)
            if known is None or known[0] is not link:
                known = self._loads[link.id] = link, await asyncio.to_thread(link_load, link)
            load = known[1]
            paces = {device.device: [device.every, round(device.read_every, 2)] for device in load.devices}
            yield {"link": link.id, "load": round(load.load, 4), "cycle_ms": round(load.cycle_ms, 1), "paces": paces}

    async def _answer_frames(self, arguments: Said) -> AsyncIterator[Said]:
        wanted = parsed(arguments, Watch)
        link = self._holder.links.get(wanted.link)
        tap = tap_of(link) if link is not None else None
        if tap is None:
            raise Refused(f"{wanted.link!r} is no link of the running hub; it has {', '.join(self._holder.links)}")
        ages: dict[tuple[str, str, int], int] = {}
        told, seconds = 0, min(wanted.seconds or LONGEST_S, LONGEST_S)
        with listen([tap]) as heard:
            async for exchange in for_a_while(heard, seconds):
                yield msgspec.to_builtins(line_of(named(exchange, self._holder.site), ages))
                told += 1
                if told >= MOST_LINES:
                    return
                if told % BURST == 0:
                    await asyncio.sleep(PAUSE_S)

    async def _answer_try(self, arguments: Said) -> AsyncIterator[Said]:
        wanted = parsed(arguments, Try)
        try:
            site, warnings = await asyncio.to_thread(judge, self._path, wanted.text)
        except Refusal as error:
            raise Refused(str(error)) from None
        device = site.devices().get(wanted.device)
        if device is None:
            raise Refused(f"{wanted.device!r} is not in that text")
        tried = await self._tried(site, device) if wanted.ask else Tried(way="later")
        tried.warnings = [warning for warning in warnings if device.id in warning or device.link in warning]
        yield msgspec.to_builtins(tried)

    async def _tried(self, site: Site, device: Device) -> Tried:
        holder = self._holder.links.get(device.link)
        if isinstance(holder, ModbusBus) and isinstance(device.profile, ModbusProfile):
            try:
                return self._said("read", device, [await holder.ask(each, READ_S) for each in requests(site, device)])
            except PortError as error:
                raise Refused(error.detail, mistake=False) from error
        if isinstance(device.options, MqttLink):
            return await self._overheard(site, device)
        if not isinstance(holder, SerialPort):
            return Tried(way="later")
        with listen([holder.tap]) as heard:
            frames = [Frame(each.came) async for each in for_a_while(heard, HEAR_S) if each.came]
        return self._said("heard", device, frames)

    async def _overheard(self, site: Site, device: Device) -> Tried:
        """One at a time: each listens for a while. A login is told before there is anything to hear."""
        if self._listening.locked():
            raise Refused("another device is being listened to just now: try again in half a minute", mistake=False)
        async with self._listening:
            try:
                made, fresh = await asyncio.to_thread(login, site, device, self._holder.site, self._data)
            except Refusal as error:
                raise Refused(str(error)) from None
            where = {"topic": topic_of(site, device), "login": made}
            if fresh:
                return msgspec.structs.replace(Tried(way="login"), **where)
            heard = await overhear(site, device, self._open_guest, self._listen_s)
        if heard.trouble:
            raise Refused(heard.trouble, mistake=False)
        more = {"seconds": self._listen_s, "online": heard.online, "strangers": heard.strangers}
        return msgspec.structs.replace(self._said("listened", device, heard.raws), **where, **more)

    def _said(self, way: str, device: Device, raws: Sequence[Raw]) -> Tried:
        words = [word for raw in raws for word in decode(device.id, device.profile, raw, self._now())]
        faults = dict.fromkeys(f"{word.kind}: {word.detail}" for word in words if isinstance(word, Fault))
        readings = {word.quantity: word.value for word in words if isinstance(word, Reading)}
        finite = {name: value for name, value in readings.items() if isinstance(value, str) or math.isfinite(value)}
        return Tried(way=way, readings=finite, faults=list(faults))


def judge(path: Path, text: str) -> tuple[Site, list[str]]:
    """The site that the text would make, and warnings, as `zhian check` judges. Raises Refusal."""
    site = load_site(path, text)
    check_routes(site, {rule.id for rule in load_rules(site, path)}, path)
    check_secrets(site, path)
    return site, crowded(site, path)


def requests(site: Site, device: Device) -> Sequence[Request]:
    """What the hub would ask it. Raises Refused for a profile that cannot be read so."""
    link = next(link for link in site.links if link.id == device.link)
    try:
        load = link_load(link) if isinstance(link, ModbusLine) else None
    except ValueError as error:
        raise Refused(str(error)) from None
    return next((each.requests for each in load.devices if each.device == device.id), ()) if load else ()
