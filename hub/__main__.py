"""The command line. One file a group of commands in `hub/commands`, the one room that may import every other."""

import importlib
import sqlite3
import sys

import click

from device_profiles.door import Refusal
from hub.journal.writer import JournalError

# Each command's file is imported when it is called, so that `zhian decode` does not wait for a web server.
COMMANDS = {
    "check": "hub.commands.site",
    "plan": "hub.commands.plan",
    "profiles": "hub.commands.site",
    "rules": "hub.commands.rules",
    "decode": "hub.commands.site",
    "run": "hub.commands.run",
    "reload": "hub.commands.reload",
    "field": "hub.commands.run",
    "office": "hub.commands.run",
    "demo": "hub.commands.demo",
    "simulate": "hub.commands.demo",
    "scan": "hub.commands.scan",
    "probe": "hub.commands.probe",
    "capture": "hub.commands.capture",
    "watch": "hub.commands.watch",
    "readings": "hub.commands.history",
    "export": "hub.commands.history",
    "history": "hub.commands.history_check",
    "alarms": "hub.commands.data",
    "order": "hub.commands.data",
    "device": "hub.commands.device",
    "limit": "hub.commands.sayso",
    "mute": "hub.commands.sayso",
    "unmute": "hub.commands.sayso",
    "mutes": "hub.commands.sayso",
    "service": "hub.commands.service",
    "meter": "hub.commands.meter",
    "dog": "hub.commands.dogs",
    "quarantine": "hub.commands.data",
    "rollups": "hub.commands.rollups",
    "voice": "hub.commands.voice",
    "backup": "hub.commands.data",
    "restore": "hub.commands.data",
    "user": "hub.commands.users",
    "report": "hub.commands.report",
    "audit": "hub.commands.audit",
    "certificate": "hub.commands.certificate",
    "update": "hub.commands.update",
    "sbom": "hub.commands.sbom",
    "bench": "hub.commands.bench",
    "calendar": "hub.commands.calendar",
    "duty": "hub.commands.duty",
    "incidents": "hub.commands.incidents",
    "home-assistant": "hub.commands.home_assistant",
}


LASTING = ("run", "field", "office", "demo", "simulate")  # their logs are read by those who mend the program


class Commands(click.Group):
    """Finds commands by COMMANDS."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All that a user is to know of: `field` and `office` are started by `run`."""
        return [name for name in COMMANDS if name not in ("field", "office")]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command by its name."""
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = getattr(
            importlib.import_module(COMMANDS[cmd_name]), f"{cmd_name.replace('-', '_')}_command"
        )
        return command


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="zhian")
def cli() -> None:
    """Zhian (智安): sensor hub and safety controller of a residential community."""


def main() -> None:
    """Exit 0: well. 2: the user's mistake, named. 1: anything else."""
    try:
        cli(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)  # 2 for a mistake in the call, 1 else
    except Refusal as error:
        click.echo(f"zhian: {error}", err=True)
        sys.exit(2)
    except JournalError as error:
        click.echo(f"zhian: {error}", err=True)
        sys.exit(1)
    except OSError as error:
        if sys.argv[1:2] and sys.argv[1] in LASTING:
            raise
        what = f"{error.filename}: " if error.filename else ""
        click.echo(f"zhian: {what}{error.strerror or error}", err=True)
        sys.exit(1)
    except sqlite3.Error as error:
        if sys.argv[1:2] and sys.argv[1] in LASTING:
            raise
        click.echo(f"zhian: the journal: {error}", err=True)
        sys.exit(1)
    except (click.Abort, KeyboardInterrupt):
        sys.exit(130)


if __name__ == "__main__":
    main()
