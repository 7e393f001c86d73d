"""`zhian plan`: what each Modbus line is asked, how full that makes it, and what would be right where it is too full.

It opens no cable: all is arithmetic on the site file and the profiles. `zhian check` judges with the same figures.
"""

from collections.abc import Iterator
from pathlib import Path

import click
import msgspec

from firmware_bridge.wire.load import LinkLoad
from hub.commands.options import JSON, SITE, print_lines
from hub.control.bus_load import how_full, modbus_loads
from hub.settings.door import load_site


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
    yield f"{load.link} ({load.timing}): {how_full(load)}"
    for device in load.devices:
        for ask, ms in zip(device.requests, device.ms, strict=True):
            what = f"function {ask.function}  {ask.table} {ask.address}  count {ask.count}"
            yield f"  {device.device:20} unit {device.unit:<3}  {what}  {ms:.1f} ms"
    if load.wait_ms:
        yield f"  and {load.wait_ms:.0f} ms of waiting between questions that only their address tells apart"
    if load.devices:
        yield f"  one by one a cycle would take {load.single_ms:.0f} ms: {load.gain:.1f} times as long"
