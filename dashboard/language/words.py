"""How things are called and written on a page: severities, quantities, values, instants, states, outcomes.

Pure functions of the site, the vocabulary and the request's language; no page logic. Instants are ms since 1970 and
are shown in the site's time zone.
"""

from datetime import datetime
from typing import Protocol

from dashboard.language import upkeep_words
from dashboard.language.i18n import gettext, lazy_gettext, say
from dashboard.language.reasons import reason
from device_profiles import vocabulary
from hub.outcome import Order, OrderState
from hub.reading import Kind, Label, Value
from hub.rules.own import SOURCE as HUB
from hub.settings.site import Device, Site
from hub.speaking.names import voice_name
from hub.speaking.route import VOICE

SEVERITIES = {
    "P1": lazy_gettext("Critical"),
    "P2": lazy_gettext("High"),
    "P3": lazy_gettext("Medium"),
    "P4": lazy_gettext("Low"),
}
UNWATCHED = {
    "silent": lazy_gettext("silent"),
    "offline": lazy_gettext("offline"),
    "link-down": lazy_gettext("its cable is down"),
    "no-word": lazy_gettext("no word yet"),
    "shelved": lazy_gettext("muted"),
    "out-of-service": lazy_gettext("out of service"),
    "calibration": lazy_gettext("a calibrator sits on it"),
    "hub": lazy_gettext("the hub does not answer"),
}
STATES = {
    "ok": lazy_gettext("working"),
    "silent": lazy_gettext("silent"),
    "offline": lazy_gettext("offline"),
    "unknown": lazy_gettext("no word yet"),
    "up": lazy_gettext("up"),
    "down": lazy_gettext("down"),
}
EVENTS = {
    "raised": lazy_gettext("Raised"),
    "reactivated": lazy_gettext("Happened again"),
    "cleared": lazy_gettext("Condition over"),
    "acked": lazy_gettext("Acknowledged"),
    "reset": lazy_gettext("Reset"),
    "renotified": lazy_gettext("Told again"),
    "worsened": lazy_gettext("Got worse"),
    "eased": lazy_gettext("Less bad again"),
    "chattering": lazy_gettext("Comes and goes: told no more until a minute is quiet"),
    "reminded": lazy_gettext("Reminded"),
    "called": lazy_gettext("Called"),
    "unreached": lazy_gettext("Nobody could be called"),
    "withdrawn": lazy_gettext("Withdrawn: its rule or its device is gone"),
    "rejected": lazy_gettext("Not possible"),
    "counted": lazy_gettext("Once more"),
    "closed": lazy_gettext("Closed"),
    "shelved": lazy_gettext("Muted"),
    "unshelved": lazy_gettext("Not muted any more"),
    "suppressed": lazy_gettext("Suppressed, because of something bigger"),
    "unsuppressed": lazy_gettext("Not suppressed any more"),
    "out-of-service": lazy_gettext("Out of service"),
    "in-service": lazy_gettext("In service again"),
    "comment": lazy_gettext("Comment"),
    "verdict": lazy_gettext("What it was"),
}
ORDER_KINDS = {
    "ack": lazy_gettext("Acknowledgement"),
    "comment": lazy_gettext("Comment"),
    "reset": lazy_gettext("Reset"),
    "shelve": lazy_gettext("Mute"),
    "unshelve": lazy_gettext("End of the mute"),
    "realarm": lazy_gettext("Raised again by the hub"),
    "incident": lazy_gettext("Incident"),
    "duty": lazy_gettext("Duty"),
    "limit": lazy_gettext("Limit"),
    "limit-clear": lazy_gettext("As in the site file"),
    "mute": lazy_gettext("Mute"),
    "unmute": lazy_gettext("End of the mute"),
    "drill": lazy_gettext("Test"),
    "drill-end": lazy_gettext("End of the test"),
    "verdict": lazy_gettext("What it was"),
    "out-of-service": lazy_gettext("Out of service"),
    "in-service": lazy_gettext("Back in service"),
    **upkeep_words.ORDERS,
}
ROLES = {
    "viewer": lazy_gettext("viewer"),
    "guard": lazy_gettext("guard"),
    "manager": lazy_gettext("manager"),
    "auditor": lazy_gettext("auditor"),
    "admin": lazy_gettext("administrator"),
}


PASSAGES = {"granted": lazy_gettext("granted"), "denied": lazy_gettext("denied")}


class RuleText(Protocol):
    """What a page needs to know of a rule."""

    @property
    def id(self) -> str:
        """As in the journal."""

    @property
    def title(self) -> Label:
        """What happened, in three words."""

    @property
    def response(self) -> Label:
        """The next thing for a person to do."""


class Words:
    """The names of one site's things."""

    def __init__(self, site: Site, rules: dict[str, RuleText]) -> None:
        """Rules by id; an alarm of a rule that is no longer there shows the rule's id."""
        self._site, self._rules = site, rules
        self._devices, self._zones = site.devices(), site.zones_by_id()
        self._links = {link.id: link for link in site.links}

    def rule(self, rule: str) -> Label:
        """A rule's title."""
        return self._rules[rule].title if rule in self._rules else same(rule)

    def response(self, rule: str) -> Label | None:
        """What to do, where the rule says it."""
        return self._rules[rule].response if rule in self._rules else None

    def settles(self, rule: str) -> bool:
        """True for a rule that is over only when a person says that all is well: a count of who is inside."""
        return getattr(self._rules.get(rule), "kind", "") == "balance"

    def zone(self, zone: str) -> Label:
        """A zone's name."""
        return self._zones[zone].name if zone in self._zones else same(zone)

    def source(self, source: str) -> Label:
        """The name of a device, link or zone."""
        if source in self._devices:
            return self._devices[source].name
        if source in self._links:
            return Label(zh=f"线路 {source}", en=f"link {source}")
        if source.startswith(VOICE):
            name = self.voice(source.removeprefix(VOICE))
            return Label(zh=f"通知渠道：{name.zh}", en=f"channel: {name.en}")
        if source == HUB:
            return Label(zh="本系统", en="this system")
        return self.zone(source)

    def voice(self, voice: str) -> Label:
        """What people call a voice."""
        return voice_name(self._site, voice)

    def command(self, device: str, command: str) -> Label:
        """A command's label, with what hangs on its channel."""
        found = self._devices[device].profile.command.get(command) if device in self._devices else None
        if found is None:
            return same(command)
        channel = next((quantity for quantity in found.confirm if quantity in self._devices[device].names), None)
        if channel is None:
            suffix = command.rpartition("_")[2]
            return with_suffix(found.label, suffix) if suffix.isdigit() else found.label
        name = self._devices[device].names[channel]
        return Label(zh=f"{name.zh}：{found.label.zh}", en=f"{name.en}: {found.label.en}")

    def actor(self, actor: str) -> Label:
        """Who ordered it: a person's name, or the rule that did it by itself."""
        kind, _, rule = actor.partition(":")
        if actor == "hub":
            return Label(zh="系统", en="the hub")
        if kind != "rule":
            return same(actor)
        title = self.rule(rule)
        return Label(zh=f"自动（{title.zh}）", en=f"automatic ({title.en})")

    def channel(self, device: str, command: str) -> Label:
        """What a command moves: the named channel, else the device."""
        found = self._devices.get(device)
        wanted = found.profile.command.get(command) if found else None
        name = (
            next((quantity for quantity in wanted.confirm if quantity in found.names), "") if wanted and found else ""
        )
        return found.names[name] if found and name else self.source(device)

    def moment(self, at: int | None) -> str:
        """An instant: the time of day with its date, to the second."""
        return "" if at is None else self._local(at).strftime("%Y-%m-%d %H:%M:%S")

    def clock_time(self, at: int | None) -> str:
        """The time of day alone, for what happened just now."""
        return "" if at is None else self._local(at).strftime("%H:%M:%S")

    def day_time(self, at: int | None, now: int) -> str:
        """The time of day; with month and day when that was not today."""
        if at is None:
            return ""
        there, today = self._local(at), self._local(now)
        return there.strftime("%H:%M:%S") if there.date() == today.date() else self.date_time(at)

    def date_time(self, at: int) -> str:
        """Month, day and time of day, to the minute: 10-09 16:53, 10月9日 16:53."""
        there = self._local(at)
        return gettext("%(month)02d-%(day)02d %(time)s", month=there.month, day=there.day, time=f"{there:%H:%M}")

    def _local(self, at: int) -> datetime:
        return datetime.fromtimestamp(at / 1000, self._site.tz)


def same(text: str) -> Label:
    """An id where there is no label."""
    return Label(zh=text, en=text)


def with_suffix(label: Label, suffix: str) -> Label:
    """Relay 3, 继电器 3."""
    return Label(zh=f"{label.zh} {suffix}", en=f"{label.en} {suffix}")


def quantity(name: str, device: Device | None = None) -> Label:
    """What a reading is called; the site's own name of the channel where it has one."""
    if device is not None and name in device.names:
        return device.names[name]
    word = vocabulary.find(name)
    if word is None:
        return same(name)
    return with_suffix(word.quantity.label, str(word.channel)) if word.channel else word.quantity.label


def unit(name: str) -> str:
    """The quantity's unit."""
    word = vocabulary.find(name)
    return word.quantity.unit if word else ""


def decimals(name: str) -> int:
    """How many decimals are shown."""
    word = vocabulary.find(name)
    return word.quantity.decimals if word else 1


def kind(name: str) -> Kind:
    """How the quantity behaves."""
    word = vocabulary.find(name)
    return word.quantity.kind if word else Kind.EVENT


def figure(name: str, value: Value | None) -> str:
    """The value without its unit: a number with the quantity's decimals, a state by its name."""
    if value is None:
        return "–"
    word = vocabulary.find(name)
    if isinstance(value, str):
        label = word.quantity.states.get(value) if word else None
        return say(label) if label else str(PASSAGES.get(value, value)) if name == "passage" else value
    return f"{value:.{decimals(name)}f}"


def value_text(name: str, value: Value | None) -> str:
    """The value with its unit."""
    shown = figure(name, value)
    return f"{shown} {unit(name)}".strip() if value is not None and not isinstance(value, str) else shown


def duration(ms: int) -> str:
    """How long, in the two largest words: 3 min 12 s."""
    seconds = max(0, ms) // 1000
    if seconds < 60:
        return gettext("%(s)s s", s=seconds)
    if seconds < 3600:
        minutes, rest = divmod(seconds, 60)
        return gettext("%(m)s min %(s)s s", m=minutes, s=rest) if rest else gettext("%(m)s min", m=minutes)
    if seconds < 86_400:
        hours, minutes = seconds // 3600, seconds % 3600 // 60
        return gettext("%(h)s h %(m)s min", h=hours, m=minutes) if minutes else gettext("%(h)s h", h=hours)
    days, hours = seconds // 86_400, seconds % 86_400 // 3600
    return gettext("%(d)s d %(h)s h", d=days, h=hours) if hours else gettext("%(d)s d", d=days)


def outcome(order: Order, words: Words) -> str:
    """What became of an order, as one sentence that says what is known and what is not."""
    at, why = words.clock_time(order.ended or order.sent or order.issued), reason(order.outcome, words.source)
    match order.state:
        case OrderState.REQUESTED:
            return gettext("waiting for the hub since %(at)s", at=at)
        case OrderState.SENT:
            return gettext("sent at %(at)s, not confirmed yet", at=at)
        case OrderState.CONFIRMED:
            return gettext("confirmed by the device at %(at)s", at=at)
        case OrderState.UNCONFIRMED:
            return _unconfirmed(order, words)
        case OrderState.REFUSED:
            return gettext("refused by the hub at %(at)s: %(why)s", at=at, why=why)
        case OrderState.FAILED:
            return gettext("failed at %(at)s: %(why)s", at=at, why=why)
        case OrderState.EXPIRED:
            return gettext("not sent in time (%(at)s): nothing was done", at=at)
        case OrderState.UNKNOWN:
            return gettext("the hub stopped meanwhile: state unknown, go and look")
        case OrderState.DONE:
            return gettext("done at %(at)s", at=at)


def _unconfirmed(order: Order, words: Words) -> str:
    word, _, waited = order.outcome.partition(":")
    if word != "not-confirmed":
        at = words.clock_time(order.ended)
        return gettext("sent, but not confirmed until %(at)s: state unknown, go and look", at=at)
    at = words.clock_time(order.sent)
    return gettext("sent at %(at)s; no answer in %(s)s s: state unknown, go and look", at=at, s=waited)
