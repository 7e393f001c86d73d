"""`zhian readings`, `export`, `history`: readings of any span from a data folder, whether its hub runs or not."""

import sqlite3
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from typing import Any, TypeVar

import click

from device_profiles import vocabulary
from device_profiles.door import Refusal, nearest
from hub.clock import Clock
from hub.commands.options import DATA, JSON, Moment, Span, instant, print_lines
from hub.history.steps import Known, steps, wider
from hub.history.store import StoreError
from hub.history.stream import AHEAD_MS, Selection, Stream, opened
from hub.history.tally import Grid
from hub.journal.batches import Row
from hub.journal.query import devices_of, open_journal, reading_line, site_of
from hub.journal.thinning import thinned
from hub.keeping.retention import KEEP_TRACES_MS, TRACES
from hub.settings.site import Site

T = TypeVar("T")
TOLD_S, TOLD_TTY_S = 10.0, 0.5
MANY = 1_000  # rows between two looks at the clock

SINCE = click.option("--since", type=Moment(), default="1h", show_default=True, help="7d (so long ago), or 2026-01-31T22:00.")  # fmt: skip  # noqa: E501
UNTIL = click.option(
    "--until", type=Moment(), help="The same; that instant itself is not included. Now, when left out."
)
QUANTITY = click.option("--quantity", "quantities", multiple=True, help="This quantity only; may be given again.")


@click.command("readings")
@click.argument("device")
@SINCE
@UNTIL
@QUANTITY
@DATA
@JSON
def readings_command(device: str, quantities: tuple[str, ...], data: Path, as_json: bool, **span: Any) -> None:
    """Print the readings of DEVICE by when they were measured, oldest first."""
    with open_journal(data) as db:
        site = site_of(db)
        chosen = _selection(span, site, (device,), quantities)
        with _reading(db, data, site, chosen) as stream:
            _require_devices((device,), devices_of(db), stream, data)
            print_lines(map(reading_line, stream.readings(device)), as_json=as_json)


@click.command("export")
@click.argument("devices", nargs=-1)
@click.option("--zone", "zones", multiple=True, help="The devices of this zone; may be given again.")
@click.option("--all", "everything", is_flag=True, help="Every device, also those that the site has no more.")
@QUANTITY
@SINCE
@UNTIL
@click.option("--out", required=True, type=click.Path(path_type=Path), help="FILE.csv (for Excel) or FILE.parquet.")
@click.option("--force", is_flag=True, help="Replace FILE when it is there.")
@click.option("--step", type=Span(), help="Figures of each 1m, 15m, 1h, 1d ... by the site's clock, not every reading.")
@click.option("--lang", type=click.Choice(["zh", "en"]), default="zh", show_default=True, help="Of headers and names.")
@DATA
def export_command(
    devices: tuple[str, ...], zones: tuple[str, ...], everything: bool, quantities: tuple[str, ...], out: Path,
    force: bool, step: float | None, lang: str, data: Path, **span: Any,
) -> None:  # fmt: skip
    """Write readings into a file, or their figures: of DEVICES, of zones, of quantities, or all."""
    from hub.history.outfile import writer_for  # DuckDB, which printing need not load
    from hub.history.sheet import Sheet
    from hub.history.step_sheet import StepSheet

    if not (devices or zones or everything or quantities):
        raise Refusal("zhian export", "DEVICE", "nothing is chosen", right="name devices, --zone, --quantity or --all")
    write = writer_for(out, force=force)
    with open_journal(data) as db:
        site = site_of(db)
        if not everything:
            devices = (*devices, *_of_zones(zones, site, data))
        chosen = _selection(span, site, () if everything else devices, quantities)
        grid = _grid(step, _zone_of(site))
        with _reading(db, data, site, wider(chosen) if grid else chosen) as stream:
            _require_devices(chosen.devices, [*devices_of(db), *(site.devices() if site else ())], stream, data)
            count = _Count(stream.devices())
            sheet = Sheet(site, _zone_of(site), "zh" if lang == "zh" else "en")
            gone = [(each.since, each.until + 1) for each in thinned(db, chosen.since) if each.since < chosen.until]
            if grid:
                write(
                    out, count.told(steps(stream, chosen, grid, _known(db, site), count.take)), StepSheet(sheet, gone)
                )
            else:
                write(out, count.told(count.all_of(stream)), sheet)
    click.echo(f"{out}: {count}", err=True)
    for since, until in gone:
        click.echo(f"of {sheet.local(since).time} to {sheet.local(until).time} readings were given up as the disk was nearly full: fewer are there than were read", err=True)  # fmt: skip  # noqa: E501
    if count.traces and not grid:
        days = KEEP_TRACES_MS // 86_400_000
        click.echo(
            f"{count.traces} of them say who went where (passages, chips): personal data. The column 'delete by' says "
            f"when each must be gone, {days} days after it was read; older ones were left out.", err=True
        )  # fmt: skip


class _Count:
    """What went through, told to the terminal while it goes: on one line, or as lines where nobody looks."""

    def __init__(self, devices: Sequence[str]) -> None:
        self.rows = self.traces = self.lines = 0
        self._devices, self._device, self._tty = list(devices), "", sys.stderr.isatty()
        self._told = time.monotonic()

    def __str__(self) -> str:
        as_lines = f" in {self.lines:,} lines" if self.lines != self.rows else ""
        return f"{self.rows:,} readings of {len(self._devices)} devices{as_lines}"

    def all_of(self, stream: Stream) -> Iterator[Row]:
        """Every reading of the stream, device by device."""
        for device in self._devices:
            for row in stream.readings(device):
                self.take(row)
                yield row

    def take(self, row: Row) -> None:
        """One more was read."""
        self.rows += 1
        self.traces += row.quantity in TRACES
        self._device = row.device
        if self.rows % MANY == 0:
            self._tell()

    def told(self, lines: Iterable[T]) -> Iterator[T]:
        """The lines as they go into the file; the terminal is clean afterwards."""
        for line in lines:
            self.lines += 1
            yield line
        if self._tty:
            click.echo("\r\x1b[K", nl=False, err=True)

    def _tell(self) -> None:
        now = time.monotonic()
        if now - self._told < (TOLD_TTY_S if self._tty else TOLD_S):
            return
        self._told = now
        nth = self._devices.index(self._device) + 1
        text = f"{self.rows:,} readings, device {nth} of {len(self._devices)}"
        click.echo(f"\r\x1b[K{text}" if self._tty else text, nl=not self._tty, err=True)


def _known(db: sqlite3.Connection, site: Site | None) -> Known:
    """The site's devices, and which of them became another one when."""
    exchanges: dict[str, list[int]] = {}
    for device, at in db.execute("SELECT device, at FROM upkeep WHERE kind = 'exchange' ORDER BY at"):
        exchanges.setdefault(device, []).append(at)
    return Known(site.devices() if site else {}, exchanges)


def _grid(step: float | None, zone: tzinfo) -> Grid | None:
    """The steps that were asked for. Raises Refusal for such as do not divide a day."""
    if step is None:
        return None
    try:
        return Grid(int(step) if step.is_integer() else 0, zone)
    except ValueError:
        right = "a length that divides a day: 1m, 5m, 15m, 1h, 6h, 1d"
        raise Refusal("zhian export", "--step", "does not divide a day", value=f"{step:g} s", right=right) from None


@contextmanager
def _reading(db: sqlite3.Connection, data: Path, site: Site | None, chosen: Selection) -> Iterator[Stream]:
    """The stream; when the history cannot be had: said, and exit 1, unless the journal has all that was asked for."""
    try:
        with opened(db, data, site, chosen, Clock.from_environment().now()) as stream:
            if stream.warning:
                click.echo(f"warning: the history cannot be asked now ({stream.warning}); the journal has this span", err=True)  # fmt: skip  # noqa: E501
            yield stream
    except StoreError as error:
        raise click.ClickException(f"the history cannot be read to the end now: {error}") from None


def _selection(
    span: dict[str, Any], site: Site | None, devices: tuple[str, ...], quantities: tuple[str, ...]
) -> Selection:  # Any: click's
    now, zone = Clock.from_environment().now(), _zone_of(site)
    for name in quantities:
        vocabulary.require(name, file="the command line", key="--quantity")
    since = instant(span["since"], now, zone)
    until = now + AHEAD_MS + 1 if span["until"] is None else instant(span["until"], now, zone)
    if since >= until:
        there = datetime.fromtimestamp(until / 1000, UTC).astimezone(zone)
        raise Refusal("zhian", "--since", "does not lie before --until", right=f"an instant before {there:%Y-%m-%dT%H:%M:%S}")  # fmt: skip  # noqa: E501
    return Selection(since=since, until=until, devices=devices, quantities=quantities)


def _zone_of(site: Site | None) -> tzinfo:
    """The site's time zone; without a site the machine's."""
    return site.tz if site else datetime.fromtimestamp(0, UTC).astimezone().tzinfo or UTC


def _of_zones(zones: Iterable[str], site: Site | None, data: Path) -> list[str]:
    known = site.zones_by_id() if site else {}
    for zone in zones:
        if zone not in known:
            raise Refusal(data, "--zone", "no such zone", value=zone, right=nearest(zone, known) if known else "")
    devices = site.devices().values() if site else ()
    found = [device.id for device in devices if device.zone in zones]
    if zones and not found:
        raise Refusal(data, "--zone", "has no devices", value=", ".join(zones), right="a zone with devices, or DEVICE")
    return found


def _require_devices(devices: Iterable[str], known: list[str], stream: Stream, data: Path) -> None:
    for device in devices:
        if device not in known and device not in (known := sorted({*known, *stream.known()})):
            raise Refusal(data, "DEVICE", "no such device", value=device, right=nearest(device, known) if known else "")
