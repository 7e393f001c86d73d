"""An announcement in words: Chinese first, English after it where the voice wants it, cut to what a channel carries.

Pure. What is cut first is what can be found on the page; severity, what and where stay to the last.
"""

from collections.abc import Mapping, Sequence

from hub.reading import Label
from hub.voices import Announcement

_KIND = {
    "raised": Label(zh="告警", en="alarm"),
    "cleared": Label(zh="解除", en="cleared"),
    "digest": Label(zh="汇总", en="digest"),
    "test": Label(zh="测试", en="test"),
}
_URGENT = Label(zh="紧急告警", en="Emergency")
_SINCE = Label(zh="自 {0} 起", en="since {0}")
_LIMIT = Label(zh="（限值 {0}）", en=" (limit {0})")
_DONE = Label(zh="系统已执行：{0}", en="Done: {0}")
_TO_DO = Label(zh="处置：{0}", en="To do: {0}")
_MORE = Label(zh="……另有 {0} 条，见告警页", en="… and {0} more on the page")
_WHERE = Label(zh="位置：{0}", en="Where: {0}")
_VALUE = Label(zh="数值：{0}", en="Value: {0}")
ELLIPSIS = "…"


def compose(said: Announcement, languages: Sequence[str], most_bytes: int) -> str:
    """The whole message, at most `most_bytes` of UTF-8."""
    lines = [(rank, line) for at, tongue in enumerate(languages) for rank, line in _lines(said, tongue, at)]
    lines.append((1, " ".join(part for part in (f"#{said.id}", said.page) if part)))
    return _fit(lines, languages[0] if languages else "zh", most_bytes)


def headline(said: Announcement, tongue: str, most_bytes: int = 200) -> str:
    """One line: severity, kind, what and where."""
    name = getattr(_KIND.get(said.kind, _KIND["raised"]), tongue)
    place = _place(said, tongue)
    line = f"【{said.severity} {name}】{getattr(said.title, tongue)}{' · ' + place if place else ''}"
    return cut(" ".join("".join(sign if sign.isprintable() else " " for sign in line).split()), most_bytes)


def blanks(said: Announcement, tongue: str, most_chars: int) -> Mapping[str, str]:
    """What may stand in the parameters of a template, each cut to `most_chars` characters."""
    words = {
        "site": getattr(said.site_name, tongue) or said.site,
        "severity": said.severity,
        "kind": getattr(_KIND.get(said.kind, _KIND["raised"]), tongue),
        "title": getattr(said.title, tongue),
        "zone": getattr(said.zone_name, tongue) or said.zone,
        "source": getattr(said.source_name, tongue) or said.source,
        "time": said.time,
        "value": getattr(said.value_text, tongue),
    }
    words["what"] = f"{words['severity']} {words['title']}"
    return {name: _plain(word)[:most_chars] or "-" for name, word in words.items()}


def spoken(said: Announcement, languages: Sequence[str], most_chars: int) -> str:
    """What a voice column reads aloud: no id, no address, no person; what to do only where it fits whole."""
    texts = [_spoken(said, tongue, most_chars) for tongue in languages]
    return whole if len(whole := " ".join(texts)) <= most_chars else texts[0]


def _spoken(said: Announcement, tongue: str, most_chars: int) -> str:
    urgent = said.kind == "raised" and said.severity == "P1"
    kind = getattr(_URGENT if urgent else _KIND.get(said.kind, _KIND["raised"]), tongue)
    source = getattr(said.source_name, tongue)
    place = getattr(said.zone_name, tongue) or ("" if said.source in source else source)
    comma, stop = ("，", "。") if tongue == "zh" else (", ", ". ")
    what = comma.join(_aloud(part) for part in (place, getattr(said.title, tongue)) if part)
    first = f"{kind}{'：' if tongue == 'zh' else ': '}{what}{stop}".strip()
    response = _aloud(getattr(said.response, tongue)) if said.response and said.kind == "raised" else ""
    whole = first + ("" if tongue == "zh" else " ") + response if response else first
    return whole if len(whole) <= most_chars else first[:most_chars]


def _aloud(text: str) -> str:
    """One line without signs that a speech module reads out or takes for its own ("[v9]" is a volume)."""
    return " ".join("".join(" " if sign in "【】[]<>{}&·#*_|\\" else sign for sign in text).split())


def cut(text: str, most_bytes: int) -> str:
    """As much of `text` as fits, whole characters, with an ellipsis where something is gone."""
    encoded = text.encode("utf-8")
    if len(encoded) <= most_bytes:
        return text
    room = max(0, most_bytes - len(ELLIPSIS.encode()))
    return encoded[:room].decode("utf-8", "ignore") + (ELLIPSIS if most_bytes >= 3 else "")


def _plain(text: str) -> str:
    """One line: templates carry no line breaks, and a carrier takes square brackets for a signature."""
    return " ".join(text.replace("【", " ").replace("】", " ").split())


def _place(said: Announcement, tongue: str) -> str:
    names = (getattr(said.zone_name, tongue) or said.zone, getattr(said.source_name, tongue) or said.source)
    return " · ".join(dict.fromkeys(name for name in names if name))


def _lines(said: Announcement, tongue: str, at: int) -> list[tuple[int, str]]:
    """Lines with their rank: the higher, the earlier it goes. A further language goes before the first one."""

    def told(frame: Label, *words: str) -> str:
        return str(getattr(frame, tongue)).format(*words) if words[0] else ""

    later = 10 * at
    place, value = _place(said, tongue), getattr(said.value_text, tongue)
    limit = told(_LIMIT, f"{said.limit:g}") if said.limit is not None and value else ""
    lines = [
        (later, headline(said, tongue, 10_000).partition(" · ")[0]),
        (2 + later, getattr(said.note, tongue) if said.note else ""),
        (0 + later, told(_WHERE, place)),
        (1 + later, f"{told(_SINCE, said.time)}" if said.time else ""),
        (2 + later, getattr(said.first_out, tongue) if said.first_out and said.kind == "raised" else ""),
        (3 + later, f"{told(_VALUE, value)}{limit}" if value else ""),
        (4 + later, told(_DONE, "；".join(getattr(done, tongue) for done in said.done))),
        (5 + later, told(_TO_DO, getattr(said.response, tongue) if said.response and said.kind == "raised" else "")),
        *((6 + later, f"- {getattr(item, tongue)}") for item in said.items),
    ]
    return [(rank, line) for rank, line in lines if line]


def _fit(lines: list[tuple[int, str]], tongue: str, most_bytes: int) -> str:
    """Drop lines, highest rank and last one first, until the rest fits; the last resort is the knife."""
    gone = 0
    while len(lines) > 1 and _size(_joined(lines, gone, tongue)) > most_bytes:
        worst = max(range(len(lines)), key=lambda at: (lines[at][0], at))
        gone += lines[worst][1].startswith("- ")
        del lines[worst]
    return cut(_joined(lines, gone, tongue), most_bytes)


def _joined(lines: list[tuple[int, str]], gone: int, tongue: str) -> str:
    more = [getattr(_MORE, tongue).format(gone)] if gone else []
    return "\n".join([line for _, line in lines[:-1]] + more + [lines[-1][1]])


def _size(text: str) -> int:
    return len(text.encode("utf-8"))
