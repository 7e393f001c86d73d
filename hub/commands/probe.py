"""`zhian probe`: what stands in a few registers, read in every way there is, the most plausible first.

For a device without a profile: compare with its display at two different values, and write down what fits both.
"""

from collections.abc import AsyncGenerator

import click
import msgspec

from device_profiles.types import BIT_TABLES, TABLES
from firmware_bridge.wire.guess import Way, bits, block, ways
from hub.commands.cable import Reach, asking, reaches, stepped
from hub.commands.options import JSON, Finite
from hub.control.door import Refused
from hub.control.lending import Answer, Read, read
from hub.settings.site import SiteLink

BITS, REGISTERS = 16, 4
PATIENCE_S = 60.0
SHOWN = 12


class ProbeLine(msgspec.Struct, frozen=True):
    """The registers, and all ways to read them, as `zhian probe --json` prints them."""

    unit: int
    table: str
    address: int
    hex: str
    bits: str
    ways: list[Way]


@click.command("probe")
@click.argument("what", nargs=-1, required=True, metavar="[LINK] UNIT TABLE ADDRESS")
@click.option("--expect", type=Finite(), help="What its display shows now.")
@click.option("--quantity", default="", help="A word of the vocabulary, as laeq: only its sane range is plausible.")
@JSON
@reaches
def probe_command(reach: Reach, what: tuple[str, ...], expect: float | None, quantity: str, as_json: bool) -> None:
    """Read registers (TABLE: holding, input, coil, discrete) of a UNIT in every way, the most plausible first."""
    link, unit, table, address = _parsed(what, reach.by_hand)
    reach = reach.named(link)
    ways(b"", quantity=quantity)  # an unknown word is refused before anything is asked
    data = _data(reach, Read(link=link, unit=unit, table=table, address=address, count=0))
    found = [] if table in BIT_TABLES else ways(data, expect=expect, quantity=quantity)
    if as_json:
        click.echo(msgspec.json.encode(ProbeLine(unit, table, address, data.hex(" "), bits(data), found)))
        return
    click.echo(f"unit {unit}, {table} {address}: {data.hex(' ').upper()}   bits {bits(data)}")
    for way in found[:SHOWN]:
        also = f"   (also {', '.join(way.also[:3])})" if way.also else ""
        click.echo(f"  {way.value:<14.10g} {way.name}{also}")
    if found and (text := block(found[0], table, address, quantity)):
        click.echo(f"for a profile, if the first is right:\n{text}", nl=False)


def _parsed(what: tuple[str, ...], by_hand: bool) -> tuple[str, int, str, int]:
    wanted = ("UNIT", "TABLE", "ADDRESS") if by_hand else ("LINK", "UNIT", "TABLE", "ADDRESS")
    if len(what) != len(wanted):
        raise click.UsageError(f"write {' '.join(wanted)}, as {'' if by_hand else 'rs485-east '}3 holding 0")
    link, (unit, table, address) = "" if by_hand else what[0], what[-3:]
    if table not in TABLES:
        raise click.UsageError(f"TABLE {table!r}: right would be one of {', '.join(TABLES)}")
    try:
        asked, place = int(unit), int(address, 0)
    except ValueError:
        raise click.UsageError(f"UNIT {unit!r} and ADDRESS {address!r}: write numbers, as 3 and 0x1F or 31") from None
    if not 0 <= asked <= 0xFF:
        raise click.UsageError(f"UNIT {asked}: units are 1 to 247 (0 and 255: a Modbus TCP device itself)")
    if not 0 <= place <= 0xFFFF:
        raise click.UsageError(
            f"ADDRESS {place}: addresses are 0 to 65535, counted from 0 (a manual's 40001 is holding 0)"
        )
    return link, asked, table, place


def _data(reach: Reach, wanted: Read) -> bytes:
    """As much as the unit gives: four registers for the longest numbers, fewer where it refuses. Raises Refused."""
    answer = Answer()
    for count in (BITS, 8, 1) if wanted.table in BIT_TABLES else (REGISTERS, 2, 1):
        if wanted.address + count > 0x10000:
            continue
        wanted.count = count
        answer = _one(reach, wanted)
        if not answer.fault:
            return answer.data
        if answer.fault != "refused":
            break
    raise Refused(f"{answer.fault or 'refused'}: {answer.detail or 'there is no such address'}", mistake=False)


def _one(reach: Reach, wanted: Read) -> Answer:
    answers = reach.hub("read", msgspec.to_builtins(wanted), Answer, patience=PATIENCE_S)
    return next(iter(answers if answers is not None else stepped(_here(reach.open()[1], wanted))))


async def _here(link: SiteLink, wanted: Read) -> AsyncGenerator[Answer, None]:
    async with asking(link) as ask:
        yield await read(ask, wanted)
