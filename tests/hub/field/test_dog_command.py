"""`zhian dog` against a running field process: what stands in the register, and what a second word leaves as it is."""

import asyncio
from typing import TYPE_CHECKING

from click.testing import CliRunner

from hub.commands.dogs import dog_command

if TYPE_CHECKING:
    from tests.hub.field.conftest import Hub

CHIP = "156000012345678"


async def test_a_note_stays_until_another_is_given(hub: "Hub") -> None:
    """Registered again, as with its vaccination, a dog keeps its note; an empty one takes it away."""

    async def add(*more: str) -> str:
        command = ["add", CHIP, *more, "--data", str(hub.path.parent)]
        result = await asyncio.to_thread(CliRunner().invoke, dog_command, command)
        assert result.exit_code == 0, result.output
        ((note,),) = hub.ask("SELECT note FROM entry WHERE list = 'dogs'")
        return str(note)

    async with hub.running():
        assert await add("--note", "black, 3 kg") == "black, 3 kg"
        assert await add() == "black, 3 kg"
        assert await add("--vaccinated-until", "2031-05-01") == "black, 3 kg"
        assert await add("--note", "") == ""
