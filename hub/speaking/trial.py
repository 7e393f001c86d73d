"""Live tests of voices, as orders: the calendar and `zhian voice test` put them in, the field process carries them out.

Pure: which tests are due, and what the order of one ends as.
"""

from collections.abc import Mapping, Sequence

from hub.orders.order import OrderEvent, OrderWord, step_order
from hub.outcome import Order
from hub.settings.site_voice import Voice
from hub.speaking.state import VoiceState

TEST_VOICE = "test-voice"
EXPIRES_MS = 600_000
DAY_MS = 86_400_000
WEEK_MS = 7 * DAY_MS
EARLY_MS = DAY_MS // 2  # the calendar asks at the same hour of each day, give or take


def trial(voice: str, token: str, actor: str, now: int) -> Order:
    """An order for one live test; the same token again is the same test."""
    return Order(id=0, token=token, kind=TEST_VOICE, target=voice, actor=actor, issued=now, expires=now + EXPIRES_MS)


def due_trials(voices: Sequence[Voice], states: Mapping[str, VoiceState], now: int) -> list[Order]:
    """Today's tests: of the voices that want one a week, and have had none for so long."""
    due = [voice.id for voice in voices if voice.test == "weekly" and _is_due(states.get(voice.id), now)]
    return [trial(voice, f"voice-test/{voice}/{now // DAY_MS}", "calendar", now) for voice in due]


def ended(order: Order, state: VoiceState | None, now: int) -> Order:
    """The order after its test. `state` None: the site has no such voice."""
    if state is None:
        return step_order(order, OrderEvent.REFUSE, now, OrderWord.NO_VOICE, order.target)
    if not state.passed:
        return step_order(order, OrderEvent.FAIL, now, OrderWord.NOT_SAID, state.detail)
    return step_order(order, OrderEvent.FINISH, now, OrderWord.DONE, state.detail)


def too_late(order: Order, now: int) -> Order | None:
    """The order as expired, where nobody took it in time."""
    return step_order(order, OrderEvent.EXPIRE, now, OrderWord.EXPIRED) if now >= order.expires else None


def _is_due(state: VoiceState | None, now: int) -> bool:
    """A test in the future was noted by a clock that has been set back since."""
    return state is None or state.tested is None or not now - WEEK_MS + EARLY_MS < state.tested <= now
