"""Values into what a device would send: the exact inverse of `decode`, for simulated devices and for tests.

Made from the same profiles, so that both ends of a cable are tested against one description. Sends nothing.
"""

from collections.abc import Iterable, Mapping

import msgspec

from device_profiles.types import (
    FrameField,
    HexText,
    JsonField,
    ModbusProfile,
    MqttProfile,
    RegisterField,
    SerialProfile,
    Table,
)
from device_profiles.types import Raw as Word
from firmware_bridge.wire import fdxb, framing, jsonpath, multidrop, numbers, registers
from hub.reading import Value

_BIT_TABLES = frozenset({"coil", "discrete"})
_NOT_WHOLE = frozenset({"f32", "f64", "text"})


def memory(profile: ModbusProfile, values: Mapping[str, Value]) -> dict[str, dict[int, int]]:
    """table -> address -> 16-bit word or bit, for the quantities in `values`. Raises ValueError.

    Registers that the device answers without being asked (`min_registers`) are there too, as zeros.
    """
    _refuse_unknown(profile.id, values, profile.reading)
    tables: dict[str, dict[int, int]] = {}
    octets: dict[str, dict[int, int]] = {}
    for name, value in values.items():
        field = profile.reading[name]
        if field.table in _BIT_TABLES:
            tables.setdefault(field.table, {})[field.address] = int(_raw(field, value))
            continue
        start, places = 2 * field.address + field.byte, octets.setdefault(field.table, {})
        before = bytes(places.get(at, 0) for at in range(start, start + field.width))
        places.update(enumerate(registers.write(field, _raw(field, value), before), start))
    for table, places in octets.items():
        first = min(places) // 2
        last = max(max(places) // 2, first + profile.min_registers - 1)
        addresses = {at // 2 for at in places} | (set(range(first, last + 1)) if profile.min_registers > 1 else set())
        tables[table] = {at: places.get(2 * at, 0) << 8 | places.get(2 * at + 1, 0) for at in sorted(addresses)}
    return tables


def filler(profile: ModbusProfile) -> dict[str, dict[int, int]]:
    """table -> address -> 0 for what a plan may read along unwanted: readable gaps, and what min_registers adds."""
    tables: dict[Table, set[int]] = {}
    for field in profile.reading.values():
        tables.setdefault(field.table, set()).update(field.addresses)
    return {table: dict.fromkeys(_along(profile, table, wanted), 0) for table, wanted in tables.items()}


def _along(profile: ModbusProfile, table: Table, wanted: set[int]) -> list[int]:
    reach = 0 if table in _BIT_TABLES else profile.min_registers - 1
    near = {at for middle in wanted for at in range(middle - reach, middle + reach + 1)}
    between = set(range(min(wanted), max(wanted))) if profile.gaps == "readable" else set()
    never = profile.forbidden.addresses(table) | profile.read_to_clear.addresses(table)
    return sorted(at for at in (near | between) - wanted - never if 0 <= at <= 0xFFFF)


def frame(profile: SerialProfile, values: Mapping[str, Value], *, address: int | None = None) -> bytes:
    """One whole frame: the profile's first good sample with `values` (and `address`) patched in. Raises ValueError."""
    _refuse_unknown(profile.id, values, profile.reading)
    data = bytearray(template(profile))
    for name, value in values.items():
        _patch(data, profile.reading[name], value)
    if address is not None:
        multidrop.write_address(profile.frame, data, address)
    if profile.frame.check is not None:
        framing.stamp(profile.frame.check, data)
    return bytes(data)


def template(profile: SerialProfile) -> bytes:
    """The frame of the profile's first good sample; the door refuses a profile without one."""
    return next(bytes.fromhex(sample.answer) for sample in profile.sample if sample.want)


def message(
    profile: MqttProfile,
    values: Mapping[str, Value],
    *,
    ts: int | None = None,
    detail: Mapping[str, str] | None = None,
    serial: tuple[str, int] | None = None,
) -> bytes:
    """One JSON message; `detail` and `serial` (boot, number) go where the profile says. Raises ValueError."""
    _refuse_unknown(profile.id, values, profile.reading)
    document: dict[str, object] = {}
    if ts is not None:
        jsonpath.put(document, profile.ts, ts)
    if serial is not None:
        for pointer, value in zip((profile.boot, profile.seq), serial, strict=True):
            if pointer:
                jsonpath.put(document, pointer, value)
    for name, value in values.items():
        field = profile.reading[name]
        jsonpath.put(document, field.pointer or f"/{name}", _json(field, value))
        for key in field.detail.keys() & (detail or {}).keys():
            jsonpath.put(document, field.detail[key], (detail or {})[key])
    return msgspec.json.encode(document)


def _refuse_unknown(profile_id: str, values: Mapping[str, Value], known: Iterable[str]) -> None:
    unknown = set(values) - set(known)
    if unknown:
        raise ValueError(f"{profile_id} does not read {', '.join(sorted(unknown))}")


def _patch(data: bytearray, field: FrameField, value: Value) -> None:
    _mark(data, field)
    text = str(value)
    match field.type:
        case "iso11784":
            _write_hex(data, field.country, int(text[:3]))
            return _write_hex(data, field.national, int(text[3:]))
        case "fdxb":
            start = field.at if field.at >= 0 else len(data) + field.at
            data[start : start + fdxb.SIZE] = fdxb.patched(data[start : start + fdxb.SIZE], text)
            return None
        case "tag":
            return _write_hex(data, field.code, int(text.partition(":")[2], 16))
    return _write_number(data, field, value)


def _mark(data: bytearray, field: FrameField) -> None:
    """Make the frame one of the kind that has this field."""
    if field.only is None:
        return
    words = [bytes.fromhex(word) for word in field.only.one_of]
    start = field.only.at if field.only.at >= 0 else len(data) + field.only.at
    if not any(data.startswith(word, start) for word in words):
        data[start : start + len(words[0])] = words[0]


def _write_number(data: bytearray, field: FrameField, value: Value) -> None:
    size = numbers.width(field.type)
    start = field.at if field.at >= 0 else len(data) + field.at
    now = numbers.read(field.type, bytes(data[start : start + size]))
    raw = _raw(field, value, now)
    if isinstance(raw, str):
        raise ValueError(f"{raw!r} is not a number")
    data[start : start + size] = numbers.write(field.type, raw)


def _write_hex(data: bytearray, place: HexText | None, number: int) -> None:
    if place is None:
        raise ValueError("the profile does not say where its digits stand")
    digits = f"{number:0{place.chars}X}".encode()
    if len(digits) > place.chars:
        raise ValueError(f"{number} has more than {place.chars} hexadecimal digits")
    data[place.at : place.at + place.chars] = digits[::-1] if place.digits == "least-significant-first" else digits


def _raw(field: RegisterField | FrameField, value: Value, now: int | float | None = None) -> int | float | str:
    """What stands on the wire. Where a state has several words, the one that stands there `now` stays."""
    if field.choices:
        words = _words(field, value)
        return now if now is not None and now in words else words[0]
    if isinstance(value, str):
        raise ValueError(f"{value!r} is not a number")
    whole = isinstance(field, FrameField) or field.type not in _NOT_WHOLE
    return numbers.unscaled(value, field.scale, field.offset, whole=whole)


def _json(field: JsonField, value: Value) -> object:
    if field.type == "choice":
        return _words(field, value)[0]
    if isinstance(value, str) == (field.type == "number"):
        raise ValueError(f"{value!r} is not a {field.type}")
    if isinstance(value, str):
        return value
    return numbers.unscaled(value, field.scale, field.offset, whole=False)


def _words(field: RegisterField | FrameField | JsonField, state: Value) -> list[Word]:
    if not isinstance(state, str) or not field.choices.get(state):
        raise ValueError(f"{state!r} is not one of {', '.join(field.choices)}")
    return field.choices[state]
