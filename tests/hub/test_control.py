"""The running hub's own door: answers as they come, refusals in words, and an end when the asker hangs up."""

import asyncio
import stat
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import pytest

from hub.control.door import FILE, Control, Handler, NotRunning, Refused, Said, ask


async def _count(arguments: Said) -> AsyncIterator[Said]:
    for number in range(int(arguments["to"])):
        yield {"number": number}


async def _refuse(arguments: Said) -> AsyncIterator[Said]:
    yield {"first": True}
    raise Refused(f"{arguments['what']} is no link; right: rs485")


HANDLERS: Mapping[str, Handler] = {"count": _count, "refuse": _refuse}


def _all(data: Path, do: str, arguments: Said) -> list[Said]:
    return list(ask(data, do, arguments, timeout=5))


async def test_answers_come_in_order_and_end(tmp_path: Path) -> None:
    """Every answer of a handler reaches the asker, in order, and then it is over."""
    async with Control(tmp_path, HANDLERS):
        assert await asyncio.to_thread(_all, tmp_path, "count", {"to": 3}) == [{"number": n} for n in range(3)]


async def test_a_refusal_comes_in_words(tmp_path: Path) -> None:
    """A refusal keeps its words, and whose mistake it was."""
    async with Control(tmp_path, HANDLERS):
        with pytest.raises(Refused, match="rs4850 is no link; right: rs485") as caught:
            await asyncio.to_thread(_all, tmp_path, "refuse", {"what": "rs4850"})
        assert caught.value.mistake
        with pytest.raises(Refused, match="does not know 'dance'"):
            await asyncio.to_thread(_all, tmp_path, "dance", {})


async def test_hanging_up_ends_what_was_asked_for(tmp_path: Path) -> None:
    """A handler that would tell for ever is closed when its asker is gone."""
    closed = asyncio.Event()

    async def for_ever(_: Said) -> AsyncIterator[Said]:
        try:
            while True:
                yield {"tick": 1}
                await asyncio.sleep(0.01)
        finally:
            closed.set()

    async with Control(tmp_path, {"watch": for_ever}):
        answers = ask(tmp_path, "watch", timeout=5)
        assert await asyncio.to_thread(next, answers) == {"tick": 1}
        await asyncio.to_thread(answers.close)  # type: ignore[attr-defined]  # it is a generator
        async with asyncio.timeout(5):
            await closed.wait()


async def test_only_its_user_may_ask_and_a_left_over_socket_is_replaced(tmp_path: Path) -> None:
    """The socket is the user's alone; one that a killed hub left behind stops nobody; a stopped hub is told so."""
    data = tmp_path / ("a-long-name-" * 12)
    data.mkdir()
    (data / FILE).touch()
    async with Control(data, HANDLERS):
        assert stat.S_IMODE((data / FILE).stat().st_mode) == 0o600
        assert len(await asyncio.to_thread(_all, data, "count", {"to": 2})) == 2
    with pytest.raises(NotRunning, match="no hub runs on"):
        _all(data, "count", {"to": 1})
