"""The sheet for the next shift: what is open, hidden, being dealt with, what happened, and what nobody was told.

Made from the journal's rows alone, in Chinese and English. It changes nothing.
"""

import html
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime

import msgspec

from hub.reading import Label
from hub.roster import Roster
from hub.rows import hidden
from hub.site import Site

_OPEN = """
SELECT o.*, a.shelved_until, a.suppressed, a.out_of_service FROM occurrence o JOIN alarm a ON a.key = o.key
WHERE o.closed = '' ORDER BY o.severity, o.raised
"""
_HIDDEN = """
SELECT * FROM alarm WHERE shelved_until IS NOT NULL OR suppressed <> '[]' ORDER BY severity, key
"""
_OUT = "SELECT * FROM service WHERE ended IS NULL ORDER BY at"
_BETWEEN = "SELECT * FROM occurrence WHERE raised >= ? AND raised < ? ORDER BY raised"
_WORDS = "SELECT * FROM flip WHERE at >= ? AND at < ? AND event = 'comment' ORDER BY seq"
_UNWELL = "SELECT * FROM health WHERE state IN ('down', 'silent', 'offline') ORDER BY source"
_INCIDENTS = "SELECT * FROM incident WHERE state NOT IN ('archived', 'void') ORDER BY severity, opened"
_UNTOLD = """
SELECT f.at, f.key, b.person, b.voice, b.detail FROM outbox b JOIN flip f ON f.seq = b.flip
WHERE f.at >= :since AND f.at < :until AND b.status = 'failed'
UNION ALL SELECT at, key, '', '', '无人可呼叫 nobody could be reached: ' || note FROM flip
WHERE at >= :since AND at < :until AND event = 'unreached' ORDER BY 1
"""
_ORDERS = """
SELECT * FROM orders WHERE issued >= ? AND issued < ?
  AND kind IN ('command', 'shelve', 'unshelve', 'out-of-service', 'in-service') ORDER BY id
"""
_HIDDEN_AS = {"out-of-service": "停用 out of service", "suppressed": "被抑制 suppressed", "shelved": "静音 muted"}


class Section(msgspec.Struct, frozen=True):
    """A heading and its lines; none is said as such."""

    title: Label
    lines: list[str]


class Sheet(msgspec.Struct, frozen=True):
    """The whole sheet: of which site, from when to when (wall clock), and its sections."""

    site: Label
    since: str
    until: str
    sections: list[Section]


class _Teller:
    """Rows as lines, with the site's own names."""

    def __init__(self, site: Site, rules: Mapping[str, Label]) -> None:
        self._site, self._rules = site, rules
        self._zones, self._devices = site.zones_by_id(), site.devices()

    def at(self, instant: int | None) -> str:
        """Date and minute on the site's wall clock."""
        if instant is None:
            return "-"
        return f"{datetime.fromtimestamp(instant // 1000, UTC).astimezone(self._site.tz):%m-%d %H:%M}"

    def what(self, row: sqlite3.Row) -> str:
        """Severity, rule and where."""
        title = self._rules.get(row["rule"], Label(zh=row["rule"], en=row["rule"]))
        device, zone = self._devices.get(row["source"]), self._zones.get(row["zone"])
        places = [label.name.zh for label in (zone, device) if label is not None] or [row["source"]]
        return f"{row['severity']} {title.zh} {title.en} · {' '.join(places)}"

    def opened(self, row: sqlite3.Row) -> str:
        """An open occurrence."""
        seen = f"已确认 acked {row['acked_by']} {self.at(row['acked'])}" if row["acked"] else "未确认 NOT ACKNOWLEDGED"
        over = f" · 已恢复 over {self.at(row['cleared'])}" if row["cleared"] else ""
        why = f" · {_HIDDEN_AS[hidden(row)]}" if hidden(row) else ""
        return f"{self.what(row)} · 自 since {self.at(row['raised'])} · {seen}{over}{why}"

    def hidden(self, row: sqlite3.Row) -> str:
        """An alarm that nobody is told of."""
        until = f" 至 until {self.at(row['shelved_until'])}" if row["shelved_until"] else ""
        return f"{self.what(row)} · {_HIDDEN_AS[hidden(row)]}{until}"

    def out(self, row: sqlite3.Row) -> str:
        """A device or an alarm that is out of service."""
        rule, _, rest = str(row["target"]).partition("/")
        device = self._devices.get(rest.partition("/")[0] or rule)
        known = self._rules.get(rule) if rest else None
        named = f" {known.zh} {known.en}" if known is not None else ""
        where = device.name.zh if device is not None else row["target"]
        return f"{where}{named} · 停用 out of service 自 since {self.at(row['at'])} · {row['actor']}: {row['reason']}"

    def happened(self, row: sqlite3.Row) -> str:
        """An occurrence of the shift."""
        end = self.at(row["ended"]) if row["closed"] else "未结束 open"
        return f"{self.at(row['raised'])}-{end} {self.what(row)}"

    def incident(self, row: sqlite3.Row) -> str:
        """An incident that is not archived."""
        pressed = f" · 督办 supervision {row['supervision']}" if row["supervision"] else ""
        who = f" · {row['assignee']}" if row["assignee"] else ""
        state = f"{row['state']} 自 since {self.at(row['since'])}"
        return f"#{row['id']} {row['severity']} {row['key']} · {state}{who}{pressed}"

    def unwell(self, row: sqlite3.Row) -> str:
        """A device or link that does not speak."""
        return f"{row['source']} · {row['state']} 自 since {self.at(row['since'])} · {row['detail']}"

    def untold(self, row: sqlite3.Row) -> str:
        """What somebody was to be told, and was not."""
        return f"{self.at(row['at'])} {row['key']} → {row['person'] or '-'} {row['voice'] or '-'}: {row['detail']}"

    def order(self, row: sqlite3.Row) -> str:
        """Something that somebody had done."""
        what = f"{row['kind']} {row['target']} {row['command']} {row['text']}"
        return f"{self.at(row['issued'])} {row['actor']}: {what} ({row['state']})"

    def comment(self, row: sqlite3.Row) -> str:
        """What somebody wrote."""
        return f"{self.at(row['at'])} {row['actor']} · {row['key']}: {row['note']}"


def sheet(
    db: sqlite3.Connection, site: Site, rules: Mapping[str, Label], roster: Roster | None, since: int, now: int
) -> Sheet:
    """What the shift from `since` to `now` (ms) leaves behind."""
    tell, span, named = _Teller(site, rules), (since, now), {"since": since, "until": now}
    parts: list[tuple[str, str, Iterable[str]]] = [
        ("在岗", "On duty", _people(roster, now)),
        ("未结束的报警", "Open alarms", map(tell.opened, db.execute(_OPEN))),
        ("停用", "Out of service", map(tell.out, db.execute(_OUT))),
        ("静音、抑制", "Muted, suppressed", map(tell.hidden, db.execute(_HIDDEN))),
        ("失联设备与线路", "Devices and links not heard", map(tell.unwell, db.execute(_UNWELL))),
        ("未归档的事件", "Incidents not archived", map(tell.incident, db.execute(_INCIDENTS))),
        ("本班报警", "Alarms of this shift", map(tell.happened, db.execute(_BETWEEN, span))),
        ("未送达的通知", "Calls that reached nobody", map(tell.untold, db.execute(_UNTOLD, named))),
        ("操作", "Orders", map(tell.order, db.execute(_ORDERS, span))),
        ("备注", "Comments", map(tell.comment, db.execute(_WORDS, span))),
    ]
    sections = [Section(Label(zh=zh, en=en), list(lines)) for zh, en, lines in parts]
    return Sheet(site=site.name, since=tell.at(since), until=tell.at(now), sections=sections)


def as_text(made: Sheet) -> str:
    """For a terminal or a plain printer."""
    lines = [f"交接班 Handover · {made.site.zh} {made.site.en} · {made.since} - {made.until}"]
    for section in made.sections:
        lines += ["", f"{section.title.zh} {section.title.en} ({len(section.lines)})"]
        lines += [f"  {' '.join(line.split())}" for line in section.lines] or ["  无 none"]
    return "\n".join([*lines, "", "交班 out: ____________    接班 in: ____________", ""])


def as_html(made: Sheet) -> str:
    """One page for printing, without anything from elsewhere. What people wrote is escaped."""
    title = html.escape(f"交接班 Handover · {made.site.zh} {made.site.en}")
    parts = [
        '<!doctype html><html lang="zh-CN"><meta charset="utf-8">',
        f"<title>{title}</title><style>body{{font:14px/1.5 sans-serif;max-width:60em;margin:2em auto}}",
        "h2{font-size:1.1em;margin:1.2em 0 .2em;border-bottom:1px solid}p.sign{margin-top:3em}</style>",
        f"<h1>{title}</h1><p>{html.escape(made.since)} - {html.escape(made.until)}</p>",
    ]
    for section in made.sections:
        parts.append(f"<h2>{html.escape(section.title.zh)} {html.escape(section.title.en)} ({len(section.lines)})</h2>")
        items = "".join(f"<li>{html.escape(line)}</li>" for line in section.lines)
        parts.append(f"<ul>{items}</ul>" if items else "<p>无 none</p>")
    parts.append('<p class="sign">交班 out: ____________ &nbsp; 接班 in: ____________</p>')
    return "\n".join(parts) + "\n"


def _people(roster: Roster | None, now: int) -> Iterator[str]:
    if roster is None:
        return
    names = roster.duty.people()
    for each in roster.on_duty(now):
        instead = f" (代 for {each.stands_for})" if each.stands_for else ""
        yield f"{each.shift} · {each.role} · {names[each.person].name}{instead}"
