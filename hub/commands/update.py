"""`zhian update`: a new version from a signed file, on a box without internet; and how its maker makes that file."""

import signal
import sys
from contextlib import suppress
from functools import partial
from pathlib import Path

import click

from hub.settings.door import load_site
from hub.update import programs
from hub.update.box import Box
from hub.update.install import Means, install, would_change
from hub.update.keys import make_key
from hub.update.release import make_release, manifest_of

_FILE = click.Path(path_type=Path, dir_okay=False)
_FOLDER = click.Path(path_type=Path, file_okay=False)
ROOT = click.option(
    "--root", default="/opt/zhian", show_default=True, type=_FOLDER, help="Where the versions and the link lie."
)
KEYS = click.option("--keys", type=_FILE, help="Whose updates are taken; left out: update-keys in the root.")


@click.group("update")
def update_command() -> None:
    """Install another version from a signed file, without internet; and go back by itself when it is not well."""


@update_command.command("key")
@click.argument("file", type=_FILE)
def update_key(file: Path) -> None:
    """The maker's: make a signing key in FILE (mode 0600), and print its public half, which goes onto the boxes."""
    click.echo(make_key(file))


@update_command.command("make")
@click.argument("folder", type=_FOLDER)
@click.option("--key", required=True, type=_FILE, help="The file that `zhian update key` made.")
@click.option("--out", type=_FILE, help="Left out: zhian-VERSION.update in this folder.")
def update_make(folder: Path, key: Path, out: Path | None) -> None:
    """The maker's: sign a FOLDER of wheels (Zhian's and all that it needs) into one file."""
    manifest = manifest_of(folder)
    programs.complete(folder, manifest)
    target = out or Path(f"zhian-{manifest.version}.update")
    make_release(folder, manifest, key, target)
    click.echo(f"{target}: zhian {manifest.version}, {len(manifest.wheels)} wheels, Python {manifest.python}")


@update_command.command("check")
@click.argument("file", type=_FILE)
@ROOT
@KEYS
def update_check(file: Path, root: Path, keys: Path | None) -> None:
    """Say which version FILE is, who signed it and what would change. It touches nothing."""
    box = Box(root.absolute())
    for line in would_change(file, box, keys or box.keys):
        click.echo(line)


@update_command.command("install")
@click.argument("file", type=_FILE)
@ROOT
@KEYS
@click.option("--site", default="/etc/zhian/site.toml", show_default=True, type=_FILE, help="This box's site file.")
@click.option("--data", default="/var/lib/zhian", show_default=True, type=_FOLDER, help="The data folder.")
@click.option("--restart", default="systemctl restart zhian", show_default=True, help="Starts what the link points to.")
@click.option("--stop", default="systemctl stop zhian", show_default=True, help="For files that have to be put back.")
@click.option("--health", default="https://127.0.0.1:8080/healthz", show_default=True, help="Says whether it is well.")
@click.option("--within", default=120.0, show_default=True, type=click.FloatRange(1), help="Seconds of a start.")
@click.option("--steady", default=60.0, show_default=True, type=click.FloatRange(1), help="Seconds well on end.")
@click.option("--while-unwell", is_flag=True, help="Also when the hub is not well now.")
def update_install(
    file: Path, root: Path, keys: Path | None, site: Path, data: Path, restart: str, stop: str, health: str,
    within: float, steady: float, while_unwell: bool,
) -> None:  # fmt: skip
    """Install FILE beside the version that runs, switch, watch, and go back when it is not well (exit 1)."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # the terminal that is closed ends nothing half-way
    box = Box(root.absolute())
    means = Means(
        site=site.absolute(), data=data.absolute(), keys=keys or box.keys, build=programs.build,
        check=partial(programs.check, owner=data.absolute()),
        back_up=programs.back_up, restart=partial(programs.order, restart), stop=partial(programs.order, stop),
        well=partial(programs.is_well, programs.address_of(health)), say=_say, within_s=within, steady_s=steady,
        while_unwell=while_unwell, backups=lambda: load_site(site).backup,
    )  # fmt: skip
    sys.exit(0 if install(file, box, means) else 1)


def _say(line: str) -> None:
    with suppress(OSError):  # nobody reads any more: the work goes on
        click.echo(f"zhian update: {line}")
