"""`zhian user`: who may open the dashboard."""

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import click
import msgspec
from sqlalchemy.exc import DBAPIError

from dashboard.access.roles import ROLES
from dashboard.access.users import add_user, forget_factor, list_users, set_password
from hub.commands.options import DATA, JSON, print_lines


@click.group("user")
def user_command() -> None:
    """The dashboard's users. Passwords are made here and printed once; nobody can read them again."""


@user_command.command("add")
@click.argument("name")
@click.option("--role", type=click.Choice(ROLES), required=True)
@DATA
def user_add(name: str, role: str, data: Path) -> None:
    """Add NAME and print the first password."""
    with stored():
        click.echo(f"{name} ({role}): {add_user(data, name, role)}")


@user_command.command("passwd")
@click.argument("name")
@DATA
def user_passwd(name: str, data: Path) -> None:
    """Give NAME a new password and print it; open sessions of NAME end."""
    with stored():
        click.echo(f"{name}: {set_password(data, name)}")


@user_command.command("totp-reset")
@click.argument("name")
@DATA
def user_totp_reset(name: str, data: Path) -> None:
    """Take the second factor of NAME away, for a lost phone; be sure who is asking you for it."""
    with stored():
        forget_factor(data, name)
    click.echo(f"{name}: signs in with the password alone now")


class UserLine(msgspec.Struct, frozen=True):
    """One user, as `zhian user list --json` prints it."""

    name: str
    role: str


@user_command.command("list")
@DATA
@JSON
def user_list(data: Path, as_json: bool) -> None:
    """Print all users with their roles."""
    with stored():
        print_lines((UserLine(name, role) for name, role in list_users(data)), as_json=as_json)


@contextlib.contextmanager
def stored() -> Iterator[None]:
    """A full disk or a damaged file, in words."""
    try:
        yield
    except (DBAPIError, sqlite3.Error) as error:
        words = error.orig if isinstance(error, DBAPIError) else error
        raise click.ClickException(f"the file of the users (office.sqlite): {words}") from error
