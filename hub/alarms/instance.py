"""One alarm as it lives: a rule asked of one source, its status, and the journal's rows that tell of it.

It decides nothing itself (hub.rules.truth, hub.alarms.alarm and hub.alarms.gate do); it keeps what they need, and knows
what to write when.
"""

import contextlib

import msgspec
from msgspec.structs import replace

from hub.alarms import gate
from hub.alarms.alarm import Deed, Filter, FilterState, Manners, OperatorEvent, OperatorState, Truth
from hub.alarms.chatter import Chatter
from hub.alarms.gate import Status, Step, Told
from hub.alarms.recalled import Kept, chapter_of, continued, restored
from hub.devices.health import DOWN, DeviceWatch
from hub.outcome import Alarm, Flip, Inner, Occurrence
from hub.reading import Reading, Value
from hub.rules.rule import Rule
from hub.rules.truth import Event, Question, Series
from hub.settings.site import Severity

WRITE_EVERY = 1_000  # ms between two rows of one alarm that differ only in value, peak or how long it has been rising

_WAITING = (FilterState.RISING, FilterState.FALLING)
Result = tuple[Status, tuple[Step, ...]]


class Instance:
    """One alarm. `changed`: its row is to be written; `chapter` is its latest occurrence, open or over."""

    __slots__ = (
        "_blind",
        "_chatter",
        "_dirty",
        "_manners",
        "_siren",
        "_source",
        "_worse",
        "_written",
        "_zone",
        "before",
        "changed",
        "chapter",
        "chapter_changed",
        "inner_changed",
        "key",
        "question",
        "rule",
        "series",
        "severity",
        "status",
        "value",
    )

    def __init__(
        self,
        rule: Rule,
        source: str,
        question: Question,
        *,
        zone: str = "",
        value: str = "",
        siren: bool = False,
        series: Series | None = None,
        blind: DeviceWatch | None = None,
    ) -> None:
        """`value`: for rules that alarm once a value. `blind`: the device whose link silences this alarm while down."""
        self.key = f"{rule.id}/{source}/{value}" if value else f"{rule.id}/{source}"
        self.rule, self.question, self.series = rule, question, series
        self.severity: Severity = rule.severity
        self._manners: Manners = rule.manners()
        self._worse = False  # past the rule's second limit
        self.inner_changed = False
        self._chatter = Chatter()
        self._source, self._zone, self._siren, self._blind = source, zone, siren, blind
        self.status = Status()
        self.before = Truth.UNKNOWN
        self.value: Value | None = value or None
        self.chapter: Occurrence | None = None
        self.changed = self.chapter_changed = self._dirty = False
        self._written = -WRITE_EVERY

    @property
    def source(self) -> str:
        """The device or link that it is about."""
        return self._source

    @property
    def zone(self) -> str:
        """The zone that it is about, or nothing."""
        return self._zone

    # --- what happens to it -------------------------------------------------------------------------------------

    def restore(self, row: Alarm, chapter: Occurrence | None, now: int) -> None:
        """As the journal has it. The time since then counts as unknown."""
        self.status, self.value = restored(row, now), row.value
        if self.rule.worst and row.severity == self.rule.worst:
            self._worse = True
            self._become(self.rule.worst)
        self.chapter = chapter
        if chapter is None and row.occurrence:
            self.chapter = chapter_of(row)
        if isinstance(self.question, Event) and self.status.filter.active and row.value is not None:
            self.question.restore(row.value, self.status.filter.last)

    def take_over(self, old: "Instance") -> None:
        """Go on as the same alarm, whose rule or surroundings were edited: nothing of it is reset."""
        self.status, self.before, self.value = old.status, old.before, old.value
        self.chapter, self.chapter_changed = old.chapter, old.chapter_changed
        self._dirty, self._written = old._dirty, old._written
        self.changed = old.changed or self.chapter is not None  # its row may say another limit now
        self._chatter, self.inner_changed = old._chatter, True
        self._worse = old._worse and bool(self.rule.worst)
        self._become(self.rule.worst if self._worse and self.rule.worst else self.rule.severity)
        self.question.take_over(old.question)

    def evaluate(self, now: int) -> list[Flip]:
        """Ask the question and let the machines take the answer."""
        flips: list[Flip] = []
        was = self.status.filter
        truth = self.question.ask(now, was.standing)
        if truth is self.before is not Truth.TRUE and was.state is FilterState.OFF and self._untouched:
            return flips  # off, and nothing new: most looks at the clock end here
        if self._blind is not None:
            flips += self._heed_link(truth, now)
        if self.status.overlay.shelved_until is not None:
            flips += self.take(gate.time_out(self.status, now), now)
        if truth is Truth.TRUE:
            value = self.question.value(now)
            if value is not None and value != self.value:
                self.value, self._dirty = value, True
            if self.rule.worst:
                flips += self._weigh(now)
        flips += self.take(gate.evaluate(self.status, self.before, truth, now, self._manners), now)
        self.before = truth
        if truth is Truth.TRUE and self.status.filter.state is FilterState.ON:
            self._measure()
        if self.status.filter.state in _WAITING:
            self._dirty = True
        if self._dirty and now - self._written >= WRITE_EVERY:
            self.changed = True
        return flips

    @property
    def _untouched(self) -> bool:
        hidden = self._blind is not None or self.status.overlay.shelved_until is not None
        return not (hidden or self._dirty or self._manners.on_unknown is Truth.TRUE)

    def happen(self, value: Value, now: int) -> list[Flip]:
        """An event came; it counts if the rule says so."""
        if not isinstance(self.question, Event) or not self.question.happen(value, now):
            return []
        self._dirty = True  # the hold is counted from this event now
        return self.evaluate(now)

    def operate(self, event: OperatorEvent, now: int, actor: str, note: str = "") -> list[Flip]:
        """A person acknowledges or resets it."""
        flips: list[Flip] = []
        if event is OperatorEvent.RESET and self.question.keep():
            self.question.settle(now)
            self.inner_changed = True
            flips = self.evaluate(now)
        return flips + self.take(gate.operate(self.status, event, now, self._manners), now, actor, note)

    def feed(self, item: Reading, now: int) -> bool:
        """A reading for a question that keeps something; True when that has to be written."""
        before = self.question.keep()
        self.question.take(item, now)
        return before != self.question.keep()

    def inner(self) -> Inner:
        """What has to survive a restart beside the alarm's row; remembers that it was written."""
        self.inner_changed = False
        kept = Kept(self.question.keep(), list(self._chatter.raises), folded=self._chatter.folded)
        return Inner(key=self.key, state=msgspec.json.encode(kept).decode())

    def recall(self, inner: Inner, now: int) -> None:
        """As it was; what another version wrote is left alone."""
        with contextlib.suppress(msgspec.DecodeError):
            kept = msgspec.json.decode(inner.state, type=Kept)
            self._chatter.raises.extend(kept.raises)
            self._chatter.folded = kept.folded
            self._become(self.severity)
            if kept.question:
                self.question.recall(kept.question, now)

    def shelve(self, until: int | None, now: int, actor: str, note: str) -> list[Flip]:
        """A person puts it aside until `until`; None: until it next clears, and no longer than its severity allows."""
        end = now + self._manners.max_shelf if until is None else until
        return self.take(gate.shelve(self.status, end, now, self._manners, once=until is None), now, actor, note)

    def unshelve(self, now: int, actor: str, note: str) -> list[Flip]:
        """A person takes it back."""
        return self.take(gate.unshelve(self.status, now), now, actor, note)

    def serve(self, now: int, actor: str, note: str, *, in_service: bool) -> list[Flip]:
        """A person takes it out of service, or puts it back."""
        return self.take(gate.serve(self.status, now, self._manners, in_service=in_service), now, actor, note)

    def withhold(self) -> None:
        """It is made at a device that is out of service."""
        self.status = replace(self.status, overlay=replace(self.status.overlay, out_of_service=True))

    def shift(self, gap: int, now: int) -> None:
        """The clock was set, or the machine slept: `gap` ms count neither towards a delay nor as age."""
        was = self.status.filter
        self.status = replace(self.status, filter=Filter(was.state, was.since + gap, min(was.last + gap, now)))
        self.question.shift(gap)
        self._chatter.shift(gap)
        self._written = min(self._written, now)
        self.changed = self.changed or was.state is not FilterState.OFF

    def take(self, result: Result, now: int, actor: str = "", note: str = "") -> list[Flip]:
        """The new status, its steps written into the chapter, and the flips that tell of them."""
        was, (self.status, steps) = self.status, result
        moved = was.filter.state is not self.status.filter.state or was.filter.since != self.status.filter.since
        if moved or steps or was.told is not self.status.told:
            self.changed = True
        flips = []
        for step in steps:
            if step.rejected is None:
                self._tell(step, now, actor)
            if step.before is OperatorState.NORMAL and step.deed in (Deed.SUPPRESSED, Deed.UNSUPPRESSED):
                continue  # a link that hides what is normal anyway is no event of this alarm
            words = step.rejected.value if step.rejected is not None else note
            flips.append(self.flip(step.deed, step.before, now, actor, words, step))
            if step.deed in (Deed.RAISED, Deed.REACTIVATED, Deed.CLEARED):
                flips += self._listen_for_chatter(step, now)
        return flips

    def _weigh(self, now: int) -> list[Flip]:
        """How bad it is: worse is said again, less bad is noted. Before it is raised, it only counts."""
        worse = self.question.worse(now, self._worse)
        if worse is Truth.UNKNOWN or (worse is Truth.TRUE) is self._worse:
            return []
        self._worse = worse is Truth.TRUE
        self._become(self.rule.worst or self.rule.severity if self._worse else self.rule.severity)
        if not self.status.filter.active:
            return []
        self.changed = True
        if not self._worse:
            return [self.flip("eased", self.status.state, now)]
        if self.chapter is not None:
            self.chapter, self.chapter_changed = replace(self.chapter, severity=self.severity), True
        flips = [self.flip("worsened", self.status.state, now)]
        if self._manners.max_shelf == 0:  # what is put aside may be put aside no longer
            flips += self.take(gate.unshelve(self.status, now), now)
        return flips + self.take(gate.operate(self.status, OperatorEvent.REALARM, now, self._manners), now)

    def _become(self, severity: Severity) -> None:
        self.severity = severity
        self._manners = self._chatter.manners(self.rule.manners(severity))

    def _listen_for_chatter(self, step: Step, now: int) -> list[Flip]:
        cleared = step.deed is Deed.CLEARED
        changed = self._chatter.cleared() if cleared else self._chatter.raised(now, self._manners)
        self.inner_changed = self.inner_changed or changed or not cleared
        if changed:
            self._become(self.severity)
        return [self.flip("chattering", self.status.state, now)] if changed and not cleared else []

    def _heed_link(self, truth: Truth, now: int) -> list[Flip]:
        """While its link is down (and for a moment after) a device that is not heard says nothing about itself."""
        if self._blind is None:
            return []
        link = self._blind.link
        source = f"link:{link.id}"
        dark = link.state == DOWN or now < link.up_since + self._blind.grace
        if not dark:
            return self.take(gate.unhide(self.status, source), now)
        if truth is Truth.TRUE and self.status.state is OperatorState.NORMAL:
            return self.take(gate.hide(self.status, source), now)
        return []

    # --- what is kept of it -------------------------------------------------------------------------------------

    def _tell(self, step: Step, now: int, actor: str) -> None:
        """Write one step into the chapter; a raise opens a new one."""
        if step.deed is Deed.RAISED:
            self.chapter, self.chapter_changed = self._open(now), True
            return
        if self.chapter is None:
            return
        chapter = continued(self.chapter, step, now, actor)
        if chapter is not self.chapter:
            self.chapter, self.chapter_changed = chapter, True

    def _open(self, now: int) -> Occurrence:
        return Occurrence(
            key=self.key,
            occurrence=self.chapter.occurrence + 1 if self.chapter else 1,
            rule=self.rule.id,
            source=self._source,
            zone=self._zone,
            severity=self.severity,
            quantity=self.rule.quantity,
            raised=now,
            value=self.value,
            peak=self.value,
            limit=self.question.limit(now),
        )

    def _measure(self) -> None:
        """The worst value so far."""
        if self.chapter is None or not isinstance(self.value, float | int):
            return
        peak = self.chapter.peak
        worst = self.rule.further(peak, self.value) if isinstance(peak, float | int) else self.value
        if worst != peak:
            self.chapter, self.chapter_changed = replace(self.chapter, peak=worst), True

    # --- what is written of it ----------------------------------------------------------------------------------

    def next_due(self, now: int) -> int | None:
        """When the clock alone may change something here."""
        at = [self.question.until(now), self.status.overlay.shelved_until]
        filtered = self.status.filter
        if filtered.state in _WAITING:
            delay = self._manners.on_delay if filtered.state is FilterState.RISING else self._manners.off_delay
            at.append(min(max(filtered.since + delay, now + 1), now + WRITE_EVERY))
        elif self._dirty:
            at.append(self._written + WRITE_EVERY)
        if self._blind is not None and self.status.overlay.suppressed and self._blind.link.state != DOWN:
            at.append(self._blind.link.up_since + self._blind.grace)
        return min((instant for instant in at if instant is not None), default=None)

    def row(self, now: int) -> Alarm:
        """The row as it is now; remembers that it was written."""
        self._written, self.changed, self._dirty = now, False, False
        status, chapter = self.status, self.chapter
        return Alarm(
            key=self.key,
            rule=self.rule.id,
            source=self._source,
            zone=self._zone,
            severity=self.severity,
            filter=status.filter.state.value,
            since=status.filter.since,
            last=self._last(),
            state=status.state.value,
            shelved_until=status.overlay.shelved_until,
            one_shot=status.overlay.one_shot,
            suppressed=status.overlay.suppressed,
            out_of_service=status.overlay.out_of_service,
            occurrence=chapter.occurrence if chapter else 0,
            activations=chapter.activations if chapter else 0,
            announced=status.told is not Told.NOTHING,
            value=self.value,
            quantity=self.rule.quantity,
            limit=chapter.limit if chapter else None,
            raised=chapter.raised if chapter else None,
            cleared=chapter.cleared if chapter else None,
            acked=chapter.acked if chapter else None,
            acked_by=chapter.acked_by if chapter else "",
        )

    def _last(self) -> int:
        """What time goes on from after a restart: the last evaluation, or the event whose hold is running."""
        if isinstance(self.question, Event) and self.status.filter.active:
            return self.question.at
        return self.status.filter.last

    def flip(
        self,
        event: str,
        before: OperatorState,
        now: int,
        actor: str = "",
        note: str = "",
        step: Step | None = None,
        of: int | None = None,
    ) -> Flip:
        """One line of the timeline; a step adds where it led, why, and what is to be announced.

        `of`: the occurrence that it speaks of, where it is not the latest.
        """
        speak = step.speak if step is not None else Told.NOTHING
        why = step.closed if step is not None else None
        return Flip(
            at=now,
            key=self.key,
            occurrence=of if of is not None else self.chapter.occurrence if self.chapter else 0,
            event=str(event),
            before=before.value,
            after=step.after.value if step is not None else before.value,
            actor=actor,
            note=note or (why.value if why is not None else ""),
            value=self.value,
            announce="" if speak is Told.NOTHING else speak.value,
            severity=self.chapter.severity if self.chapter is not None else self.severity,
            siren=self._siren and speak is Told.RAISED,
        )
