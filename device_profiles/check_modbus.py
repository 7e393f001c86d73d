"""What a Modbus profile must be beyond its types: fields that their registers can hold, writes that the protocol knows.

Pure checks, each of which raises a Refusal that names key, value and what would be right.
"""

from pathlib import Path

from device_profiles.door import Refusal
from device_profiles.types import BIT_TABLES, TABLES, ModbusCommand, ModbusProfile, RegisterField

_UNSIGNED = frozenset({"u8", "u16", "u32", "u64"})
_FLOATS = frozenset({"f32", "f64"})
_MOST = {15: 1968, 16: 123}  # coils or registers of one write, Application Protocol V1.1b3 6.11 and 6.12
_WORD = 0xFFFF


def check_register(field: RegisterField, path: Path, key: str) -> None:
    """The field is of a kind that its table holds, and all that is said of it has a meaning there."""
    bits = field.table in BIT_TABLES
    if bits != (field.type == "bit"):
        right = f'write type = "{"bit" if bits else "u16"}"' + ("" if bits else ", and bits = [n, n] for a single bit")
        raise Refusal(path, f"{key}.type", f"is not what {field.table} tables hold", value=field.type, right=right)
    if field.byte < 0:
        raise Refusal(path, f"{key}.byte", "counts bytes to skip", value=field.byte, right="0 or more")
    if field.bits is not None:
        _check_bits(field.bits, 8 * field.width if field.type in _UNSIGNED else 0, path, key)
    _check_text(field, path, key)
    _check_words(field, path, key)


def check_commands(profile: ModbusProfile, path: Path) -> None:
    """Each command says exactly what its function writes."""
    for name, command in profile.command.items():
        key = f"command.{name}"
        if bool(command.values) != (command.function in _MOST):
            right = "functions 15 and 16 write all their `values`, the others one `value`"
            raise Refusal(path, f"{key}.values", "is not for this function", value=command.function, right=right)
        if command.values and command.value:
            raise Refusal(path, f"{key}.value", "is not written", value=command.value, right="put it into `values`")
        if (command.bits is not None) != (command.function == 22):
            right = "function 22 sets `bits` = [first, last] of a register, and no other function does"
            raise Refusal(path, f"{key}.bits", "is not for this function", value=command.function, right=right)
        _check_values(command, path, key)
        _check_seconds(command, path, key)


def _check_bits(bits: tuple[int, int], width: int, path: Path, key: str) -> None:
    first, last = bits
    if not first <= last < width:
        right = f"first <= last < {width}" if width else "type u8, u16, u32 or u64"
        raise Refusal(path, f"{key}.bits", "are not in this number", value=f"[{first}, {last}]", right=right)


def _check_text(field: RegisterField, path: Path, key: str) -> None:
    text = field.type == "text"
    if text != (field.length > 0):
        right = "a text has its `length` in bytes, and nothing else has one"
        raise Refusal(path, f"{key}.length", "is not right", value=field.length, right=right)
    if text and field.order not in ("ABCD", "BADC"):
        right = "ABCD, or BADC where the bytes of each register are swapped"
        raise Refusal(path, f"{key}.order", "is no order of a text", value=field.order, right=right)
    if text and field.order == "BADC" and (field.length % 2 or field.byte % 2):
        right = "whole registers: an even `length` from an even `byte`"
        raise Refusal(path, f"{key}.length", "cannot be swapped", value=field.length, right=right)


def _check_words(field: RegisterField, path: Path, key: str) -> None:
    """A word of the wrong type would never be found, and its state never be true."""
    right = "texts" if field.type == "text" else "whole numbers"
    wanted = str if field.type == "text" else int
    places = [(f"{key}.choices.{state}", word) for state, words in field.choices.items() for word in words]
    places += [(f"{key}.absent", word) for word in field.absent]
    for place, word in places:
        nan = word == "nan" and field.type in _FLOATS and place.endswith(".absent")
        if not nan and (not isinstance(word, wanted) or isinstance(word, bool)):
            raise Refusal(path, place, f"is not what a {field.type} says", value=word, right=right)
        lowest, highest = _span(field)
        if isinstance(word, int) and field.type not in _FLOATS and not lowest <= word <= highest:
            right = f"{lowest} to {highest}, as a number or as the bytes stand"
            raise Refusal(path, place, f"is more than a {field.type} holds", value=word, right=right)


def _span(field: RegisterField) -> tuple[int, int]:
    """What may stand in its bytes, read as a number or as they are."""
    if field.type == "bit":
        return 0, 1
    lowest = -(1 << 8 * field.width - 1) if field.type.startswith("i") else 0
    return lowest, (1 << 8 * field.width) - 1


def _check_values(command: ModbusCommand, path: Path, key: str) -> None:
    most = _MOST.get(command.function, 1) - (command.seconds is not None and command.function == 16)
    if len(command.values) > most:
        raise Refusal(path, f"{key}.values", f"is more than the {most} of one write", value=len(command.values))
    if command.function == 15 and (other := {*command.values} - {0, 1}):
        raise Refusal(path, f"{key}.values", "is no coil", value=max(other), right="0 or 1")
    if command.bits is not None:
        _check_bits(command.bits, 16, path, key)
        fits = (1 << command.bits[1] - command.bits[0] + 1) - 1
        if command.value > fits:
            raise Refusal(path, f"{key}.value", "does not fit its bits", value=command.value, right=f"at most {fits}")


def _check_seconds(command: ModbusCommand, path: Path, key: str) -> None:
    if command.seconds is None:
        return
    if command.function in (15, 22):
        raise Refusal(path, f"{key}.seconds", "has no place", value=command.function, right="function 5, 6 or 16")
    if round(command.seconds.max * command.seconds.per_second) > _WORD:
        right = f"at most {_WORD} ticks"
        raise Refusal(path, f"{key}.seconds.max", "does not fit one word", value=command.seconds.max, right=right)


def check_reads(profile: ModbusProfile, path: Path) -> None:
    """There is a read for each field: short enough, and of nothing that no read may touch."""
    if profile.min_registers > profile.max_registers:
        right = f"at most max_registers = {profile.max_registers}"
        raise Refusal(path, "min_registers", "is more than may be read", value=profile.min_registers, right=right)
    for key, listed in (("forbidden", profile.forbidden), ("read_to_clear", profile.read_to_clear)):
        for table, (first, last) in [(name, pair) for name in TABLES for pair in listed.ranges(name)]:
            if first <= last:
                continue
            value, right = f"[{first}, {last}]", f"write [{last}, {first}]"
            raise Refusal(path, f"{key}.{table}", "ends before it begins", value=value, right=right)
    for name, field in profile.reading.items():
        _check_addresses(field, profile, path, f"reading.{name}.address")


def _check_addresses(field: RegisterField, profile: ModbusProfile, path: Path, key: str) -> None:
    long = field.table not in BIT_TABLES and len(field.addresses) > profile.max_registers
    if long or field.addresses.stop > 0x10000:
        right = f"{len(field.addresses)} addresses; max_registers = {profile.max_registers}, the last one is 65535"
        raise Refusal(path, key, "is not read whole", value=field.address, right=right)
    for first, last in profile.forbidden.ranges(field.table):
        if first < field.addresses.stop and field.address <= last:
            right = f"forbidden.{field.table} has [{first}, {last}]"
            raise Refusal(path, key, "no read may touch it", value=field.address, right=right)
