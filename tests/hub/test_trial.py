"""Live tests: which are due, that one a day is put in at most, and what an order ends as."""

import pytest

from hub.outcome import OrderState
from hub.settings.site_voice import DeviceSpec, LogSpec, MqttSpec
from hub.speaking.outbox import VoiceState
from hub.speaking.trial import DAY_MS, due_trials, ended, too_late, trial

NOW = 1_760_000_000_000
VOICES = (MqttSpec(id="a"), LogSpec(id="log"), DeviceSpec(id="horn"), MqttSpec(id="b", test="never"))


@pytest.mark.parametrize(
    ("tested", "due"),
    [
        (None, True),
        (NOW - DAY_MS, False),
        (NOW - 6 * DAY_MS, False),
        (NOW - 7 * DAY_MS + 60_000, True),
        (NOW + 1, True),
    ],
)
def test_once_a_week(tested: int | None, due: bool) -> None:
    """Voices that want none are left alone, as are sounding devices; a clock that was set back puts nothing off."""
    states = {"a": VoiceState(id="a", tested=tested)}

    assert [order.target for order in due_trials(VOICES, states, NOW)] == (["a"] if due else [])


def test_a_day_has_one_order_a_voice() -> None:
    """However often the calendar asks; the token tells the day."""
    first, second = (due_trials(VOICES, {}, at)[0].token for at in (NOW, NOW + 60_000))
    later = due_trials(VOICES, {}, NOW + DAY_MS)[0].token

    assert first == second != later


def test_what_an_order_ends_as() -> None:
    """Done when the other side took it; else failed with its words; no such voice is refused; too late is expired."""
    order = trial("a", "t", "cli:me", NOW)

    passed = ended(order, VoiceState(id="a", passed=1, detail="code 0"), NOW)
    failed = ended(order, VoiceState(id="a", passed=0, detail="wrong key"), NOW)

    assert (passed.state, passed.outcome) == (OrderState.DONE, "done:code 0")
    assert (failed.state, failed.outcome) == (OrderState.FAILED, "not-said:wrong key")
    assert ended(order, None, NOW).state is OrderState.REFUSED
    assert too_late(order, order.expires - 1) is None
    expired = too_late(order, order.expires)
    assert expired is not None
    assert expired.state is OrderState.EXPIRED
