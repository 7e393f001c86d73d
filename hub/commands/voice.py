"""`zhian voice list` and `zhian voice test`: how the site's voices do, and a live message by each, now."""

import getpass
import secrets
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import click
import msgspec

from device_profiles.door import Refusal, nearest
from hub.clock import Clock
from hub.commands.options import DATA, JSON, print_lines
from hub.journal.query import open_journal
from hub.journal.writer import FILE, connect, put_order
from hub.outcome import OrderState
from hub.settings.door import load_site
from hub.settings.site import Site
from hub.speaking.outbox import VoiceState, voice_states
from hub.speaking.trial import trial

WAIT_S = 90.0  # three tries of a voice that hangs, and the pauses between them
SIGN_OF_LIFE_MS = 10_000


class VoiceLine(msgspec.Struct, frozen=True):
    """One voice. state: works | failing | untried; instants in ms, null where there was none."""

    voice: str
    kind: str
    severities: str
    state: str
    succeeded: int | None
    tested: int | None
    detail: str


class TestLine(msgspec.Struct, frozen=True):
    """What became of one live test."""

    voice: str
    state: str
    outcome: str


@click.group("voice")
def voice_command() -> None:
    """The voices: who is told of an alarm, and whether it gets through."""


@voice_command.command("list")
@DATA
@JSON
def voice_list(data: Path, as_json: bool) -> None:
    """Print each voice with its last success, its last live test and what the other side said last."""
    site = _site(data)
    with open_journal(data) as db:
        states = voice_states(db)
    lines = [_line(voice.id, voice.kind, voice.severities, states.get(voice.id)) for voice in site.voices]
    if as_json:
        print_lines(lines, as_json=True)
        return
    for line in lines:
        told = [f"last success {_at(line.succeeded, site.tz)}", f"last test {_at(line.tested, site.tz)}"]
        click.echo(
            "  ".join([f"{line.voice:16} {line.kind:11} {line.severities:11} {line.state:8}", *told, line.detail])
        )


@voice_command.command("test")
@click.argument("voice", required=False)
@DATA
@JSON
def voice_test(voice: str | None, data: Path, as_json: bool) -> None:
    """Send a live test by VOICE, or by every voice, and say what the other side answered. Exit 0: all passed."""
    known = [each.id for each in _site(data).voices]
    if voice is not None and voice not in known:
        raise Refusal(data, "VOICE", "no such voice", value=voice, right=nearest(voice, known) if known else "")
    wanted = known if voice is None else [voice]
    if not wanted:
        raise click.ClickException("the site has no [[voice]]; docs/voices.md says how to add one")
    failed = False
    for line in _tested(data, wanted):
        failed |= line.state != OrderState.DONE
        if as_json:
            print_lines([line], as_json=True)
        else:
            click.echo(f"{line.voice}: {'passed' if line.state == OrderState.DONE else line.state}: {line.outcome}")
    sys.exit(1 if failed else 0)


def _tested(data: Path, voices: list[str]) -> Iterator[TestLine]:
    """Put all orders in at once, and give each as it ends. Raises ClickException where no hub takes them."""
    now = Clock.from_environment().now()
    actor = f"cli:{getpass.getuser()}"
    with closing(connect(data / FILE)) as db:
        numbers = {put_order(db, trial(voice, secrets.token_hex(16), actor, now)): voice for voice in voices}
        asked = time.monotonic()
        while numbers:
            for number, voice in tuple(numbers.items()):
                row = db.execute("SELECT state, outcome FROM orders WHERE id = ?", (number,)).fetchone()
                if row["state"] != OrderState.REQUESTED:
                    del numbers[number]
                    yield TestLine(voice, row["state"], row["outcome"].partition(":")[2] or row["outcome"])
            beat = db.execute("SELECT value FROM meta WHERE key = 'heartbeat'").fetchone()
            silent = beat is None or Clock.from_environment().now() - int(beat[0]) > SIGN_OF_LIFE_MS
            if numbers and (silent or time.monotonic() - asked > WAIT_S):
                raise click.ClickException(
                    f"no hub took the test: does `zhian run` run on {data}? The order expires by itself."
                )
            time.sleep(0.05)


def _site(data: Path) -> Site:
    """The site that this data folder was last run with."""
    with open_journal(data) as db:
        row = db.execute("SELECT value FROM meta WHERE key = 'site_file'").fetchone()
    if row is None:
        raise Refusal(data, "", "no site was ever run on this data folder", right="zhian run SITE --data ...")
    return load_site(Path(row["value"]))


def _line(voice: str, kind: str, severities: tuple[str, ...], state: VoiceState | None) -> VoiceLine:
    if state is None:
        return VoiceLine(voice, kind, ",".join(severities), "untried", None, None, "")
    word = "failing" if state.failing is not None else "works"
    return VoiceLine(voice, kind, ",".join(severities), word, state.succeeded, state.tested, state.detail)


def _at(instant: int | None, zone: ZoneInfo) -> str:
    return "never" if instant is None else f"{datetime.fromtimestamp(instant / 1000, zone):%Y-%m-%d %H:%M}"
