"""What a Home Assistant is told of a site, as retained MQTT messages: discovery, availability, states. Pure.

Shared is what stands in the table below, and nothing else: no passages, chips, credentials, nothing about persons.
There is no topic for commands, so nothing can be moved from there. Forms: MQTT discovery, sensor and binary sensor of
Home Assistant's documentation (home-assistant.io/integrations/mqtt).
"""

from collections.abc import Iterable, Iterator, Mapping

import msgspec

from device_profiles import vocabulary
from hub.outcome import Health
from hub.reading import Kind, Reading
from hub.settings.site import Device, Site
from hub.settings.site_share import ROOT, HomeAssistant

ONLINE, OFFLINE = b"online", b"offline"

# Quantity -> Home Assistant's device class ("" = it has none for it). A word that is not here is never shared.
NUMBERS = {
    **dict.fromkeys(("laeq", "lafmax", "lafmin", "lcpeak"), "sound_pressure"),
    **dict.fromkeys(("distance", "water_level"), "distance"),
    **dict.fromkeys(("temperature", "water_temperature", "cable_temperature"), "temperature"),
    **dict.fromkeys(("battery", "voltage"), "voltage"),
    **dict.fromkeys(("current", "residual_current"), "current"),
    "battery_level": "battery",
    "rssi": "signal_strength",
    "humidity": "humidity",
    "wind_speed": "wind_speed",
    "pm1": "pm1",
    "pm2_5": "pm25",
    "pm10": "pm10",
    "tsp": "",
    "power": "power",
    "energy": "energy",
    "flow": "volume",
    "pressure": "pressure",
    "tilt": "",
}
ALARMING = {"smoke": ("smoke", "smoke"), "leak": ("moisture", "wet"), "tamper": ("tamper", "tampered")}
"""Quantity -> device class of a binary sensor, and the state that is "on" there."""
STATES = frozenset({"gate", "relay", "siren", "speech", "release"})


class Known(msgspec.Struct, frozen=True, kw_only=True):
    """What the journal says: newest readings by device and quantity, health by source, whether the hub lives."""

    hub_fresh: bool
    health: Mapping[str, Health] = {}
    latest: Mapping[tuple[str, str], Reading] = {}


def status_topic(site: Site) -> str:
    """Where it stands whether anything of this is up to date."""
    return f"{ROOT}/{site.id}/status"


def birth_topic(share: HomeAssistant) -> str:
    """Where a Home Assistant says that it has started."""
    return f"{share.prefix}/status"


def shareable(device: Device) -> list[str]:
    """Those of the device's quantities that may be shared."""
    return [name for name in device.profile.reading if _word(name) in {*NUMBERS, *ALARMING, *STATES}]


def messages(site: Site, known: Known) -> dict[str, bytes]:
    """Everything that is to stand at the broker now, by topic."""
    share = site.home_assistant
    if share is None:
        return {}
    devices = site.devices()
    found = dict(_discovery(site, share, (devices[name] for name in share.devices)))
    for name in share.devices:
        found[f"{ROOT}/{site.id}/{name}/status"] = _status(devices[name], known)
        for quantity in shareable(devices[name]):
            reading = known.latest.get((name, quantity))
            if reading is not None:
                found[f"{ROOT}/{site.id}/{name}/{quantity}"] = _text(quantity, reading)
    found[status_topic(site)] = ONLINE if known.hub_fresh else OFFLINE
    return found


def _discovery(site: Site, share: HomeAssistant, devices: Iterable[Device]) -> Iterator[tuple[str, bytes]]:
    for device in devices:
        for quantity in shareable(device):
            component = "binary_sensor" if _word(quantity) in ALARMING else "sensor"
            topic = f"{share.prefix}/{component}/zhian-{site.id}-{device.id}/{quantity}/config"
            yield topic, msgspec.json.encode(_entity(site, device, quantity))


def _entity(site: Site, device: Device, quantity: str) -> dict[str, object]:
    root, word = f"{ROOT}/{site.id}", vocabulary.find(quantity)
    label = device.names.get(quantity) or (word.quantity.label if word is not None else None)
    suffix = f" {word.channel}" if word is not None and word.channel and quantity not in device.names else ""
    return {
        "name": f"{label.zh if label else quantity}{suffix}",
        "unique_id": f"zhian-{site.id}-{device.id}-{quantity}",
        "state_topic": f"{root}/{device.id}/{quantity}",
        "availability_mode": "all",
        "availability": [{"topic": status_topic(site)}, {"topic": f"{root}/{device.id}/status"}],
        **_class(quantity),
        "device": {
            "identifiers": [f"zhian-{site.id}-{device.id}"],
            "name": device.name.zh,
            "model": device.profile.id,
            "suggested_area": next((zone.name.zh for zone in site.zones if zone.id == device.zone), site.name.zh),
        },
        "origin": {"name": "Zhian"},
    }


def _class(quantity: str) -> dict[str, object]:
    """Unit, class and states, by the vocabulary."""
    word, name = vocabulary.quantities()[_word(quantity)], _word(quantity)
    if name in ALARMING:
        kind, on = ALARMING[name]
        return {"device_class": kind, "payload_on": on, "payload_off": next(s for s in word.states if s != on)}
    if name in STATES:
        return {"device_class": "enum", "options": list(word.states)}
    steps = "total_increasing" if word.kind is Kind.COUNTER else "measurement"
    said: dict[str, object] = {"state_class": steps, "suggested_display_precision": word.decimals}
    if word.unit:
        said["unit_of_measurement"] = word.unit
    if NUMBERS[name]:
        said["device_class"] = NUMBERS[name]
    return said


def _status(device: Device, known: Known) -> bytes:
    """Silence, a dead cable and a hub that does not live all mean: not known."""
    own, cable = known.health.get(device.id), known.health.get(device.link)
    alive = own is not None and own.state == "ok" and cable is not None and cable.state == "up"
    return ONLINE if alive and known.hub_fresh else OFFLINE


def _text(quantity: str, reading: Reading) -> bytes:
    if isinstance(reading.value, str):
        return reading.value.encode()
    return f"{reading.value:.{vocabulary.quantities()[_word(quantity)].decimals}f}".encode()


def _word(quantity: str) -> str:
    """The vocabulary's own word: relay of relay_3."""
    found = vocabulary.find(quantity)
    return found.quantity.name if found is not None else ""
