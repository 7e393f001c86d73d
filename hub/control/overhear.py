"""A test of an MQTT device before it is saved: a login at our own broker, then an ear on its topics for a while.

It listens as a guest of the broker, beside the hub's own sessions: nothing is acknowledged for the hub or kept, and no
word of it becomes a reading of the site.
"""

import asyncio
from collections.abc import Callable
from pathlib import Path

import msgspec

from device_profiles.types import MqttLink
from firmware_bridge.raw import Alive, Arrival, Link, Message, Raw, Trouble
from hub.processes import broker
from hub.reading import LinkState
from hub.settings.site import Device, Devices, MqttBrokerLink, Site, SiteLink

LISTEN_S = 25.0  # a device says something a few times within `silent_after`, which is 90 s where nothing else is said
AFTER_S = 2.0  # so long is listened on after the first good word, for what it says in another message
MOST_STRANGERS, MOST_RAWS = 5, 50

OpenGuest = Callable[[Site, SiteLink], Link]


class Login(msgspec.Struct, frozen=True):
    """What is typed into the device to have it heard: for our own broker only."""

    host: str
    port: int
    username: str
    password: str


class Overheard(msgspec.Struct):
    """What came within the time. `strangers`: topics of the house on which no device of the site speaks."""

    raws: list[Raw] = []
    online: bool | None = None
    strangers: list[str] = []
    trouble: str = ""  # why the broker could not be listened to, in its link's words


def login(site: Site, device: Device, known: Site, data: Path) -> tuple[Login | None, bool]:
    """The draft's login at our own broker, and whether it was made now. None where the broker is another's.

    `known` is the site as it runs: a device that it has gets nothing here. Raises Refusal; blocks.
    """
    link = next(link for link in site.links if link.id == device.link)
    if not isinstance(link, MqttBrokerLink) or link.url or device.id in known.devices():
        return None, False
    made = device.id not in broker.credentials(data)
    broker.prepare(site, link, data)
    broker.read_again(data)
    host, _, port = link.listen.rpartition(":")
    return Login(host, int(port), device.id, broker.credentials(data)[device.id]), made


async def overhear(site: Site, device: Device, open_guest: OpenGuest, seconds: float = LISTEN_S) -> Overheard:
    """Listen for `seconds` on the topics of a draft's device, and end sooner when it has said something."""
    link = next(link for link in site.links if link.id == device.link)
    known = {topic for other in link.devices if other.id != device.id for topic in _topics(site, other)}
    heard = Overheard()
    guest = open_guest(site, msgspec.structs.replace(link, devices=Devices((device,))))
    try:
        async with asyncio.timeout(seconds) as patience, guest:
            async for arrivals in guest:
                for item in arrivals:
                    if isinstance(item, Arrival):
                        _take(heard, item, device.id, known)
                    else:
                        heard.trouble = item.detail if item.state is LinkState.DOWN else ""
                if any(isinstance(raw, Message) for raw in heard.raws):
                    patience.reschedule(min(patience.when() or 0.0, asyncio.get_running_loop().time() + AFTER_S))
                if len(heard.raws) >= MOST_RAWS:
                    break
    except TimeoutError:
        pass
    return heard


def _take(heard: Overheard, item: Arrival, device: str, known: set[str]) -> None:
    if item.device == device:
        if isinstance(item.raw, Alive):
            heard.online = item.raw.online
        else:
            heard.raws.append(item.raw)
    elif isinstance(item.raw, Message) and item.raw.topic not in known | set(heard.strangers):
        heard.strangers = [*heard.strangers, item.raw.topic][:MOST_STRANGERS]
    elif isinstance(item.raw, Trouble) and not item.device:
        heard.raws.append(item.raw)


def _topics(site: Site, device: Device) -> list[str]:
    if not isinstance(device.options, MqttLink):
        return []
    names = {"site": site.id, "device": device.id}
    return [getattr(device.options, name).format(**names) for name in ("topic", "alive")]


def topic_of(site: Site, device: Device) -> str:
    """Where it is listened to."""
    return _topics(site, device)[0]
