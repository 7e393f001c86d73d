"""`zhian reload`: the running hub reads its site file again, and goes on without a gap for what did not change."""

import sys
from pathlib import Path

import click
import msgspec

from device_profiles.door import Refusal
from hub.commands.options import DATA, JSON
from hub.control.door import NotRunning, Refused, ask
from hub.control.reload import Change

PATIENCE_S = 60.0  # a full disk is waited out


@click.command("reload")
@click.argument("site", required=False, type=click.Path(path_type=Path))
@DATA
@JSON
def reload_command(site: Path | None, data: Path, as_json: bool) -> None:
    """Have the running hub read its site file again. A wrong file changes nothing, and is told with exit 2.

    SITE need not be given: it is the file that the hub was started with.
    """
    try:
        answers = list(ask(data, "reload", {"site": str(site.absolute()) if site else ""}, timeout=PATIENCE_S))
    except NotRunning:
        raise Refusal(
            "--data", "", "no hub runs there", value=data, right="the folder of a running `zhian run`"
        ) from None
    except Refused as error:
        click.echo(f"zhian: {error.words}", err=True)
        more = (
            "the hub goes on with the old file" if error.mistake else "whether the file is in force, the hub's log says"
        )
        click.echo(f"zhian: {more}", err=True)
        sys.exit(2 if error.mistake else 1)
    except TimeoutError:
        click.echo(f"zhian: the hub did not answer within {PATIENCE_S:.0f} s; its log says more", err=True)
        sys.exit(1)
    change = msgspec.convert(answers[0], Change)
    click.echo(msgspec.json.encode(change).decode() if as_json else f"reloaded: {change}")
