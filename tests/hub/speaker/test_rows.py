"""What becomes of rows: budgets and their reserve, digests, persons, a throttled channel, a crash."""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from hub.speaking.budget import Limit
from hub.speaking.outbox import CLAIM_MS
from hub.voices import VoiceError, Why

if TYPE_CHECKING:
    from tests.hub.speaker.conftest import Hub

Opened = Callable[..., "Hub"]
NOW = 1_760_000_000_000
MINUTE = (Limit(8, 60.0),)  # two of them for P1


async def test_what_does_not_fit_is_folded_into_one(opened: Opened) -> None:
    """Six a minute are for P2 to P4: the first are said, the others wait, and go as one digest; none is dropped."""
    hub = opened(MINUTE)
    async with hub.speaking():
        for number in range(1, 7):
            await hub.raised(number, severity="P4")
            await hub.until(lambda n=number: hub.mouth.tried == n)  # type: ignore[misc]
            hub.clock.at += 5_000
        await hub.raised(7, 8, severity="P4")
        await hub.raised(9, severity="P3")
        await asyncio.sleep(0.1)
        assert hub.mouth.tried == 6
        hub.clock.at += 30_000
        await hub.until(lambda: "pending" not in hub.statuses() and "sending" not in hub.statuses())

        assert hub.mouth.heard() == ["s1", "s2", "s3", "s4", "s5", "s6", "s9+s7+s8"]
        assert hub.statuses() == ["accepted"] * 6 + ["folded", "folded", "accepted"]
        assert hub.ask("SELECT DISTINCT detail FROM outbox WHERE status = 'folded'") == [("within announcement 9",)]


async def test_a_storm_is_one_message_at_once(opened: Opened) -> None:
    """A hundred P4 rows at once do not use up the minute first: they go as one, and P2 goes by itself."""
    hub = opened(MINUTE)
    hub.write(*range(100), severity="P4")
    hub.write(100, severity="P2")
    async with hub.speaking():
        await hub.until(lambda: "pending" not in hub.statuses() and "sending" not in hub.statuses())

    assert [announcement.kind for announcement, _ in hub.mouth.said] == ["raised", "digest"]
    assert hub.mouth.heard()[1].count("+") == 99


async def test_p1_finds_its_reserve_and_p2_is_never_folded(opened: Opened) -> None:
    """With the budget of the others spent, P1 goes at once; P2 waits for its turn, one by one."""
    hub = opened(MINUTE)
    async with hub.speaking():
        await hub.raised(*range(1, 9), severity="P2")
        await hub.until(lambda: len(hub.mouth.said) == 6)
        await hub.raised(10, 11, severity="P1")
        await hub.until(lambda: len(hub.mouth.said) == 8)
        await asyncio.sleep(0.1)
        assert hub.mouth.heard()[6:] == ["s10", "s11"]
        hub.clock.at += 60_000
        await hub.until(lambda: len(hub.mouth.said) == 10)

    assert hub.mouth.heard()[8:] == ["s7", "s8"]


async def test_p1_does_not_wait_behind_a_slow_message(opened: Opened) -> None:
    """While a P3 message hangs, P1 is said by the other lane."""
    hub = opened()
    async with hub.speaking():
        hub.mouth.open.clear()
        await hub.raised(1, severity="P3")
        await hub.until(lambda: hub.mouth.tried == 1)
        await hub.raised(2, severity="P1")
        await hub.until(lambda: hub.mouth.tried == 2)
        hub.mouth.open.set()
        await hub.until(lambda: len(hub.mouth.said) == 2)


async def test_a_throttled_channel_waits_as_long_as_it_was_told(opened: Opened) -> None:
    """Retry-After holds back the whole channel, also rows that come meanwhile; then all is said."""
    hub = opened()
    hub.mouth.errors = [VoiceError("slow down", Why.THROTTLED, after_s=90.0)]
    async with hub.speaking():
        await hub.raised(1, severity="P2")
        await hub.until(lambda: hub.mouth.tried == 1)
        await hub.raised(2, severity="P1")
        hub.clock.at += 89_000
        await asyncio.sleep(0.1)
        assert hub.mouth.tried == 1
        hub.clock.at += 1_000
        await hub.until(lambda: sorted(hub.mouth.heard()) == ["s1", "s2"])

    assert hub.changes == []


async def test_a_digest_that_a_crash_cut_is_said_again(opened: Opened) -> None:
    """Rows that were being said belong to nobody after CLAIM_MS; none is lost, and none is marked that was not said."""
    before = opened(MINUTE)
    before.mouth.open.clear()
    before.write(*range(20), severity="P4")
    async with before.speaking():
        await before.until(lambda: before.mouth.tried == 1)
    hub = opened(MINUTE, before.clock)
    assert set(hub.statuses()) == {"sending"}
    hub.clock.at += CLAIM_MS
    async with hub.speaking():
        await hub.until(lambda: "sending" not in hub.statuses())

        assert hub.statuses() == ["accepted"] + ["folded"] * 19


async def test_what_is_not_confirmed_is_not_called_accepted(opened: Opened) -> None:
    """It went out, and nothing tells what came of it."""
    hub = opened()
    hub.mouth.confirmed = False
    async with hub.speaking():
        await hub.raised(1)
        await hub.until(lambda: hub.statuses() == ["unconfirmed"])


async def test_a_person_is_told_once_by_name(opened: Opened) -> None:
    """Two persons hear one flip by one voice, each once; a person that nobody knows any more ends the row in words."""
    hub = opened()
    async with hub.speaking():
        await hub.raised(1, severity="P1")
        for person in ("li", "wang", "li", "gone"):
            await hub.put(1, person)
        await hub.until(lambda: len(hub.statuses()) == 4 and "pending" not in hub.statuses())
        await hub.until(lambda: "sending" not in hub.statuses())

        assert sorted(person for _, person in hub.mouth.said) == ["", "li", "wang"]
        gone = hub.ask("SELECT status, detail FROM outbox WHERE person = 'gone'")
        assert gone == [("failed", "nobody knows who 'gone' is any more")]


async def test_one_persons_spent_budget_holds_up_no_other(opened: Opened) -> None:
    """One call a minute is for one telephone."""
    hub = opened((Limit(1, 60.0),))
    hub.write(1, 2, severity="P1")
    hub.journal.db.execute("DELETE FROM outbox")
    async with hub.speaking():
        for flip, person in ((1, "li"), (2, "li"), (2, "wang")):
            await hub.put(flip, person)
        await hub.until(lambda: len(hub.mouth.said) == 2)
        await asyncio.sleep(0.1)
        assert sorted(person for _, person in hub.mouth.said) == ["li", "wang"]
        hub.clock.at += 60_000
        await hub.until(lambda: len(hub.mouth.said) == 3)
