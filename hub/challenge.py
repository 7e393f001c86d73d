"""Asks a controller for a number of its own, where the hub's clock is not trusted, and waits for it.

It carries: whether the clock is trusted it is told, what the number is good for stands in firmware_bridge/wire/seal.py.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from firmware_bridge.raw import Publish, SendError
from firmware_bridge.wire.nonce import LIFE_S, QUANTITY, asking, is_nonce
from hub.orders.keys import is_signed
from hub.outcome import Order
from hub.reading import FaultKind, News, Reading
from hub.settings.site import Device

PATIENCE_S = 3.0  # of real time: it is a few milliseconds' way, and a person waits


class Challenges:
    """Who is asked for which order. At most one wait an open order; each ends after PATIENCE_S."""

    def __init__(self, trusted: Callable[[], bool]) -> None:
        """`trusted`: whether the time that an order would carry means anything, asked anew for each."""
        self._trusted = trusted
        self._awaited: dict[tuple[str, str], asyncio.Future[str]] = {}

    async def nonce(self, device: Device, order: Order, topic: str, send: Callable[[Publish], Awaitable[None]]) -> str:
        """The controller's number for this order; empty where none is needed. Raises SendError: no order without.

        Nothing that moves anything has left then.
        """
        if not is_signed(device) or self._trusted():
            return ""
        key = (device.id, str(order.id))
        answer: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._awaited[key] = answer
        try:
            async with asyncio.timeout(PATIENCE_S):
                await send(Publish(topic, asking(*key), expires_s=round(LIFE_S)))
                return await answer
        except TimeoutError:
            why = (
                "the hub's clock is not trusted, and the controller gave no number of its own within "
                f"{PATIENCE_S:g} s: nothing was sent"
            )
            raise SendError(FaultKind.NO_ANSWER, why) from None
        finally:
            del self._awaited[key]

    def heard(self, news: Sequence[News]) -> None:
        """Of what a device says: the number that is waited for, the first that comes."""
        if not self._awaited:
            return
        for item in news:
            if isinstance(item, Reading) and item.quantity == QUANTITY and is_nonce(item.value):
                answer = self._awaited.get((item.device, (item.detail or {}).get("order", "")))
                if answer is not None and not answer.done():
                    answer.set_result(str(item.value))
