"""The door for `[home_assistant]` of `site.toml`: devices that there are, a broker, topics that are nobody else's."""

import re
from pathlib import Path

from device_profiles.door import Refusal, nearest
from device_profiles.types import MqttLink
from hub.settings.site import MqttBrokerLink, Site
from hub.settings.site_share import READER, ROOT
from hub.sharing.home_assistant import shareable

_PREFIX = re.compile(r"[A-Za-z0-9_-]{1,64}")


def check_share(site: Site, path: Path) -> None:
    """Raises Refusal."""
    share = site.home_assistant
    if share is None:
        return
    brokers = {link.id: link for link in site.links if isinstance(link, MqttBrokerLink)}
    if not brokers:
        raise Refusal(path, "home_assistant", "there is no broker to share by", right='a link of kind "mqtt"')
    if share.link and share.link not in brokers:
        right = nearest(share.link, brokers)
        raise Refusal(path, "home_assistant.link", "no such MQTT link", value=share.link, right=right)
    if not _PREFIX.fullmatch(share.prefix) or share.prefix in (ROOT, site.id):
        right = 'one word of letters, digits, _ and -, as "homeassistant"; not the site\'s own topics'
        raise Refusal(path, "home_assistant.prefix", "cannot be used", value=share.prefix, right=right)
    if share.username and not (brokers[share.link] if share.link else next(iter(brokers.values()))).url:
        right = f"leave it out: at the broker that zhian runs it is {ROOT}"
        raise Refusal(path, "home_assistant.username", "is for a broker of the site's own", right=right)
    _check_devices(site, path)


def broker_of(site: Site) -> MqttBrokerLink | None:
    """The link whose broker is told; None where there is none."""
    brokers = [link for link in site.links if isinstance(link, MqttBrokerLink)]
    wanted = site.home_assistant.link if site.home_assistant is not None else ""
    return next((link for link in brokers if link.id == wanted or not wanted), None)


def _check_devices(site: Site, path: Path) -> None:
    share, devices = site.home_assistant, site.devices()
    for at, name in enumerate(share.devices if share else ()):
        key = f"home_assistant.devices[{at}]"
        if name not in devices:
            raise Refusal(path, key, "no such device", value=name, right=nearest(name, devices))
        if not shareable(devices[name]):
            right = "passages, chips and what tells of persons are never shared"
            raise Refusal(path, key, "has nothing that is shared", value=name, right=right)
    for device in devices.values():
        if device.id in (ROOT, READER):
            raise Refusal(path, "home_assistant", "a device has a user name that sharing needs", value=device.id)
        if isinstance(device.options, MqttLink):
            _check_topics(device.id, device.options, site, path)


def _check_topics(device: str, options: MqttLink, site: Site, path: Path) -> None:
    prefix = site.home_assistant.prefix if site.home_assistant else ""
    for key in ("topic", "alive", "orders"):
        topic = getattr(options, key).format(site=site.id, device=device)
        if topic.partition("/")[0] in (prefix, ROOT):
            right = f"another `{key}` for {device}, or another `prefix`"
            raise Refusal(path, "home_assistant.prefix", f"{device} speaks below it", value=topic, right=right)
