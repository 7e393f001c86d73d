"""The deciding core: news, time and orders in, the rows of one journal transaction out.

Pure: `now` (ms since 1970) is an argument, nothing is opened, nothing waits. What is true is decided in
hub.rules.truth, what an alarm does in hub.alarms.alarm and hub.alarms.gate; here stands only what touches what.
"""

from collections.abc import Mapping, Sequence

from msgspec.structs import replace

from hub.alarms.alarm import FilterState, Truth
from hub.alarms.bind import Bound, Channel
from hub.alarms.instance import Instance
from hub.alarms.recalled import withdrawn
from hub.calendar.days import Calendar, Days
from hub.care import tester, upkeep
from hub.care.service import reminder, settle
from hub.devices.health import OK, WRITE_EVERY, DeviceWatch, LinkWatch
from hub.due import Due
from hub.orders.clerk import carry_out
from hub.orders.desk import Desk, after_stop
from hub.outcome import Alarm, Flip, Memory, Occurrence, Order, OrderState, Outcome
from hub.reading import FRESH, Fault, FaultKind, LinkChange, LinkState, News, Quality, Reading
from hub.rules.door import Rule
from hub.rules.rule import ms
from hub.rules.truth import Series
from hub.settings.site import Site

BACKWARD = 1_000  # ms: the clock may run back so far without being believed to have been set
FORWARD = 30_000  # ms between two steps after which the machine slept, or its clock was set
_OFF, _FALSE = FilterState.OFF, Truth.FALSE  # an enum's own look-up costs as much as a question
_ASIDE = Quality.CALIBRATION


class Core:
    """One site's deciding state. Every method returns what changed, to be written before anything else happens."""

    def __init__(
        self, site: Site, rules: tuple[Rule, ...], memory: Memory, now: int, calendar: Calendar | None = None
    ) -> None:
        """Take up what the journal remembers. `begin` gives what the stop left to be settled."""
        self._bound = Bound(site, rules, now, days=Days(calendar))
        self._desk = Desk(self._bound.profiles, self._bound.links)
        self._now = now
        self._out = Outcome()
        self._reminded = memory.reminded  # of what is out of service
        self._gone: dict[str, Alarm] = {}  # rows of alarms without a rule or a device, in case these come back
        self._changed: dict[Instance, None] = {}
        self._inner: dict[Instance, None] = {}  # whose question remembers something new
        self._unwell: dict[DeviceWatch | LinkWatch, None] = {}
        self._due_alarms: Due[Instance] = Due()
        self._due_devices: Due[DeviceWatch] = Due()
        self._recall(memory, now)

    def begin(self, now: int) -> Outcome:
        """What the stop left open: orders under way, alarms whose rule or device is gone, health unknown again."""
        return self._finish(self._clock(now))

    def accept(self, news: list[News], now: int) -> Outcome:
        """What one read of a cable brought."""
        now, read = self._clock(now), self._read
        for item in upkeep.set_aside(news, self._bound.calibrating) if self._bound.calibrating else news:
            if type(item) is Reading:
                read(item, now)
            elif isinstance(item, LinkChange):
                self._relink(item, now)
            elif isinstance(item, Fault):
                self._blame(item, now)
        return self._finish(now)

    def tick(self, now: int) -> Outcome:
        """Once a second: what has held long enough, been silent too long, or was not confirmed in time."""
        now = self._clock(now)
        for watch in self._due_devices.pop(now):
            if watch.check(now):
                self._out.faults.append(Fault(source=watch.id, kind=FaultKind.SILENT, detail=watch.detail, rx=now))
                self._device_changed(watch, now)
            self._due_devices.set(watch, watch.due())
        for instance in self._due_alarms.pop(now):
            self._evaluate(instance, now)
        for instance, flips in tester.tick(self._bound, now):
            self._flipped(instance, flips, now)
        if (due := reminder(self._bound, self._reminded, now)) is not None:
            self._out.flips.append(due)
            self._reminded = now
        self._out.upkeep += upkeep.tick(self._bound, now)
        self._out.orders += self._desk.tick(now)
        self._out.faults += [told for debounce in self._bound.debounces.values() if (told := debounce.told(now))]
        return self._finish(now)

    def know(self, own: Mapping[str, str], now: int) -> Outcome:
        """What the hub has found out about itself: id of a `self` rule -> why it is so, or "" when it is not."""
        now = self._clock(now)
        for rule in sorted(self._bound.own.keys() & own.keys()):
            self._bound.learn(rule, own[rule])
            self._evaluate(self._bound.own[rule], now)
        return self._finish(now)

    def exchange(self, calendar: Calendar, now: int) -> Outcome:
        """From now on days are of the kind that this calendar says."""
        self._bound.days.calendar = calendar
        for channel in self._bound.channels.values():
            channel.series.calm_until = 0  # the hours that calmed it may be other ones
        for instance in self._bound.instances.values():
            self._due_alarms.set(instance, now)
        return self.tick(now)

    def order(self, order: Order, now: int) -> Outcome:
        """What somebody wants done. An order that is known here, or has ended, changes nothing."""
        now = self._clock(now)
        if order.state is OrderState.REQUESTED and order.id not in self._desk:
            self._take(order, now)
        return self._finish(now)

    def sent(self, order_id: int, now: int) -> Outcome:
        """The order leaves now: to be written before its first byte does."""
        now = self._clock(now)
        for order in self._desk.sent(order_id, now):
            self._out.orders.append(order)
            self._listen(order, now)
        return self._finish(now)

    def send_failed(self, order_id: int, kind: FaultKind, detail: str, now: int) -> Outcome:
        """The cable, or the device, said no."""
        now = self._clock(now)
        self._out.orders += self._desk.failed(order_id, kind, detail, now)
        return self._finish(now)

    def rebind(self, site: Site, rules: tuple[Rule, ...], now: int) -> Outcome:
        """Go on with another site file or other rules, by the same keys: what did not change is not touched.

        What is gone is withdrawn; what is edited keeps its state and is judged anew at once.
        """
        now = self._clock(now)
        old, self._bound = self._bound, Bound(site, rules, now, self._bound)
        self._out.orders += self._desk.rebind(self._bound.profiles, self._bound.links, now)
        for instance in old.instances.values():
            if self._bound.instances.get(instance.key) is not instance:
                self._due_alarms.set(instance, None)
            if instance.key not in self._bound.instances:
                self._withdraw(instance.row(now), instance.chapter, now)
        self._return(now)
        self._serve(now)
        for watch in old.devices.values():
            self._due_devices.set(watch, None)
        for watch in self._bound.devices.values():
            self._due_devices.set(watch, watch.due())
        for source in sorted(self._bound.altered):
            self._unwell[self._bound.links.get(source) or self._bound.devices[source]] = None
        for instance in self._bound.instances.values():
            if old.instances.get(instance.key) is not instance or self._stirred(instance.source):
                self._evaluate(instance, now)
        return self._finish(now)

    def _stirred(self, source: str) -> bool:
        """True when this link or device, or the device's link, is new or opened anew."""
        watch = self._bound.devices.get(source)
        return source in self._bound.altered or (watch is not None and watch.link.id in self._bound.altered)

    # --- news -----------------------------------------------------------------------------------------------------

    def _read(self, item: Reading, now: int) -> None:  # noqa: C901  # the one path of every reading: each call would cost
        channel = self._bound.channels.get((item.device, item.quantity))
        if channel is None:
            detail = f"{item.device}/{item.quantity}: no device of this site reads this"
            self._out.faults.append(Fault(source=item.device, kind=FaultKind.UNKNOWN_DEVICE, detail=detail, rx=item.rx))
            return
        series, ts, value, rx = channel.series, item.ts, item.value, item.rx
        if ts <= series.ts and self._is_old(item, series):
            return
        repeated = channel.debounce is not None and channel.debounce.again(item)
        if not repeated:
            self._out.readings.append(item)
        if item.quality in FRESH:
            series.ts, series.rx, series.value, series.known = ts, rx, value, True
        elif item.quality is not _ASIDE:
            return
        watch = series.watch
        watch.last_rx = watch.heard = rx
        if watch.state != OK and watch.hear(rx):
            self._device_changed(watch, now)
        elif now - watch.written >= WRITE_EVERY:
            self._unwell[watch] = None
        if repeated or item.quality is _ASIDE:
            return
        for feed in channel.feeds:
            feed(item, now)
        if channel.keepers:
            self._inner.update(dict.fromkeys(channel.kept(item, now)))
        if now >= series.calm_until or not series.calm[0] <= value <= series.calm[1]:  # type: ignore[operator]  # a number
            self._ask(channel, item, now)
        if item.device in self._desk.awaiting:
            self._out.orders += self._desk.heard(item, now)

    def _is_old(self, item: Reading, series: Series) -> bool:
        """Delivered twice (stamped by the device, so it is the same reading), or late: then it is history, not news."""
        if item.ts < series.ts:
            self._out.readings.append(replace(item, quality=Quality.LATE))
            return True
        return item.value == series.value and item.ts != item.rx

    def _ask(self, channel: Channel, item: Reading, now: int) -> None:
        """The alarms that hang on this reading. Most are off and stay off: they cost one question."""
        calm = True
        for instance in channel.levels:
            filtered = instance.status.filter
            if filtered.state is _OFF and instance.before is _FALSE and instance.question.ask(now, False) is _FALSE:
                continue
            calm = False
            self._evaluate(instance, now)
        if calm and not (channel.events or channel.families) and not isinstance(item.value, str):
            channel.series.be_calm([instance.question.calm(now) for instance in channel.levels])
        for instance in channel.events:
            self._flipped(instance, instance.happen(item.value, now), now)
        for family in channel.families:
            value = str(item.value)
            if family.worries_about(value):
                member = self._bound.member(family, item.device, value)
                self._flipped(member, member.happen(value, now), now)

    def _blame(self, fault: Fault, now: int) -> None:
        self._out.faults.append(fault)
        link = self._bound.links.get(fault.source)
        if link is not None:
            link.fault(fault)
            self._mark(link, now)
            return
        watch = self._bound.devices.get(fault.source)
        if watch is not None and watch.fault(fault, now):
            self._device_changed(watch, now)
        elif watch is not None:
            self._mark(watch, now)

    def _relink(self, change: LinkChange, now: int) -> None:
        link = self._bound.links.get(change.link)
        if link is None:
            return
        if link.change(change.state, change.detail, now):
            if change.state is LinkState.DOWN:
                lost = Fault(source=link.id, kind=FaultKind.LINK_DOWN, detail=change.detail, rx=change.rx)
                self._out.faults.append(lost)
            self._unwell[link] = None
        for instance in self._bound.of_source[link.id]:
            self._evaluate(instance, now)
        for watch in self._bound.of_link[link.id]:
            if change.state is LinkState.DOWN and watch.link_lost(change.detail, now):
                self._unwell[watch] = None
            for instance in self._bound.of_source[watch.id]:
                self._evaluate(instance, now)

    def _mark(self, watch: DeviceWatch | LinkWatch, now: int) -> None:
        if now - watch.written >= WRITE_EVERY:
            self._unwell[watch] = None

    def _device_changed(self, watch: DeviceWatch, now: int) -> None:
        self._unwell[watch] = None
        self._due_devices.set(watch, watch.due())
        for instance in self._bound.of_source[watch.id]:
            self._evaluate(instance, now)

    # --- alarms ---------------------------------------------------------------------------------------------------

    def _evaluate(self, instance: Instance, now: int) -> None:
        if instance.series is not None:
            instance.series.calm_until = 0
        self._flipped(instance, instance.evaluate(now), now)

    def _flipped(self, instance: Instance, flips: Sequence[Flip], now: int) -> None:
        self._out.flips += tester.mark(self._bound, instance, flips, now)
        if instance.changed:
            self._changed[instance] = None
        if instance.inner_changed:
            self._inner[instance] = None
        self._due_alarms.set(instance, instance.next_due(now))

    # --- orders ---------------------------------------------------------------------------------------------------

    def _take(self, order: Order, now: int) -> None:
        done = carry_out(order, self._bound, self._desk, now)
        for instance, flips in done.moved:
            self._flipped(instance, flips, now)
        self._out.add(done.rows)
        for instance in done.stirred:
            self._evaluate(instance, now)
        if done.order.state is OrderState.REQUESTED:
            self._out.dispatch.append(done.order)
        else:
            self._out.orders.append(done.order)

    def _listen(self, order: Order, now: int) -> None:
        """An order has left: it is the cause of what comes, or the promise of it."""
        command = self._bound.profiles[order.target].profile.command[order.command]
        for instance in self._bound.listening.get(order.target, ()):
            if instance.question.ordered(command.confirm, ms(command.within), now):
                self._inner[instance] = None
            self._evaluate(instance, now)

    # --- start, time and the end of a step ------------------------------------------------------------------------

    def _recall(self, memory: Memory, now: int) -> None:
        self._bound.recall(memory)
        for reading in memory.latest:
            channel = self._bound.channels.get((reading.device, reading.quantity))
            if channel is not None:
                channel.recall(reading, now)
        self._recall_health(memory, now)
        self._recall_alarms(memory, now)
        self._serve(now)
        for order in memory.orders:
            settled = after_stop(order, now)
            if settled.state is OrderState.REQUESTED:
                self._take(settled, now)
            elif settled is not order:
                self._desk.stopped(order, now)
                self._out.orders.append(settled)

    def _recall_health(self, memory: Memory, now: int) -> None:
        known = {row.source: row for row in memory.health}
        for link in self._bound.links.values():
            if link.id in known:
                link.restore(known[link.id])
            self._unwell[link] = None
        for device in self._bound.devices.values():
            if device.id in known:
                device.restore(known[device.id])
            self._unwell[device] = None
            self._due_devices.set(device, device.due())

    def _recall_alarms(self, memory: Memory, now: int) -> None:
        chapters = {(chapter.key, chapter.occurrence): chapter for chapter in memory.occurrences}
        for row in memory.alarms:
            chapter = chapters.get((row.key, row.occurrence))
            instance = self._bound.instance(row.key, row.rule, row.source)
            if instance is not None:
                instance.restore(row, chapter, now)
            else:
                self._withdraw(row, chapter, now)
        for inner in memory.inner:
            if inner.key in self._bound.instances:
                self._bound.instances[inner.key].recall(inner, now)
        for instance in self._bound.instances.values():
            self._due_alarms.set(instance, now)  # the first tick finds out what each is due for

    def _withdraw(self, row: Alarm, chapter: Occurrence | None, now: int) -> None:
        self._gone[row.key] = row
        if row.state != "normal" or row.filter != FilterState.OFF or row.out_of_service:
            gone, closed, flip = withdrawn(row, chapter, now)
            self._out.alarms.append(gone)
            self._out.occurrences += [closed] if closed else []
            self._out.flips += [flip] if flip else []
            self._gone[row.key] = gone

    def _return(self, now: int) -> None:
        """Alarms that were gone, and whose rule and device are there again, count their occurrences on."""
        for row in tuple(self._gone.values()):
            instance = self._bound.instance(row.key, row.rule, row.source)
            if instance is not None:
                instance.restore(self._gone.pop(row.key), None, now)

    def _serve(self, now: int) -> None:
        ended, moved = settle(self._bound, now)
        self._out.services += ended
        for instance, flips in moved:
            self._flipped(instance, flips, now)

    def _clock(self, now: int) -> int:
        """Time as the core counts it. A clock that was set, or a machine that slept, counts towards no delay."""
        gap = now - self._now
        if 0 <= gap <= FORWARD:
            self._now = now
        elif -BACKWARD <= gap < 0:
            return self._now
        else:
            self._shift(gap, now)
            self._now = now
        return now

    def _shift(self, gap: int, now: int) -> None:
        self._bound.shift(gap, now)
        for watch in self._bound.devices.values():
            self._due_devices.set(watch, now)
        for instance in self._bound.instances.values():
            self._due_alarms.set(instance, now)

    def _finish(self, now: int) -> Outcome:
        out, self._out = self._out, Outcome()
        out.health += [watch.row(now) for watch in self._unwell]
        self._unwell.clear()
        for instance in self._changed:
            out.alarms.append(instance.row(now))
            if instance.chapter is not None and instance.chapter_changed:
                out.occurrences.append(instance.chapter)
                instance.chapter_changed = False
        self._changed.clear()
        out.inner += [instance.inner() for instance in self._inner]
        self._inner.clear()
        out.drills += self._bound.drills.told()
        return out
