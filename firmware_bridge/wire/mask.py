"""What must not leave a site, taken out of captured frames and messages: chip ids, serial numbers, credentials.

Pure. A masked frame stays a frame: its checksum is made anew, and one that was wrong stays wrong by the same bits.
What was changed is said, in words that go into the sample's name.
"""

import re
from collections.abc import Collection

import msgspec

from device_profiles.types import (
    BIT_TABLES,
    FrameField,
    HexText,
    JsonField,
    ModbusProfile,
    MqttProfile,
    SerialProfile,
)
from firmware_bridge.wire import framing, jsonpath, numbers
from firmware_bridge.wire.modbus import Request

IDENTITIES = frozenset({"chip"})  # quantities that are somebody's
_SECRET = re.compile(
    r"sn|s_n|serial.*|.*serial|imei|imsi|iccid|mac|.*_mac|.*eui|.*uuid|uid|ssid|bssid|ip|ip_.*|pass.*|pwd|.*secret.*"
    r"|.*token.*|.*key|user.*|.*credential.*|card.*|phone.*|plate.*|name|.*_name|chip.*|tag.*|lat|lon|lng|latitude"
    r"|longitude|location|address|client_?id|device_?id|id",
    re.IGNORECASE,
)


class Masks:
    """Gives everything that is masked a number of its own, the same for the same: repeats stay visible."""

    def __init__(self) -> None:
        """Nothing was masked yet."""
        self._known: dict[object, int] = {}

    def number(self, real: object) -> int:
        """1 for the first, 2 for the next."""
        return self._known.setdefault(real, len(self._known) + 1)


def registers(profile: ModbusProfile, request: Request, data: bytes) -> bytes:
    """The data of an answer, with 0 wherever no field of the profile stands."""
    kept = bytearray(len(data))
    for field in profile.reading.values():
        if field.table != request.table:
            continue
        if field.table in BIT_TABLES:
            at = field.address - request.address
            if 0 <= at < 8 * len(data):
                kept[at // 8] |= 1 << at % 8
            continue
        start = 2 * (field.address - request.address) + field.byte
        for at in range(max(0, start), min(len(data), start + numbers.width(field.type))):
            kept[at] = 0xFF
    return bytes(byte & mask for byte, mask in zip(data, kept, strict=True))


def frame(profile: SerialProfile, data: bytes, masks: Masks) -> tuple[bytes, str]:
    """A serial frame, whole or broken off, with the ids that it carries replaced; and what was done, empty: nothing."""
    fields = [field for name, field in profile.reading.items() if name in IDENTITIES]
    masked = bytearray(data)
    for field in fields:
        _hide(masked, field, masks)
    if bytes(masked) == data:
        return data, ""
    if profile.frame.check is not None and len(data) >= _reach(profile):
        _stamp_as_wrong_as(masked, data, profile)
        return bytes(masked), "id masked, checksum recomputed"
    return bytes(masked), "id masked"


def message(profile: MqttProfile, payload: bytes, masks: Masks) -> tuple[bytes, str] | None:
    """A JSON message with what may identify somebody replaced; None for what is no JSON object."""
    try:
        document = msgspec.json.decode(payload, type=dict[str, object])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    own = {field.pointer or f"/{name}" for name, field in profile.reading.items() if name not in IDENTITIES}
    before = msgspec.json.encode(document)
    masked = _walk(document, "", {*own, profile.ts}, masks)
    for name, field in profile.reading.items():
        if isinstance(masked, dict):
            _hide_pointers(masked, name, field, masks)
    after = msgspec.json.encode(masked)
    return (payload, "") if after == before else (after, "ids and credentials masked")


def _hide(data: bytearray, field: FrameField, masks: Masks) -> None:
    """Digits that are there, replaced; the country stays, for it is nobody's."""
    place = field.national
    if place is None:
        return
    end = place.at + place.chars
    real = bytes(data[place.at : end])
    if re.fullmatch(rb"[0-9A-Fa-f]+", real) is None or set(real) == {ord("0")}:
        return  # it is no number, or nobody's
    if end > len(data):
        data[place.at :] = bytes(ord("0") if byte in b"0123456789ABCDEFabcdef" else byte for byte in data[place.at :])
        return
    data[place.at : end] = _digits(masks.number(real), place)


def _digits(number: int, place: HexText) -> bytes:
    digits = f"{number:0{place.chars}X}".encode()
    return digits[::-1] if place.digits == "least-significant-first" else digits


def _reach(profile: SerialProfile) -> int:
    check = profile.frame.check
    return 0 if check is None else max(check.at, check.inverse_at or 0, *check.over) + 1


def _stamp_as_wrong_as(masked: bytearray, data: bytes, profile: SerialProfile) -> None:
    """The right checksum of what stands there now, with the bits flipped that were flipped before."""
    check = profile.frame.check
    if check is None:
        return
    right = bytearray(data)
    framing.stamp(check, right)
    framing.stamp(check, masked)
    for at in (check.at, check.inverse_at):
        if at is not None:
            masked[at] ^= right[at] ^ data[at]


def _walk(value: object, pointer: str, own: Collection[str], masks: Masks) -> object:
    """The value, with everything under a telling key replaced, except what the profile itself reads."""
    if isinstance(value, dict):
        return {key: _entry(key, inner, f"{pointer}/{key}", own, masks) for key, inner in value.items()}
    if isinstance(value, list):
        return [_walk(inner, f"{pointer}/{at}", own, masks) for at, inner in enumerate(value)]
    return value


def _entry(key: str, value: object, pointer: str, own: Collection[str], masks: Masks) -> object:
    if pointer in own or isinstance(value, dict | list) or not _SECRET.fullmatch(key):
        return value if pointer in own else _walk(value, pointer, own, masks)
    return _masked(value, masks)


def _hide_pointers(document: dict[str, object], name: str, field: JsonField, masks: Masks) -> None:
    """An id that is the value, and details that say who: both become numbers of ours."""
    pointer = field.pointer or f"/{name}"
    chip = jsonpath.find(document, pointer)
    if name in IDENTITIES and isinstance(chip, str) and re.fullmatch(r"[0-9]{15}", chip):
        jsonpath.put(document, pointer, f"{chip[:3]}{masks.number(chip):012d}")
    for detail, place in field.detail.items():
        said = jsonpath.find(document, place)
        if _SECRET.fullmatch(detail) and isinstance(said, str) and not said.startswith("masked-"):
            jsonpath.put(document, place, _masked(said, masks))


def _masked(value: object, masks: Masks) -> object:
    if isinstance(value, str):
        return f"masked-{masks.number(value)}" if value else value
    if isinstance(value, bool) or value is None:
        return value
    return masks.number(value)
