"""The number that a device gave to its JSON message, and whether it wants a receipt, where the profile says.

Pure. What a missing or repeated number means is `hub.devices.sequence`'s.
"""

import zlib
from collections.abc import Iterable

from device_profiles.types import MqttProfile
from firmware_bridge.wire import jsonpath
from hub.reading import Fault, Reading, Serial

MOST_BOOT = 64  # characters
MOST_SEQ = (1 << 63) - 1


class Numbered(list[Reading | Fault]):
    """What a message said that its device has numbered: once a message, the number goes along with all of it."""

    __slots__ = ("serial",)

    def __init__(self, serial: Serial, said: Iterable[Reading | Fault] = ()) -> None:
        """`said` may be added to."""
        super().__init__(said)
        self.serial = serial


def digest(payload: bytes) -> int:
    """Of the whole message: tells two messages apart that have one number."""
    return zlib.crc32(payload)


def read(profile: MqttProfile, document: object, payload: bytes) -> Serial | str:
    """The message's number; or what is wrong with it, in words, empty where it simply has none."""
    seq, ack = _find(document, profile.seq), _find(document, profile.ack)
    if ack is not jsonpath.MISSING and not isinstance(ack, bool):
        return f"ack: not true or false: {str(ack)[:40]!r}"
    if seq is jsonpath.MISSING:
        return "ack: a message without a number cannot have a receipt" if ack is True else ""
    if type(seq) is not int or not 0 <= seq <= MOST_SEQ:
        return f"seq: not a whole number from 0 on: {str(seq)[:40]!r}"
    boot = _find(document, profile.boot)
    if boot is jsonpath.MISSING:
        boot = ""
    if isinstance(boot, bool) or not isinstance(boot, int | str) or len(str(boot)) > MOST_BOOT:
        return f"boot: not a number or a short text: {str(boot)[:40]!r}"
    return Serial(str(boot), seq, digest(payload), ack is True)


def _find(document: object, pointer: str) -> object:
    return jsonpath.find(document, pointer) if pointer else jsonpath.MISSING
