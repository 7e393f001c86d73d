"""A device behind the broker: birth and last will, JSON by its profile, and orders that it checks before it obeys.

An independent client (aiomqtt, MQTT 5), so that the hub's own session is not tested against itself.
"""

import asyncio
import contextlib
import hashlib
import itertools
import logging
from collections import deque
from collections.abc import Mapping
from pathlib import Path

import aiomqtt
import msgspec

from device_profiles.types import MqttLink, MqttProfile, speech_of
from firmware_bridge.raw import Publish
from firmware_bridge.simulate.life import Life, Moment
from firmware_bridge.simulate.script import Mute
from firmware_bridge.wire import encode, orders, seal
from hub.clock import Clock
from hub.reading import Value
from hub.settings.site import Device

LOG = logging.getLogger("zhian.simulate")
LOOK_S = 0.2
MOST_PERIOD_S = 10.0
RETRY_S = 1.0
GOODBYE_S = 1.0
MOST_MS = 10_000  # an order that is good for longer was not made for a gate
REFUSED, OBEYED = "refused_order", "obeyed_order"
SIGNS_A_SECOND = 4.0  # Chinese that is read aloud at an ordinary pace


class MqttDevice:
    """One device. It says all it knows a few times within `silent_after`, and at once when a state changes."""

    def __init__(
        self, device: Device, site_id: str, life: Life, clock: Clock, began: float, memory: Path | None = None,
        key: bytes = b"",
    ) -> None:  # fmt: skip
        """`began`: when the play did, by `clock.monotonic()`. Raises TypeError when it is no MQTT device.

        `memory`: where it writes down, before it moves, the order that it obeys; without, it forgets with its end.
        `key`: what its orders are signed with, where its profile wants that; without one it refuses them all.
        """
        if not isinstance(device.profile, MqttProfile) or not isinstance(device.options, MqttLink):
            raise TypeError(f"{device.id} is not an MQTT device")
        names = {"site": site_id, "device": device.id}
        self._profile, self._options = device.profile, device.options
        self._name = f"{site_id}-{device.id}"
        self._up, self._orders, self._alive = (
            topic.format(**names) for topic in (self._options.topic, self._options.orders, self._options.alive)
        )
        self._life, self._clock, self._began = life, clock, began
        self._period = min(self._options.silent_after / 4 or MOST_PERIOD_S, MOST_PERIOD_S)
        self._device, self._memory, self._key = device.id, memory, key
        kept = _recalled(memory)
        self._obeyed: deque[tuple[int, str]] = deque(kept.obeyed, maxlen=50)  # issued, id
        self._counter = kept.counter if kept.key == _print(key) else 0  # another key counts anew
        self._said: deque[tuple[str, str, str]] = deque(maxlen=20)  # the event's quantity and value, and which order
        self.spoken: deque[str] = deque(maxlen=50)
        self._mute = Mute.NO
        self._boot, self._count = f"{clock.now():x}", itertools.count()

    async def play(self, host: str, port: int, username: str = "", password: str = "") -> None:
        """Play until cancelled; the broker may come and go."""
        while True:
            _heed_cancel()
            try:
                if self._look().mute is not Mute.GONE:
                    async with self._client(host, port, username, password) as client:
                        await self._live(client)
            except* aiomqtt.MqttError as errors:
                LOG.debug("%s: %s", self._name, errors.exceptions[0])
            await asyncio.sleep(RETRY_S / self._clock.speed)

    def refusal(self, payload: bytes, *, retained: bool) -> str:
        """Why this order must not be carried out, a word of the vocabulary; empty when it may."""
        if retained:
            return "retained"  # an order is for now, not for whoever comes later
        said = _read(payload)
        issued, expires = said.get("issued"), said.get("expires")
        if said.get("device") != self._device or not isinstance(issued, int) or not isinstance(said.get("id"), str):
            return "foreign"
        counter = seal.genuine(self._orders, payload, self._key) if self._profile.signed and self._key else None
        if self._profile.signed and counter is None:
            return "forged"
        if not isinstance(expires, int) or expires < self._clock.now() or expires - issued > MOST_MS:
            return "expired"
        newest = max((at for at, _ in self._obeyed), default=0)
        if (issued, said["id"]) in self._obeyed or issued < newest - MOST_MS:
            return "repeated"  # also by a clock that was set back: nothing is good for longer than that
        if counter is not None and counter <= self._counter:
            return "repeated"
        return "unknown" if orders.read(self._profile, Publish(self._orders, payload)) is None else ""

    def obey(self, payload: bytes, *, retained: bool) -> None:
        """Carry out an order, once, or refuse it and say so."""
        said = _read(payload)
        if "ack" in said:
            return  # a receipt
        if why := self.refusal(payload, retained=retained):
            LOG.info("%s refuses an order: %s", self._name, why)
            self._said.append((REFUSED, why, str(said.get("id", ""))[:40]))
            return
        understood = orders.read(self._profile, Publish(self._orders, payload))
        if understood is not None:
            self._remember(int(str(said["issued"])), str(said["id"]), int(str(said.get("counter", 0))))
            command, seconds = understood
            if (speech := speech_of(self._profile, command)) is not None:
                words, repeat = str(said[speech.key]), said.get("repeat", 1)
                self.spoken.append(words)
                seconds = len(words) / SIGNS_A_SECOND * (repeat if isinstance(repeat, int) else 1)
            self._life.obey(command, seconds, self._now())
            self._said.append((OBEYED, command, str(said["id"])[:40]))

    def _remember(self, issued: int, order: str, counter: int) -> None:
        """Before anything moves: a device that dies now has had its one try."""
        self._obeyed.append((issued, order))
        self._counter = max(self._counter, counter if self._profile.signed else 0)
        if self._memory is not None:
            draft = self._memory.with_suffix(".new")
            draft.write_bytes(msgspec.json.encode(_Kept(list(self._obeyed), self._counter, _print(self._key))))
            draft.replace(self._memory)

    def _now(self) -> float:
        return self._clock.monotonic() - self._began

    def _look(self) -> Moment:
        moment = self._life.look(self._now())
        self._mute = moment.mute
        return moment

    def _client(self, host: str, port: int, username: str, password: str) -> aiomqtt.Client:
        will = aiomqtt.Will(self._alive, self._options.offline, qos=1, retain=True) if self._alive else None
        return aiomqtt.Client(
            host,
            port,
            username=username or None,
            password=password or None,
            identifier=self._name,
            protocol=aiomqtt.ProtocolVersion.V5,
            will=will,
            max_queued_incoming_messages=20,
        )

    async def _live(self, client: aiomqtt.Client) -> None:
        await client.subscribe(self._orders, qos=1)
        async with asyncio.TaskGroup() as group:
            listening = group.create_task(self._listen(client))
            try:
                await self._say_alive(client, self._options.online)
                await self._speak(client)
            finally:
                listening.cancel()
                with contextlib.suppress(aiomqtt.MqttError):  # going in good order: nobody else would say it
                    await self._say_alive(client, self._options.offline)

    async def _say_alive(self, client: aiomqtt.Client, word: str) -> None:
        if self._alive:
            await client.publish(self._alive, word, qos=1, retain=True, timeout=GOODBYE_S)
            _heed_cancel()

    async def _listen(self, client: aiomqtt.Client) -> None:
        async for message in client.messages:
            if self._mute is Mute.NO and isinstance(message.payload, bytes):
                self.obey(message.payload, retained=message.retain)

    async def _speak(self, client: aiomqtt.Client) -> None:
        """Until it is to be gone."""
        said: dict[str, Value] = {}
        due = 0.0
        while (moment := self._look()).mute is not Mute.GONE:
            if moment.mute is Mute.NO:
                states: dict[str, Value] = {
                    name: value for name, value in moment.values.items() if isinstance(value, str)
                }
                if states != said or self._now() >= due:
                    said = states
                    due = self._now() + self._period
                    await self._publish(client, moment.values)
                for event in moment.events:
                    await self._publish(client, event.values, event.detail)
                while self._said:
                    quantity, value, order = self._said.popleft()
                    if quantity in self._profile.reading:
                        await self._publish(client, {quantity: value}, {"order": order})
            await self._clock.sleep(LOOK_S)

    async def _publish(
        self, client: aiomqtt.Client, values: Mapping[str, Value], detail: Mapping[str, str] | None = None
    ) -> None:
        serial = (self._boot, next(self._count))
        payload = encode.message(self._profile, values, ts=self._clock.now(), detail=detail, serial=serial)
        await client.publish(self._up, payload, qos=1)
        _heed_cancel()


def _heed_cancel() -> None:
    """The client waits by `asyncio.wait_for`, which in Python 3.11 loses a cancellation that comes with the answer."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


def _read(payload: bytes) -> dict[str, object]:
    """The JSON object; an empty one for what is none."""
    try:
        return msgspec.json.decode(payload, type=dict[str, object])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {}


class _Kept(msgspec.Struct, frozen=True):
    """What a device writes down: the orders that it obeyed, the highest counter, and of which key."""

    obeyed: list[tuple[int, str]] = []
    counter: int = 0
    key: str = ""


def _print(key: bytes) -> str:
    """Which key it is, and nothing of it."""
    return hashlib.sha256(key).hexdigest()[:16] if key else ""


def _recalled(memory: Path | None) -> _Kept:
    """What it had obeyed before it was cut off."""
    if memory is None or not memory.exists():
        return _Kept()
    return msgspec.json.decode(memory.read_bytes(), type=_Kept)
