"""`site.toml` into one frozen Site: which device hangs on which cable, in which zone. Nothing here opens anything.

The installer writes the file, `zhian check` judges it. What people change while it runs lives in the database instead.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, TypeVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec
from msgspec import Meta

from device_profiles import load, vocabulary
from device_profiles.door import Refusal, nearest, parse, read_toml
from device_profiles.types import LinkOptions, ModbusLink, Profile
from hub.calendar.schedule import parse_span
from hub.reading import Label
from hub.settings.gates import check_gates
from hub.settings.history import check_history
from hub.settings.links import check_device, check_link
from hub.settings.serial_line import check_serial_line
from hub.settings.share import check_share
from hub.settings.site import (
    DEVICE_KIND,
    LINK_KINDS,
    DayHours,
    Device,
    Devices,
    History,
    Interlock,
    JournalSpace,
    ModbusLine,
    ModbusRtuOverTcpLink,
    ModbusSerialLine,
    ModbusTcpLink,
    MqttBrokerLink,
    NoiseClass,
    Packs,
    SerialPortLink,
    Site,
    SiteLink,
    Strict,
    Voice,
    Windows,
    Zone,
)
from hub.settings.site_share import HomeAssistant
from hub.settings.site_web import Web
from hub.settings.voices import check_seconds, check_voice, is_address, read_voices
from hub.settings.web import check_web

MOST_ID = 64  # topics, client ids and file names are made from it
_ID = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


T = TypeVar("T", Zone, Voice)


class _SiteTable(Strict, frozen=True, kw_only=True):
    id: str
    name: Label
    timezone: str
    noise_class: NoiseClass | int = "2"
    night: str = "22:00-06:00"
    noise_valid_share: Annotated[float, Meta(gt=0.0, le=1.0)] = 0.75
    plan: str = ""
    page: str = ""


class _File(Strict, frozen=True, kw_only=True):
    site: _SiteTable
    zone: list[Zone] = []
    link: list[dict[str, object]] = []
    voice: list[dict[str, object]] = []
    interlock: list[Interlock] = []
    history: History = History()
    journal: JournalSpace = JournalSpace()
    rule: dict[str, dict[str, object]] = {}
    packs: Packs = Packs()
    page: Web = Web()
    home_assistant: HomeAssistant | None = None


class _DeviceTable(Strict, frozen=True, kw_only=True):
    id: str
    profile: str
    zone: str = ""
    name: Label | None = None
    names: dict[str, Label] = {}
    order_key_file: str = ""


def load_site(path: Path, text: str | None = None) -> Site:
    """The checked site. Raises Refusal, which names file, key, value and what would be right.

    `text`: what is to stand in the file, and does not yet.
    """
    table = read_toml(path, text)
    _numbers_as_class(table)
    file = parse(_File, table, file=path)
    zones = _unique(file.zone, path, "zone")
    links = tuple(_link(entry, f"link[{index}]", zones, path) for index, entry in enumerate(file.link))
    site = Site(
        id=_identifier(file.site.id, path, "site.id"),
        name=file.site.name,
        timezone=_timezone(file.site.timezone, path),
        noise_class=str(file.site.noise_class),  # type: ignore[arg-type]  # the door checked the choices
        night=_span(file.site.night, path, "site.night"),
        noise_valid_share=file.site.noise_valid_share,
        plan=str(path.absolute().parent / file.site.plan) if file.site.plan else "",  # beside the site file
        zones=tuple(zones.values()),
        links=links,
        page=_address(file.site.page, path, "site.page").rstrip("/"),
        voices=tuple(_unique(read_voices(file.voice, path), path, "voice").values()),
        interlocks=tuple(file.interlock),
        history=_history(file.history, path),
        journal=file.journal,
        rules=file.rule,
        packs=msgspec.structs.replace(
            file.packs, files=tuple(str(path.absolute().parent / name) for name in file.packs.files)
        ),
        web=check_web(file.page, path),
        home_assistant=file.home_assistant,
    )
    _check_names(site, path)
    _check_lines(site, path)
    _check_zones(site, path)
    _check_voices(site, path)
    check_share(site, path)
    check_gates(site, path)
    check_history(site.history, path)
    return site


def check_hours(hours: Windows | DayHours, path: Path, key: str) -> None:
    """Refuse hours that are none; a table by kind of day that is empty on every day says nothing."""
    if not isinstance(hours, DayHours):
        _check_windows(hours, path, key)
        return
    given = {name: spans for name in DayHours.__struct_fields__ if (spans := getattr(hours, name)) is not None}
    if not sum(_check_windows(spans, path, f"{key}.{name}") for name, spans in given.items()):
        raise Refusal(path, key, "has no hours on any day", right="leave it out, or write hours")


def _numbers_as_class(table: dict[str, object]) -> None:
    """`noise_class = 1` and `noise_class = "1"` are both right: classes 4a and 4b need the text, the others do not."""
    places = [table.get("site"), *(zones if isinstance(zones := table.get("zone"), list) else [])]
    for place in places:
        if isinstance(place, dict) and isinstance(place.get("noise_class"), int):
            place["noise_class"] = str(place["noise_class"])


def _link(entry: dict[str, object], key: str, zones: dict[str, Zone], path: Path) -> SiteLink:
    rest = {name: value for name, value in entry.items() if name != "device"}
    kind = rest.get("kind")
    if not isinstance(kind, str) or kind not in DEVICE_KIND:
        raise Refusal(path, f"{key}.kind", "not a kind of link", value=kind, right=nearest(str(kind), DEVICE_KIND))
    if "devices" in rest:
        raise Refusal(path, f"{key}.devices", "there is no such key", right='did you mean "device"?')
    link: SiteLink = parse(LINK_KINDS[kind], rest, file=path, key=key)
    _identifier(link.id, path, f"{key}.id")
    tables = parse(list[dict[str, object]], entry.get("device", []), file=path, key=f"{key}.device")
    devices = Devices(_device(table, f"{key}.device[{index}]", link, zones, path) for index, table in enumerate(tables))
    check_link(link, key, path)
    if isinstance(link, SerialPortLink):
        check_serial_line(devices, path, f"{key}.device")
    return msgspec.structs.replace(link, devices=devices)


def _device(table: dict[str, object], key: str, link: SiteLink, zones: dict[str, Zone], path: Path) -> Device:
    common = {name: value for name, value in table.items() if name in _DeviceTable.__struct_fields__}
    wanted = parse(_DeviceTable, common, file=path, key=key)
    profile = load.find(wanted.profile, file=path, key=f"{key}.profile")
    kind = type(link).__struct_config__.tag
    if DEVICE_KIND[str(kind)] != profile.KIND:
        right = ", ".join(sorted(name for name, p in load.profiles().items() if DEVICE_KIND[str(kind)] == p.KIND))
        raise Refusal(
            path,
            f"{key}.profile",
            f"is a {profile.KIND} device, on a {kind} link",
            value=profile.id,
            right=f"here fit: {right}",
        )
    if wanted.zone and wanted.zone not in zones:
        raise Refusal(path, f"{key}.zone", "no such zone", value=wanted.zone, right=nearest(wanted.zone, zones))
    return Device(
        id=_identifier(wanted.id, path, f"{key}.id"),
        profile=profile,
        options=_options(table, key, profile, link, path),
        zone=wanted.zone,
        name=wanted.name or Label(zh=wanted.id, en=wanted.id),
        names=_channel_names(wanted, profile, path, key),
        link=link.id,
        order_key_file=str(path.absolute().parent / wanted.order_key_file) if wanted.order_key_file else "",
    )


def _options(table: dict[str, object], key: str, profile: Profile, link: SiteLink, path: Path) -> LinkOptions:
    """The profile's [link], with what the site says instead. Line settings of a shared bus belong to the link."""
    overrides = {name: value for name, value in table.items() if name not in _DeviceTable.__struct_fields__}
    line = {"baud", "parity", "stop_bits"}
    if isinstance(link, ModbusLine) and (misplaced := line & set(overrides)):
        raise Refusal(path, f"{key}.{min(misplaced)}", "belongs to the link: all devices of one line share it")
    defaults = msgspec.to_builtins(profile.link)
    if isinstance(link, ModbusSerialLine):
        defaults |= {"baud": link.baud, "parity": link.parity, "stop_bits": link.stop_bits}
    unknown = set(overrides) - set(profile.link.__struct_fields__)
    if unknown:
        name = min(unknown)
        words = {*profile.link.__struct_fields__, *_DeviceTable.__struct_fields__} - line
        raise Refusal(path, f"{key}.{name}", "there is no such key", value=overrides[name], right=nearest(name, words))
    return parse(type(profile.link), defaults | overrides, file=path, key=key)


def _channel_names(wanted: _DeviceTable, profile: Profile, path: Path, key: str) -> dict[str, Label]:
    for name in wanted.names:
        if name not in profile.reading:
            raise Refusal(
                path,
                f"{key}.names.{name}",
                "is not read by this profile",
                right=nearest(name, profile.reading),
            )
    return wanted.names


def _address(address: str, path: Path, key: str) -> str:
    if address and not is_address(address):
        raise Refusal(path, key, "is no address", value=address, right='as "https://zhian.example.org"')
    return address


def _check_names(site: Site, path: Path) -> None:
    seen: dict[str, str] = {}
    for link_at, link in enumerate(site.links):
        places = [(link.id, f"link[{link_at}].id")]
        places += [(device.id, f"link[{link_at}].device[{at}].id") for at, device in enumerate(link.devices)]
        for name, key in places:
            if name in seen:
                raise Refusal(
                    path,
                    key,
                    f"is taken by {seen[name]}",
                    value=name,
                    right="ids of links and devices are unique",
                )
            seen[name] = key


def _check_lines(site: Site, path: Path) -> None:
    ports: dict[str, str] = {}
    brokers: list[str] = []
    for at, link in enumerate(site.links):
        if isinstance(link, MqttBrokerLink) and not link.url:
            brokers.append(link.id)
        if len(brokers) > 1:
            right = f"put its devices on {brokers[0]}, or give it the `url` of another broker"
            raise Refusal(path, f"link[{at}]", "zhian runs one broker only", value=brokers.pop(), right=right)
        port = getattr(link, "port", None)
        if isinstance(link, ModbusTcpLink | ModbusRtuOverTcpLink):
            port = f"{link.host}:{link.port}"
        if isinstance(port, str) and port in ports:
            raise Refusal(
                path,
                f"link[{at}].port",
                f"is held by link {ports[port]}",
                value=port,
                right="one link holds one port; put both devices on that link",
            )
        if isinstance(port, str):
            ports[port] = link.id
        for index, device in enumerate(link.devices):
            check_device(device, site.id, f"link[{at}].device[{index}]", path)
        _check_units(link.devices, f"link[{at}]", path)


def _check_units(devices: Sequence[Device], where: str, path: Path) -> None:
    """Each Modbus unit of a line is one device's."""
    units: dict[int, str] = {}
    for index, device in enumerate(devices):
        if not isinstance(device.options, ModbusLink):
            continue
        unit = device.options.unit
        if unit in units:
            taken = {d.options.unit for d in devices if isinstance(d.options, ModbusLink)}
            free = next(n for n in range(1, 248) if n not in taken)
            raise Refusal(
                path,
                f"{where}.device[{index}].unit",
                f"is the unit of {units[unit]} on the same line",
                value=unit,
                right=f"{free} is free",
            )
        units[unit] = device.id


def _check_zones(site: Site, path: Path) -> None:
    devices = site.devices()
    for at, zone in enumerate(site.zones):
        _identifier(zone.id, path, f"zone[{at}].id")
        if not all(0 <= place <= 1 for place in zone.at):
            right = "from 0 to 1, from the left and from the top"
            raise Refusal(path, f"zone[{at}].at", "is not on the plan", value=list(zone.at), right=right)
        check_hours(zone.closed, path, f"zone[{at}].closed")
        _address(zone.camera, path, f"zone[{at}].camera")
        if zone.siren is None:
            continue
        key = f"zone[{at}].siren"
        if zone.siren.device not in devices:
            raise Refusal(
                path,
                f"{key}.device",
                "no such device",
                value=zone.siren.device,
                right=nearest(zone.siren.device, devices),
            )
        commands = devices[zone.siren.device].profile.command
        if zone.siren.command not in commands:
            raise Refusal(
                path,
                f"{key}.command",
                f"{zone.siren.device} has no such command",
                value=zone.siren.command,
                right=nearest(zone.siren.command, commands),
            )
        check_seconds(zone.siren.seconds, commands[zone.siren.command].seconds, f"{key}.seconds", path)


def _check_voices(site: Site, path: Path) -> None:
    for at, voice in enumerate(site.voices):
        key = f"voice[{at}]"
        if _identifier(voice.id, path, f"{key}.id") == "siren":
            raise Refusal(
                path, f"{key}.id", "is the name of the zones' own sirens", value="siren", right="choose another"
            )
        check_voice(voice, key, site, path)


def _unique(entries: list[T], path: Path, key: str) -> dict[str, T]:
    found: dict[str, T] = {}
    for at, entry in enumerate(entries):
        if entry.id in found:
            raise Refusal(path, f"{key}[{at}].id", "is taken", value=entry.id)
        found[entry.id] = entry
    return found


def _identifier(text: str, path: Path, key: str) -> str:
    if not _ID.fullmatch(text) or len(text) > MOST_ID:
        right = f"lower case letters, digits and single hyphens, {MOST_ID} characters at most, as gate-north"
        raise Refusal(path, key, "not an id", value=text[: MOST_ID + 1], right=right)
    return text


def _check_windows(spans: Windows, path: Path, key: str) -> int:
    """How many spans there are, each checked."""
    found = [spans] if isinstance(spans, str) and spans else list(spans)
    for at, span in enumerate(found):
        _span(span, path, key if isinstance(spans, str) else f"{key}[{at}]")
    return len(found)


def _history(history: History, path: Path) -> History:
    """Checked: what is kept for a time of its own is a word, and not one of the traces."""
    words = vocabulary.quantities()
    for name in history.keep:
        key = f"history.keep.{name}"
        if name not in words:
            raise Refusal(path, key, "no such quantity", value=name, right=nearest(name, list(words)))
        if words[name].trace:
            raise Refusal(path, key, "says who went where", value=name, right="history.trace_days, for all of its kind")
    return history


def _span(text: str, path: Path, key: str) -> str:
    try:
        parse_span(text)
    except ValueError:
        raise Refusal(path, key, "not a span of hours", value=text, right='as "22:00-06:00"') from None
    return text


def _timezone(text: str, path: Path) -> str:
    try:
        ZoneInfo(text)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise Refusal(
            path, "site.timezone", "no such time zone", value=text, right='an IANA name, as "Asia/Shanghai"'
        ) from None
    return text
