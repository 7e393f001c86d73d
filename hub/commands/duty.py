"""`zhian duty`: who is on duty, the roster and its changes, its holes, and the sheet for the next shift."""

import sqlite3
import sys
from datetime import datetime
from pathlib import Path

import click
import msgspec

from device_profiles.door import Refusal
from hub.calendar.days import Days, load_calendar
from hub.clock import Clock
from hub.commands.options import DATA, JSON, Span, print_lines
from hub.durable import replace_file
from hub.duty.file import FILE, Duty, Override, append_override, load_duty, read_duty
from hub.duty.handover import as_html, as_text, sheet
from hub.duty.room import local_minute
from hub.duty.roster import Hole, OnDuty, Roster
from hub.journal.query import open_journal
from hub.rules.door import load_rules
from hub.settings.door import load_site
from hub.settings.site import Site

DAY_MS = 86_400_000
_MOMENTS = ("%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M:%S")


@click.group("duty")
def duty_command() -> None:
    """People, shifts and who is called when: duty.toml of the data folder."""


class DutyLine(msgspec.Struct, frozen=True):
    """One post, as `zhian duty now --json` prints it."""

    shift: str
    role: str
    person: str
    name: str
    stands_for: str
    voices: list[str]


@duty_command.command("now")
@click.option("--at", type=click.DateTime(_MOMENTS), help="Another time of the site's wall clock.")
@DATA
@JSON
def duty_now(at: datetime | None, data: Path, as_json: bool) -> None:
    """Print who is on duty. Exit 1 when nobody is."""
    site, roster = _roster(data)
    now = _now() if at is None else round(at.replace(tzinfo=site.tz).timestamp() * 1000)
    found = [_line(roster.duty, each) for each in roster.on_duty(now)]
    if as_json:
        print_lines(found, as_json=True)
    for line in [] if as_json else found:
        instead = f" (for {line.stands_for})" if line.stands_for else ""
        click.echo(f"{line.shift:16} {line.role:12} {line.person:12} {line.name}{instead}  {', '.join(line.voices)}")
    if not found:
        click.echo(f"nobody is on duty at {local_minute(now, site)}", err=True)
        sys.exit(1)


class TurnLine(msgspec.Struct, frozen=True):
    """A stretch with the same people, as `zhian duty show --json` prints it."""

    since: str
    until: str
    people: list[str]


@duty_command.command("show")
@click.option("--days", default=7, show_default=True, type=click.IntRange(1, 366), help="How far ahead.")
@DATA
@JSON
def duty_show(days: int, data: Path, as_json: bool) -> None:
    """Print who is on duty when, from now on."""
    site, roster = _roster(data)
    now = _now()
    lines = [
        TurnLine(local_minute(turn.since, site), local_minute(turn.until, site),
                 [f"{each.shift}:{each.person}" for each in turn.people])
        for turn in roster.turns(now, now + days * DAY_MS)
    ]  # fmt: skip
    if as_json:
        print_lines(lines, as_json=True)
    for line in [] if as_json else lines:
        click.echo(f"{line.since} - {line.until}  {', '.join(line.people) or 'nobody'}")


@duty_command.command("set")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@DATA
def duty_set(file: Path, data: Path) -> None:
    """Check FILE and make it the roster; a running hub takes it up within seconds."""
    site = _site(data)
    duty = read_duty(file, site)
    replace_file(data / FILE, file.read_text(encoding="utf-8"))
    click.echo(f"{data / FILE}: {len(duty.person)} people, {len(duty.shift)} shifts, {len(duty.override)} changes")
    _warn(site, Roster(duty, site.tz, Days(load_calendar(data))))


@duty_command.command("swap")
@click.argument("person")
@click.argument("since", metavar="FROM", type=click.DateTime(_MOMENTS))
@click.argument("until", type=click.DateTime(_MOMENTS))
@click.option("--instead", default="", help="Who stands in; left out, it is a leave.")
@click.option("--shift", default="", help="Of this shift only.")
@click.option("--reason", default="", help="A word why.")
@DATA
def duty_swap(person: str, since: datetime, until: datetime, instead: str, shift: str, reason: str, data: Path) -> None:
    """Have somebody stand in for PERSON from FROM until UNTIL (2027-02-03T19:00, of the site's wall clock)."""
    site = _site(data)
    change = Override(person=person, since=since, until=until, instead=instead, shift=shift, reason=reason)
    duty = append_override(data, site, change)
    click.echo(f"{data / FILE}: {instead or 'nobody'} instead of {person}")
    _warn(site, Roster(duty, site.tz, Days(load_calendar(data))))


@duty_command.command("check")
@click.option("--days", default=30, show_default=True, type=click.IntRange(1, 366), help="How far ahead.")
@DATA
@JSON
def duty_check(days: int, data: Path, as_json: bool) -> None:
    """Look for the first minute at which a P1 alarm reaches nobody on duty. Exit 1 when there is one."""
    site, roster = _roster(data)
    hole = first_hole(site, roster, days)
    if as_json:
        told = {"from": hole and hole.at, "until": hole and hole.until, "days": days}
        sys.stdout.write(msgspec.json.encode(told).decode() + "\n")
    else:
        click.echo(_words(hole, site) if hole else f"somebody can be reached at every minute of the next {days} days")
    sys.exit(1 if hole else 0)


@duty_command.command("handover")
@click.option("--since", type=Span(), default="12h", show_default=True, help="How long the shift was.")
@click.option("--html", type=click.Path(path_type=Path, dir_okay=False), help="Write a page for printing instead.")
@DATA
def duty_handover(since: float, html: Path | None, data: Path) -> None:
    """Print the sheet for the next shift: what is open, muted, out of service, and what happened."""
    site = _site(data)
    now = _now()
    duty = load_duty(data, site)
    roster = Roster(duty, site.tz, Days(load_calendar(data))) if duty is not None else None
    rules = {rule.id: rule.title for rule in load_rules(site, Path("site.toml"))}
    with open_journal(data) as db:
        made = sheet(db, site, rules, roster, now - int(since * 1000), now)
    if html is None:
        click.echo(as_text(made), nl=False)
    else:
        replace_file(html, as_html(made))
        click.echo(str(html))


def first_hole(site: Site, roster: Roster, days: int) -> Hole | None:
    """From now on, over so many days."""
    now = _now()
    return roster.first_hole(now, now + days * DAY_MS, frozenset(voice.id for voice in site.voices))


def duty_warnings(data: Path, site: Site) -> list[str]:
    """What `zhian check` says of the roster of a data folder."""
    duty = load_duty(data, site)
    if duty is None:
        return [f"{data}: no roster ({FILE}): nobody is called; install one with zhian duty set FILE"]
    hole = first_hole(site, Roster(duty, site.tz, Days(load_calendar(data))), 30)
    return [_words(hole, site)] if hole else []


def _words(hole: Hole, site: Site) -> str:
    since, until = local_minute(hole.at, site), local_minute(hole.until, site)
    return f"from {since} until {until} a {hole.severity} alarm reaches nobody on duty"


def _warn(site: Site, roster: Roster) -> None:
    hole = first_hole(site, roster, 30)
    if hole is not None:
        click.echo(f"warning: {_words(hole, site)}")


def _site(data: Path) -> Site:
    """The site that this data folder belongs to, read from where `zhian run` read it."""
    with open_journal(data) as db:
        row: sqlite3.Row | None = db.execute("SELECT value FROM meta WHERE key = 'site_file'").fetchone()
    if row is None:
        raise Refusal(data, "--data", "does not say which site it is of", right="start it once with zhian run")
    return load_site(Path(row["value"]))


def _roster(data: Path) -> tuple[Site, Roster]:
    site = _site(data)
    duty = load_duty(data, site)
    if duty is None:
        raise Refusal(data / FILE, "", "there is no roster yet", right="install one: zhian duty set FILE")
    return site, Roster(duty, site.tz, Days(load_calendar(data)))


def _line(duty: Duty, each: OnDuty) -> DutyLine:
    person = duty.people()[each.person]
    return DutyLine(each.shift, each.role, each.person, person.name, each.stands_for, list(person.address))


def _now() -> int:
    return Clock.from_environment().now()
