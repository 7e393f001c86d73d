"""`zhian scan`: who is on this line, at which speed, and what to write into the site file for it.

It asks and never writes. Through the running hub it asks in turn with the polls, or has the line lent for other speeds.
"""

import contextlib
import sys
from collections.abc import AsyncGenerator, Iterable, Iterator

import click
import msgspec

from device_profiles import load, vocabulary
from device_profiles.door import Refusal
from firmware_bridge.links import sweep
from firmware_bridge.links.survey import Event, Found, Odd, Progress, Where, survey
from firmware_bridge.wire.match import Guess
from hub.commands.cable import UNITS, Reach, Units, asking, reaches, stepped
from hub.commands.options import JSON, Finite
from hub.control.door import Refused
from hub.control.lending import Scan, place
from hub.settings.door import load_site
from hub.settings.site import ModbusRtuLink, ModbusTcpLink, MqttBrokerLink, SerialPortLink, SiteLink

PATIENCE_S = 120.0  # between two signs of life of the hub that scans for us


@click.command("scan")
@click.argument("link", default="")
@click.option("--units", type=Units(), default=tuple(UNITS), help="Which unit numbers; default 1-247.")
@click.option("--speeds", is_flag=True, help="While the hub runs: have it lend the line, and try other speeds too.")
@click.option("--hosts", default="", help="A part of the network to look for Modbus TCP in, as 192.168.1.0/28.")
@click.option("--tcp-port", default=502, show_default=True, type=click.IntRange(1, 65535), help="With --hosts.")
@click.option("--timeout", default=0.0, type=Finite(0, 10), help="Seconds until an answer begins; 0: as usual.")
@JSON
@reaches
def scan_command(
    reach: Reach,
    link: str,
    units: tuple[int, ...],
    speeds: bool,
    hosts: str,
    tcp_port: int,
    timeout: float,
    as_json: bool,
) -> None:
    """Find the devices on a LINK of the site, on a --port or --host, or on the --hosts of a network."""
    if hosts:
        events = _hosts(reach, hosts, tcp_port, units, timeout)
    else:
        reach = reach.named(link)
        wanted = Scan(link=link, units=units, timeout=timeout, speeds=speeds)
        kind: type[Event] = Event  # type: ignore[assignment]  # a union is a type form
        events = reach.hub("scan", msgspec.to_builtins(wanted), kind, patience=PATIENCE_S) or _here(reach, wanted)
    if not _tell(events, "" if reach.by_hand or hosts else line_of(reach), as_json=as_json):
        click.echo("nobody answered: is it powered, are A and B the right way round, is the end terminated?", err=True)
        sys.exit(1)


def _here(reach: Reach, wanted: Scan) -> Iterator[Event]:
    """No hub: this process opens the cable itself."""
    site, link = reach.open()
    where = place(site, link, wanted)
    match link:
        case ModbusRtuLink():
            first = sweep.Setting(link.baud, link.parity, link.stop_bits)
            return stepped(sweep.speeds(link.port, sweep.settings(first), _usual(where, wanted)))
        case ModbusTcpLink() if reach.by_hand:
            return stepped(sweep.host_survey(link.host, link.port, where))
        case SerialPortLink():
            return stepped(sweep.everywhere(link.port, wanted.timeout or sweep.HEAR_S))
        case MqttBrokerLink():
            raise Refused(f"{link.id} is a broker: `zhian watch {link.id}` shows who speaks there")
    return stepped(_as_it_is(link, where))


async def _as_it_is(link: SiteLink, where: Where) -> AsyncGenerator[Event, None]:
    """A kind of line that has one setting only."""
    async with asking(link) as ask, contextlib.aclosing(survey(ask, where)) as events:
        async for event in events:
            yield event


def _usual(where: Where, wanted: Scan) -> Where:
    """The time-out of each speed, unless one was given."""
    return msgspec.structs.replace(where, timeout=wanted.timeout)


def _hosts(reach: Reach, hosts: str, port: int, units: tuple[int, ...], timeout: float) -> Iterator[Event]:
    try:
        wanted = sweep.hosts_of(hosts)
    except ValueError as error:
        raise click.UsageError(f"--hosts {hosts!r}: {error}; write 192.168.1.0/28") from None
    taken: set[str] = set()
    if reach.site.exists():
        site = load_site(reach.site)
        taken = set(site.devices())
        ours = {link.host: link.id for link in site.links if isinstance(link, ModbusTcpLink) and link.port == port}
        for host in [host for host in wanted if host in ours]:
            click.echo(f"{host} is link {ours[host]} of {reach.site}: `zhian scan {ours[host]}` looks there", err=True)
            wanted.remove(host)
    return stepped(sweep.network(wanted, port, Where(name="", units=units, timeout=timeout, taken=tuple(taken))))


def line_of(reach: Reach) -> str:
    """How the site file sets this line, as `Found.where` says it; empty where there is no site file at hand."""
    try:
        link = reach.open()[1]
    except Refusal:
        return ""
    return str(sweep.Setting(link.baud, link.parity, link.stop_bits)) if isinstance(link, ModbusRtuLink) else ""


def _tell(events: Iterable[Event], line: str, *, as_json: bool) -> int:
    """Print what was found as it comes; how many. `line`: where no [[link]] has to be shown."""
    found, shown = 0, {line, ""}
    for event in events:
        if isinstance(event, Progress):
            _progress(event)
        elif as_json:
            click.echo(msgspec.json.encode(event))
        else:
            for text in _odd(event) if isinstance(event, Odd) else _found(event, line, new=event.where not in shown):
                click.echo(text)
        if isinstance(event, Found):
            found += 1
            shown.add(event.where)
    return found


def _progress(event: Progress) -> None:
    """On a terminal one line that is written over; in a log one line a round."""
    words = f"{event.where}: {event.done} of {event.of} asked, {event.found} found"
    if sys.stderr.isatty():
        click.echo(f"\r{words:60}" + ("\n" if event.done == event.of else ""), nl=False, err=True)
    elif event.done == event.of:
        click.echo(words, err=True)


def _odd(event: Odd) -> Iterator[str]:
    yield f"{event.where}, unit {event.unit}: {event.fault}: {event.detail}"


def _found(event: Found, line: str, *, new: bool) -> Iterator[str]:
    who = f", unit {event.unit}" if event.unit else ""
    known = f": {event.device} of the site file" if event.device else ""
    yield f"{event.where}{who}{known}" + (f" ({event.note})" if event.note else "")
    if line and event.device and event.where != line:
        yield f"  but the site file sets this line to {line}"
    for name, text in event.identity.items():
        yield f"  {name}: {text}"
    for guess in event.guesses:
        yield f"  {_guess(guess)}"
    if not event.guesses:
        yield f"  fits no profile: `zhian probe LINK {event.unit} holding 0` shows what stands there"
    if event.block:
        yield "  to paste into the site file:"
        yield (event.link_block if new else "") + event.block


def _guess(guess: Guess) -> str:
    title = load.profiles()[guess.profile].title
    values = ", ".join(f"{name} {_value(name, value)}" for name, value in guess.values.items())
    return f"{guess.verdict}: {guess.profile} ({title.zh} / {title.en}): {values}" + (
        f"; {guess.why}" if guess.why else ""
    )


def _value(name: str, value: float | str) -> str:
    word = vocabulary.find(name)
    return f"{value:g} {word.quantity.unit}".rstrip() if isinstance(value, float) and word else str(value)
