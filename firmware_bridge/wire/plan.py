"""Which Modbus reads cover all fields of a profile: per table, touching or overlapping fields in one request.

Pure; a gap is not read, because what stands in it is not known to be readable. When to ask is the bus's business.
"""

from collections.abc import Iterable

from device_profiles.types import ModbusProfile, RegisterField
from firmware_bridge.wire.modbus import MAX_BITS, READ_FUNCTION, Request

_BYTES = {"u8": 1, "i8": 1, "u16": 2, "i16": 2, "u32": 4, "i32": 4, "f32": 4, "u64": 8, "i64": 8, "f64": 8}
_BIT_TABLES = frozenset({"coil", "discrete"})


def plan(profile: ModbusProfile, unit: int) -> tuple[Request, ...]:
    """The few reads that bring every field of the profile, by function and address. ValueError: one is too long."""
    requests: list[Request] = []
    for table, function in READ_FUNCTION.items():
        bits = table in _BIT_TABLES
        least, most = (1, MAX_BITS) if bits else (profile.min_registers, profile.max_registers)
        spans = sorted(span(field) for field in profile.reading.values() if field.table == table)
        for start, end in _merged(spans, most):
            requests.append(Request(unit, function, start, count=max(end - start, least)))
    return tuple(requests)


def span(field: RegisterField) -> tuple[int, int]:
    """The field's first address and the one after its last: registers, or bits in a coil or discrete table."""
    if field.table in _BIT_TABLES or field.type == "bit":
        return field.address, field.address + 1 + field.byte // 2
    return field.address, field.address + (field.byte + _BYTES[field.type] + 1) // 2


def _merged(spans: Iterable[tuple[int, int]], most: int) -> list[tuple[int, int]]:
    blocks: list[tuple[int, int]] = []
    for start, end in spans:
        if end - start > most:
            raise ValueError(f"the field at address {start} is longer than one read of {most}")
        if blocks and start <= blocks[-1][1] and max(end, blocks[-1][1]) - blocks[-1][0] <= most:
            blocks[-1] = (blocks[-1][0], max(end, blocks[-1][1]))
        else:
            blocks.append((start, end))
    return blocks
