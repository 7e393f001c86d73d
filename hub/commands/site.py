"""`zhian check`, `profiles` and `decode`: what an installer asks before anything runs. They open no cable."""

import re
import sys
from pathlib import Path

import click
import msgspec

from device_profiles import load, vocabulary
from device_profiles.door import Refusal, nearest
from device_profiles.types import ModbusProfile, Profile, SerialProfile
from firmware_bridge.raw import Message, Raw, Registers, Trouble
from firmware_bridge.wire.decode import decode
from firmware_bridge.wire.framing import Framer
from firmware_bridge.wire.modbus import Request, read_rtu
from firmware_bridge.wire.plan import plan
from hub.clock import Clock
from hub.commands.duty import duty_warnings
from hub.commands.options import JSON, SITE, print_lines
from hub.control.bus_load import crowded
from hub.keeping.archives import backup_warnings
from hub.reading import Fault, FaultKind, Reading
from hub.rules.door import all_rules, load_rules
from hub.settings.door import load_site
from hub.settings.gates import gate_warnings
from hub.settings.named_files import check_files
from hub.settings.site import ModbusAsciiLink, ModbusRtuLink, SerialPortLink, Site
from hub.settings.voices import check_secrets
from hub.speaking.route import check_routes

BY_ID = Path("/dev/serial/by-id")
_PASSING = re.compile(r"/dev/tty(USB|ACM)\d+")  # numbered in the order of plugging in


@click.command("check")
@SITE
@click.option("--data", type=click.Path(path_type=Path, file_okay=False), help="Judge this data folder's roster, too.")
@JSON
def check_command(site: Path, data: Path | None, as_json: bool) -> None:
    """Judge a site file: keys, profiles, unit ids, zones, rules, ports, load of lines. Exit 2 names what is wrong."""
    checked = load_site(site)
    rules = load_rules(checked, site)
    check_routes(checked, {rule.id for rule in rules}, site)
    check_secrets(checked, site)
    ending = check_files(checked, site, Clock().now())
    _check_ports(checked, site)
    if checked.plan and not Path(checked.plan).is_file():
        raise Refusal(
            site, "site.plan", "there is no such picture", value=checked.plan, right="a path beside the site file"
        )
    warnings = crowded(checked, site) + unsteady(checked, site) + _weak_lines(checked, site)
    warnings += ending + _silenced(checked, site) + _unwatched(checked) + _untold(checked) + _piled(checked, site)
    warnings += gate_warnings(checked, site, data) + backup_warnings(checked, site, data)
    if data is not None:
        warnings += duty_warnings(data, checked)
    counts = {
        "links": len(checked.links),
        "devices": len(checked.devices()),
        "zones": len(checked.zones),
        "voices": len(checked.voices),
        "rules": len(rules),
    }
    if as_json:
        sys.stdout.write(msgspec.json.encode({"site": checked.id, **counts, "warnings": warnings}).decode() + "\n")
    else:
        click.echo(
            f"{site}: {checked.name.zh} / {checked.name.en}: " + ", ".join(f"{n} {word}" for word, n in counts.items())
        )
        for warning in warnings:
            click.echo(f"warning: {warning}")


def _silenced(site: Site, path: Path) -> list[str]:
    """A rule for lives that the site itself switched off: it may, but nobody should find out by an accident."""
    silenced = {rule.id for rule in all_rules(site, path) if rule.severity == "P1" and rule.use == "off"}
    return [f"rule {name} is switched off: it is P1, a life may hang on it" for name in sorted(silenced)]


def _untold(site: Site) -> list[str]:
    """Alarms that nobody is told of are seen by whoever happens to look."""
    return [] if site.voices else ["no [[voice]]: an alarm is seen on the dashboard only, and told to nobody"]


def _unwatched(site: Site) -> list[str]:
    """Places that the site names and nothing looks at."""
    if not site.devices():
        return ["no device: nothing is watched"]
    seen = {device.zone for device in site.devices().values()}
    return [
        f"zone {zone.id}: no device stands there, so nothing watches it" for zone in site.zones if zone.id not in seen
    ]


def _piled(site: Site, path: Path) -> list[str]:
    """Zones in one place on the plan, as those are that were given none: one marker hides the other."""
    seen: dict[tuple[float, float], str] = {}
    return [
        f"{path}: zone[{at}].at = {list(zone.at)}: is the place of {first} too, and hides it on the plan"
        for at, zone in enumerate(site.zones)
        if (first := seen.setdefault(zone.at, zone.id)) != zone.id
    ]


class ProfileLine(msgspec.Struct, frozen=True):
    """One profile, as `zhian profiles --json` prints it."""

    id: str
    link: str
    zh: str
    en: str
    quantities: list[str]
    commands: list[str]
    source: str


@click.command("profiles")
@JSON
def profiles_command(as_json: bool) -> None:
    """List the devices that Zhian can read."""
    lines = [
        ProfileLine(p.id, p.KIND, p.title.zh, p.title.en, list(p.reading), list(p.command), p.source)
        for p in load.profiles().values()
    ]
    if as_json:
        print_lines(lines, as_json=True)
        return
    for line in lines:
        click.echo(f"{line.id:24} {line.link:7} {line.zh} / {line.en}: {', '.join(line.quantities)}")


class DecodedReading(msgspec.Struct, frozen=True, omit_defaults=True):
    """One reading, as `zhian decode` prints it."""

    quantity: str
    value: float | str
    unit: str | None
    detail: dict[str, str] | None = None


class DecodedFault(msgspec.Struct, frozen=True):
    """One fault, as `zhian decode` prints it."""

    fault: str
    detail: str


@click.command("decode")
@click.argument("profile")
@click.option("--hex", "as_hex", help='Bytes as they crossed the wire: "02 31 37 ...".')
@click.option("--json", "as_json", help="A JSON message as it was published.")
@click.option(
    "--ask", default="", help="Modbus: the question (RTU, hex) that was answered; default: the profile's own."
)
def decode_command(profile: str, as_hex: str | None, as_json: str | None, ask: str) -> None:
    """Print what a device said: one JSON line a reading, or {"fault": ...} and exit 1."""
    found = load.load(Path(profile)) if profile.endswith(".toml") else load.find(profile, file="--", key="PROFILE")
    if (as_hex is None) == (as_json is None):
        raise click.UsageError("give the bytes with --hex, or the message with --json")
    raws = _raw_json(found, as_json) if as_json is not None else _raw_bytes(found, _bytes(as_hex or ""), ask)
    results = [result for raw in raws for result in decode("device", found, raw, Clock().now())]
    for result in results:
        sys.stdout.write(msgspec.json.encode(_line(result)).decode() + "\n")
    if any(isinstance(result, Fault) for result in results):
        sys.exit(1)


def _line(result: Reading | Fault) -> DecodedReading | DecodedFault:
    if isinstance(result, Fault):
        return DecodedFault(result.kind, result.detail)
    word = vocabulary.find(result.quantity)
    return DecodedReading(result.quantity, result.value, word.quantity.unit if word else "", result.detail)


def _bytes(text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        raise click.UsageError(f'--hex {text!r}: not hexadecimal bytes; write them as "01 03 02 02 2D 79 39"') from None


def _raw_json(profile: Profile, text: str) -> list[Raw]:
    if profile.KIND != "mqtt":
        raise click.UsageError(f"{profile.id} does not speak JSON; give its bytes with --hex")
    return [Message(topic="", payload=text.encode())]


def _raw_bytes(profile: Profile, data: bytes, ask: str) -> list[Raw]:
    if isinstance(profile, SerialProfile):
        framer = Framer(profile.frame)
        nothing = Trouble(FaultKind.INCOMPLETE, "no whole frame in these bytes", data)
        return [*framer.feed(data), *framer.flush()] or [nothing]
    if isinstance(profile, ModbusProfile):
        return [_modbus_answer(profile, data, _bytes(ask))]
    return [Message(topic="", payload=data)]


def _modbus_answer(profile: ModbusProfile, data: bytes, ask: bytes) -> Raw:
    """The answer read as the reply to `ask`, or to that request of the profile's plan which it fits."""
    requests = [Request.from_rtu(ask)] if ask else plan(profile, data[0] if data else profile.link.unit)
    answers = [
        read_rtu(request, data) or Trouble(FaultKind.INCOMPLETE, "the answer breaks off") for request in requests
    ]
    return next((answer for answer in answers if isinstance(answer, Registers)), answers[0])


def unsteady(site: Site, path: Path, by_id: Path = BY_ID) -> list[str]:
    """A warning for each port whose name is given out anew at each plugging in: tomorrow it may be another adapter."""
    steady = {str(port.resolve()): str(port) for port in by_id.iterdir()} if by_id.is_dir() else {}
    return [
        f"{path}: link[{at}].port = {link.port!r}: may be another adapter after the next plugging in; "
        f"right would be {steady.get(link.port, 'its name in /dev/serial/by-id')}"
        for at, link in enumerate(site.links)
        if isinstance(link, ModbusRtuLink | ModbusAsciiLink | SerialPortLink) and _PASSING.fullmatch(link.port)
    ]


def _weak_lines(site: Site, path: Path) -> list[str]:
    """Modbus ASCII without parity: two damaged characters may cancel out in its checksum, and give a wrong value."""
    why = 'two damaged characters may give a wrong value; right would be "E" or "O", or kind modbus-rtu'
    return [
        f"{path}: link[{at}].parity = {link.parity!r}: {why}"
        for at, link in enumerate(site.links)
        if isinstance(link, ModbusAsciiLink) and link.parity == "N"
    ]


def _check_ports(site: Site, path: Path) -> None:
    """The cables that are files: an installer wants to hear now that a port is not there."""
    there = [str(port) for port in BY_ID.iterdir()] if BY_ID.is_dir() else []
    for at, link in enumerate(site.links):
        if isinstance(link, ModbusRtuLink | ModbusAsciiLink | SerialPortLink) and not Path(link.port).exists():
            right = nearest(link.port, there) if there else "no serial adapter is plugged in"
            raise Refusal(path, f"link[{at}].port", "there is no such port", value=link.port, right=right)
