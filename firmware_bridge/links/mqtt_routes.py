"""Topics and devices: what to subscribe to, and whose message a delivery is. Pure; bytes stay bytes.

The house's topics come through two wildcards, so that a device which the site does not have is heard too.
"""

from collections.abc import Iterable
from zlib import crc32

from device_profiles.types import MqttLink
from firmware_bridge.links.mqtt_delivery import Delivery
from firmware_bridge.raw import Alive, Arrival, Message, Raw, Redelivery, Trouble
from hub.reading import FaultKind
from hub.settings.site import Device


class Routes:
    """Which topic belongs to which device, and the fewest filters that bring each message once."""

    def __init__(
        self, devices: Iterable[Device], site_id: str, *, house: bool = True, elsewhere: Iterable[Device] = ()
    ) -> None:
        """Devices whose options are not MQTT ones are passed over. `house`: hear the wildcards, and so strangers too.

        `elsewhere`: devices whose messages come another way; here they are nobody's, and no strangers.
        """
        self._up: dict[str, list[str]] = {}
        self._alive: dict[str, list[tuple[str, MqttLink]]] = {}
        for device in devices:
            if isinstance(device.options, MqttLink):
                names = {"site": site_id, "device": device.id}
                self._up.setdefault(_fill(device.options.topic, names), []).append(device.id)
                if device.options.alive:
                    self._alive.setdefault(_fill(device.options.alive, names), []).append((device.id, device.options))
        self._elsewhere = {
            _fill(topic, {"site": site_id, "device": device.id})
            for device in elsewhere
            if isinstance(device.options, MqttLink)
            for topic in (device.options.topic, device.options.alive)
        }.difference(self._up, self._alive)
        self._house = (f"{site_id}/+/up", f"{site_id}/+/alive") if house else ()
        others = [topic for topic in {**self._up, **self._alive} if not self._covered(topic)]
        self.filters: tuple[str, ...] = (*self._house, *others)

    def arrivals(self, link: str, deliveries: Iterable[Delivery]) -> list[Arrival]:
        """One arrival for each device of each topic; without a device, one that belongs to nobody."""
        found: list[Arrival] = []
        for delivery in deliveries:
            if delivery.topic in self._elsewhere:
                continue
            devices = self._up.get(delivery.topic)
            if devices is None or delivery.broken or delivery.topic in self._alive:
                found += self._unusual(link, delivery)
                continue
            message = Message(delivery.topic, delivery.payload, delivery.qos, delivery.retained)
            again = _redelivery(link, delivery)
            for device in devices:
                found.append(Arrival(device, message, delivery.rx, again))
        return found

    def _unusual(self, link: str, delivery: Delivery) -> list[Arrival]:
        if delivery.topic in self._alive and not delivery.broken:
            return [
                Arrival(device, _alive(delivery, options), delivery.rx, _redelivery(link, delivery))
                for device, options in self._alive[delivery.topic]
            ]
        return [
            Arrival(device, _raw(delivery), delivery.rx, _redelivery(link, delivery))
            for device in self._speakers(delivery.topic)
        ]

    def _speakers(self, topic: str) -> list[str]:
        return self._up.get(topic) or [device for device, _ in self._alive.get(topic, [("", None)])]

    def behind(self, pattern: str) -> list[str]:
        """The devices that are not heard when this filter is refused."""
        speaking = [(topic, device) for topic, devices in self._up.items() for device in devices]
        speaking += [(topic, device) for topic, devices in self._alive.items() for device, _ in devices]
        house = pattern in self._house
        behind = [
            device
            for topic, device in speaking
            if topic == pattern or (house and self._covered(topic) and topic.endswith(pattern.rpartition("+")[2]))
        ]
        return list(dict.fromkeys(behind))

    def _covered(self, topic: str) -> bool:
        parts = topic.split("/")
        return len(parts) == 3 and f"{parts[0]}/+/{parts[2]}" in self._house


def _raw(delivery: Delivery) -> Raw:
    if delivery.broken:
        return Trouble(FaultKind.MALFORMED, f"an MQTT packet that cannot be read: {delivery.broken}", delivery.payload)
    return Message(delivery.topic, delivery.payload, delivery.qos, delivery.retained)


def _alive(delivery: Delivery, options: MqttLink) -> Raw:
    word = delivery.payload.decode("utf-8", "replace")
    if word in (options.online, options.offline):
        return Alive(word == options.online)
    right = f'"{options.online}" or "{options.offline}"'
    return Trouble(FaultKind.UNKNOWN_CHOICE, f"says {word[:40]!r} on {delivery.topic}, not {right}", delivery.payload)


def _redelivery(link: str, delivery: Delivery) -> Redelivery | None:
    if not delivery.packet_id:
        return None
    digest = len(delivery.payload) << 32 | crc32(delivery.topic.encode(), crc32(delivery.payload))
    return Redelivery(link, delivery.packet_id, digest, delivery.again)


def _fill(topic: str, names: dict[str, str]) -> str:
    for name, value in names.items():
        topic = topic.replace("{" + name + "}", value)
    return topic
