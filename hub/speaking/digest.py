"""Many announcements in the lines of one: each by itself while they are few, else what, how often, and worst where.

Pure. The words for a rule and a source are the caller's.
"""

from collections import Counter
from collections.abc import Callable, Sequence

from hub.reading import Label
from hub.speaking.outbox import Row

EACH = 20  # so many are still read one by one
LINES, SOURCES = 12, 3
_KIND = {"cleared": Label(zh="解除 ", en="cleared ")}
_NONE = Label(zh="", en="")


def lines(
    rows: Sequence[Row], one: Callable[[Row], Label], title: Callable[[Row], Label], source: Callable[[str], Label]
) -> tuple[Label, ...]:
    """`one`: the line of a row by itself."""
    if len(rows) <= EACH:
        return tuple(one(row) for row in rows)
    groups: dict[tuple[str, str, str], list[Row]] = {}
    for row in rows:
        groups.setdefault((row.severity, row.rule, row.kind), []).append(row)
    worst = sorted(groups.items(), key=lambda group: (group[0][0], -len(group[1])))
    found = [_line(some, title(some[0]), source) for _, some in worst[:LINES]]
    if rest := sum(len(some) for _, some in worst[LINES:]):
        found.append(
            Label(
                zh=f"另有 {len(worst) - LINES} 类，共 {rest} 条", en=f"{len(worst) - LINES} more kinds, {rest} in all"
            )
        )
    return tuple(found)


def _line(rows: Sequence[Row], title: Label, source: Callable[[str], Label]) -> Label:
    kind, counted = _KIND.get(rows[0].kind, _NONE), Counter(row.source for row in rows)
    worst = [(source(name), times) for name, times in counted.most_common(SOURCES)]
    more = len(counted) - len(worst)
    zh = "、".join(_times(name.zh, times) for name, times in worst) + (f" 等 {len(counted)} 处" if more else "")
    en = ", ".join(_times(name.en, times) for name, times in worst) + (f" and {more} more" if more else "")
    severity = rows[0].severity
    return Label(
        zh=f"{severity} {kind.zh}{title.zh} × {len(rows)}：{zh}",
        en=f"{severity} {kind.en}{title.en} × {len(rows)}: {en}",
    )


def _times(name: str, times: int) -> str:
    return f"{name} × {times}" if times > 1 else name


def head(count: int, *, flood: bool) -> Label:
    """What it is."""
    zh, en = f"{count} 条通知合并为一条", f"{count} announcements in one"
    return Label(zh=f"告警泛滥：{zh}", en=f"flood of alarms: {en}") if flood else Label(zh=zh, en=en)
