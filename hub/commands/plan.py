"""`zhian plan`: what each Modbus line is asked, how full that makes it, and what would be right where it is too full.

It opens no cable: all is arithmetic on the site file and the profiles. `zhian check` judges with the same figures.
"""

import math
from collections.abc import Iterator
from pathlib import Path

import click
import msgspec

from device_profiles.door import Refusal
from firmware_bridge.wire.load import DeviceLoad, LinkLoad, link_load
from hub.commands.options import JSON, SITE, print_lines
from hub.settings import load_site
from hub.site import ModbusLine, ModbusSerialLine, Site

WARN, FULL = 0.8, 1.0  # parts of the time; above WARN there is no room for commands, repetitions and dead units
_BAUDS = (4800, 9600, 19200, 38400, 57600, 115200)  # what RS-485 devices can usually be set to


class LinkLine(msgspec.Struct, frozen=True, tag_field="kind", tag="link"):
    """One line, as `zhian plan --json` prints: ms of a cycle, `load` 1 = full (with waits), `gain` = single / cycle."""

    link: str
    line: str
    devices: int
    requests: int
    cycle_ms: float
    wait_ms: float
    single_ms: float
    gain: float
    load: float


class DeviceLine(msgspec.Struct, frozen=True, tag_field="kind", tag="device"):
    """One device: asked each `every` s by the site, each `read_every` s in truth."""

    link: str
    device: str
    unit: int
    every: float
    read_every: float
    cycle_ms: float
    wait_ms: float
    single_ms: float


class RequestLine(msgspec.Struct, frozen=True, tag_field="kind", tag="request"):
    """One request of a cycle, and how long it holds the line."""

    link: str
    device: str
    unit: int
    function: int
    table: str
    address: int
    count: int
    ms: float


@click.command("plan")
@SITE
@JSON
def plan_command(site: Path, as_json: bool) -> None:
    """Print what each Modbus line is asked, how long that takes, how full it is, and what reading together gains."""
    loads = [load for _, _, load in modbus_loads(load_site(site), site)]
    if as_json:
        print_lines((line for load in loads for line in _lines(load)), as_json=True)
        return
    for load in loads:
        for text in _texts(load):
            click.echo(text)
    if not loads:
        click.echo(f"{site}: no Modbus line")


def modbus_loads(site: Site, path: Path) -> Iterator[tuple[str, ModbusLine, LinkLoad]]:
    """Key in the file, link and load of each Modbus line. Raises Refusal for a device that cannot be read so."""
    for at, link in enumerate(site.links):
        if isinstance(link, ModbusLine):
            try:
                yield f"link[{at}]", link, link_load(link)
            except ValueError as error:
                right = "mend the profile's fields, forbidden, read_to_clear, min_registers or max_registers"
                raise Refusal(path, f"link[{at}].device", str(error), value=link.id, right=right) from error


def crowded(site: Site, path: Path) -> list[str]:
    """A warning for each line that is more than 80 % full. Raises Refusal for the first that is more than full."""
    warnings = []
    for key, link, load in modbus_loads(site, path):
        if load.load > FULL:
            raise Refusal(path, key, f"is {_how_full(load)}", value=link.id, right=_right(link, load))
        if load.load > WARN:
            warnings.append(f"{path}: {key} = {link.id!r}: is {_how_full(load)}; {_right(link, load)}")
    return warnings


def _lines(load: LinkLoad) -> Iterator[LinkLine | DeviceLine | RequestLine]:
    yield LinkLine(
        link=load.link,
        line=str(load.timing),
        devices=len(load.devices),
        requests=sum(len(device.requests) for device in load.devices),
        cycle_ms=round(load.cycle_ms, 3),
        wait_ms=round(load.wait_ms, 3),
        single_ms=round(load.single_ms, 3),
        gain=round(load.gain, 3),
        load=round(load.load, 4),
    )
    for device in load.devices:
        yield DeviceLine(
            link=load.link,
            device=device.device,
            unit=device.unit,
            every=device.every,
            read_every=round(device.read_every, 3),
            cycle_ms=round(device.cycle_ms, 3),
            wait_ms=round(device.wait_ms, 3),
            single_ms=round(device.single_ms, 3),
        )
        for ask, ms in zip(device.requests, device.ms, strict=True):
            yield RequestLine(
                load.link, device.device, device.unit, ask.function, ask.table, ask.address, ask.count, round(ms, 3)
            )


def _texts(load: LinkLoad) -> Iterator[str]:
    yield f"{load.link} ({load.timing}): {_how_full(load)}"
    for device in load.devices:
        for ask, ms in zip(device.requests, device.ms, strict=True):
            what = f"function {ask.function}  {ask.table} {ask.address}  count {ask.count}"
            yield f"  {device.device:20} unit {device.unit:<3}  {what}  {ms:.1f} ms"
    if load.wait_ms:
        yield f"  and {load.wait_ms:.0f} ms of waiting between questions that only their address tells apart"
    if load.devices:
        yield f"  one by one a cycle would take {load.single_ms:.0f} ms: {load.gain:.1f} times as long"


def _how_full(load: LinkLoad) -> str:
    """As "83 % full at 1 s: a cycle takes 830 ms; noise-7 will be read every 1.4 s"."""
    paces = sorted({device.every for device in load.devices})
    at = f" at {' to '.join(f'{pace:g}' for pace in dict.fromkeys((paces[0], paces[-1])))} s" if paces else ""
    words = [f"{_percent(load)} % full{at}: a cycle takes {load.cycle_ms:.0f} ms"]
    late = sorted((device for device in load.devices if device.late), key=lambda device: -device.read_every)
    return "; ".join(words + ([_late(late)] if late else []))


def _late(devices: list[DeviceLoad]) -> str:
    worst = devices[0]
    others = f" (and {len(devices) - 1} more are late)" if len(devices) > 1 else ""
    return f"{worst.device} will be read every {worst.read_every:.1f} s{others}"


def _percent(load: LinkLoad) -> int:
    """Rounded up, so that more than full never reads 100."""
    return math.ceil(round(100 * load.load, 6))


def _right(link: ModbusLine, load: LinkLoad) -> str:
    """What would bring it down to 80 %: a longer `every`, a higher baud where that is enough, another line."""
    factor = load.load / WARN
    paces = {device.every for device in load.devices}
    if len(paces) == 1:
        ways = [f"every = {math.ceil(round(10 * factor * paces.pop(), 6)) / 10:g} for its devices"]
    else:
        ways = [f"`every` {math.ceil(10 * factor) / 10:g} times as long for its devices"]
    if isinstance(link, ModbusSerialLine):
        faster = ((baud, link_load(msgspec.structs.replace(link, baud=baud))) for baud in _BAUDS if baud > link.baud)
        ways += [f"baud = {baud} ({_percent(then)} %)" for baud, then in faster if then.load <= WARN][:1]
    if len(load.devices) > 1:
        ways.append("some of its devices on another line")
    return "right would be " + ", or ".join(ways)
