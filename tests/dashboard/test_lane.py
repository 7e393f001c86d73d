"""Who looks again goes some at a time; by the clock while somebody's page is made, a busy loop lets them through."""

import asyncio
import contextlib
import itertools
import time

from dashboard.live.lane import ABREAST, MOST, Lane

CROWD = 240


async def turns(lane: Lane, busy_s: float = 0.0) -> list[int]:
    """How many of a crowd had gone after each turn of the loop, each of which takes so long."""
    waiting = [asyncio.ensure_future(lane.turn()) for _ in range(CROWD)]
    gone = [0]
    while gone[-1] < CROWD:
        await asyncio.sleep(0)
        time.sleep(busy_s)  # noqa: ASYNC251  # the loop's other work
        gone.append(sum(one.done() for one in waiting))
    return gone


async def test_no_turn_of_the_loop_is_theirs_alone() -> None:
    """While nobody's page is made they go abreast, and no more in one turn."""
    gone = await turns(Lane())
    assert max(after - before for before, after in itertools.pairwise(gone)) <= ABREAST


async def test_a_busy_loop_lets_them_through_while_a_page_is_made() -> None:
    """Turns of 20 ms: those go who would have gone meanwhile, up to a bound; FEW each time would take 120 turns."""
    lane = Lane()
    with lane.making():
        gone = await turns(lane, 0.02)
    assert max(after - before for before, after in itertools.pairwise(gone)) <= MOST
    assert len(gone) < 60


async def test_who_has_hung_up_holds_up_nobody() -> None:
    """And the lane begins anew after it was empty."""
    lane = Lane()
    for _ in range(2):
        gone, stays = asyncio.ensure_future(lane.turn()), asyncio.ensure_future(lane.turn())
        await asyncio.sleep(0)
        gone.cancel()
        async with asyncio.timeout(10):
            await stays
        with contextlib.suppress(asyncio.CancelledError):
            await gone
