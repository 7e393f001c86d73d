"""The register of dogs by the command line, with a hub that runs."""

import asyncio
from typing import TYPE_CHECKING

from click.testing import CliRunner, Result

from hub.commands.dogs import dog_command

if TYPE_CHECKING:
    from tests.hub.field.conftest import Hub

CHIP = "156000000000101"


async def called(hub: "Hub", *arguments: str) -> Result:
    """`zhian dog ...` on the hub's data folder."""
    call = [*arguments, "--data", str(hub.path.parent)]
    return await asyncio.to_thread(CliRunner().invoke, dog_command, call)


async def test_lost_found_and_vaccinated(hub: "Hub") -> None:
    """Each list is what was said of the dog; a certificate that has run out counts at once; all is gone with it."""
    lists = f"SELECT list, note FROM entry WHERE id = '{CHIP}' ORDER BY list"
    async with hub.running():
        for arguments in (["add", CHIP, "--vaccinated-until", "2020-01-01"], ["lost", CHIP, "--note", "north gate"]):
            assert (await called(hub, *arguments)).exit_code == 0
        told = [
            ("dogs", ""),
            ("lost-dogs", "north gate"),
            ("vaccinated-until", "2020-01-01"),
            ("vaccination-overdue", ""),
        ]
        assert hub.ask(lists) == told
        assert "2020-01-01" in (await called(hub, "list")).output

        await called(hub, "add", CHIP, "--vaccinated-until", "2999-01-01")
        await called(hub, "found", CHIP)
        assert hub.ask(lists) == [("dogs", ""), ("vaccinated-until", "2999-01-01")]

        await called(hub, "remove", CHIP)
        assert hub.ask(lists) == []
        wrong = await called(hub, "add", CHIP, "--vaccinated-until", "soon")
        assert wrong.exit_code == 2
        assert "%Y-%m-%d" in wrong.output
