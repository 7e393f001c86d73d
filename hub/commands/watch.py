"""`zhian watch`: what crosses a cable just now, byte for byte and decoded, from the running hub or from the cable.

A watcher that is too slow loses lines and is told how many; the hub does not wait for anybody who looks on.
"""

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncGenerator, Iterator
from datetime import UTC, datetime

import click
import msgspec

from device_profiles import vocabulary
from firmware_bridge.links.ports import open_port
from firmware_bridge.links.tap import Heard, for_a_while, listen
from firmware_bridge.raw import Link
from firmware_bridge.wire.modbus import silence_ms
from hub.clock import Clock
from hub.commands.cable import Reach, reaches, stepped
from hub.commands.options import JSON
from hub.commands.run import open_link
from hub.control.door import Refused
from hub.control.exchange import line_of
from hub.control.exchange_line import Line
from hub.control.lending import named, tap_of
from hub.settings.site import ModbusRtuLink, MqttBrokerLink, Site, SiteLink

IDLE_S = 3600.0  # one look at a silent port


@click.command("watch")
@click.argument("link", default="")
@JSON
@reaches
def watch_command(reach: Reach, link: str, as_json: bool) -> None:
    """Show what crosses a LINK (without a hub: one must be named), or all links of the running hub. Ctrl-C ends it."""
    if link or reach.by_hand:
        reach = reach.named(link)
    ages: dict[tuple[str, str, int], int] = {}
    what = reach.port or link or "all links of the running hub"
    try:
        click.echo(f"watching {what}; a line comes with each word on the cable, Ctrl-C ends it", err=True)
        for heard in heard_on(reach):
            line = line_of(heard, ages)
            click.echo(msgspec.json.encode(line) if as_json else "\n".join(texts_of(line, colour=coloured())))
    except KeyboardInterrupt:
        pass  # the way to end it


def heard_on(reach: Reach, seconds: float = 0.0) -> Iterator[Heard]:
    """All that is heard from now on, for so long (0: for ever). Raises Refused, Refusal, PortError."""
    from_hub = reach.hub("watch", {"link": reach.link, "seconds": seconds}, Heard)
    if from_hub is not None:
        return from_hub
    if not (reach.link or reach.by_hand):
        raise click.UsageError("no hub runs here: name a LINK of the site file, or --port or --host")
    site, link = reach.open()
    return stepped(alone(site, link, reach, seconds))


async def alone(site: Site | None, link: SiteLink, reach: Reach, seconds: float) -> AsyncGenerator[Heard, None]:
    """No hub: this process holds the cable and polls as the hub would, and keeps nothing. Raises Refused, PortError."""
    if site is None:
        async with contextlib.aclosing(for_a_while(sniffed(link), seconds)) as chunks:
            async for chunk in chunks:
                yield chunk
        return
    if isinstance(link, MqttBrokerLink) and not link.url:
        raise Refused(f"{link.id}: the broker is the hub's own, and no hub runs: start `zhian run` first")
    cable = open_link(site, link, reach.data, Clock(), guest=True)
    tap = tap_of(cable)
    with listen([] if tap is None else [tap]) as heard:
        carrying = asyncio.create_task(_carry(cable))
        try:
            async for exchange in for_a_while(heard, seconds):
                yield named(exchange, site)
        finally:
            carrying.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await carrying


async def sniffed(link: SiteLink) -> AsyncGenerator[Heard, None]:
    """What others say on a serial port, cut where it is quiet; nothing is asked. Raises PortError, Refused."""
    if not isinstance(link, ModbusRtuLink):
        raise Refused("on a network one hears only what one asks for: `zhian scan --host` asks")
    port = await open_port(link.port, baud=link.baud, parity=link.parity, stop_bits=link.stop_bits)
    quiet = max(0.01, 2 * silence_ms(link.baud, link.parity, link.stop_bits) / 1000)
    with contextlib.closing(port):
        while True:
            chunk = await port.read(IDLE_S)
            while more := await port.read(quiet) if chunk else b"":
                chunk += more
            if chunk:
                yield Heard(at=Clock().now(), link=link.port, came=chunk)


async def _carry(cable: Link) -> None:
    async with cable:
        async for _ in cable:
            pass


def texts_of(line: Line, *, colour: bool) -> Iterator[str]:
    """For people: when, who, out and in, and what it means. A fault is red, and is named in words anyway."""
    if line.lost:
        yield _red(f"{line.lost} lines were lost here: this watcher is too slow", colour=colour)
    moment = datetime.fromtimestamp(line.at / 1000, UTC).astimezone().strftime("%H:%M:%S.%f")[:-3]
    who = line.device or (f"unit {line.unit}" if line.unit else "")
    unit = f" (unit {line.unit})" if line.unit and line.device else ""
    age = f" after {line.age_s:.1f} s" if line.age_s is not None else ""
    took = f" in {line.took_ms:.0f} ms" if line.took_ms else ""
    bytes_ = " ".join(part for part in (line.asked and f"> {line.asked}", line.came and f"< {line.came}") if part)
    head = " ".join(part for part in (moment, line.link, f"{who}{unit}{age}{took}", line.topic, bytes_) if part.strip())
    meaning = [f"{name} {_value(name, value)}" for name, value in line.readings.items()]
    if line.state:
        meaning.append(_red(line.state, colour=colour and not line.state.startswith("up")))
    meaning += [_red(fault, colour=colour) for fault in line.faults]
    yield head + (f"  = {', '.join(meaning)}" if meaning else "")


def coloured() -> bool:
    """Only on a terminal, and not against the user's word (no-color.org)."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR")


def _red(text: str, *, colour: bool) -> str:
    return click.style(text, fg="red") if colour else text


def _value(name: str, value: float | str) -> str:
    word = vocabulary.find(name)
    return f"{value:g} {word.quantity.unit}".rstrip() if isinstance(value, float) and word else str(value)
