"""What the core decides in one step, as rows of the journal: the journal writes an Outcome in one transaction.

One struct a table of `schema.sql`, with the same names. Instants are ms since 1970; None is "not yet".
"""

from enum import StrEnum

import msgspec

from hub.reading import Fault, Reading, Value


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """How one device (ok | silent | offline | unknown) or link (up | down) is, since when, and its last fault."""

    source: str
    kind: str  # device | link
    state: str
    since: int
    last_rx: int | None = None
    detail: str = ""
    faults: int = 0


class Alarm(msgspec.Struct, frozen=True, kw_only=True):
    """The whole state of one alarm: filter (machine 1), operator state (2), overlay (3), what was announced."""

    key: str
    rule: str
    source: str
    zone: str
    severity: str
    filter: str
    since: int
    last: int
    state: str
    shelved_until: int | None = None
    one_shot: bool = False
    suppressed: tuple[str, ...] = ()
    out_of_service: bool = False
    occurrence: int = 0
    activations: int = 0
    announced: bool = False
    value: Value | None = None
    quantity: str = ""
    limit: float | None = None
    raised: int | None = None
    cleared: int | None = None
    acked: int | None = None
    acked_by: str = ""


class Occurrence(msgspec.Struct, frozen=True, kw_only=True):
    """One time that an alarm happened, from raise to close. `closed`: "" while open, else why it ended."""

    key: str
    occurrence: int
    rule: str
    source: str
    zone: str
    severity: str  # the worst that it has been
    quantity: str
    raised: int
    value: Value | None = None
    peak: Value | None = None
    limit: float | None = None
    cleared: int | None = None
    acked: int | None = None
    acked_by: str = ""
    closed: str = ""
    ended: int | None = None
    activations: int = 1


class Flip(msgspec.Struct, frozen=True, kw_only=True):
    """One change of an alarm, or one word said about it. `announce`: "raised" or "cleared" when voices are to speak."""

    at: int
    key: str
    occurrence: int
    event: str
    before: str
    after: str
    actor: str = ""
    note: str = ""
    value: Value | None = None
    announce: str = ""
    severity: str = ""
    siren: bool = False  # the zone's siren sounds for this flip


class OrderState(StrEnum):
    """Where an order is. From REQUESTED on it is sent at most once."""

    REQUESTED = "requested"
    SENT = "sent"
    CONFIRMED = "confirmed"  # a reading of the device itself says so
    UNCONFIRMED = "unconfirmed"  # sent, and no such reading came in time: state unknown, look
    REFUSED = "refused"  # by the hub: no such device, not allowed now
    FAILED = "failed"  # the cable or the device said no
    EXPIRED = "expired"  # not sent in time
    UNKNOWN = "unknown"  # the hub stopped between sending and confirmation; never sent again
    DONE = "done"  # acks, comments, lists


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody wants done. kind: command, ack, shelve, out-of-service ...; docs/alarms.md names them all."""

    id: int
    token: str
    kind: str
    target: str
    actor: str
    issued: int
    expires: int
    command: str = ""
    seconds: float | None = None
    occurrence: int | None = None
    text: str = ""
    state: OrderState = OrderState.REQUESTED
    sent: int | None = None
    ended: int | None = None
    outcome: str = ""


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """An entry of a list, added or (`present` False) removed."""

    list: str
    id: str
    note: str = ""
    present: bool = True


class Inner(msgspec.Struct, frozen=True, kw_only=True):
    """What an alarm's question remembers beyond its readings (counts, orders under way), as its own text."""

    key: str
    state: str


class Sequence(msgspec.Struct, frozen=True, kw_only=True):
    """How far a device has counted its messages (hub/devices/sequence.py); bit n - 1 of a mask: the n-th before `last`.

    `seen`: it came; `owed`: it was skipped and may still come. `missing`, `repeated`, `late`: since the journal began.
    """

    device: str
    boot: str
    first: int
    last: int
    seen: int
    owed: int
    boot_before: str = ""
    last_before: int = -1
    seen_before: int = 0
    missing: int = 0
    repeated: int = 0
    late: int = 0


class Limit(msgspec.Struct, frozen=True, kw_only=True):
    """A number of a rule (in one zone, or in all) as somebody set it while the hub ran. `value` None: taken back."""

    rule: str
    zone: str
    key: str
    value: float | str | None
    before: float | str | None
    actor: str
    reason: str
    at: int

    @property
    def place(self) -> tuple[str, str, str]:
        """What it sets: the newest row of a place is the one that counts."""
        return self.rule, self.zone, self.key


class Mute(msgspec.Struct, frozen=True, kw_only=True):
    """A zone whose P3 and P4 announcements are withheld from `at` until `until`; `ended`: somebody ended it before."""

    zone: str
    at: int
    until: int
    actor: str
    reason: str
    ended: int | None = None
    ended_by: str = ""

    def holds(self, now: int) -> bool:
        """False for one that a clock which was set back has put into the future: better told twice than not at all."""
        return self.ended is None and self.at <= now < self.until


class DrillState(StrEnum):
    """How a test of a zone stands; with BEGUN its zone is known, and from then on to be tested."""

    RUNNING = "running"
    PASSED = "passed"
    FAILED = "failed"  # its time was over, and not every sensor had seen somebody
    ENDED = "ended"  # by a person, before that
    BEGUN = "begun"


class Drill(msgspec.Struct, frozen=True, kw_only=True):
    """A test of a zone's sensors (hub/care/drill.py). `siren`: short or withheld. `ended` None: what it catches counts.

    `expected`: keys of the alarms that have to be raised; `caught`: key, occurrence and instant of those that were.
    """

    zone: str
    at: int
    until: int
    siren: str = "withheld"
    actor: str = ""
    note: str = ""
    state: DrillState = DrillState.RUNNING
    expected: tuple[str, ...] = ()
    caught: tuple[tuple[str, int, int], ...] = ()
    ended: int | None = None
    ended_by: str = ""


class Service(msgspec.Struct, frozen=True, kw_only=True):
    """An alarm (its key) or a whole device (its id) out of service since `at`; `ended`: somebody put it back."""

    target: str
    at: int
    actor: str
    reason: str
    ended: int | None = None
    ended_by: str = ""


class Upkeep(msgspec.Struct, frozen=True, kw_only=True):
    """What was done to a device. Instants in ms since 1970, levels in dB.

    `kind` calibration: from `at` to `ended` (None: still, until `until` at most) a calibrator sat on it, `note` says
    which; where it was found out, `level` is the calibrator's, `reading` the meter's before it was set, and that
    counts until `valid_until`. `kind` exchange: at `at` another device took its place, and `note` says why.
    """

    device: str
    at: int
    kind: str
    actor: str
    note: str
    until: int = 0
    level: float | None = None
    reading: float | None = None
    valid_until: int | None = None
    ended: int | None = None
    ended_by: str = ""

    @property
    def deviation(self) -> float | None:
        """By how many dB the meter read too much, to the tenth of a tenth; None where nothing was found out."""
        return None if self.level is None or self.reading is None else round(self.reading - self.level, 2)


class Outcome(msgspec.Struct, kw_only=True):
    """Everything that one step of the core changed, to be written in one transaction; `dispatch` is sent after it."""

    readings: list[Reading] = []
    passing: list[Reading] = []  # shown as the latest, and not kept: there is no room
    faults: list[Fault] = []
    health: list[Health] = []
    alarms: list[Alarm] = []
    occurrences: list[Occurrence] = []
    flips: list[Flip] = []
    orders: list[Order] = []
    entries: list[Entry] = []
    inner: list[Inner] = []
    sequences: list[Sequence] = []
    limits: list[Limit] = []
    mutes: list[Mute] = []
    drills: list[Drill] = []
    services: list[Service] = []
    upkeep: list[Upkeep] = []
    dispatch: list[Order] = []

    def add(self, more: "Outcome") -> None:
        """What came of it in the next step, to be written in the same transaction."""
        for name in self.__struct_fields__:
            getattr(self, name).extend(getattr(more, name))


class Memory(msgspec.Struct, kw_only=True):
    """What the core remembers across a restart, as the journal gives it back."""

    latest: list[Reading] = []
    health: list[Health] = []
    alarms: list[Alarm] = []
    occurrences: list[Occurrence] = []  # the open ones
    orders: list[Order] = []  # not yet ended
    entries: list[Entry] = []
    inner: list[Inner] = []
    drills: list[Drill] = []  # the newest of each zone and state
    services: list[Service] = []  # what is out of service
    upkeep: list[Upkeep] = []  # calibrations under way
    reminded: int = 0  # when people were last reminded of that
