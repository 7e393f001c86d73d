"""`zhian audit`: whether the dashboard's audit trail is as it was written, and the trail itself as a file."""

from pathlib import Path

import click
import msgspec

from dashboard.access.anchor import anchors
from dashboard.access.audit import Anchor, Verdict, verify
from dashboard.access.schema import FILE
from dashboard.access.users import open_office
from device_profiles.door import Refusal
from hub.commands.options import DATA, JSON
from hub.commands.users import stored


class HeadParam(click.ParamType):  # type: ignore[type-arg]  # generic in newer versions only
    """A head of the trail as the log has it: ROW:HASH."""

    name = "row:hash"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> Anchor:
        """The anchor."""
        row, _, found = str(value).partition(":")
        if not row.isascii() or not row.isdigit() or len(found) != 64:
            self.fail(f"{value!r} is no head of the trail; write ROW:HASH as the log has them", param, ctx)
        return Anchor(int(row), found.lower())


@click.group("audit")
def audit_command() -> None:
    """The audit trail of the dashboard: who did what."""


@audit_command.command("verify")
@click.option("--anchor", "more", multiple=True, type=HeadParam(), help="A head that was kept elsewhere, as ROW:HASH.")
@DATA
@JSON
def audit_verify(more: tuple[Anchor, ...], data: Path, as_json: bool) -> None:
    """Check every row against its hash, and all against the heads in the journal; exit 1 names the first wrong row."""
    if not (data / FILE).exists():
        raise Refusal(data, "", "no dashboard has run here", right="give the data folder of `zhian run` with --data")
    kept = anchors(data)
    with stored():
        engine = open_office(data)
        try:
            found = verify(engine, [*kept, *more])
        finally:
            engine.dispose()
    if as_json:
        click.echo(msgspec.json.encode(found).decode())
    else:
        click.echo(in_words(found))
    if found.wrong is not None:
        raise SystemExit(1)


def in_words(found: Verdict) -> str:
    """The verdict as a line."""
    if found.wrong is not None:
        before = f"the {found.good} rows before it are as they were written"
        return f"row {found.wrong.row} is wrong: {found.wrong.why}; {before}"
    return f"{found.good} rows, all as they were written; heads kept outside prove the first {found.anchored}"
