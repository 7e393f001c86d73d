"""A device put into the text of a site file, every other byte of which stays: comments, order, ends of lines.

Pure but for `write_site`. It is not believed but parsed: a place is right when what is read there is what was meant.
"""

import json
import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from copy import deepcopy
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeAlias

from hub.durable import replace_file

Table: TypeAlias = Mapping[str, object]
BEFORE = "site-before"  # folder of the data folder: the files as they were
MOST_PLACES = 40  # tried at most; the first is right in every file that people write
_HEADER = re.compile(r"^[ \t]*\[", re.MULTILINE)
_LINK = re.compile(r"[ \t]*\[\[[ \t]*(link|\"link\"|'link')[ \t]*\]\]")
_BELOW = re.compile(r"[ \t]*\[\[?[ \t]*(link|\"link\"|'link')[ \t]*\.")
_DEVICE = re.compile(r"([ \t]*)\[\[[ \t]*link[ \t]*\.[ \t]*device[ \t]*\]\]")
_BARE = re.compile(r"[A-Za-z0-9_-]+")


class NoPlace(Exception):
    """The file is written in a way in which no device can be put behind the others, in words."""


class Changed(Exception):
    """Somebody has changed the file meanwhile."""


def block(device: Table, *, indent: str = "  ", end: str = "\n") -> str:
    """The device as it is written into a site file; to be pasted under its [[link]], too."""
    lines = ["[[link.device]]", *(f"{_key(key)} = {_value(value)}" for key, value in device.items())]
    return "".join(f"{indent}{line}{end}" for line in lines)


def with_device(text: str, link: str, device: Table) -> str:
    """The file's text with the device behind the others of this link. Raises NoPlace."""
    table = _parsed(text)
    links = table.get("link")
    at = next((n for n, each in enumerate(links) if each.get("id") == link), None) if isinstance(links, list) else None
    if table is None or links is None or at is None:
        raise NoPlace(f"there is no [[link]] with id = {json.dumps(link)}")
    wanted = deepcopy(table)
    wanted["link"][at].setdefault("device", []).append(dict(device))
    end = "\r\n" if "\r\n" in text else "\n"
    for place, indent in _places(text, at):
        before = text[:place]
        gap = "" if before.endswith("\n") else end
        made = before + gap + end + block(device, indent=indent, end=end) + text[place:]
        if _parsed(made) == wanted:
            return made
    raise NoPlace(f"the devices of {link} are not written as [[link.device]] below it")


def write_site(path: Path, old: bytes, new: bytes, data: Path, now: int) -> Path:
    """Replace the file whole, and keep the old one in the data folder; returns that. Raises Changed, OSError."""
    real = path.resolve()
    if real.read_bytes() != old:
        raise Changed(str(path))
    folder = data / BEFORE
    folder.mkdir(mode=0o700, exist_ok=True)
    kept = folder / f"site-{datetime.fromtimestamp(now / 1000, UTC):%Y%m%dT%H%M%S}-{now % 1000:03d}Z.toml"
    replace_file(kept, old.decode())
    mode = real.stat().st_mode & 0o777
    replace_file(real, new.decode(), mode=mode)
    if real.stat().st_mode & 0o777 != mode:
        real.chmod(mode)  # what the mask took away
    return kept


def writable(path: Path) -> bool:
    """Whether the file can be replaced: its folder takes new files."""
    return os.access(path.resolve().parent, os.W_OK) and os.access(path, os.W_OK)


def _places(text: str, at: int) -> Iterator[tuple[int, str]]:
    """Where it may stand, the likeliest first, and how far in: behind the last line before another part begins."""
    heads = [match.start() for match in _HEADER.finditer(text)]
    links = [place for place in heads if _LINK.match(text, place)]
    if at >= len(links):
        return
    after = [place for place in heads if place > links[at]]
    ends = [place for place in after if not _BELOW.match(text, place)] + [len(text)]
    mates = [match[1] for place in after if place < ends[0] and (match := _DEVICE.match(text, place))]
    own = text[links[at] : text.index("[", links[at])]
    indent = mates[-1] if mates else own + "  "
    for end in ends[:MOST_PLACES]:
        yield _trimmed(text, end), indent


def _trimmed(text: str, end: int) -> int:
    """Before blank lines and comments: they belong to what follows."""
    while end:
        start = text.rfind("\n", 0, end - 1) + 1
        line = text[start:end].strip()
        if line and not line.startswith("#"):
            return end
        end = start
    return end


def _parsed(text: str) -> dict[str, Any]:  # Any: as tomllib
    try:
        return tomllib.loads(text.removeprefix("\ufeff"))
    except ValueError:
        return {}


def _key(key: str) -> str:
    return key if _BARE.fullmatch(key) else _text(key)


def _value(value: object) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case int() | float():
            return repr(value)
        case str():
            return _text(value)
        case Mapping():
            return "{ " + ", ".join(f"{_key(key)} = {_value(each)}" for key, each in value.items()) + " }"
    raise TypeError(f"{type(value).__name__} is nothing that a device has")


def _text(text: str) -> str:
    """A basic string: JSON's, but for the one character that TOML wants escaped and JSON does not."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
