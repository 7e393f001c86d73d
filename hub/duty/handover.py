"""The sheet for the next shift: what is open, hidden, being dealt with, what happened, and what nobody was told.

Made from the journal's rows alone, in Chinese, in English, or in both side by side. It changes nothing.
"""

import html
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime

import msgspec

from hub.duty.desk import Ask
from hub.duty.file import Override
from hub.duty.incident import State
from hub.duty.roster import Roster
from hub.outcome import OrderState
from hub.reading import Label
from hub.rows import hidden
from hub.settings.site import Site
from hub.speaking.names import voice_name

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
UNION ALL SELECT at, key, '', '', note FROM flip
WHERE at >= :since AND at < :until AND event = 'unreached' ORDER BY 1
"""
_ORDERS = """
SELECT * FROM orders WHERE issued >= ? AND issued < ?
  AND kind IN ('command', 'shelve', 'unshelve', 'out-of-service', 'in-service') ORDER BY id
"""
_TAKEN = """
SELECT * FROM orders WHERE kind = 'duty' AND state = 'done' AND issued >= ? AND issued < ? ORDER BY id
"""
_HIDDEN_AS = {
    "out-of-service": Label(zh="停用", en="out of service"),
    "suppressed": Label(zh="被抑制", en="suppressed"),
    "shelved": Label(zh="静默", en="muted"),
}
_UNWELL_AS = {
    "down": Label(zh="断开", en="down"),
    "silent": Label(zh="无数据", en="silent"),
    "offline": Label(zh="离线", en="offline"),
}
STATES = {
    State.NEW: Label(zh="待分类", en="to be classified"),
    State.CLASSIFIED: Label(zh="待派单", en="to be dispatched"),
    State.DISPATCHED: Label(zh="已派单", en="dispatched"),
    State.WORKING: Label(zh="处理中", en="accepted"),
    State.DONE: Label(zh="已反馈", en="fed back"),
    State.ASSESSED: Label(zh="已评价", en="assessed"),
    State.DEFERRED: Label(zh="挂账", en="deferred"),
    State.ARCHIVED: Label(zh="已归档", en="archived"),
    State.VOID: Label(zh="作废", en="void"),
}
_ORDERED = {
    "shelve": Label(zh="静默", en="mute"),
    "unshelve": Label(zh="结束静默", en="end of the mute"),
    "out-of-service": Label(zh="停用", en="out of service"),
    "in-service": Label(zh="恢复使用", en="back in service"),
}
_OUTCOMES = {
    OrderState.REQUESTED: Label(zh="等待处理", en="waiting"),
    OrderState.SENT: Label(zh="已发出，设备尚未确认", en="sent, not confirmed yet"),
    OrderState.CONFIRMED: Label(zh="设备已确认", en="confirmed by the device"),
    OrderState.UNCONFIRMED: Label(zh="已发出，设备未确认，状态不明", en="sent, NOT CONFIRMED, state unknown"),
    OrderState.REFUSED: Label(zh="被系统拒绝", en="refused by the hub"),
    OrderState.FAILED: Label(zh="失败", en="failed"),
    OrderState.EXPIRED: Label(zh="未能及时发出", en="not sent in time"),
    OrderState.UNKNOWN: Label(zh="状态不明", en="state unknown"),
    OrderState.DONE: Label(zh="完成", en="done"),
}
BOTH: tuple[str, ...] = ("zh", "en")


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

    def __init__(
        self,
        site: Site,
        rules: Mapping[str, Label],
        roster: Roster | None,
        languages: tuple[str, ...],
        told: Callable[[str], str],
    ) -> None:
        self._site, self._rules, self._languages, self._told = site, rules, languages, told
        self._zones, self._devices = site.zones_by_id(), site.devices()
        self._people = roster.duty.people() if roster is not None else {}
        self._shifts = {shift.id: shift.name for shift in roster.duty.shift} if roster is not None else {}

    def say(self, zh: str, en: str = "") -> str:
        """In the languages of the sheet, one beside the other."""
        wanted = [{"zh": zh, "en": en or zh}[language] for language in self._languages]
        return " ".join(dict.fromkeys(wanted))

    def label(self, label: Label) -> str:
        """As `say`."""
        return self.say(label.zh, label.en)

    def at(self, instant: int | None) -> str:
        """Date and minute on the site's wall clock."""
        if instant is None:
            return "-"
        return f"{datetime.fromtimestamp(instant // 1000, UTC).astimezone(self._site.tz):%m-%d %H:%M}"

    def since(self, instant: int | None) -> str:
        """From when on."""
        return f"{self.say(f'自 {self.at(instant)} 起', f'since {self.at(instant)}')}"

    def what(self, row: sqlite3.Row) -> str:
        """Severity, rule and where."""
        return f"{row['severity']} {self.alarm(row['key'], row['zone'])}"

    def alarm(self, key: str, zone: str = "") -> str:
        """Rule and where, of an alarm's key."""
        rule, _, rest = key.partition("/")
        source = rest.partition("/")[0]
        device = self._devices.get(source)
        zone = zone or (device.zone if device is not None else source)
        title = self._rules.get(rule, Label(zh=rule, en=rule))
        places = [self.label(found.name) for found in (self._zones.get(zone), device) if found is not None]
        return f"{self.label(title)} · {' · '.join(places or [source])}"

    def person(self, name: str) -> str:
        """By the roster, else as it stands in the row."""
        return self._people[name].name if name in self._people else name

    def opened(self, row: sqlite3.Row) -> str:
        """An open occurrence."""
        acked = f"{self.say('已确认', 'acked')} {row['acked_by']} {self.at(row['acked'])}"
        seen = acked if row["acked"] else self.say("未确认", "NOT ACKNOWLEDGED")
        over = f" · {self.say('已恢复', 'over')} {self.at(row['cleared'])}" if row["cleared"] else ""
        why = f" · {self.label(_HIDDEN_AS[hidden(row)])}" if hidden(row) else ""
        return f"{self.what(row)} · {self.since(row['raised'])} · {seen}{over}{why}"

    def hidden(self, row: sqlite3.Row) -> str:
        """An alarm that nobody is told of."""
        until = f" {self.say('至', 'until')} {self.at(row['shelved_until'])}" if row["shelved_until"] else ""
        return f"{self.what(row)} · {self.label(_HIDDEN_AS[hidden(row)])}{until}"

    def out(self, row: sqlite3.Row) -> str:
        """A device or an alarm that is out of service."""
        device = self._devices.get(row["target"])
        where = self.label(device.name) if device is not None else self.alarm(row["target"])
        return (
            f"{where} · {self.say('停用', 'out of service')} {self.since(row['at'])} · {row['actor']}: {row['reason']}"
        )

    def happened(self, row: sqlite3.Row) -> str:
        """An occurrence of the shift."""
        end = self.at(row["ended"]) if row["closed"] else self.say("未结束", "open")
        return f"{self.at(row['raised'])} - {end} · {self.what(row)}"

    def incident(self, row: sqlite3.Row) -> str:
        """An incident that is not archived."""
        pressed = f" · {self.say('督办', 'supervision')} {row['supervision']}" if row["supervision"] else ""
        who = " · " + ", ".join(map(self.person, row["assignee"].split(","))) if row["assignee"] else ""
        state = f"{self.label(STATES[State(row['state'])])} {self.since(row['since'])}"
        return f"#{row['id']} {row['severity']} {self.alarm(row['key'])} · {state}{who}{pressed}"

    def unwell(self, row: sqlite3.Row) -> str:
        """A device or link that does not speak."""
        device = self._devices.get(row["source"])
        name = self.label(device.name) if device is not None else row["source"]
        return (
            f"{name} · {self.label(_UNWELL_AS[row['state']])} {self.since(row['since'])} · {self._told(row['detail'])}"
        )

    def untold(self, row: sqlite3.Row) -> str:
        """What somebody was to be told, and was not."""
        if not row["voice"]:
            nobody = self.say("无人可呼叫", "nobody could be reached")
            return f"{self.at(row['at'])} {self.alarm(row['key'])}: {nobody} ({self._told(row['detail'])})"
        who = f"{self.person(row['person']) or '-'} {self.label(voice_name(self._site, row['voice']))}"
        return f"{self.at(row['at'])} {self.alarm(row['key'])} → {who}: {self._told(row['detail'])}"

    def order(self, row: sqlite3.Row) -> str:
        """Something that somebody had done."""
        about = self.alarm(row["target"]) if "/" in row["target"] else self._ordered(row["target"], row["command"])
        kind = self.label(_ORDERED[row["kind"]]) if row["kind"] in _ORDERED else ""
        what = " ".join(part for part in (kind, about, row["text"]) if part)
        return f"{self.at(row['issued'])} {row['actor']}: {what} ({self.label(_OUTCOMES[OrderState(row['state'])])})"

    def _ordered(self, target: str, command: str) -> str:
        """A device, the channel that the command moves where it has a name, and what was ordered."""
        device = self._devices.get(target)
        if device is None:
            return f"{target} {command}"
        known = device.profile.command.get(command)
        channel = next((name for name in known.confirm if name in device.names), "") if known is not None else ""
        name = self.label(device.names[channel] if channel else device.name)
        return f"{name} {self.label(known.label) if known is not None else command}".strip()

    def taken(self, row: sqlite3.Row) -> str:
        """A shift that was taken over, or a change of the roster."""
        if row["command"] == Ask.TAKE_OVER:
            shift = self._shifts.get(row["target"], Label(zh=row["target"], en=row["target"]))
            what = self.say("接班确认", "took over")
            return (
                f"{self.at(row['issued'])} {self.label(shift)} · {self.person(row['text'])} · {what} ({row['actor']})"
            )
        change = msgspec.json.decode(row["text"], type=Override)
        who = self.say("请假", "is away")
        if change.instead:
            who = f"→ {self.person(change.instead)}"
        span = f"{change.since:%m-%d %H:%M} - {change.until:%m-%d %H:%M}"
        return f"{self.at(row['issued'])} {self.person(change.person)} {who} · {span} ({row['actor']}: {change.reason})"

    def comment(self, row: sqlite3.Row) -> str:
        """What somebody wrote."""
        return f"{self.at(row['at'])} {row['actor']} · {self.alarm(row['key'])}: {row['note']}"


def sheet(
    db: sqlite3.Connection,
    site: Site,
    rules: Mapping[str, Label],
    roster: Roster | None,
    since: int,
    now: int,
    languages: tuple[str, ...] = BOTH,
    told: Callable[[str], str] = str,
) -> Sheet:
    """What the shift from `since` to `now` (ms) leaves behind, in one language or both; `told`: says our English."""
    tell, span = _Teller(site, rules, roster, languages, told), (since, now)
    named = {"since": since, "until": now}
    parts: list[tuple[str, str, Iterable[str]]] = [
        ("在岗", "On duty", _people(tell, roster, now)),
        ("接班、换班", "Shifts taken over and changed", map(tell.taken, db.execute(_TAKEN, span))),
        ("未结束的告警", "Open alarms", map(tell.opened, db.execute(_OPEN))),
        ("停用", "Out of service", map(tell.out, db.execute(_OUT))),
        ("静默、抑制", "Muted, suppressed", map(tell.hidden, db.execute(_HIDDEN))),
        ("失联设备与线路", "Devices and links not heard", map(tell.unwell, db.execute(_UNWELL))),
        ("未归档的事件", "Incidents not archived", map(tell.incident, db.execute(_INCIDENTS))),
        ("本班告警", "Alarms of this shift", map(tell.happened, db.execute(_BETWEEN, span))),
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


def _people(tell: _Teller, roster: Roster | None, now: int) -> Iterator[str]:
    if roster is None:
        return
    shifts = {shift.id: shift.name for shift in roster.duty.shift}
    for each in roster.on_duty(now):
        instead = f" ({tell.say('代', 'for')} {tell.person(each.stands_for)})" if each.stands_for else ""
        yield f"{tell.label(shifts[each.shift])} · {each.role} · {tell.person(each.person)}{instead}"
