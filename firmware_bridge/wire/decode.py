"""Raw into readings and faults: the one function that the hub calls for everything that a cable brings.

Pure and total: any bytes give Readings or named Faults, never an exception and never a guess. Where a value stands
comes from the profile, what it may be from the vocabulary; whether it is news is the core's business.
"""

import math
import re
from collections.abc import Callable, Sequence
from typing import TypeAlias

import msgspec

from device_profiles import iso11784, vocabulary
from device_profiles.types import (
    FrameField,
    HexText,
    JsonField,
    ModbusProfile,
    MqttProfile,
    Profile,
    RegisterField,
    SerialProfile,
)
from device_profiles.types import Raw as Word
from firmware_bridge.raw import Alive, Frame, Message, Raw, Registers, Trouble
from firmware_bridge.wire import fdxb, jsonpath, numbers, registers, serials
from firmware_bridge.wire.quick_json import MAX_MESSAGE, MAX_SKEW_MS, quick
from firmware_bridge.wire.serials import Numbered
from hub.reading import Fault, FaultKind, Kind, Quality, Reading, Serial, Value

MAX_PAYLOAD = 4 * 1024  # bytes of it that a fault carries into the quarantine
MAX_DETAIL = 64  # characters of a detail, as a credential's opaque id

_BIT_TABLES = frozenset({"coil", "discrete"})
_KEPT = frozenset({FaultKind.MALFORMED, FaultKind.CHECKSUM, FaultKind.UNKNOWN_CHOICE})


class Flaw(msgspec.Struct, frozen=True):
    """Why one field is not a value."""

    kind: FaultKind
    detail: str


Said: TypeAlias = Reading | Fault


Field: TypeAlias = RegisterField | FrameField | JsonField


Decoder: TypeAlias = Callable[[str, Raw, int], Sequence[Said]]


def decoder(profile: Profile) -> Decoder:
    """`decode` for the devices of one profile, made ready: plain JSON messages are read in one step."""
    plain = quick(profile) if isinstance(profile, MqttProfile) else None

    def read(device: str, raw: Raw, rx: int) -> Sequence[Said]:
        readings = plain(device, raw, rx) if plain is not None and type(raw) is Message else None
        return readings if readings is not None else decode(device, profile, raw, rx)

    return read


def decode(device: str, profile: Profile, raw: Raw, rx: int) -> list[Said]:
    """What `device` said: a Reading or a Fault a field, `rx` in ms since 1970. Never raises."""
    match raw:
        case Registers() if isinstance(profile, ModbusProfile):
            return _registers(device, profile, raw, rx)
        case Frame() if isinstance(profile, SerialProfile):
            return _frame(device, profile, raw, rx)
        case Message() if isinstance(profile, MqttProfile):
            return _message(device, profile, raw, rx)
        case Trouble():
            return [_fault(device, Flaw(raw.kind, raw.detail), rx, raw.payload)]
        case Alive():
            gone = Flaw(FaultKind.OFFLINE, "the device's last will: it has left the broker")
            return [] if raw.online else [_fault(device, gone, rx, None)]
    flaw = Flaw(FaultKind.MISMATCH, f"{type(raw).__name__.lower()} from a {profile.KIND} device")
    return [_fault(device, flaw, rx, None)]


def _fault(device: str, flaw: Flaw, rx: int, payload: bytes | None) -> Fault:
    kept = payload[:MAX_PAYLOAD] if payload is not None else None
    return Fault(source=device, kind=flaw.kind, detail=flaw.detail, rx=rx, payload=kept)


def _said(device: str, name: str, value: Value | Flaw, rx: int, payload: bytes) -> Said:
    """A field of an answer or a frame, which have no time of their own."""
    if isinstance(value, Flaw):
        flaw = Flaw(value.kind, f"{name}: {value.detail}")
        return _fault(device, flaw, rx, payload if value.kind in _KEPT else None)
    return Reading(device=device, quantity=name, value=value, ts=rx, rx=rx)


# --- Modbus ----------------------------------------------------------------------------------------------------


def _registers(device: str, profile: ModbusProfile, answer: Registers, rx: int) -> list[Said]:
    said: list[Said] = []
    for name, field in profile.reading.items():
        if field.table != answer.table:
            continue
        value = _bit(name, field, answer) if field.table in _BIT_TABLES else _register(name, field, answer)
        if value is not None:
            said.append(_said(device, name, value, rx, answer.data))
    return said


def _bit(name: str, field: RegisterField, answer: Registers) -> Value | Flaw | None:
    """None when the bit is not in this answer. The first bit asked for is the lowest of the first byte."""
    at = field.address - answer.address
    if not 0 <= at < min(answer.count, 8 * len(answer.data)):
        return None
    return _settle(name, field, answer.data[at // 8] >> at % 8 & 1)


def _register(name: str, field: RegisterField, answer: Registers) -> Value | Flaw | None:
    """None when not all bytes of it are in this answer."""
    if field.type == "bit":
        return Flaw(FaultKind.MALFORMED, "a bit stands in coils or discrete inputs, not in registers")
    start = 2 * (field.address - answer.address) + field.byte
    data = answer.data[start : start + field.width] if start >= 0 else b""
    if len(data) < field.width:
        return None
    try:
        raw = registers.read(field, data)
    except ValueError as error:
        return Flaw(FaultKind.MALFORMED, str(error))
    return _ABSENT if raw is None else _settle(name, field, raw)


# --- serial frames ---------------------------------------------------------------------------------------------


def _frame(device: str, profile: SerialProfile, frame: Frame, rx: int) -> list[Said]:
    data = frame.data
    there = {name: field for name, field in profile.reading.items() if _stands(field, data)}
    if not there:
        return [_fault(device, Flaw(FaultKind.UNKNOWN_CHOICE, "a frame of a kind that we do not know"), rx, data)]
    return [_said(device, name, _in_frame(name, field, data), rx, data) for name, field in there.items()]


def _stands(field: FrameField, data: bytes) -> bool:
    """False where the frame itself says that it is of another kind than those that have this field."""
    if field.only is None:
        return True
    start = field.only.at if field.only.at >= 0 else len(data) + field.only.at
    return any(data.startswith(bytes.fromhex(word), start) for word in field.only.one_of)


def _in_frame(name: str, field: FrameField, data: bytes) -> Value | Flaw:
    if field.type == "iso11784":
        return _chip(field, data)
    if field.type == "fdxb":
        return _telegram(field, data)
    if field.type == "tag":
        return _tag(field, data)
    chunk = _slice(data, field.at, numbers.width(field.type))
    return chunk if isinstance(chunk, Flaw) else _settle(name, field, numbers.read(field.type, chunk))


def _chip(field: FrameField, data: bytes) -> str | Flaw:
    """ISO 11784 from its two numbers. All zeros pass every checksum, and are nobody's chip."""
    country, national = _hex_text(field.country, data), _hex_text(field.national, data)
    if isinstance(country, Flaw):
        return country
    if isinstance(national, Flaw):
        return national
    chip = iso11784.canonical(country, national)
    return chip or Flaw(FaultKind.OUT_OF_RANGE, f"country {country}, number {national} is no chip of ISO 11784")


def _telegram(field: FrameField, data: bytes) -> Value | Flaw:
    """ISO 11784 from the 8 bytes of FDX-B and their own CRC."""
    chunk = _slice(data, field.at, fdxb.SIZE)
    if isinstance(chunk, Flaw):
        return chunk
    if wrong := fdxb.wrong_checksum(chunk):
        return Flaw(FaultKind.CHECKSUM, wrong)
    code = fdxb.bits(chunk)
    return iso11784.from_bits(code) or Flaw(FaultKind.OUT_OF_RANGE, f"{code:016X} is no chip of ISO 11784")


def _tag(field: FrameField, data: bytes) -> Value | Flaw:
    """A tag of another scheme, by its own digits: never an ISO number."""
    code = _hex_text(field.code, data)
    if isinstance(code, Flaw):
        return code
    digits = field.code.chars if field.code is not None else 0
    none = Flaw(FaultKind.OUT_OF_RANGE, f"all zeros are no {field.scheme} tag")
    return f"{field.scheme}:{code:0{digits}X}" if code else none


def _hex_text(place: HexText | None, data: bytes) -> int | Flaw:
    if place is None:
        return Flaw(FaultKind.MALFORMED, "the profile does not say where its digits stand")
    chunk = _slice(data, place.at, place.chars)
    if isinstance(chunk, Flaw):
        return chunk
    if not re.fullmatch(rb"[0-9A-Fa-f]+", chunk):
        return Flaw(FaultKind.MALFORMED, f"not hexadecimal digits: {_shown(chunk)}")
    return int(chunk[::-1] if place.digits == "least-significant-first" else chunk, 16)


def _slice(data: bytes, at: int, size: int) -> bytes | Flaw:
    start = at if at >= 0 else len(data) + at
    chunk = data[start : start + size] if start >= 0 else b""
    if len(chunk) < size:
        return Flaw(FaultKind.INCOMPLETE, f"the frame has {len(data)} bytes, too few for {size} at {at}")
    return chunk


# --- JSON messages ---------------------------------------------------------------------------------------------


def _message(device: str, profile: MqttProfile, message: Message, rx: int) -> list[Said]:
    document = _document(message.payload)
    if isinstance(document, Flaw):
        return [_fault(device, document, rx, message.payload)]
    said = _numbered(device, profile, document, message, rx)
    ts, quality, flaw = _moment(jsonpath.find(document, profile.ts), message, rx)
    for name, field in profile.reading.items():
        raw = jsonpath.find(document, field.pointer or f"/{name}")
        if raw is jsonpath.MISSING:
            continue
        value = _json_value(name, field, raw)
        detail = _details(field, document) if field.detail else None
        if isinstance(value, Flaw) or isinstance(detail, Flaw):
            wrong = detail if isinstance(detail, Flaw) else value
            said.append(_said(device, name, wrong, rx, message.payload))
            continue
        said.append(Reading(device=device, quantity=name, value=value, ts=ts, rx=rx, quality=quality, detail=detail))
    if not said:
        flaw = Flaw(FaultKind.MALFORMED, f"none of {', '.join(profile.reading)} is in the message")
    if flaw is not None:
        said.insert(0, _fault(device, flaw, rx, message.payload))
    return said


def _numbered(device: str, profile: MqttProfile, document: object, message: Message, rx: int) -> list[Said]:
    """An empty list, with the message's number where it has one. An old message that a broker replays has none."""
    if message.retained or not profile.seq:
        return []
    serial = serials.read(profile, document, message.payload)
    if isinstance(serial, Serial):
        return Numbered(serial)
    return [_fault(device, Flaw(FaultKind.MALFORMED, serial), rx, message.payload)] if serial else []


def _document(payload: bytes) -> object | Flaw:
    if len(payload) > MAX_MESSAGE:
        return Flaw(FaultKind.MALFORMED, f"{len(payload)} bytes, more than {MAX_MESSAGE}")
    try:
        document: object = msgspec.json.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        return Flaw(FaultKind.MALFORMED, f"not JSON: {error}")
    except RecursionError:
        return Flaw(FaultKind.MALFORMED, "not JSON that we read: too deeply nested")
    return document


def _moment(ts: object, message: Message, rx: int) -> tuple[int, Quality, Flaw | None]:
    """When it was, and what the readings are good for.

    A time that is none is a fault, but loses no call for help: the readings stay, dated by the hub's clock.
    """
    flaw, skewed = None, False
    if ts is jsonpath.MISSING:
        when = rx
    elif type(ts) is not int or ts <= 0:
        flaw, skewed, when = Flaw(FaultKind.MALFORMED, f"ts: not milliseconds since 1970: {_shown(ts)}"), True, rx
    else:
        skewed = ts > rx + MAX_SKEW_MS
        when = rx if skewed else ts
    if message.retained:
        return when, Quality.RETAINED, flaw
    if skewed:
        return when, Quality.SKEWED, flaw
    return when, Quality.BEST_EFFORT if message.qos == 0 else Quality.GOOD, flaw


def _json_value(name: str, field: JsonField, raw: object) -> Value | Flaw:
    if field.type == "number":
        if isinstance(raw, bool) or not isinstance(raw, int | float):
            absent = isinstance(raw, str | bool) and _among(raw, field.absent)
            return _ABSENT if absent else Flaw(FaultKind.MALFORMED, f"not a number: {_shown(raw)}")
        return _settle(name, field, raw)
    if not isinstance(raw, str | int | float):  # null, a list, an object
        return Flaw(FaultKind.MALFORMED, f"not a {field.type}: {_shown(raw)}")
    if field.type == "choice" or _among(raw, field.absent):
        return _settle(name, field, raw)
    pattern = _quantity(name).pattern
    if not isinstance(raw, str) or not re.fullmatch(pattern, raw):
        return Flaw(FaultKind.MALFORMED, f"{_shown(raw)} does not fit {pattern}")
    return raw


def _details(field: JsonField, document: object) -> dict[str, str] | Flaw | None:
    """What goes with an event: short printable texts; what is not there is left out."""
    found: dict[str, str] = {}
    for name, pointer in field.detail.items():
        text = jsonpath.find(document, pointer)
        if text is jsonpath.MISSING:
            continue
        if not (isinstance(text, str) and 0 < len(text) <= MAX_DETAIL and text.isprintable()):
            return Flaw(FaultKind.MALFORMED, f"{name}: not a short text: {_shown(text)}")
        found[name] = text
    return found or None


# --- a raw word or number into a value ---------------------------------------------------------------------------

_ABSENT = Flaw(FaultKind.ABSENT, "the device says that it has no value")


def _settle(name: str, field: Field, raw: Word | float) -> Value | Flaw:
    """State or number in the vocabulary's unit."""
    if _among(raw, field.absent):
        return _ABSENT
    if field.choices:
        for state, words in field.choices.items():
            if _among(raw, words):
                return state
        return Flaw(FaultKind.UNKNOWN_CHOICE, f"{_shown(raw)} is none of its words")
    if isinstance(raw, str):
        return Flaw(FaultKind.MALFORMED, f"not a number: {_shown(raw)}")
    return _in_range(name, field, raw)


def _in_range(name: str, field: Field, raw: int | float) -> float | Flaw:
    try:
        value = numbers.scaled(raw, field.scale, field.offset)
    except OverflowError:
        value = math.inf
    if not math.isfinite(value):
        return Flaw(FaultKind.MALFORMED, f"not a finite number: {_shown(raw)}")
    quantity = _quantity(name)
    if quantity.kind is Kind.EVENT:
        return Flaw(FaultKind.MALFORMED, f"an event is no number: {_shown(raw)}")
    for limits, whose in ((field.range, "the device's"), (quantity.range, "the sane")):
        if limits is not None and not limits[0] <= value <= limits[1]:
            detail = f"{value:g} {quantity.unit} is not in {whose} range {limits[0]:g} to {limits[1]:g}"
            return Flaw(FaultKind.OUT_OF_RANGE, detail)
    return value


def _among(raw: object, words: list[Word]) -> bool:
    """Numbers by value, texts by letter; True is not 1."""
    return any(raw == word and isinstance(raw, bool) == isinstance(word, bool) for word in words)


def _quantity(name: str) -> vocabulary.Quantity:
    return vocabulary.require(name, file="a profile that did not come through the door", key=name).quantity


def _shown(raw: object) -> str:
    """For a person: short whatever was sent, and of lists and objects only that they are."""
    if isinstance(raw, str | bytes):
        return repr(raw) if len(raw) <= 40 else repr(raw[:40]) + "…"
    if isinstance(raw, dict | list):
        return "an object" if isinstance(raw, dict) else "a list"
    return "a very long number" if isinstance(raw, int) and abs(raw) >= 10**20 else repr(raw)
