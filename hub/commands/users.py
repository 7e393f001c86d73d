"""`zhian user`: who may open the dashboard."""

from pathlib import Path

import click

from dashboard.users import ROLES, add_user, list_users, set_password
from hub.commands.options import DATA


@click.group("user")
def user_command() -> None:
    """The dashboard's users. Passwords are made here and printed once; nobody can read them again."""


@user_command.command("add")
@click.argument("name")
@click.option("--role", type=click.Choice(ROLES), required=True)
@DATA
def user_add(name: str, role: str, data: Path) -> None:
    """Add NAME and print the first password."""
    click.echo(f"{name} ({role}): {add_user(data, name, role)}")


@user_command.command("passwd")
@click.argument("name")
@DATA
def user_passwd(name: str, data: Path) -> None:
    """Give NAME a new password and print it; open sessions of NAME end."""
    click.echo(f"{name}: {set_password(data, name)}")


@user_command.command("list")
@DATA
def user_list(data: Path) -> None:
    """Print all users with their roles."""
    for name, role in list_users(data):
        click.echo(f"{name}  {role}")
