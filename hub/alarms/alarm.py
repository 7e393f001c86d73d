"""What an alarm is: three small machines as tables (filter, operator, overlay) and the gate that alone may speak.

Pure: no clock, no I/O, no rule and no device; instants (ms) come in as arguments, frozen structs go in and out.
It does not know why something is true (hub.rules.truth) nor what is written down (hub.alarms.instance).
"""

from enum import StrEnum

import msgspec


class Truth(StrEnum):
    """What a rule says of its source right now. UNKNOWN is neither normal nor alarming."""

    TRUE = "true"
    FALSE = "false"
    UNKNOWN = "unknown"


# --- machine 1: the filter, which waits until a condition has held long enough ----------------------------------


class FilterState(StrEnum):
    """OFF and FALLING: the condition is false; RISING and ON: it is true. ON and FALLING: the alarm is active."""

    OFF = "off"
    RISING = "rising"
    ON = "on"
    FALLING = "falling"


class Edge(StrEnum):
    """What the filter tells the operator machine."""

    RAISE = "raise"
    CLEAR = "clear"


class Wait(StrEnum):
    """Which delay must have passed before a cell's step is made."""

    ON_DELAY = "on delay"
    OFF_DELAY = "off delay"


class Since(StrEnum):
    """From when the wait is counted: from where it was, from now, or with the unknown time left out."""

    KEPT = "kept"
    NOW = "now"
    FROZEN = "frozen"


class FilterCell(msgspec.Struct, frozen=True):
    """Go to `next` (at once, or when `wait` is over and meanwhile stay in `meanwhile`) and say `edge`."""

    next: FilterState
    edge: Edge | None = None
    wait: Wait | None = None
    meanwhile: FilterState = FilterState.OFF
    since: Since = Since.KEPT


_OFF, _RISING, _ON, _FALLING = FilterState
_T, _F, _U = Truth

FILTER: dict[tuple[FilterState, Truth], FilterCell] = {
    (_OFF, _T): FilterCell(_ON, Edge.RAISE, Wait.ON_DELAY, _RISING, Since.NOW),
    (_OFF, _F): FilterCell(_OFF),
    (_OFF, _U): FilterCell(_OFF),
    (_RISING, _T): FilterCell(_ON, Edge.RAISE, Wait.ON_DELAY, _RISING),
    (_RISING, _F): FilterCell(_OFF),
    (_RISING, _U): FilterCell(_RISING, since=Since.FROZEN),
    (_ON, _T): FilterCell(_ON),
    (_ON, _F): FilterCell(_OFF, Edge.CLEAR, Wait.OFF_DELAY, _FALLING, Since.NOW),
    (_ON, _U): FilterCell(_ON),
    (_FALLING, _T): FilterCell(_ON),
    (_FALLING, _F): FilterCell(_OFF, Edge.CLEAR, Wait.OFF_DELAY, _FALLING),
    (_FALLING, _U): FilterCell(_FALLING, since=Since.FROZEN),
}


class Filter(msgspec.Struct, frozen=True, gc=False):
    """Machine 1 of one alarm: in `state` since `since`, last evaluated at `last` (ms)."""

    state: FilterState = FilterState.OFF
    since: int = 0
    last: int = 0

    @property
    def standing(self) -> bool:
        """True while the condition was last known to be true: what a deadband leans on."""
        return self.state is _RISING or self.state is _ON

    @property
    def active(self) -> bool:
        """True between raise and clear."""
        return self.state is _ON or self.state is _FALLING


class Manners(msgspec.Struct, frozen=True, kw_only=True):
    """How one rule's alarms behave: delays and longest shelf in ms, what unknown counts as, latch and ack."""

    on_delay: int = 0
    off_delay: int = 0
    on_unknown: Truth = Truth.UNKNOWN  # UNKNOWN = hold
    latches: bool = False
    ack_required: bool = True
    max_shelf: int = 0


def step_filter(was: Filter, truth: Truth, at: int, manners: Manners) -> tuple[Filter, Edge | None]:
    """One evaluation at `at`; one that is older than the last changes nothing."""
    if at < was.last:
        return was, None
    cell = FILTER[was.state, manners.on_unknown if truth is Truth.UNKNOWN else truth]
    since = was.since
    if cell.since is Since.NOW:
        since = at
    elif cell.since is Since.FROZEN:
        since += at - was.last
    if cell.wait is not None:
        delay = manners.on_delay if cell.wait is Wait.ON_DELAY else manners.off_delay
        if at - since < delay:
            return Filter(cell.meanwhile, since, at), None
    return Filter(cell.next, since if cell.next is was.state else at, at), cell.edge


def observe(was: Filter, before: Truth, truth: Truth, at: int, manners: Manners) -> tuple[Filter, Edge | None]:
    """`step_filter` for truths that hold until the next one: only the time during which it was unknown is frozen."""
    if at < was.last:
        return was, None
    if before is Truth.UNKNOWN and truth is not Truth.UNKNOWN and manners.on_unknown is Truth.UNKNOWN:
        was, _ = step_filter(was, Truth.UNKNOWN, at, manners)
    elif before is not Truth.UNKNOWN and truth is Truth.UNKNOWN:
        was = Filter(was.state, was.since, at)
    return step_filter(was, truth, at, manners)


# --- machine 2: the operator's view (the core of ISA-18.2 and IEC 62682) ----------------------------------------


class OperatorState(StrEnum):
    """RETURNED: over, and nobody has acknowledged it. LATCHED-*: over, and held until somebody resets it."""

    NORMAL = "normal"
    UNACKED = "unacked"
    ACKED = "acked"
    RETURNED = "returned"
    LATCHED_UNACKED = "latched-unacked"
    LATCHED_ACKED = "latched-acked"


class OperatorEvent(StrEnum):
    """What can happen to an alarm. REALARM: worse, or acknowledged and forgotten. WITHDRAW: rule or device gone."""

    RAISE = "raise"
    CLEAR = "clear"
    ACK = "ack"
    RESET = "reset"
    REALARM = "realarm"
    WITHDRAW = "withdraw"


class Deed(StrEnum):
    """What became of it, in the words of the journal's flips. COUNTED leaves no flip."""

    RAISED = "raised"
    REACTIVATED = "reactivated"  # true again within the same occurrence
    CLEARED = "cleared"
    ACKED = "acked"
    RESET = "reset"
    RENOTIFIED = "renotified"
    REMINDED = "reminded"
    WITHDRAWN = "withdrawn"
    REJECTED = "rejected"
    COUNTED = "counted"
    CLOSED = "closed"  # by the gate: came and went while hidden
    SHELVED = "shelved"
    UNSHELVED = "unshelved"
    SUPPRESSED = "suppressed"
    UNSUPPRESSED = "unsuppressed"
    OUT_OF_SERVICE = "out-of-service"
    IN_SERVICE = "in-service"


class Closed(StrEnum):
    """Why an occurrence ended."""

    AUTO = "auto"  # over, and the rule asks for no acknowledgement
    CLEARED = "cleared"  # acknowledged, then over
    ACKED = "acked"  # over, then acknowledged
    RESET = "reset"
    WITHDRAWN = "withdrawn"
    UNANNOUNCED = "unannounced"  # came and went while hidden: nobody was told


class Rejected(StrEnum):
    """Why something cannot be done to an alarm as it is."""

    NOT_ACTIVE = "not-active"
    NOT_LATCHED = "not-latched"
    STILL_ACTIVE = "still-active"
    NOT_SHELVABLE = "not-shelvable"
    NO_END = "no-end"  # a shelf ends in the future, or it is none
    TOO_LONG = "too-long"


class OperatorCell(msgspec.Struct, frozen=True):
    """Go to `next`, having done `deed`; `closed` ends the occurrence. `latched`, `no_ack`: the cell of such rules."""

    next: OperatorState
    deed: Deed
    closed: Closed | None = None
    rejected: Rejected | None = None
    latched: "OperatorCell | None" = None
    no_ack: "OperatorCell | None" = None


_N, _UA, _AA, _UR, _UL, _AL = OperatorState
_RAISE, _CLEAR, _ACK, _RESET, _REALARM, _WITHDRAW = OperatorEvent


def _reject(state: OperatorState, why: Rejected) -> OperatorCell:
    return OperatorCell(state, Deed.REJECTED, rejected=why)


_AUTO = OperatorCell(_N, Deed.CLEARED, Closed.AUTO)
_GONE = OperatorCell(_N, Deed.WITHDRAWN, Closed.WITHDRAWN)
_AGAIN = OperatorCell(_UA, Deed.REACTIVATED)

OPERATOR: dict[tuple[OperatorState, OperatorEvent], OperatorCell] = {
    (_N, _RAISE): OperatorCell(_UA, Deed.RAISED),
    (_N, _CLEAR): OperatorCell(_N, Deed.COUNTED),
    (_N, _ACK): _reject(_N, Rejected.NOT_ACTIVE),
    (_N, _RESET): _reject(_N, Rejected.NOT_LATCHED),
    (_N, _REALARM): OperatorCell(_N, Deed.COUNTED),
    (_N, _WITHDRAW): OperatorCell(_N, Deed.COUNTED),
    (_UA, _RAISE): OperatorCell(_UA, Deed.COUNTED),
    (_UA, _CLEAR): OperatorCell(_UR, Deed.CLEARED, latched=OperatorCell(_UL, Deed.CLEARED), no_ack=_AUTO),
    (_UA, _ACK): OperatorCell(_AA, Deed.ACKED),
    (_UA, _RESET): _reject(_UA, Rejected.STILL_ACTIVE),
    (_UA, _REALARM): OperatorCell(_UA, Deed.RENOTIFIED),
    (_UA, _WITHDRAW): _GONE,
    (_AA, _RAISE): OperatorCell(_AA, Deed.COUNTED),
    (_AA, _CLEAR): OperatorCell(_N, Deed.CLEARED, Closed.CLEARED, latched=OperatorCell(_AL, Deed.CLEARED)),
    (_AA, _ACK): OperatorCell(_AA, Deed.COUNTED),
    (_AA, _RESET): _reject(_AA, Rejected.STILL_ACTIVE),
    (_AA, _REALARM): OperatorCell(_UA, Deed.RENOTIFIED),
    (_AA, _WITHDRAW): _GONE,
    (_UR, _RAISE): _AGAIN,
    (_UR, _CLEAR): OperatorCell(_UR, Deed.COUNTED),
    (_UR, _ACK): OperatorCell(_N, Deed.ACKED, Closed.ACKED),
    (_UR, _RESET): _reject(_UR, Rejected.NOT_LATCHED),
    (_UR, _REALARM): OperatorCell(_UR, Deed.REMINDED),
    (_UR, _WITHDRAW): _GONE,
    (_UL, _RAISE): _AGAIN,
    (_UL, _CLEAR): OperatorCell(_UL, Deed.COUNTED),
    (_UL, _ACK): OperatorCell(_AL, Deed.ACKED),
    (_UL, _RESET): OperatorCell(_UR, Deed.RESET),
    (_UL, _REALARM): OperatorCell(_UL, Deed.REMINDED),
    (_UL, _WITHDRAW): _GONE,
    (_AL, _RAISE): _AGAIN,
    (_AL, _CLEAR): OperatorCell(_AL, Deed.COUNTED),
    (_AL, _ACK): OperatorCell(_AL, Deed.COUNTED),
    (_AL, _RESET): OperatorCell(_N, Deed.RESET, Closed.RESET),
    (_AL, _REALARM): OperatorCell(_AL, Deed.REMINDED),
    (_AL, _WITHDRAW): _GONE,
}


def step_operator(state: OperatorState, event: OperatorEvent, manners: Manners) -> OperatorCell:
    """The cell for this event, as a rule with these manners has it. A latch wins over "no acknowledgement needed"."""
    cell = OPERATOR[state, event]
    if manners.latches and cell.latched is not None:
        return cell.latched
    if not manners.ack_required and cell.no_ack is not None:
        return cell.no_ack
    return cell


# --- machine 3: the overlay, which hides an alarm without stopping it -------------------------------------------


class Shelf(StrEnum):
    """Put aside by a person: not, until an instant, or until it next clears (and no longer than that instant)."""

    NONE = "none"
    TIMED = "timed"
    ONE_SHOT = "one-shot"


class ShelfEvent(StrEnum):
    """TIMEOUT counts only when the shelf's end is reached."""

    SHELVE = "shelve"
    SHELVE_ONCE = "shelve-once"
    UNSHELVE = "unshelve"
    TIMEOUT = "timeout"
    CLEAR = "clear"


SHELF: dict[tuple[Shelf, ShelfEvent], Shelf] = {
    **{(shelf, ShelfEvent.SHELVE): Shelf.TIMED for shelf in Shelf},
    **{(shelf, ShelfEvent.SHELVE_ONCE): Shelf.ONE_SHOT for shelf in Shelf},
    **{(shelf, ShelfEvent.UNSHELVE): Shelf.NONE for shelf in Shelf},
    **{(shelf, ShelfEvent.TIMEOUT): Shelf.NONE for shelf in Shelf},
    (Shelf.NONE, ShelfEvent.CLEAR): Shelf.NONE,
    (Shelf.TIMED, ShelfEvent.CLEAR): Shelf.TIMED,
    (Shelf.ONE_SHOT, ShelfEvent.CLEAR): Shelf.NONE,
}


class Overlay(msgspec.Struct, frozen=True, kw_only=True):
    """Machine 3 of one alarm: hidden when anything is set. The machines below run on."""

    shelved_until: int | None = None
    one_shot: bool = False
    suppressed: tuple[str, ...] = ()
    out_of_service: bool = False

    @property
    def hidden(self) -> bool:
        """True when nobody is to be told."""
        return self.shelved_until is not None or bool(self.suppressed) or self.out_of_service

    @property
    def shelf(self) -> Shelf:
        """Which of the shelf's states this is."""
        if self.shelved_until is None:
            return Shelf.NONE
        return Shelf.ONE_SHOT if self.one_shot else Shelf.TIMED


def step_shelf(was: Overlay, event: ShelfEvent, now: int, until: int | None = None) -> Overlay:
    """The overlay after `event` at `now`; `until` goes with the two that shelve (see `may_shelve`)."""
    if event is ShelfEvent.TIMEOUT and (was.shelved_until is None or now < was.shelved_until):
        return was
    shelf = SHELF[was.shelf, event]
    if shelf is Shelf.NONE:
        return msgspec.structs.replace(was, shelved_until=None, one_shot=False)
    end = was.shelved_until if until is None else until
    return msgspec.structs.replace(was, shelved_until=end, one_shot=shelf is Shelf.ONE_SHOT)


def may_shelve(until: int | None, now: int, manners: Manners) -> Rejected | None:
    """Why not, or None: a shelf has an end in the future, within what the rule's severity allows (P1: never)."""
    if manners.max_shelf <= 0:
        return Rejected.NOT_SHELVABLE
    if until is None or until <= now:
        return Rejected.NO_END
    return Rejected.TOO_LONG if until - now > manners.max_shelf else None


def suppress(was: Overlay, source: str) -> Overlay:
    """Hidden for one more reason; the same reason twice is one."""
    return msgspec.structs.replace(was, suppressed=tuple(sorted({*was.suppressed, source})))


def unsuppress(was: Overlay, source: str) -> Overlay:
    """This reason is gone; others may remain."""
    return msgspec.structs.replace(was, suppressed=tuple(name for name in was.suppressed if name != source))
