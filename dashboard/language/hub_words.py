"""What the hub says in English (a refusal, a fault, a cable's trouble), said in the reader's language.

The hub writes one English sentence into journal, log and answers; its frame, with {0} where a value stood, is found in
`translations/zh/LC_MESSAGES/hub.po`. A sentence that no frame knows is shown as it is: it is some other program's own.
"""

import re
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from babel.messages.pofile import read_po

from dashboard.language.duty_words import EVENTS, STATES
from dashboard.language.i18n import FOLDER, language, lazy_gettext

LONGEST = 500  # characters; what is longer is no sentence of ours
DEEPEST = 5
FEW = 8  # characters
_BLANK = re.compile(r"\{(\d+)(?::(\w+))?\}")
_OPEN = re.compile(r"\{0\}(?!:)")
_QUOTED = re.compile(r"'([^']*)'|\"([^\"]*)\"")
_PLACE = re.compile(r"(?P<where>\S+: (?:file|[a-z_]+[\[.][\w.\[\]\"-]+|[a-z_]+(?= = ))(?: = .{1,200}?)?): ")
_NAME = re.compile(r"[\w./:-]+")


# What a blank of a kind holds: ids that have a name, as {1:state} for where an incident is, {0:step} for what is done.
NAMES: dict[str, dict[str, Any]] = {  # Any: flask_babel's lazy strings
    "step": {**{str(event): name for event, name in EVENTS.items()}, "nothing": lazy_gettext("nothing more")},
    "state": {str(state): label.zh for state, label in STATES.items()},
}


class Frame(NamedTuple):
    """A sentence of the hub, and its Chinese with the same blanks."""

    seen: re.Pattern[str]
    chinese: str


def said(text: str) -> str:
    """The hub's sentence in the reader's language; the values in it stay, but for those that are sentences again."""
    return in_chinese(text) if language() == "zh" else text


@lru_cache(maxsize=2048)
def in_chinese(text: str, depth: int = 0) -> str:
    """The sentence in Chinese, or as it is where nothing of it is known."""
    if not text or len(text) > LONGEST or depth > DEEPEST:
        return text
    plain, begun, open_ended = _known(FOLDER / "zh" / "LC_MESSAGES" / "hub.po")
    return plain.get(text) or _framed(text, begun, depth) or _in_parts(text, open_ended, depth) or text


def _framed(text: str, frames: tuple[Frame, ...], depth: int) -> str:
    """The first frame that fits, filled in; empty where none does."""
    for frame in frames:
        if found := frame.seen.fullmatch(text):
            return _filled(frame.chinese, found.groups(), depth)
    return ""


def _filled(chinese: str, values: tuple[str, ...], depth: int) -> str:
    def value(blank: re.Match[str]) -> str:
        here = values[int(blank[1])]
        if blank[2]:
            return "、".join(str(NAMES[blank[2]].get(word, word)) for word in here.split(", "))
        quoted = _QUOTED.fullmatch(here)
        return f"“{quoted[1] or quoted[2] or ''}”" if quoted else in_chinese(here, depth + 1)

    return _BLANK.sub(value, chinese)


def _in_parts(text: str, open_ended: tuple[Frame, ...], depth: int) -> str:
    """What stands behind a name, fits a frame that begins with a value, or is joined of several sentences."""
    if place := _PLACE.match(text):
        where = place["where"].replace(": ", "：", 1)
        return f"{where}：{in_chinese(text[place.end() :], depth + 1)}"
    name, behind = text.partition(": ")[::2]
    if _NAME.fullmatch(name) and (known := in_chinese(behind, depth + 1)) != behind:
        return f"{name}：{known}"
    if framed := _framed(text, open_ended, depth):
        return framed
    for mark, full in (("; ", "；"), (": ", "：")):
        parts = text.split(mark)
        if len(parts) > 1 and (told := [in_chinese(part, depth + 1) for part in parts]) != parts:
            return full.join(told)
    return ""


@cache
def _known(path: Path) -> tuple[dict[str, str], tuple[Frame, ...], tuple[Frame, ...]]:
    """Sentences without blanks; frames that begin with a word or a name before a colon, and others: longest first."""
    with path.open("rb") as file:
        texts = {str(entry.id): str(entry.string) for entry in read_po(file, locale="zh") if entry.id}
    plain = {english: chinese for english, chinese in texts.items() if not _BLANK.search(english)}
    framed = sorted(texts.keys() - plain.keys(), key=lambda english: (-len(_BLANK.sub("", english)), english))
    frames = [(english, Frame(_pattern(english), texts[english])) for english in framed]
    begun = tuple(frame for english, frame in frames if not _OPEN.match(english))
    return plain, begun, tuple(frame for english, frame in frames if _OPEN.match(english))


def _pattern(english: str) -> re.Pattern[str]:
    """A frame of few words of its own takes single words only: else "{0} to {1}" would fit half of the language."""
    parts = [re.escape(part) for part in _BLANK.split(english)[::3]]
    return re.compile(("(.*?)" if sum(map(len, parts)) > FEW else r"(\S*?)").join(parts), re.DOTALL)
