"""The field process: carries what the links bring through decode, core and journal, and orders the other way.

It decides nothing. Everything here may be killed at any instruction: what was acknowledged is in the journal.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence

from device_profiles.types import speech_of
from firmware_bridge.links.mqtt_lanes import is_urgent
from firmware_bridge.raw import Action, Arrival, Broker, Laned, Link, Redelivery, SendError, Trouble
from firmware_bridge.wire.decode import Decoder, decoder
from firmware_bridge.wire.orders import action
from firmware_bridge.wire.seal import Seal
from firmware_bridge.wire.serials import Numbered
from hub.alarms.flood import RULE as FLOOD
from hub.alarms.flood import told
from hub.clock import Clock
from hub.core import Core
from hub.devices.numbering import Sequences
from hub.duty.casebook import ORDER as INCIDENT
from hub.duty.desk import ORDER as DUTY
from hub.duty.room import DutyRoom
from hub.journal.commit import Committer
from hub.journal.reserve import Reserve
from hub.journal.scarce import Space, spare
from hub.journal.writer import Journal, connect, requested_orders
from hub.orders.sayso import Sayso
from hub.outcome import Order, Outcome
from hub.processes.inspector import Inspector
from hub.reading import Fault, FaultKind, LinkChange, News
from hub.receipts import Receipts
from hub.rules.door import Rule
from hub.settings.site import Device, Site
from hub.signer import Signer
from hub.speaking.announce import Announcer
from hub.speaking.outbox import let_go
from hub.speaking.trial import TEST_VOICE, ended, too_late

LOG = logging.getLogger("zhian.field")
TICK_S = 1.0
STUCK_S = (
    60.0  # a step of the core that is not durable by then, and no full disk: its journal hangs. A slow card does not
)
INBOX_S = 0.05  # how often the orders table is looked at; part of press-to-relay time


class Field:
    """One site's field process, made of parts that were opened by the caller."""

    def __init__(
        self, site: Site, rules: Mapping[str, Rule], core: Core, journal: Journal, links: Sequence[Link], clock: Clock,
        reserve: Reserve | None = None,
    ) -> None:  # fmt: skip
        """`journal` is open; `links` are not entered yet. Without a `reserve` a full disk is waited out."""
        self._site = site
        self._core = core
        self._journal = journal
        self._links = {link.id: link for link in links}
        self._devices = site.devices()
        self._decoders = _decoders(self._devices)
        self._clock = clock
        self._space = Space(reserve)
        self._committer = Committer(journal, self._space)
        self._duty = DutyRoom(site, core, self._committer, self._take, journal.path.parent, clock)
        self._inspector = Inspector(
            core, self._committer, self._take, journal.path.parent, clock, self._thrown_away, self._space
        )
        self._flood = journal.flood(clock.now())
        self._announcer = Announcer(
            site, rules, self._committer, self._links, clock, self._heard, self._duty.callees, lambda: self._flood
        )
        self._sayso = Sayso(site, journal.limits(), journal.mutes(), core.rebind)
        self._sequences = Sequences(journal.sequences(), clock.now())
        self._receipts = Receipts(site, self._links)
        self._signer = Signer(journal.path.parent, clock)
        self._group: asyncio.TaskGroup
        self._carrying: dict[str, asyncio.Task[None]] = {}
        self._begun = asyncio.Event()
        self._ticked = time.monotonic()

    def well(self) -> bool:
        """Whether the core's time goes on, or what holds it up is known, as a full disk is."""
        return self._committer.refused or time.monotonic() - self._ticked < STUCK_S

    @property
    def site(self) -> Site:
        """What it was made from."""
        return self._site

    async def run(self) -> None:
        """Carry until cancelled. Raises (an ExceptionGroup) when a part fails for good: the supervisor starts anew."""
        try:
            async with asyncio.TaskGroup() as self._group:
                self._group.create_task(self._committer.run(), name="journal")
                await self._settle()
                for link in self._links.values():
                    self._begin(link)
                self._begun.set()
                self._group.create_task(self._tick(), name="tick")
                self._group.create_task(self._inbox(), name="inbox")
                self._group.create_task(self._announcer.run(), name="announce")
                self._group.create_task(self._receipts.run(), name="receipts")
                self._group.create_task(self._duty.run(), name="duty")
                self._group.create_task(self._inspector.run(), name="inspector")
        finally:
            self._committer.close()

    async def _settle(self) -> None:
        """What the stop left open (orders under way, announcements, rules and devices that are gone) comes first."""
        await self._inspector.measure()
        await self._committer.call(let_go)
        await self._take(self._core.begin(self._clock.now()))

    async def rebind(
        self, site: Site, rules: tuple[Rule, ...], links: Mapping[str, Link], note: Callable[[Sequence[str]], str]
    ) -> list[str]:
        """Go on with another site file; returns the keys of the alarms that were withdrawn, whose `note` is kept.

        `links`: those of ours that go on without letting go of their cables, and new ones, not entered yet. A failure
        within ends the process: nothing is to go on that was changed by half.
        """
        await self._begun.wait()
        changing = self._group.create_task(self._rebind(site, rules, links, note), name="reload")
        await asyncio.wait([changing])
        return changing.result()

    async def _rebind(
        self, site: Site, rules: tuple[Rule, ...], links: Mapping[str, Link], note: Callable[[Sequence[str]], str]
    ) -> list[str]:
        await self._close([link for name, link in self._links.items() if links.get(name) is not link])
        fresh = [link for name, link in links.items() if name not in self._links]
        # From here to the first await nobody else runs: a list of news is read by the old file or by the new one.
        rules = self._sayso.renew(site, rules)
        outcome = self._core.rebind(site, rules, self._clock.now())
        for link in site.links:
            if link.id in self._links:
                self._links[link.id].carry(link.devices)
        self._site, self._links, self._devices = site, dict(links), site.devices()
        self._decoders = _decoders(self._devices)
        self._journal.attend(site)
        self._receipts.renew(site, self._links)
        self._announcer.renew(site, {rule.id: rule for rule in rules}, self._links)
        self._duty.renew(site)
        for new in fresh:
            self._begin(new)
        await self._take(outcome)
        withdrawn = [flip.key for flip in outcome.flips if flip.event == "withdrawn"]
        await self._committer.call(lambda journal: journal.remember("reloaded", note(withdrawn)))
        return withdrawn

    async def know(self, own: Mapping[str, str]) -> None:
        """What somebody else has found out: id of a `self` rule -> why it is so, or empty."""
        await self._take(self._core.know(own, self._clock.now()))

    @property
    def links(self) -> Mapping[str, Link]:
        """The links as they are now, by id."""
        return self._links

    def _begin(self, link: Link) -> None:
        self._carrying[link.id] = self._group.create_task(self._carry(link), name=f"link {link.id}")

    async def _close(self, links: Sequence[Link]) -> None:
        """Let go of these cables before another link may want them. What they brought is in the journal's hands."""
        tasks = [self._carrying.pop(link.id) for link in links]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        for link in links:
            del self._links[link.id]

    async def _carry(self, link: Link) -> None:
        async with link:
            async for arrivals in link:
                news: list[News] = []
                deliveries: list[Redelivery] = []
                for item in arrivals:
                    if isinstance(item, LinkChange):
                        news.append(_told(item))
                        continue
                    delivery = item.redelivery
                    if delivery is not None:
                        if delivery.again and self._journal.repeated(delivery):
                            continue
                        deliveries.append(delivery)
                    news += self._read(link.id, item)
                outcome = self._accept(news, self._clock.now())
                wanted = self._sequences.receipts()
                if self._space.scarce and not self._calls(arrivals, deliveries):
                    await self._spare(link, outcome, deliveries, wanted)
                    continue
                await self._take(outcome, deliveries)
                self._receipts.offer(wanted)  # never before it is durable

    def _calls(self, arrivals: Sequence[Arrival | LinkChange], deliveries: Sequence[Redelivery]) -> bool:
        """Messages of what lives hang on: taken in, and acknowledged, as long as there is a page left to write on."""
        names = {item.device for item in arrivals if isinstance(item, Arrival)}
        return bool(deliveries) and any(name in self._devices and is_urgent(self._devices[name]) for name in names)

    async def _spare(
        self, link: Link, outcome: Outcome, deliveries: list[Redelivery], wanted: list[tuple[str, int]]
    ) -> None:
        """There is no room for readings: their alarms are written, they themselves wait, or are not kept."""
        later = spare(outcome, hold=bool(deliveries))
        await self._take(outcome)
        if not deliveries:
            return
        writing = self._group.create_task(self._write_later(link, later, deliveries, wanted), name=f"held {link.id}")
        if isinstance(link, Laned):
            link.hold(True)
        else:
            await asyncio.wait([writing])  # nothing more is asked for: nothing is acknowledged

    async def _write_later(
        self, link: Link, later: Outcome, deliveries: list[Redelivery], wanted: list[tuple[str, int]]
    ) -> None:
        while self._space.scarce:
            self._inspector.room.clear()
            await self._inspector.room.wait()
        await self._take(later, deliveries)
        self._receipts.offer(wanted)
        if isinstance(link, Laned):
            link.hold(False)

    def _accept(self, news: list[News], now: int) -> Outcome:
        outcome = self._core.accept(news, now)
        outcome.sequences = self._sequences.rows()
        return outcome

    async def _take(self, outcome: Outcome, deliveries: Sequence[Redelivery] = (), heartbeat: int = 0) -> None:
        self._heed_flood(outcome)
        await self._committer.commit(outcome, deliveries, heartbeat)
        for order in outcome.dispatch:
            self._group.create_task(self._send(order), name=f"order {order.id}")

    def _heed_flood(self, outcome: Outcome) -> None:
        """That a flood of alarms begins, or is over, is written with the alarms that make it so."""
        was, at = self._flood, told(outcome.flips)
        now = at[-1] if at else self._clock.now()
        self._flood = was.step(at, now)
        if self._flood.on is not was.on:
            why = f"{max(len(at), len(self._flood.recent))}" if self._flood.on else ""
            outcome.add(self._core.know({FLOOD: why}, now))

    def _read(self, link_id: str, arrival: Arrival) -> Sequence[News]:
        read = self._decoders.get(arrival.device)
        if read is None:
            return [_unknown(link_id, arrival)]
        said = read(arrival.device, arrival.raw, arrival.rx)
        if type(said) is Numbered:
            return self._sequences.take(arrival.device, said.serial, said, arrival.rx)
        return said

    async def _thrown_away(self) -> int | None:
        """By all brokers that say so."""
        counts = [await link.dropped() for link in self._links.values() if isinstance(link, Broker)]
        known = [count for count in counts if count is not None]
        return sum(known) if known and len(known) == len(counts) else None

    async def _tick(self) -> None:
        while True:
            now = self._clock.now()
            # not while messages are held: a device's count must not be durable before what it counts
            if not self._space.scarce and (missed := self._sequences.tick(now)):
                await self._take(self._accept(missed, now))
            await self._take(self._core.tick(now), heartbeat=now)
            self._ticked = time.monotonic()
            await self._clock.sleep(TICK_S)

    async def _inbox(self) -> None:
        """Look for new orders; `INBOX_S` is real time, for a person waits for it."""
        reader = connect(self._journal.path, read_only=True)
        last = 0
        try:
            while True:
                for order in requested_orders(reader, last):
                    last = order.id
                    if order.kind in (INCIDENT, DUTY):
                        continue  # the duty room's business
                    if order.kind == TEST_VOICE:
                        self._group.create_task(self._test_voice(order), name=f"order {order.id}")
                    elif order.kind in self._sayso.doers:
                        await self._take(self._sayso.take(order, self._clock.now()))
                    else:
                        await self._take(self._core.order(order, self._clock.now()))
                await asyncio.sleep(INBOX_S)
        finally:
            reader.close()

    async def _heard(self, change: LinkChange) -> None:
        """A voice fails, or works again."""
        await self._take(self._core.accept([change], self._clock.now()))

    async def _test_voice(self, order: Order) -> None:
        """A live test; what became of it is the order's outcome, and the voice's own row."""
        over = too_late(order, self._clock.now())
        if over is None:
            state = await self._announcer.test(order.target)
            over = ended(order, state, self._clock.now())
        await self._take(Outcome(orders=[over]))

    async def _send(self, order: Order) -> None:
        """Send at most once, and not late: the journal says `sent` before the first byte leaves."""
        device = self._devices.get(order.target)
        leaving = self._core.sent(order.id, self._clock.now())
        await self._take(leaving)
        if not leaving.orders or device is None:
            return  # it ended while it waited
        try:
            async with self._signer.turn(device) as seal:
                if self._clock.now() >= order.expires:
                    raise SendError(FaultKind.BUSY, "the journal could not be written before the order expired")
                link = self._links.get(device.link)
                if link is None:
                    raise SendError(FaultKind.LINK_DOWN, f"{device.link} was taken out of the site file")
                await link.send(device.id, self._action(device, order, seal))
        except SendError as error:
            await self._take(self._core.send_failed(order.id, error.kind, error.detail, self._clock.now()))
        except ValueError as error:
            await self._take(self._core.send_failed(order.id, FaultKind.REFUSED, str(error), self._clock.now()))

    def _action(self, device: Device, order: Order, seal: Seal | None) -> Action:
        topic = getattr(device.options, "orders", "").format(site=self._site.id, device=device.id)
        return action(
            device.profile,
            order.command,
            seconds=order.seconds,
            text=order.text.strip() if speech_of(device.profile, order.command) is not None else "",
            order_id=str(order.id),
            expires=order.expires,
            issued=order.issued,
            device=device.id,
            now=self._clock.now(),
            topic=topic,
            seal=seal,
        )


def _decoders(devices: Mapping[str, Device]) -> dict[str, Decoder]:
    profiles = {device.profile.id: decoder(device.profile) for device in devices.values()}
    return {device.id: profiles[device.profile.id] for device in devices.values()}


def _told(change: LinkChange) -> LinkChange:
    LOG.log(
        logging.INFO if change.state == "up" else logging.WARNING,
        "%s is %s: %s",
        change.link,
        change.state,
        change.detail,
    )
    return change


def _unknown(link_id: str, arrival: Arrival) -> Fault:
    if isinstance(arrival.raw, Trouble):  # the cable's own word for what no device can be blamed for
        return Fault(
            source=link_id, kind=arrival.raw.kind, detail=arrival.raw.detail, rx=arrival.rx, payload=arrival.raw.payload
        )
    topic = getattr(arrival.raw, "topic", "")
    return Fault(
        source=link_id,
        kind=FaultKind.UNKNOWN_DEVICE,
        detail=f"{topic}: no device of this site speaks here",
        rx=arrival.rx,
        payload=getattr(arrival.raw, "payload", b""),
    )
