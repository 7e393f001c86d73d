"""Speaks what the journal's outbox holds: one speaker a voice, and the words of each announcement.

The state change was committed before; a voice that hangs never holds up another. A claim survives a crash: what was
being said when the hub died is said again (twice is better than never).
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from typing import Protocol

import msgspec

from device_profiles import vocabulary
from firmware_bridge.raw import Link
from hub.alarms.flood import Flood
from hub.care.reminder import listed
from hub.care.reminder import title as reminder_title
from hub.clock import Clock
from hub.journal.commit import Committer
from hub.journal.writer import SIREN, Journal
from hub.outcome import Service
from hub.reading import Label, LinkChange, LinkState, Value
from hub.rules.door import Rule
from hub.rules.own import SOURCE as HUB
from hub.settings.site import Site
from hub.speaking import digest, outbox
from hub.speaking.budget import Budgets
from hub.speaking.muted import digest_title, item_ends
from hub.speaking.names import voice_name
from hub.speaking.outbox import Row, VoiceState
from hub.speaking.route import VOICE
from hub.speaking.speaker import Common, Speaker
from hub.voices import Announcement, Person, Voice
from hub.voices.build import build
from hub.voices.siren import SirenVoice

_SIREN = {
    "confirmed": Label(zh="声光报警器已鸣响（设备已确认）", en="siren sounding (confirmed by the device)"),
    "sent": Label(zh="声光报警器指令已发出", en="siren ordered"),
    "requested": Label(zh="声光报警器指令已发出", en="siren ordered"),
}
_SIREN_LOST = Label(zh="声光报警器未能确认鸣响", en="siren ordered, and not confirmed")
_TEST = Label(zh="渠道测试：收到即表示此渠道正常", en="channel test: receiving this shows that the channel works")
_DRILL_RESPONSE = Label(
    zh="这是每日测试：请确认收到，不必到场。再次告警时即为真实告警。",
    en="This is the daily test: acknowledge it, nobody need go. If it is told once more, it is real.",
)
_NONE = Label(zh="", en="")

News = Callable[[LinkChange], Awaitable[None]]


class People(Protocol):
    """Who is told in person: looked up at each announcement, for addresses are never stored."""

    def person(self, person: str, voice: str) -> Person | None:
        """With the address for this voice; None: nobody of this id, or not by this voice."""

    def link(self, row: Row) -> str:
        """Where this person reads about it, and acknowledges; empty: like everybody."""


class _Nobody:
    def person(self, person: str, voice: str) -> Person | None:
        """Nobody is known."""

    def link(self, row: Row) -> str:
        """None."""
        return ""


NOBODY: People = _Nobody()


async def _unheard(_: LinkChange) -> None:
    """For callers that have no core."""


class Announcer:
    """The site's voices. `heard` takes what is new about a voice; `people` knows who is told in person."""

    def __init__(
        self,
        site: Site,
        rules: Mapping[str, Rule],
        committer: Committer,
        links: Mapping[str, Link],
        clock: Clock,
        heard: News = _unheard,
        people: People = NOBODY,
        flood: Callable[[], Flood] = Flood,
    ) -> None:
        """Every voice of the site, and the sirens of its zones."""
        self._committer, self._clock, self._heard, self._people = committer, clock, heard, people
        self._flood = flood
        self._group: asyncio.TaskGroup | None = None
        self._speakers: dict[str, Speaker] = {}
        self._site = site
        self._common = Common(
            site=site.id, committer=committer, clock=clock, budgets=Budgets(), compose=self._compose,
            test=self._test_words, person=people.person, changed=self._changed, flood=flood,
        )  # fmt: skip
        self.renew(site, rules, links)

    def renew(self, site: Site, rules: Mapping[str, Rule], links: Mapping[str, Link]) -> None:
        """Another site file. What is being said is said to its end; a voice that is gone then falls silent."""
        self._site, self._rules = site, rules
        self._devices, self._zones = site.devices(), site.zones_by_id()
        voices: dict[str, Voice] = {SIREN: SirenVoice(site, self._committer, self._clock)}
        voices |= {spec.id: build(spec, site, links, self._committer, self._clock) for spec in site.voices}
        for name in self._speakers.keys() - voices.keys():
            self._speakers.pop(name).retire()
        for name, voice in voices.items():
            if name in self._speakers:
                self._speakers[name].renew(voice)
            else:
                self._speakers[name] = Speaker(name, voice, self._common)
                self._begin(name)

    async def run(self) -> None:
        """Speak until cancelled."""
        await self._committer.call(self._end_voiceless)
        async with asyncio.TaskGroup() as self._group:
            for name in self._speakers:
                self._begin(name)
            while True:
                await self._committer.announced.wait()
                self._committer.announced.clear()
                self._wake()

    async def test(self, voice: str) -> VoiceState | None:
        """A live test message by this voice; how it does after it. None where the site has no such voice."""
        speaker = self._speakers.get(voice)
        return None if speaker is None or voice == SIREN else await speaker.test()

    def _begin(self, name: str) -> None:
        """Its task, once we are running."""
        if self._group is not None:
            self._group.create_task(self._speak(self._speakers[name]), name=f"voice {name}")

    async def _speak(self, speaker: Speaker) -> None:
        await speaker.run()  # returns when the voice was taken out of the site file
        await self._committer.call(self._end_voiceless)

    def _end_voiceless(self, journal: Journal) -> None:
        outbox.end_voiceless(journal, self._speakers, self._clock.now())

    def _wake(self) -> None:
        for speaker in self._speakers.values():
            speaker.wake()

    async def _changed(self, name: str, works: bool, detail: str) -> None:
        state = LinkState.UP if works else LinkState.DOWN
        await self._heard(LinkChange(link=VOICE + name, state=state, detail=detail, rx=self._clock.now()))

    # --- words ----------------------------------------------------------------------------------------------------

    def _compose(self, rows: Sequence[Row]) -> Announcement:
        """One row as it is, or many as a digest."""
        first = rows[0]
        if first.listing:
            return self._listed(first)
        if len(rows) == 1 and not first.withheld:
            return self._announcement(first)
        muted = dict.fromkeys(row.zone for row in rows if row.withheld and row.zone in self._zones)
        title = digest_title(len(rows), [self._zones[zone].name for zone in muted])
        return Announcement(
            id=f"{self._site.id}-{first.flip}-digest-{rows[-1].id}", kind="digest", site=self._site.id, rule="",
            title=title if muted else digest.head(len(rows), flood=self._flood().covers(first.at)),
            severity=min(row.severity for row in rows), source="", zone="", occurrence=0, at=first.at, value=None,
            time=self._time(first.at), site_name=self._site.name, page=self._page(None),
            items=digest.lines(rows, self._item, self._title, self._source),
        )  # fmt: skip

    def _listed(self, row: Row) -> Announcement:
        """The daily list of what is out of service."""
        found = listed(row.listing)
        return Announcement(
            id=f"{self._site.id}-{row.flip}-{row.kind}", kind="digest", site=self._site.id, rule="",
            title=reminder_title(len(found)), severity=row.severity, source="", zone="", occurrence=0,
            at=row.at, value=None, time=self._time(row.at), site_name=self._site.name, page=self._page(None),
            items=tuple(self._service(each) for each in found),
        )  # fmt: skip

    def _service(self, row: Service) -> Label:
        rule, _, rest = row.target.partition("/")
        source = self._source(rest.partition("/")[0] or row.target)
        known = self._rules.get(rule) if rest else None
        zh, en = (f" · {known.title.zh}", f" · {known.title.en}") if known else ("", "")
        since = self._time(row.at)[:-3]
        return Label(
            zh=f"{source.zh}{zh}，{since} 起，{row.actor}：{row.reason}",
            en=f"{source.en}{en}, since {since}, {row.actor}: {row.reason}",
        )

    def _announcement(self, row: Row) -> Announcement:
        word = vocabulary.find(row.quantity) if row.quantity else None
        rule = self._rules.get(row.rule)  # None: a rule that is gone, whose last word is still to be said
        person = self._people.person(row.person, row.voice) if row.person else None
        to = (person.mail or person.phone) if person else ""
        return Announcement(
            id="-".join(part for part in (self._site.id, str(row.flip), row.kind, row.person) if part),
            kind=row.kind,
            site=self._site.id,
            rule=row.rule,
            title=self._title(row),
            severity=row.severity,
            source=row.source,
            zone=row.zone,
            occurrence=row.occurrence,
            at=row.at,
            value=row.value,
            unit=word.quantity.unit if word else "",
            limit=row.limit,
            raised=row.raised,
            time=self._time(row.raised if row.raised is not None else row.at),
            site_name=self._site.name,
            source_name=self._source(row.source),
            zone_name=self._zones[row.zone].name if row.zone in self._zones else _NONE,
            value_text=_value(row.quantity, row.value),
            done=(_SIREN.get(row.siren, _SIREN_LOST),) if row.siren else (),
            response=_DRILL_RESPONSE if row.drill else rule.response if rule else None,
            first_out=self._first_out(row),
            note=msgspec.json.decode(row.note, type=Label) if row.note else None,
            drill=row.drill,
            to=to,
            page=(self._people.link(row) if row.person else "") or self._page(row.number),
        )

    def _test_words(self, voice: str) -> Announcement:
        now = self._clock.now()
        return Announcement(
            id=f"{self._site.id}-test-{now}", kind="test", site=self._site.id, rule="", title=_TEST, severity="P4",
            source="", zone="", occurrence=0, at=now, value=None, time=self._time(now), site_name=self._site.name,
            zone_name=self._site.name, source_name=Label(zh=voice, en=voice), page=self._page(None),
        )  # fmt: skip

    def _item(self, row: Row) -> Label:
        title, source, when = self._title(row), self._source(row.source), self._time(row.at)[-8:-3]
        over, more = item_ends(row.again + (row.kind != "cleared"), row.last)
        return Label(
            zh=f"{when} {row.severity} {over.zh}{title.zh} · {source.zh}{more.zh}",
            en=f"{when} {row.severity} {over.en}{title.en} · {source.en}{more.en}",
        )

    def _title(self, row: Row) -> Label:
        title = self._named(row.rule)
        return Label(zh=f"演练：{title.zh}", en=f"Drill: {title.en}") if row.drill else title

    def _named(self, name: str) -> Label:
        rule = self._rules.get(name)
        return rule.title if rule else Label(zh=name, en=name)

    def _first_out(self, row: Row) -> Label | None:
        """Which of the alarms that came together came first."""
        if row.group is None:
            return None
        first, others = row.group.first, row.group.others
        if first.id == row.number:
            return Label(zh=f"首发告警，其后 60 秒内另有 {others} 条", en=f"first-out; {others} more within 60 s")
        title, source, at = self._named(first.rule), self._source(first.source), self._time(first.raised)[-8:]
        return Label(zh=f"首发：{at} {title.zh} · {source.zh}", en=f"first-out: {at} {title.en} · {source.en}")

    def _source(self, source: str) -> Label:
        if source in self._devices:
            return self._devices[source].name
        if source == HUB:
            return Label(zh="本系统", en="this system")
        if source.startswith(VOICE):
            name = voice_name(self._site, source.removeprefix(VOICE))
            return Label(zh=f"通知渠道：{name.zh}", en=f"channel: {name.en}")
        return Label(zh=source, en=source)

    def _time(self, at: int) -> str:
        return f"{datetime.fromtimestamp(at / 1000, self._site.tz):%Y-%m-%d %H:%M:%S}"

    def _page(self, number: int | None) -> str:
        if not self._site.page:
            return ""
        return f"{self._site.page}/alarms/{number}" if number is not None else f"{self._site.page}/alarms"


def _value(quantity: str, value: Value | None) -> Label:
    """The value with its unit, a state by its name."""
    word = vocabulary.find(quantity) if quantity else None
    if value is None:
        return _NONE
    if isinstance(value, str):
        return (word.quantity.states.get(value) if word else None) or Label(zh=value, en=value)
    shown = f"{value:.{word.quantity.decimals}f} {word.quantity.unit}".strip() if word else f"{value:g}"
    return Label(zh=shown, en=shown)
