"""The door of every configuration file: TOML in, frozen typed struct out, or a Refusal that says how to mend it.

Nothing behind the door ever sees a dict. Profiles, the vocabulary, site files and rule packs all come through here.
"""

import difflib
import math
import re
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import msgspec

T = TypeVar("T")


class Refusal(Exception):
    """A configuration that cannot be used: names file, key, value and what would be right. The user's to mend."""

    def __init__(self, file: str | Path, key: str, problem: str, *, value: object = None, right: str = "") -> None:
        """`key` is the path inside the file, as `link[0].device[1].unit`."""
        self.file, self.key, self.problem, self.value, self.right = str(file), key, problem, value, right
        shown = "" if value is None else f" = {str(value) if isinstance(value, Path) else value!r}"
        hint = f"; {right}" if right else ""
        where = self.file if self.file.startswith("--") else f"{self.file}: {key or 'file'}"  # an option of a command
        super().__init__(f"{where}{shown}: {problem}{hint}")


def read_toml(path: Path, text: str | None = None) -> dict[str, Any]:  # Any: TOML has no narrower type as it is
    """The file's tables, or a Refusal that names the line. Every number in it is finite. `text`: not written yet."""
    try:
        read = path.read_text(encoding="utf-8-sig") if text is None else text.removeprefix("\ufeff")
        table = tomllib.loads(read)  # Windows' editors begin a file with a mark
    except FileNotFoundError:
        raise Refusal(path, "", "there is no such file") from None
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        right = "save it as UTF-8 in the editor"
        raise Refusal(path, "", f"not valid TOML: its characters are not UTF-8 (line {line})", right=right) from None
    except (ValueError, RecursionError) as error:  # TOML's own errors are ValueErrors, as that of an endless number
        raise Refusal(path, "", f"not valid TOML: {error}") from None
    except OSError as error:
        raise Refusal(path, "", f"cannot be read: {error.strerror}") from None
    _refuse_endless(table, "", path)
    return table


def _refuse_endless(here: object, key: str, path: Path) -> None:
    """No time, limit or place is infinite: it would switch off without a word what it is the number of."""
    if isinstance(here, float) and not math.isfinite(here):
        raise Refusal(path, key, "is no number to reckon with", value=here, right="a finite number")
    if isinstance(here, dict):
        for name, value in here.items():
            _refuse_endless(value, f"{key}.{name}" if key else name, path)
    elif isinstance(here, list):
        for at, value in enumerate(here):
            _refuse_endless(value, f"{key}[{at}]", path)


def parse(kind: type[T], table: object, *, file: str | Path, key: str = "") -> T:
    """Turn one TOML table into a `kind`, or raise a Refusal that names the key and the nearest right word."""
    try:
        return msgspec.convert(table, kind, strict=True)
    except msgspec.ValidationError as error:
        raise _refusal(kind, table, file, key, str(error)) from None


def nearest(word: str, words: Iterable[str]) -> str:
    """`did you mean "x"?`, or the list of right words when none is near."""
    known = sorted(set(words))
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    if close:
        return f'did you mean "{close[0]}"?'
    return "known: " + ", ".join(known) if len(known) <= 24 else f"one of {len(known)} known words"


_AT = re.compile(r" - at `(?:key in )?\$?(?P<path>[^`]*)`$")
_STEPS = re.compile(r"\[(\d+)\]|([^.\[\]]+)")
_UNKNOWN = re.compile(r"Object contains unknown field `(?P<field>[^`]*)`")


def _refusal(kind: type, table: object, file: str | Path, key: str, message: str) -> Refusal:
    at = _AT.search(message)
    path = _with_keys(kind, table, (at["path"] if at else "").lstrip("."))
    problem = message[: at.start()] if at else message
    where = ".".join(part for part in (key, path) if part).replace(".[", "[")
    unknown = _UNKNOWN.search(problem)
    if unknown:
        field = unknown["field"]
        words = _fields_at(kind, path)
        full = f"{where}.{field}" if where else field
        return Refusal(file, full, "there is no such key", right=nearest(field, words) if words else "")
    return Refusal(file, where, problem, value=_value_at(table, path), right=_choices(kind, path))


def _choices(kind: type, path: str) -> str:
    """What may stand at the path, where the types know all of it."""
    info = _info_at(kind, path)
    options = info.types if isinstance(info, msgspec.inspect.UnionType) else (info,)
    found: list[object] = []
    for option in options:
        if isinstance(option, msgspec.inspect.LiteralType):
            found += option.values
        elif isinstance(option, msgspec.inspect.EnumType):
            found += [member.value for member in option.cls]
    return (
        "right would be " + ", ".join(f'"{word}"' if isinstance(word, str) else str(word) for word in found)
        if found
        else ""
    )


def _with_keys(kind: type, table: object, path: str) -> str:
    """The path with the key of a named table in place of msgspec's `[...]`, where one of its entries is the bad one."""
    before, dots, after = path.partition("[...]")
    info = _info_at(kind, before)
    entries = _at(table, before)
    if not dots or not isinstance(entries, Mapping) or not isinstance(info, msgspec.inspect.DictType):
        return path
    value_type = info.value_type
    for name, entry in entries.items():
        if isinstance(value_type, msgspec.inspect.StructType) and not _fits(value_type.cls, entry):
            return f"{before}.{name}{after}"
    return path


def _fits(kind: type, entry: object) -> bool:
    try:
        msgspec.convert(entry, kind, strict=True)
    except msgspec.ValidationError:
        return False
    return True


def _fields_at(kind: type, path: str) -> set[str]:
    """The keys that are allowed at `path` below `kind`, as far as the types tell."""
    info = _info_at(kind, path)
    options = info.types if isinstance(info, msgspec.inspect.UnionType) else (info,)
    found: set[str] = set()
    for option in options:
        if isinstance(option, msgspec.inspect.StructType):
            found.update(field.encode_name for field in option.fields)
            if option.tag_field:
                found.add(option.tag_field)
    return found


def _info_at(kind: type, path: str) -> Any:  # Any: msgspec.inspect has one class a type
    info: Any = msgspec.inspect.type_info(kind)
    for index, name in _STEPS.findall(path):
        info = _descend(info, name or index)
    return info


def _descend(info: Any, step: str) -> Any:  # Any: as above
    options = info.types if isinstance(info, msgspec.inspect.UnionType) else (info,)
    for option in options:
        if isinstance(option, msgspec.inspect.StructType):
            for field in option.fields:
                if field.encode_name == step:
                    return field.type
        if isinstance(option, msgspec.inspect.DictType):
            return option.value_type
        if hasattr(option, "item_type"):
            return option.item_type
    return msgspec.inspect.AnyType()


def _at(table: object, path: str) -> object:
    """What stands at the path, or None."""
    here: object = table
    for index, name in _STEPS.findall(path):
        if index and isinstance(here, list) and int(index) < len(here):
            here = here[int(index)]
        elif name and isinstance(here, Mapping) and name in here:
            here = here[name]
        else:
            return None
    return here


def _value_at(table: object, path: str) -> object:
    """The value at the path, where it is one that can be shown in a line."""
    here = _at(table, path)
    return here if isinstance(here, str | int | float | bool) else None
