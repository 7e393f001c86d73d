"""One alarm as it lives: a rule asked of one source, its status, and the journal's rows that tell of it.

It decides nothing itself (hub.truth, hub.alarm and hub.gate do); it keeps what they need, and knows what to write when.
"""

from collections.abc import Callable

from msgspec.structs import replace

from hub import gate
from hub.alarm import Closed, Deed, Filter, FilterState, Manners, OperatorEvent, OperatorState, Overlay, Truth
from hub.gate import Status, Step, Told
from hub.health import DOWN, DeviceWatch
from hub.outcome import Alarm, Flip, Occurrence
from hub.reading import Value
from hub.rules import Rule
from hub.truth import Event, Question, Series

WRITE_EVERY = 1_000  # ms between two rows of one alarm that differ only in value, peak or how long it has been rising

_WAITING = (FilterState.RISING, FilterState.FALLING)
Result = tuple[Status, tuple[Step, ...]]


class Instance:
    """One alarm. `changed`: its row is to be written; `chapter` is its latest occurrence, open or over."""

    __slots__ = (
        "_blind",
        "_dirty",
        "_manners",
        "_siren",
        "_source",
        "_written",
        "_zone",
        "before",
        "changed",
        "chapter",
        "chapter_changed",
        "key",
        "question",
        "rule",
        "series",
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
        self._manners: Manners = rule.manners
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
        self.chapter = chapter
        if chapter is None and row.occurrence:
            self.chapter = _chapter_of(row)
        if isinstance(self.question, Event) and self.status.filter.active and row.value is not None:
            self.question.restore(row.value, self.status.filter.last)

    def take_over(self, old: "Instance") -> None:
        """Go on as the same alarm, whose rule or surroundings were edited: nothing of it is reset."""
        self.status, self.before, self.value = old.status, old.before, old.value
        self.chapter, self.chapter_changed = old.chapter, old.chapter_changed
        self._dirty, self._written = old._dirty, old._written
        self.changed = old.changed or self.chapter is not None  # its row may say another limit now
        self.question.take_over(old.question)

    def evaluate(self, now: int) -> list[Flip]:
        """Ask the question and let the machines take the answer."""
        flips: list[Flip] = []
        was = self.status.filter
        truth = self.question.ask(now, was.standing)
        if self._blind is not None:
            flips += self._heed_link(truth, now)
        if self.status.overlay.shelved_until is not None:
            flips += self.take(gate.time_out(self.status, now), now)
        if truth is Truth.TRUE and self.series is not None and self.value != self.series.value:
            self.value, self._dirty = self.series.value, True
        flips += self.take(gate.evaluate(self.status, self.before, truth, now, self._manners), now)
        self.before = truth
        if truth is Truth.TRUE and self.status.filter.state is FilterState.ON:
            self._measure()
        if self.status.filter.state in _WAITING:
            self._dirty = True
        if self._dirty and now - self._written >= WRITE_EVERY:
            self.changed = True
        return flips

    def happen(self, value: Value, now: int) -> list[Flip]:
        """An event came; it counts if the rule says so."""
        if not isinstance(self.question, Event) or not self.question.happen(value, now):
            return []
        self._dirty = True  # the hold is counted from this event now
        return self.evaluate(now)

    def operate(self, event: OperatorEvent, now: int, actor: str, note: str = "") -> list[Flip]:
        """A person acknowledges or resets it."""
        return self.take(gate.operate(self.status, event, now, self._manners), now, actor, note)

    def shelve(self, until: int | None, now: int, actor: str, note: str) -> list[Flip]:
        """A person puts it aside until `until`; None: until it next clears, and no longer than its severity allows."""
        end = now + self._manners.max_shelf if until is None else until
        return self.take(gate.shelve(self.status, end, now, self._manners, once=until is None), now, actor, note)

    def unshelve(self, now: int, actor: str, note: str) -> list[Flip]:
        """A person takes it back."""
        return self.take(gate.unshelve(self.status, now), now, actor, note)

    def shift(self, gap: int, now: int) -> None:
        """The clock was set, or the machine slept: `gap` ms count neither towards a delay nor as age."""
        was = self.status.filter
        self.status = replace(self.status, filter=Filter(was.state, was.since + gap, min(was.last + gap, now)))
        if isinstance(self.question, Event):
            self.question.ends += gap
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
        return flips

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
        was = self.chapter
        chapter = was
        if step.deed is Deed.CLEARED:
            chapter = replace(chapter, cleared=now)
        elif step.deed is Deed.ACKED and actor:
            chapter = replace(chapter, acked=now, acked_by=actor)
        elif step.deed is Deed.REACTIVATED:
            chapter = replace(chapter, activations=chapter.activations + 1, acked=None, acked_by="")
        elif step.deed is Deed.RENOTIFIED:
            chapter = replace(chapter, acked=None, acked_by="")
        if step.speak is Told.RAISED:
            chapter = replace(chapter, cleared=None)  # set until people were told that it is back
        if step.closed is not None:
            chapter = replace(chapter, closed=step.closed.value, ended=now)
        if chapter is not was:
            self.chapter, self.chapter_changed = chapter, True

    def _open(self, now: int) -> Occurrence:
        return Occurrence(
            key=self.key,
            occurrence=self.chapter.occurrence + 1 if self.chapter else 1,
            rule=self.rule.id,
            source=self._source,
            zone=self._zone,
            severity=self.rule.severity,
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
        worse: Callable[[float, float], float] = max if self.rule.above is not None else min
        peak = self.chapter.peak
        worst = worse(peak, self.value) if isinstance(peak, float | int) else self.value
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
            severity=self.rule.severity,
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
            severity=self.rule.severity,
            siren=self._siren and speak is Told.RAISED,
        )


def restored(row: Alarm, now: int) -> Status:
    """The status that a row stands for. An instant after `now` means that the clock was wrong then: it is cut."""
    told = Told.NOTHING
    if row.announced:
        active = row.state in (OperatorState.UNACKED, OperatorState.ACKED)
        told = Told.RAISED if active and row.cleared is None else Told.CLEARED
    overlay = Overlay(
        shelved_until=row.shelved_until,
        one_shot=row.one_shot,
        suppressed=row.suppressed,
        out_of_service=row.out_of_service,
    )
    late = min(0, now - row.last)
    return Status(
        filter=Filter(FilterState(row.filter), row.since + late, row.last + late),
        state=OperatorState(row.state),
        overlay=overlay,
        told=told,
    )


def withdrawn(row: Alarm, chapter: Occurrence | None, now: int) -> tuple[Alarm, Occurrence | None, Flip | None]:
    """The rows of an alarm whose rule or device is gone; no flip when it was normal anyway."""
    status, steps = gate.operate(restored(row, now), OperatorEvent.WITHDRAW, now, Manners())
    gone = replace(row, filter=FilterState.OFF.value, since=now, last=now, state=status.state.value)
    gone = replace(gone, shelved_until=None, one_shot=False, suppressed=(), out_of_service=False)
    if not steps:
        return gone, None, None
    told = "cleared" if steps[0].speak is Told.CLEARED else ""
    closed = replace(chapter or _chapter_of(row), closed=Closed.WITHDRAWN.value, ended=now)
    flip = Flip(
        at=now,
        key=row.key,
        occurrence=row.occurrence,
        event=Deed.WITHDRAWN.value,
        before=row.state,
        after=status.state.value,
        note="its rule or its device is gone",
        value=row.value,
        announce=told,
        severity=row.severity,
    )
    return gone, closed, flip


def _chapter_of(row: Alarm) -> Occurrence:
    """The occurrence that an alarm's row speaks of, where it is not among the open ones."""
    return Occurrence(
        key=row.key,
        occurrence=row.occurrence,
        rule=row.rule,
        source=row.source,
        zone=row.zone,
        severity=row.severity,
        quantity=row.quantity,
        raised=row.raised if row.raised is not None else row.since,
        value=row.value,
        peak=row.value,
        limit=row.limit,
        cleared=row.cleared,
        acked=row.acked,
        acked_by=row.acked_by,
        activations=row.activations,
    )
