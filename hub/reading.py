"""The shared words: what a device said (Reading), what went wrong (Fault), how a cable is (LinkChange).

Every room may import this file; it imports no room. Instants are whole milliseconds since 1970 (UTC),
`ts` by the device's clock where it has one, `rx` by the hub's.
"""

from enum import StrEnum
from typing import TypeAlias

import msgspec

Value: TypeAlias = float | str


class Kind(StrEnum):
    """How a quantity behaves, which decides how it is kept, aggregated and shown."""

    GAUGE = "gauge"
    STATE = "state"
    EVENT = "event"
    COUNTER = "counter"


class Quality(StrEnum):
    """What a reading may be used for. Only fresh ones drive alarms (`Reading.fresh`)."""

    GOOD = "good"
    BEST_EFFORT = "best-effort"  # came by MQTT QoS 0: true, but its neighbours may be lost
    SKEWED = "skewed"  # the device's clock is ahead; `ts` was replaced by `rx`
    LATE = "late"  # older than what was already known: history, not news
    RETAINED = "retained"  # an old message that the broker replayed on subscribing
    CALIBRATION = "calibration"  # read while a calibrator sat on the meter: of the calibrator, not of the place


FRESH = frozenset({Quality.GOOD, Quality.BEST_EFFORT, Quality.SKEWED})
UNMEASURED = frozenset({Quality.RETAINED, Quality.CALIBRATION})  # kept, and in no figure


class FaultKind(StrEnum):
    """The names of everything that can be wrong between a device and the hub."""

    CHECKSUM = "checksum"
    INCOMPLETE = "incomplete"  # a frame that broke off
    MALFORMED = "malformed"  # not of the shape that the profile states
    OUT_OF_RANGE = "out-of-range"
    UNKNOWN_CHOICE = "unknown-choice"
    ABSENT = "absent"  # the device's own word for "no value"
    REFUSED = "refused"  # a Modbus exception
    BUSY = "busy"  # Modbus exceptions 05 and 06: later
    MISMATCH = "mismatch"  # a well-formed reply to something that was not asked
    NO_ANSWER = "no-answer"  # asked, and timed out
    SILENT = "silent"  # nothing good for `silent_after`
    OFFLINE = "offline"  # the device's last will
    LINK_DOWN = "link-down"
    UNKNOWN_DEVICE = "unknown-device"  # a message on a topic, or a frame of an address, that no device of the site has
    GAP = "gap"  # messages are missing, by the device's own count
    REPEATED = "repeated"  # said again, dropped and counted: a tag in the field, a message that came twice


class Reading(msgspec.Struct, frozen=True, kw_only=True, gc=False, array_like=True):
    """One value of one quantity of one device, in the vocabulary's unit."""

    device: str
    quantity: str
    value: Value
    ts: int
    rx: int
    quality: Quality = Quality.GOOD
    detail: dict[str, str] | None = None

    @property
    def fresh(self) -> bool:
        """True when this reading may drive an alarm or confirm an order."""
        return self.quality in FRESH


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """Something that is not a reading, with a name. `source` is a device id, or a link id where no device is known."""

    source: str
    kind: FaultKind
    detail: str
    rx: int
    payload: bytes | None = None  # what could not be read, for the quarantine
    count: int = 1  # how often


class Serial(msgspec.Struct, frozen=True, gc=False):
    """A message's number by its device's own count; `boot` changes when the device starts anew (empty: it has none).

    `digest` is of the whole message, so that two messages with one number are known apart.
    """

    boot: str
    seq: int
    digest: int
    wants_receipt: bool = False


class LinkState(StrEnum):
    """How a cable is. A link starts as DOWN and says UP when its other end has really answered or opened."""

    UP = "up"
    DOWN = "down"


class LinkChange(msgspec.Struct, frozen=True, kw_only=True):
    """A link opened, or was lost; `detail` says why in words that an electrician understands."""

    link: str
    state: LinkState
    detail: str
    rx: int


News: TypeAlias = Reading | Fault | LinkChange


class Label(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A text for people, in Chinese and in English."""

    zh: str
    en: str
