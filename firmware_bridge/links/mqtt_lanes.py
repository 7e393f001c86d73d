"""The MQTT link of a site in two lanes: two sessions with one broker, so that a call for help overtakes a flood.

Devices that speak of what lives hang on (`urgent` in the vocabulary) have a session, and so a queue at the broker, of
their own; orders go out by it too, and their receipts wait behind no telemetry. Which lane is read next is all that is
decided here.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, suppress
from typing import Protocol, Self

from device_profiles import vocabulary
from firmware_bridge.links.mqtt_session import MqttSession
from firmware_bridge.links.tap import Tap
from firmware_bridge.raw import Action, Arrival
from hub.reading import LinkChange, LinkState
from hub.settings.site import Device


class MakeLane(Protocol):
    """Makes one of the two sessions."""

    def __call__(self, devices: Iterable[Device], elsewhere: Iterable[Device], /, *, urgent: bool) -> MqttSession:
        """`elsewhere`: devices that the other lane hears."""


class MqttLanes:
    """One broker, many devices. The urgent lane is read first, whenever both have something."""

    def __init__(self, devices: Iterable[Device], make: MakeLane) -> None:
        """`make` is asked for both sessions at once; nothing is opened yet."""
        urgent, plain = _sorted(devices)
        self._lanes = (make(urgent, (), urgent=True), make(plain, urgent, urgent=False))
        self.id = self._lanes[0].id
        self.tap = Tap(self.id)
        for lane in self._lanes:
            lane.tap = self.tap
        self._states: list[LinkChange | None] = [None, None]
        self._said: tuple[LinkState, str] | None = None
        self._coming: list[asyncio.Task[list[Arrival | LinkChange]] | None] = [None, None]
        self._open = AsyncExitStack()

    async def __aenter__(self) -> Self:
        """Start connecting both."""
        for lane in self._lanes:
            await self._open.enter_async_context(lane)
        return self

    async def __aexit__(self, *_: object) -> None:
        """Disconnect both."""
        for task in self._coming:
            if task is not None:
                task.cancel()
                with suppress(asyncio.CancelledError, StopAsyncIteration):
                    await task
        await self._open.aclose()

    def __aiter__(self) -> AsyncIterator[list[Arrival | LinkChange]]:
        """Lists of one lane each; asking for the next acknowledges the last one in its lane."""
        return self

    async def __anext__(self) -> list[Arrival | LinkChange]:
        """The last list is durable; wait for what comes first, and of both for the urgent one."""
        while True:
            tasks = [self._ask(at) for at in range(2)]
            if not any(task.done() for task in tasks):
                await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            at = 0 if tasks[0].done() else 1
            self._coming[at] = None
            news = tasks[at].result()
            if any(type(item) is LinkChange for item in news):
                news = [told for item in news for told in self._told(at, item)]
            if news:
                return news

    def hold(self, held: bool) -> None:
        """As `Laned` says: the lane of what is not urgent."""
        self._lanes[1].hold(held)

    def carry(self, devices: Iterable[Device]) -> None:
        """As `Link` says, each lane with its own."""
        urgent, plain = _sorted(devices)
        self._lanes[0].carry(urgent)
        self._lanes[1].carry(plain, urgent)

    async def send(self, device: str, action: Action) -> None:
        """By the urgent lane. Raises SendError."""
        await self._lanes[0].send(device, action)

    async def dropped(self) -> int | None:
        """As the session says."""
        return await self._lanes[0].dropped()

    def _ask(self, at: int) -> "asyncio.Task[list[Arrival | LinkChange]]":
        task = self._coming[at]
        if task is None:
            task = self._coming[at] = asyncio.ensure_future(anext(self._lanes[at]))
        return task

    def _told(self, at: int, item: Arrival | LinkChange) -> list[Arrival | LinkChange]:
        """Arrivals as they are; the link is up when both lanes are, and down for the reason of the one that is."""
        if isinstance(item, Arrival):
            return [item]
        self._states[at] = item
        down = next((state for state in self._states if state is not None and state.state is LinkState.DOWN), None)
        if down is None and None in self._states:
            return []  # the other one has still to say how it is
        change = down or item
        if self._said == (change.state, change.detail):
            return []
        self._said = (change.state, change.detail)
        return [change]


def is_urgent(device: Device) -> bool:
    """True for a device that speaks of what lives hang on."""
    words = (vocabulary.find(name) for name in device.profile.reading)
    return any(word is not None and word.quantity.urgent for word in words)


def _sorted(devices: Iterable[Device]) -> tuple[list[Device], list[Device]]:
    lanes: tuple[list[Device], list[Device]] = ([], [])
    for device in devices:
        lanes[0 if is_urgent(device) else 1].append(device)
    return lanes
