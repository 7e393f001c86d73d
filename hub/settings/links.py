"""What a link of `site.toml` and its devices may say of addresses, topics and times. Part of the site file's door.

Pure, and it opens nothing. What it lets through must not stop a process that runs: it judges as the cables do.
"""

import ipaddress
import re
import string
from pathlib import Path
from urllib.parse import urlsplit

from device_profiles.door import Refusal
from device_profiles.types import ModbusLink, MqttLink
from hub.settings.site import (
    Device,
    ModbusAsciiLink,
    ModbusRtuLink,
    ModbusRtuOverTcpLink,
    ModbusTcpLink,
    MqttBrokerLink,
    SerialPortLink,
    SiteLink,
)

MOST_BAUD = 4_000_000  # asm-generic/termbits.h ends there
HUB = "zhian-hub"  # the user name of the hub at its broker, who may read and say everything
BLANKS = frozenset({"site", "device"})
TOPIC = re.compile(r"[^\s+#$\x00-\x1f\x7f-\x9f]([^+#\x00-\x1f\x7f-\x9f]{0,198}[^\s+#\x00-\x1f\x7f-\x9f])?")
"""One topic for one device. Not longer than 200 characters: mosquitto 2.0 takes no more than 200 levels, and lets every
device do everything when it reads an access list again that has a topic it does not take."""
_LABEL = r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)"
_NAME = re.compile(rf"{_LABEL}(\.{_LABEL})*\.?")


def check_link(link: SiteLink, key: str, path: Path) -> None:
    """Refuse a link that nobody could open; `key` is its place in the file."""
    match link:
        case ModbusTcpLink() | ModbusRtuOverTcpLink():
            if not is_host(link.host):
                right = 'an address or a name alone, as "192.168.1.20"'
                raise Refusal(path, f"{key}.host", "is no address", value=link.host, right=right)
        case ModbusRtuLink() | ModbusAsciiLink() | SerialPortLink():
            if not link.port.startswith("/") or not link.port.isprintable():
                right = 'a path, as "/dev/serial/by-id/usb-FTDI_A1"'
                raise Refusal(path, f"{key}.port", "is no serial port", value=link.port, right=right)
        case MqttBrokerLink():
            _check_broker(link, key, path)
    baud = getattr(link, "baud", MOST_BAUD)
    if not 50 <= baud <= MOST_BAUD:
        raise Refusal(path, f"{key}.baud", "is no speed of a serial port", value=baud, right="as 9600")


def check_device(device: Device, site: str, key: str, path: Path) -> None:
    """Refuse topics that are not this device's alone, and a silence that begins before the next question."""
    options = device.options
    if device.id == HUB:
        raise Refusal(path, f"{key}.id", "is the hub's own name at the broker", value=HUB, right="choose another")
    if isinstance(options, MqttLink):
        _check_topics(device.id, options, site, key, path)
    if isinstance(options, ModbusLink) and options.silent_after <= options.every:
        right = f"more than `every`, which is {options.every:g}"
        problem = "the device would be silent between two questions"
        raise Refusal(path, f"{key}.silent_after", problem, value=options.silent_after, right=right)


def _check_topics(device: str, options: MqttLink, site: str, key: str, path: Path) -> None:
    seen: dict[str, str] = {}
    for name in ("topic", "alive", "orders"):
        template = getattr(options, name)
        try:
            blanks = {blank for _, blank, _, _ in string.Formatter().parse(template) if blank is not None}
            topic = template.format(site=site, device=device) if blanks <= BLANKS else ""
        except ValueError:  # a single brace
            blanks, topic = {""}, ""
        if not blanks <= BLANKS:
            right = "{site} and {device} may stand in it"
            raise Refusal(path, f"{key}.{name}", "has a blank that cannot be filled", value=template, right=right)
        if (topic or name == "topic") and not TOPIC.fullmatch(topic):
            right = (
                'one of its own, without + # $ or blanks at its ends, 200 characters at most, as "{site}/{device}/up"'
            )
            raise Refusal(path, f"{key}.{name}", "is no topic for one device", value=template, right=right)
        if topic and topic in seen:
            right = "three different topics"
            raise Refusal(path, f"{key}.{name}", f"is its `{seen[topic]}` as well", value=template, right=right)
        seen[topic] = name


def _check_broker(link: MqttBrokerLink, key: str, path: Path) -> None:
    host, _, port = link.listen.rpartition(":")
    if not is_host(host) or not re.fullmatch(r"[1-9]\d{0,4}", port) or int(port) > 0xFFFF:
        right = 'an address and a port, as "127.0.0.1:1883"'
        raise Refusal(path, f"{key}.listen", "nobody can listen there", value=link.listen, right=right)
    if not link.url:
        return
    try:
        parts = urlsplit(link.url)
        good = parts.scheme in ("mqtt", "mqtts") and is_host(parts.hostname or "") and (parts.port or 1) > 0
    except ValueError:
        good = False
    if not good:
        right = "mqtt://HOST:PORT or mqtts://HOST:PORT"
        raise Refusal(path, f"{key}.url", "is no address of a broker", value=link.url, right=right)


def is_host(text: str) -> bool:
    """An IP address, or a name that a resolver can be asked for; four numbers that are no address are none."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return bool(len(text) <= 253 and _NAME.fullmatch(text) and not text.rstrip(".").rpartition(".")[2].isdigit())
    return True
