"""The open commands: which orders are on their way to which device, and which reading proves them done.

Pure: `hub.core` says what happened; hub.orders.order holds the table. At most one command of a name is open a device;
of one that speaks a text, one of a text.
"""

from msgspec.structs import replace

from device_profiles.types import speech_of
from hub.devices.health import DOWN, LinkWatch
from hub.due import Due
from hub.orders.order import MAY_HAVE_ACTED, OPEN, OrderEvent, OrderWord, objection, step_order
from hub.outcome import Order, OrderState
from hub.reading import FaultKind, Reading, Value
from hub.rules.door import ms
from hub.settings.site import Device

SENDING = 5_000  # ms past its expiry after which an order that the link took, and never reported, counts as not sent


class Desk:
    """Open command orders by id, and by the device that they wait for."""

    def __init__(self, devices: dict[str, Device], links: dict[str, LinkWatch]) -> None:
        """No order is open."""
        self._devices, self._links = devices, links
        self._open: dict[int, Order] = {}
        self._seen: dict[int, dict[str, Value]] = {}  # order -> what its device has said since it was sent
        self._due: Due[int] = Due()
        self.awaiting: dict[str, list[int]] = {}  # device -> orders that are sent
        self._opened: dict[str, int] = {}  # gate -> until when it may be obeying an order to open

    def __contains__(self, order_id: object) -> bool:
        """True while this order is open here."""
        return order_id in self._open

    def take(self, order: Order, now: int) -> Order:
        """A new command: refused, failed or expired at once, or open, still REQUESTED and to be dispatched."""
        refused = self._refusal(order)
        if refused is not None:
            return step_order(order, OrderEvent.REFUSE, now, *refused)
        longest = ms(self._devices[order.target].profile.command[order.command].expires)
        if order.expires > min(order.issued, now) + longest:  # whoever ordered it, and however long he would wait
            order = replace(order, expires=min(order.issued, now) + longest)
        if now >= order.expires:
            return step_order(order, OrderEvent.EXPIRE, now, OrderWord.EXPIRED)
        link = self._links[self._devices[order.target].link]
        if link.state == DOWN:
            return step_order(order, OrderEvent.FAIL, now, OrderWord.LINK_DOWN, link.detail)
        self._open[order.id] = order
        self._due.set(order.id, max(order.expires, now) + SENDING)
        return order

    def sent(self, order_id: int, now: int) -> list[Order]:
        """It leaves now; from now on readings may confirm it."""
        order = self._open.get(order_id)
        if order is None or order.state is not OrderState.REQUESTED:
            return []
        order = step_order(order, OrderEvent.SENT, now)
        self._open[order_id] = order
        self.awaiting.setdefault(order.target, []).append(order_id)
        self._seen[order_id] = {}
        self._due.set(order_id, now + ms(self._within(order)))
        self._note_opening(order, now)
        return [order]

    def failed(self, order_id: int, kind: FaultKind, detail: str, now: int) -> list[Order]:
        """It did not leave, or the device said no. Where it may have acted all the same, a reading decides."""
        order = self._open.get(order_id)
        if order is None:
            return []
        if kind is FaultKind.LINK_DOWN:
            return [self._end(step_order(order, OrderEvent.FAIL, now, OrderWord.LINK_DOWN, detail))]
        if kind not in MAY_HAVE_ACTED or order.state is not OrderState.SENT:
            return [self._end(step_order(order, OrderEvent.FAIL, now, OrderWord.NOT_SENT, f"{kind}: {detail}"))]
        order = replace(order, outcome=f"{OrderWord.NO_ECHO}:{kind}: {detail}")
        self._open[order_id] = order
        return [order]

    def heard(self, reading: Reading, now: int) -> list[Order]:
        """A fresh reading of a device with sent orders: those that it proves are confirmed."""
        ended = []
        for order_id in tuple(self.awaiting.get(reading.device, ())):
            order = self._open[order_id]
            if order.sent is None or reading.rx < order.sent:
                continue
            seen = self._seen[order_id]
            seen[reading.quantity] = reading.value
            confirm = self._devices[order.target].profile.command[order.command].confirm
            if all(seen.get(quantity) == state for quantity, state in confirm.items()):
                proof = ", ".join(f"{quantity}={state}" for quantity, state in confirm.items())
                ended.append(self._end(step_order(order, OrderEvent.CONFIRM, now, OrderWord.CONFIRMED, proof)))
                if self._opens(order):
                    self._opened.pop(order.target, None)  # from now on its own word says how it stands
        return ended

    def tick(self, now: int) -> list[Order]:
        """Orders whose time is over: not sent, or sent and not confirmed."""
        ended = []
        for order_id in self._due.pop(now):
            order = self._open[order_id]
            if order.state is OrderState.SENT:
                waited = f"{self._within(order):g}"
                ended.append(self._end(step_order(order, OrderEvent.OVERDUE, now, OrderWord.NOT_CONFIRMED, waited)))
            else:
                ended.append(self._end(step_order(order, OrderEvent.EXPIRE, now, OrderWord.EXPIRED)))
        return ended

    def may_open(self, gate: str, now: int, heard: int) -> bool:
        """An order to open it is under way, or was, and it has said nothing since (`heard`, ms) the time that takes."""
        until = self._opened.get(gate)
        if until is not None and (now < until or heard < until):
            return True
        return any(order.target == gate and self._opens(order) for order in self._open.values())

    def stopped(self, order: Order, now: int) -> None:
        """This order was under way when the hub stopped: it may be obeyed yet."""
        if order.target in self._devices and order.command in self._devices[order.target].profile.command:
            self._note_opening(order, now)

    def _note_opening(self, order: Order, now: int) -> None:
        if self._opens(order):
            self._opened[order.target] = now + ms(self._within(order))

    def _opens(self, order: Order) -> bool:
        return self._devices[order.target].profile.command[order.command].confirm.get("gate") == "open"

    def rebind(self, devices: dict[str, Device], links: dict[str, LinkWatch], now: int) -> list[Order]:
        """The site is another one: an order whose device cannot do it any more ends, the others go on."""
        self._devices, self._links = devices, links
        ended = []
        for order in tuple(self._open.values()):
            why = self._objection(order)
            if why is not None:
                event = OrderEvent.REFUSE if order.state is OrderState.REQUESTED else OrderEvent.OVERDUE
                ended.append(self._end(step_order(order, event, now, *why)))
        return ended

    def _refusal(self, order: Order) -> tuple[OrderWord, str] | None:
        objected = self._objection(order)
        if objected is not None:
            return objected
        speaks = speech_of(self._devices[order.target].profile, order.command) is not None
        for other in self._open.values():
            if (other.target, other.command) != (order.target, order.command) or (speaks and other.text != order.text):
                continue  # a voice column says one thing after the other
            return OrderWord.UNDER_WAY, str(other.id)
        return None

    def _objection(self, order: Order) -> tuple[OrderWord, str] | None:
        device = self._devices.get(order.target)
        return (OrderWord.NO_DEVICE, order.target) if device is None else objection(order, device.profile)

    def _within(self, order: Order) -> float:
        return self._devices[order.target].profile.command[order.command].within

    def _end(self, order: Order) -> Order:
        if order.state in OPEN:
            return order
        del self._open[order.id]
        self._due.set(order.id, None)
        if self._seen.pop(order.id, None) is not None:
            waiting = self.awaiting[order.target]
            waiting.remove(order.id)
            if not waiting:
                del self.awaiting[order.target]
        return order


def after_stop(order: Order, now: int) -> Order:
    """An open order as it is found at a start. SENT was written before the first byte left: it is never sent again."""
    if order.state is OrderState.SENT:
        return step_order(order, OrderEvent.STOPPED, now, OrderWord.HUB_STOPPED)
    if order.kind == "command" and now >= order.expires:
        return step_order(order, OrderEvent.EXPIRE, now, OrderWord.EXPIRED)
    return order
