"""When a voice fails and when it works again: by the class of its errors, by live tests and probes."""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from hub.clock import Clock
from hub.speaking import speaker
from hub.speaking.budget import Limit
from hub.speaking.speaker import LOCKED_S
from hub.voices import VoiceError, Why

if TYPE_CHECKING:
    from tests.hub.speaker.conftest import Hub

Opened = Callable[..., "Hub"]
NOW = 1_760_000_000_000
MINUTE = (Limit(8, 60.0),)
TROUBLE, REFUSED = VoiceError("no way", Why.TROUBLE), VoiceError("never", Why.REFUSED)
LOCKED = VoiceError("wrong key", Why.LOCKED)


@pytest.mark.parametrize(("error", "status"), [(LOCKED, "pending"), (REFUSED, "failed")])
async def test_what_only_a_person_can_mend_is_an_alarm_at_once(opened: Opened, error: VoiceError, status: str) -> None:
    """A wrong key and a refusal make the channel failing with the first try; the next success ends that."""
    hub = opened()
    hub.mouth.errors = [error]
    async with hub.speaking():
        await hub.raised(1)
        await hub.until(lambda: hub.changes)
        assert hub.changes == [("v", False, error.detail)]
        assert hub.statuses() == [status]
        assert hub.ask("SELECT failing, detail FROM voice") == [(NOW, error.detail)]
        hub.clock.at += int(LOCKED_S * 1000)
        await hub.raised(2)
        await hub.until(lambda: len(hub.changes) == 2)

    assert hub.changes[1] == ("v", True, "yes")


async def test_a_locked_channel_is_tried_once_a_minute(opened: Opened) -> None:
    """Many rows do not hammer a server that says no; when the key is mended, all that waited goes at once."""
    hub = opened()
    hub.mouth.errors = [LOCKED] * 3
    async with hub.speaking():
        await hub.raised(*range(1, 11))
        for tries in (1, 2, 3):
            await hub.until(lambda n=tries: hub.mouth.tried == n)  # type: ignore[misc]
            await asyncio.sleep(0.05)
            assert hub.mouth.tried == tries
            hub.clock.at += int(LOCKED_S * 1000)
        await hub.until(lambda: len(hub.mouth.said) == 10)

    assert [works for _, works, _ in hub.changes] == [False, True]


async def test_trouble_is_an_alarm_when_it_lasts(opened: Opened) -> None:
    """One lost connection is none; the third in a row is."""
    hub = opened()
    hub.mouth.errors = [TROUBLE] * 3
    async with hub.speaking():
        await hub.raised(1)
        for tries in (1, 2):
            await hub.until(lambda n=tries: hub.mouth.tried == n)  # type: ignore[misc]
            assert hub.changes == []
            hub.clock.at += 300_000
        await hub.until(lambda: hub.changes == [("v", False, "no way")])
        hub.clock.at += 300_000
        await hub.until(lambda: hub.changes[1:] == [("v", True, "yes")])

        assert hub.statuses() == ["accepted"]


async def test_what_says_nothing_of_the_channel_is_no_alarm(opened: Opened) -> None:
    """A siren order that came too late has failed; the siren has not."""
    hub = opened()
    hub.mouth.errors = [VoiceError("too old", Why.UNFIT)]
    async with hub.speaking():
        await hub.raised(1)
        await hub.until(lambda: hub.statuses() == ["failed"])

    assert hub.changes == []


async def test_a_restart_remembers_that_it_fails_and_what_it_spent(opened: Opened) -> None:
    """The core is told again, for a crash may have come between; the budget goes on where it was."""
    before = opened(MINUTE)
    async with before.speaking():
        await before.raised(*range(1, 7), severity="P2")
        await before.until(lambda: len(before.mouth.said) == 6)
        before.mouth.errors = [LOCKED]
        await before.raised(7, severity="P1")
        await before.until(lambda: before.changes)
    hub = opened(MINUTE, before.clock)
    async with hub.speaking():
        await hub.raised(8, severity="P2")
        hub.clock.at += 10_000
        await hub.until(lambda: len(hub.changes) == 2)

        assert hub.changes[0] == ("v", False, "wrong key")
        assert hub.mouth.heard() == ["s7"]
        assert hub.statuses()[-1] == "pending"
        assert hub.changes[1] == ("v", True, "yes")


async def test_a_live_test_says_how_the_voice_does(opened: Opened) -> None:
    """Passing trouble is tried thrice; a wrong key fails at once, is an alarm, and the next test ends it."""
    hub = opened()
    async with hub.speaking():
        hub.mouth.errors = [TROUBLE, TROUBLE]
        first = await hub.speaker.test()
        hub.mouth.errors = [LOCKED]
        second = await hub.speaker.test()
        third = await hub.speaker.test()

        assert [(state.passed, state.detail) for state in (first, second, third)] == [
            (1, "yes"), (0, "wrong key"), (1, "yes"),
        ]  # fmt: skip
        assert hub.changes == [("v", False, "wrong key"), ("v", True, "yes")]
        assert hub.ask("SELECT passed, failing, succeeded IS NOT NULL FROM voice") == [(1, None, 1)]


async def test_a_failing_voice_with_nothing_to_say_is_probed(opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise nobody would find out that it works again."""
    monkeypatch.setattr(speaker, "PROBE_S", 0.05)
    hub = opened()
    monkeypatch.setattr(type(hub.clock), "sleep", Clock.sleep)
    hub.mouth.errors = [REFUSED]
    async with hub.speaking():
        await hub.raised(1)
        await hub.until(lambda: [works for _, works, _ in hub.changes] == [False, True])
        tried = hub.mouth.tried
        await asyncio.sleep(0.2)

    assert hub.mouth.tried == tried == 2


async def test_a_clock_that_was_set_back_locks_no_channel(opened: Opened) -> None:
    """Pauses of another time are no pauses."""
    hub = opened()
    hub.mouth.errors = [LOCKED, VoiceError("slow", Why.THROTTLED, after_s=3000.0)]
    async with hub.speaking():
        await hub.raised(1)
        await hub.until(lambda: hub.mouth.tried == 1)
        hub.clock.at -= 86_400_000
        await hub.raised(2)
        await hub.until(lambda: hub.mouth.tried >= 2)
        hub.clock.at -= 86_400_000
        await hub.until(lambda: len(hub.mouth.said) == 2)
