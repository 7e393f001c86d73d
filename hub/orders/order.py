"""What becomes of an order: a table from requested to an end, and the words that say why.

Pure. It carries nothing: `hub.core` feeds it, and the `dispatch` of an Outcome is sent by the hub's loop. An order is
sent at most once; what may have been sent before the hub stopped is never sent again.

`Order.outcome` is a word of OrderWord, then (where there is more to say) a colon and the detail.
"""

from enum import StrEnum

from msgspec.structs import replace

from device_profiles.types import Profile, speech_of
from hub.outcome import Order, OrderState
from hub.reading import FaultKind


class OrderWord(StrEnum):
    """Why an order is where it is, for the page to say in its own language. In comments: what follows the colon."""

    NO_ECHO = "no-echo"  # fault kind and detail: it left, and the device's answer to it did not come
    CONFIRMED = "confirmed"  # "gate=open"
    NOT_CONFIRMED = "not-confirmed"  # seconds waited
    LINK_DOWN = "link-down"  # the link's own words
    NOT_SENT = "not-sent"  # fault kind and detail
    EXPIRED = "expired"
    HUB_STOPPED = "hub-stopped"  # between sending and confirmation
    NO_DEVICE = "no-such-device"  # the id
    NO_COMMAND = "no-such-command"  # the command
    NO_ALARM = "no-such-alarm"  # the key
    NO_KIND = "no-such-kind"  # the kind
    NO_VOICE = "no-such-voice"  # the voice
    NOT_SAID = "not-said"  # a voice's live test: what the other side answered
    UNDER_WAY = "already-under-way"  # number of the other order
    BAD_SECONDS = "seconds-out-of-range"  # "0.5..60" or "none" for a command without a duration
    BAD_TEXT = "text-out-of-range"  # characters, "1..200": for a command that speaks it
    OVER = "occurrence-over"  # the ack speaks of another occurrence than the present one
    NO_REASON = "no-reason"  # a shelf without a reason, a comment or a list entry without a text
    REJECTED = "rejected"  # a word of hub.alarms.alarm.Rejected
    NO_RULE = "no-such-rule"  # the rule, or why this zone has none of it
    NO_ZONE = "no-such-zone"  # the zone
    NO_LIMIT = "no-such-limit"  # the key, and those that the rule has
    OUT_OF_LIMITS = "out-of-range"  # "0..100"
    UNFIT = "does-not-fit"  # what the rule's other numbers demand
    ONLY_STRICTER = "p1-only-stricter"  # what the site file has
    FIRE = "fire-release"  # the gate: the fire system has released it, or another one of its zone
    LOCKED_OPEN = "interlock-open"  # another gate of the interlock: it is not shut
    LOCKED_UNKNOWN = "interlock-unknown"  # another gate of the interlock: nobody knows how it stands
    LOCKED_ORDERED = "interlock-ordered"  # another gate of the interlock: it was just ordered to open
    OCCUPIED = "occupied"  # sensors that see somebody already: a test of them would prove nothing
    NOT_SET = "not-set"  # a limit that was not set here is taken back; a mute or test that is none is ended
    ALREADY_OUT = "already-out-of-service"  # who took it out
    NOT_OUT = "not-out-of-service"  # the device, where it is the whole device that is
    NO_METER = "no-such-meter"  # the device, which measures no sound levels
    DONE = "done"


class OrderEvent(StrEnum):
    """What can happen to an order. STOPPED: the hub itself stopped, and has started again."""

    SENT = "sent"
    FAIL = "fail"
    CONFIRM = "confirm"
    OVERDUE = "overdue"
    EXPIRE = "expire"
    REFUSE = "refuse"
    FINISH = "finish"
    STOPPED = "stopped"


_REQUESTED, _SENT = OrderState.REQUESTED, OrderState.SENT
OPEN = frozenset({_REQUESTED, _SENT})

# An ended order stays as it ended, whatever happens.
ORDER: dict[tuple[OrderState, OrderEvent], OrderState] = {
    **{(state, event): state for state in OrderState for event in OrderEvent},
    (_REQUESTED, OrderEvent.SENT): _SENT,
    (_REQUESTED, OrderEvent.FAIL): OrderState.FAILED,
    (_REQUESTED, OrderEvent.EXPIRE): OrderState.EXPIRED,
    (_REQUESTED, OrderEvent.REFUSE): OrderState.REFUSED,
    (_REQUESTED, OrderEvent.FINISH): OrderState.DONE,
    (_SENT, OrderEvent.CONFIRM): OrderState.CONFIRMED,
    (_SENT, OrderEvent.OVERDUE): OrderState.UNCONFIRMED,
    (_SENT, OrderEvent.FAIL): OrderState.FAILED,
    (_SENT, OrderEvent.STOPPED): OrderState.UNKNOWN,
}

# After these the command may have reached the device: only a reading can tell.
MAY_HAVE_ACTED = frozenset({FaultKind.NO_ANSWER, FaultKind.INCOMPLETE, FaultKind.CHECKSUM, FaultKind.MISMATCH})


def step_order(order: Order, event: OrderEvent, now: int, word: OrderWord | None = None, detail: str = "") -> Order:
    """The order after `event` at `now` (ms), with its `outcome`; the same object when the table changes nothing."""
    state = ORDER[order.state, event]
    if state is order.state:
        return order
    outcome = f"{word}:{detail}" if detail else (word or "")
    if state is _SENT:
        return replace(order, state=state, sent=now, outcome=outcome)
    return replace(order, state=state, ended=now, outcome=outcome)


def objection(order: Order, profile: Profile) -> tuple[OrderWord, str] | None:
    """Why this device cannot do it: no such command, not for so long, not such a text. None when it can."""
    command = profile.command.get(order.command)
    if command is None:
        return OrderWord.NO_COMMAND, order.command
    speech = speech_of(profile, order.command)
    if speech is not None and not 1 <= len(order.text.strip()) <= speech.most:
        return OrderWord.BAD_TEXT, f"1..{speech.most}"
    if order.seconds is None:
        return None
    if command.seconds is None:
        return OrderWord.BAD_SECONDS, "none"
    if not command.seconds.min <= order.seconds <= command.seconds.max:
        return OrderWord.BAD_SECONDS, f"{command.seconds.min:g}..{command.seconds.max:g}"
    return None
