"""`zhian rules test` and `zhian rules list`: do the rules do what their stories say, and what watches what on a site.

They open no cable; the list looks into the data folder for limits that were set while the hub ran.
"""

import sqlite3
import sys
from contextlib import closing
from pathlib import Path

import click
import msgspec
from msgspec.structs import replace

from hub.alarms.alarm import OperatorState
from hub.alarms.bind import Bound
from hub.clock import Clock
from hub.commands.options import DATA, JSON, SITE, print_lines
from hub.commands.sayso import moment
from hub.journal.writer import FILE, connect
from hub.outcome import Limit
from hub.rows import to_struct
from hub.rules.door import PACKS, Rule, files, load_pack, plain_rules
from hub.rules.limits import Book
from hub.rules.story import Verdict, tell
from hub.settings.door import load_site
from hub.settings.site import Site

WIDTH = 72  # columns of a story's picture
_SIGN = {
    OperatorState.NORMAL: "·",
    OperatorState.UNACKED: "U",
    OperatorState.ACKED: "A",
    OperatorState.RETURNED: "R",
    OperatorState.LATCHED_UNACKED: "L",
    OperatorState.LATCHED_ACKED: "K",
}


@click.group("rules")
def rules_command() -> None:
    """What raises an alarm: run the rules' own stories, or see which rule watches what."""


class FileLine(msgspec.Struct, frozen=True):
    """One rule file, as `zhian rules test --json` prints it."""

    file: str
    rules: int
    stories: int
    wrong: list[dict[str, str]]


@rules_command.command("test")
@SITE
@JSON
def test_command(site: Path, as_json: bool) -> None:
    """Run every story of the packs, and of the rule files of SITE. Exit 1 when one does not come out as it says."""
    failed = 0
    for file in _files(site):
        rules = load_pack(file)
        verdicts = [tell(rule, story) for rule in rules for story in rule.story]
        wrong = [verdict for verdict in verdicts if verdict.wrong]
        failed += len(wrong)
        if as_json:
            lines = [{"rule": verdict.rule.id, "story": verdict.story.name} for verdict in wrong]
            print_lines([FileLine(str(file), len(rules), len(verdicts), lines)], as_json=True)
            continue
        outcome = f"{len(wrong)} not as told" if wrong else "all as told"
        click.echo(f"{file.name:14} {len(rules):3} rules  {len(verdicts):3} stories  {outcome}")
        for verdict in wrong:
            click.echo(picture(verdict))
    sys.exit(1 if failed else 0)


class RuleLine(msgspec.Struct, frozen=True):
    """One rule of a site, as `zhian rules list --json` prints it."""

    rule: str
    severity: str
    kind: str
    use: str
    zh: str
    en: str
    watches: list[str]
    limits: dict[str, float]
    changed: list[str] = []  # numbers that are not as the rule comes: whose word they are


@rules_command.command("list")
@SITE
@DATA
@JSON
def list_command(site: Path, data: Path, as_json: bool) -> None:
    """Print which rule watches which device (link, zone) of SITE, with its limits and where changed ones come from.

    What was set while the hub ran is read from the data folder, where there is a journal of this site.
    """
    checked = load_site(site)
    book = Book(plain_rules(checked, site), checked, _limits(checked, data))
    changed = {rule.id: _changes(book, rule.id, checked) for rule in book.everything}
    lines = [replace(line, changed=changed[line.rule]) for line in _lines(checked, book.everything)]
    if as_json:
        print_lines(lines, as_json=True)
        return
    for line in lines:
        shown = [f"{name} ({line.limits[name]:g})" if name in line.limits else name for name in line.watches]
        watches = ", ".join(shown) or ("off" if line.use == "off" else "nothing here")
        click.echo(f"{line.rule:20} {line.severity}  {line.zh} / {line.en}\n{'':24}{watches}")
        for words in line.changed:
            click.echo(f"{'':24}{words}")


def picture(verdict: Verdict) -> str:
    """A failing story in a few lines: what came, what was seen, and under it what was expected where."""
    seconds = sorted(verdict.seen)
    every = max(1, -(-len(seconds) // WIDTH))
    shown = seconds[::every]
    marks = [" "] * len(shown)
    for at, state in verdict.wrong.items():
        place = min(range(len(shown)), key=lambda column: abs(shown[column] - at))
        marks[place] = _SIGN[OperatorState(state)]
    expected = ", ".join(
        f"second {at}: {state}, not {verdict.seen.get(at, 'past the end')}" for at, state in verdict.wrong.items()
    )
    lines = [
        f"  {verdict.rule.id}: {verdict.story.name}",
        f"    came      {verdict.story.series}",
        *(f"    {name:9} {series}" for name, series in verdict.story.also.items()),
        f"    seen      {''.join(_SIGN[OperatorState(verdict.seen[second])] for second in shown)}",
        f"    expected  {''.join(marks).rstrip()}",
        f"              {expected}",
        "              (" + ", ".join(f"{sign} {state.value}" for state, sign in _SIGN.items()) + ")",
    ]
    return "\n".join(lines)


def _files(site: Path) -> list[Path]:
    """The packs, and what the site adds; without a site file in this folder, the packs alone."""
    if not site.exists() and click.get_current_context().get_parameter_source("site") is not _GIVEN:
        return sorted(PACKS.glob("*.toml"))
    return files(load_site(site), site)


def _limits(site: Site, data: Path) -> list[Limit]:
    """What was set while the hub of this site ran; nothing where there is no journal, or another site's."""
    if not (data / FILE).exists():
        return []
    with closing(connect(data / FILE, read_only=True)) as db:
        try:
            mine = db.execute("SELECT 1 FROM meta WHERE key = 'site' AND value = ?", (site.id,)).fetchone()
            rows = db.execute("SELECT * FROM rule_limit ORDER BY id").fetchall() if mine else []
        except sqlite3.OperationalError:  # of a version that had no such table
            return []
        return [to_struct(Limit, row) for row in rows]


def _changes(book: Book, rule: str, site: Site) -> list[str]:
    """Each number that the site file or somebody at the page has changed, and whose word counts."""
    found = []
    for zone in ("", *site.zones_by_id()):
        for key in book.keys(rule):
            origin, place = book.origin(rule, zone, key), f"{zone}: {key}" if zone else key
            if origin.where == "pack" or (zone and origin == book.origin(rule, "", key)):
                continue
            whose = "site file"
            if origin.set is not None:
                whose = f"set by {origin.set.actor}, {moment(origin.set.at, site.tz)}: {origin.set.reason}"
            found.append(f"{place} = {origin.value} ({whose})")
    for (name, zone, key), why in book.unfit.items():
        if name == rule:
            found.append(f"{f'{zone}: ' if zone else ''}{key}: set, and not in force: {why}")
    return found


_GIVEN = click.core.ParameterSource.COMMANDLINE


def _lines(site: Site, rules: tuple[Rule, ...]) -> list[RuleLine]:
    now = Clock().now()
    watched = Bound(site, tuple(rule for rule in rules if rule.use == "on"), now).watched()
    lines: dict[str, RuleLine] = {}
    for rule in rules:
        sources = {source: question for (rule_id, source), question in watched.items() if rule_id == rule.id}
        limits = {
            name: limit for name, each in sources.items() if each is not None and (limit := each.limit(now)) is not None
        }
        use = "on" if rule.use == "on" or (rule.id in lines and lines[rule.id].use == "on") else "off"
        lines[rule.id] = RuleLine(
            rule.id, rule.severity, rule.kind, use, rule.title.zh, rule.title.en, sorted(sources), limits
        )
    return list(lines.values())
