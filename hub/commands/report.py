"""`zhian report noise`: the monthly noise report of a zone, from a data folder, whether its hub runs or not."""

import sqlite3
import sys
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import click
import msgspec

from device_profiles.door import Refusal, nearest
from hub.calendar.schedule import parse_span
from hub.clock import Clock
from hub.commands.options import DATA, JSON
from hub.figures.periods import month_before, month_days, noise_day
from hub.history.reach import reach
from hub.history.store import StoreError
from hub.journal.file import FILE
from hub.journal.query import open_journal
from hub.reading import Label
from hub.reports.noise import NoiseReport, noise_report
from hub.reports.shelf import FORMATS, write_report
from hub.reports.words import LANGUAGES, Language
from hub.rules.door import load_rules
from hub.settings.door import load_site
from hub.settings.site import Site, Zone


@click.group("report")
def report_command() -> None:
    """Reports on paper."""


class Month(click.ParamType):  # type: ignore[type-arg]  # generic in newer versions only
    """A month such as 2026-10."""

    name = "month"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Itself."""
        try:
            month_days(str(value))
        except ValueError:
            self.fail(f"{value!r} is not a month; write 2026-10", param, ctx)
        return str(value)


@report_command.command("noise")
@click.argument("zone")
@click.option("--month", type=Month(), help="Which month, as 2026-10. Default: the last that is over.")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="FILE.xlsx or FILE.pdf.")
@click.option("--lang", type=click.Choice(LANGUAGES), default="zh", show_default=True, help="The report's language.")
@DATA
@JSON
def report_noise(zone: str, month: str | None, out: Path | None, lang: Language, data: Path, as_json: bool) -> None:
    """Make the noise report of ZONE: Ld, Ln and Ldn of each day, each hour, exceedances, gaps, by which standard."""
    if out is None and not as_json:
        raise click.UsageError("say where to: --out report.xlsx, --out report.pdf, or --json")
    if out is not None and out.suffix[1:] not in FORMATS:
        raise click.BadParameter(f"{out.name!r} has no format; end it with .xlsx or .pdf", param_hint="--out")
    site, place, titles = _site(data, zone)
    now = Clock.from_environment().now()
    wanted = month or month_before(noise_day(now, parse_span(site.night), site.tz))
    try:
        with reach(data, site) as samples:
            report = noise_report(site, place, wanted, samples, data / FILE, titles, now, _progress())
    except StoreError as error:
        raise click.ClickException(f"the history cannot be read now: {error}") from None
    if as_json:
        sys.stdout.write(msgspec.json.encode(report).decode() + "\n")
    if out is not None:
        write_report(report, site, lang, out)
        click.echo(_said(report, site, out), err=as_json)


def _site(data: Path, zone: str) -> tuple[Site, Zone, Callable[[str], Label]]:
    with open_journal(data) as db:
        row: sqlite3.Row | None = db.execute("SELECT value FROM meta WHERE key = 'site_file'").fetchone()
    if row is None:
        raise Refusal(data, "", "the journal does not say where its site file is", right="a data folder of `zhian run`")
    path = Path(row["value"])
    site = load_site(path)
    zones = site.zones_by_id()
    if zone not in zones:
        raise Refusal(path, "ZONE", "no such zone", value=zone, right=nearest(zone, list(zones)))
    titles = {rule.id: rule.title for rule in load_rules(site, path)}
    return site, zones[zone], lambda rule: titles.get(rule, Label(zh=rule, en=rule))


def _progress() -> Callable[[float], None]:
    """How far it is, for somebody who watches a terminal."""
    if not sys.stderr.isatty():
        return lambda share: None
    return lambda share: click.echo(f"\r{share:4.0%}\r", nl=False, err=True)


def _said(report: NoiseReport, site: Site, out: Path) -> str:
    lines = [f"{out}: {report.zone}, {report.month}, {report.limits.standard}"]
    if report.made < report.until:
        lines.append(f"  not over: until {datetime.fromtimestamp(report.made / 1000, site.tz):%Y-%m-%d %H:%M}")
    for meter in report.meters:
        day, night = meter.month.by_day, meter.month.by_night
        lines.append(
            f"  {meter.device}: Ld {_level(day.level)} ({day.valid} of {day.total} days count, {day.exceeding} above "
            f"{day.limit:g}), Ln {_level(night.level)} ({night.valid} of {night.total}, {night.exceeding} above "
            f"{night.limit:g}), coverage {meter.month.coverage:.1%}"
        )
    return "\n".join(lines if report.meters else [*lines, "  no instrument measures noise there"])


def _level(level: float | None) -> str:
    return "–" if level is None else f"{level:.1f}"
