"""`zhian device credentials`, `zhian device key`: what an electrician types into an MQTT device, and nothing more."""

import contextlib
import sqlite3
import unicodedata
from pathlib import Path
from urllib.parse import urlsplit

import click
import msgspec

from device_profiles.door import Refusal, nearest
from device_profiles.types import MqttLink
from firmware_bridge.wire.seal import SIGNED
from hub import authority
from hub.commands.options import DATA, JSON, SITE
from hub.journal.writer import FILE, connect
from hub.orders.keys import is_signed, key_file, make_key
from hub.processes import broker, broker_tls
from hub.settings.door import load_site
from hub.settings.listeners import TLS_PORT, Address, is_everywhere, listeners
from hub.settings.site import Device, MqttBrokerLink, Site

LABELS = {
    "host": "服务器 host",
    "port": "端口 port",
    "tls": "加密 TLS",
    "ca": "根证书指纹 CA SHA-256",
    "username": "用户名 user name",
    "password": "密码 password",
    "up": "上报主题 publishes on",
    "alive": "在线主题 last will on",
    "do": "指令主题 subscribes to",
}
_WIDTH = 26


class Credentials(msgspec.Struct, frozen=True, kw_only=True):
    """One device's access, as `zhian device credentials --json` prints it. An empty topic: the device has none."""

    device: str
    host: str
    port: int
    tls: bool
    username: str
    password: str
    up: str
    alive: str
    do: str
    ca: str = ""  # SHA-256 of the authority that our own broker is known by
    notes: tuple[str, ...] = ()


@click.group("device")
def device_command() -> None:
    """What concerns one device."""


@device_command.command("credentials")
@click.argument("device_id", metavar="ID")
@SITE
@DATA
@click.option("--new", "renew", is_flag=True, help="Make a new password; the old one is refused at once.")
@JSON
def device_credentials(device_id: str, site: Path, data: Path, renew: bool, as_json: bool) -> None:
    """Print broker, user name, password and topics of the MQTT device ID; the password is made when there is none."""
    found = load_site(site)
    device, link = _find(found, device_id, site)
    told = _of_another_broker(found, device, link, renew) if link.url else _of_ours(found, device, link, data, renew)
    click.echo(msgspec.json.encode(told).decode() if as_json else _shown(told))


class Key(msgspec.Struct, frozen=True, kw_only=True):
    """A controller's key, as `zhian device key --json` prints it, once. `algorithm`: what its orders are signed by."""

    device: str
    key: str
    algorithm: str = SIGNED
    notes: tuple[str, ...] = ()


@device_command.command("key")
@click.argument("device_id", metavar="ID")
@SITE
@DATA
@click.option(
    "--new", "renew", is_flag=True, help="Make another key; the controller refuses all orders until it has it."
)
@JSON
def device_key(device_id: str, site: Path, data: Path, renew: bool, as_json: bool) -> None:
    """Make the key that orders to the MQTT device ID are signed with, and print it: once, to be typed into it."""
    found = load_site(site)
    device, _ = _find(found, device_id, site)
    if not is_signed(device):
        right = "only a profile that says `signed` has a key"
        raise Refusal(site, "device", "wants no signed orders", value=device_id, right=right)
    same_site(found, data)
    digits = make_key(key_file(device, data), renew=renew)
    told = Key(
        device=device.id, key=digits, notes=("told once: it is not shown again", "a running hub signs with it now")
    )
    shown = f"{_padded('密钥 key')}{digits}\n{_padded('签名 signed by')}{told.algorithm}"
    notes = "".join(f"\n! {note}" for note in told.notes)
    click.echo(msgspec.json.encode(told).decode() if as_json else shown + notes)


def _find(site: Site, device_id: str, path: Path) -> tuple[Device, MqttBrokerLink]:
    for link in site.links:
        for device in link.devices:
            if device.id != device_id:
                continue
            if isinstance(link, MqttBrokerLink):
                return device, link
            raise Refusal(
                path, "device", "only MQTT devices have a password", value=device_id, right=f"it is on {link.id}"
            )
    known = [d.id for link in site.links if isinstance(link, MqttBrokerLink) for d in link.devices]
    raise Refusal(path, "device", "there is no such device", value=device_id, right=nearest(device_id, known))


def _of_ours(site: Site, device: Device, link: MqttBrokerLink, data: Path, renew: bool) -> Credentials:
    same_site(site, data)
    notes: list[str] = []
    if not (data / FILE).exists():
        notes.append(f"no hub has run on {data} yet: a hub with another --data does not know this password")
    if renew or device.id not in broker.credentials(data):
        broker.prepare(site, link, data, renew=device.id if renew else "")
        if not broker.read_again(data):
            notes.append("the broker does not run now: this is in force from its next start")
    where, more = where_of(link)
    ca = authority.told(data).fingerprint if listeners(link).secure is not None else ""
    password = broker.credentials(data)[device.id]
    access = {"tls": bool(ca), "username": device.id, "password": password, "ca": ca}
    return _told(site, device, where, notes=[*notes, *more], **access)  # type: ignore[arg-type]  # of several types


def where_of(link: MqttBrokerLink) -> tuple[Address, list[str]]:
    """Where a client of our own broker connects, and what is to be said of it."""
    there, plain = listeners(link).best, listeners(link).plain
    if listeners(link).secure is None:
        right = f'listen_tls = "0.0.0.0:{TLS_PORT}"'
        return there, [f"the broker hears this machine only, and without TLS; for devices elsewhere: {right}"]
    notes = ["let it trust this authority and no other: zhian certificate ca > ca.crt"]
    if link.plain == "network":
        notes.append(f"what cannot speak TLS comes by port {plain.port}: its password crosses the network readable")
    return Address(broker_tls.our_address(), there.port) if is_everywhere(there.host) else there, notes


def _of_another_broker(site: Site, device: Device, link: MqttBrokerLink, renew: bool) -> Credentials:
    if renew:
        right = "its administrator makes the passwords; zhian makes those of its own broker only"
        raise Refusal(f"link {link.id}", "url", "is another broker", value=link.url, right=right)
    url = urlsplit(link.url)
    tls = url.scheme == "mqtts"
    notes = [f"user name and password are given by the administrator of {url.hostname}"]
    port = url.port or (8883 if tls else 1883)
    return _told(site, device, Address(url.hostname or "", port), tls=tls, username="", password="", notes=notes)


def _told(
    site: Site, device: Device, where: Address, *, tls: bool, username: str, password: str, notes: list[str],
    ca: str = "",
) -> Credentials:  # fmt: skip
    if not isinstance(device.options, MqttLink):
        raise TypeError(device.id)  # the site file's door lets no other device on an MQTT link
    topics = {
        key: getattr(device.options, option).format(site=site.id, device=device.id)
        for key, option in {"up": "topic", "alive": "alive", "do": "orders"}.items()
    }
    return Credentials(
        device=device.id,
        host=where.host,
        port=where.port,
        tls=tls,
        ca=ca,
        username=username,
        password=password,
        notes=tuple(notes),
        **topics,
    )


def same_site(site: Site, data: Path) -> None:
    """A wrong --data would hand this site's devices to another site's broker."""
    if not (data / FILE).exists():
        return
    with contextlib.closing(connect(data / FILE, read_only=True)) as db, contextlib.suppress(sqlite3.Error):
        row = db.execute("SELECT value FROM meta WHERE key = 'site'").fetchone()
        if row is not None and row["value"] != site.id:
            raise Refusal("--data", "", f"belongs to site {row['value']}", value=data, right=f"the folder of {site.id}")


def _shown(told: Credentials) -> str:
    values = {**msgspec.structs.asdict(told), "tls": "是 yes" if told.tls else "否 no"}
    labels = {key: label for key, label in LABELS.items() if key != "ca" or told.ca}
    lines = [f"{_padded(label)}{values[key] or '-'}" for key, label in labels.items()]
    return "\n".join([*lines, *(f"! {note}" for note in told.notes)])


def _padded(label: str) -> str:
    """Chinese characters are two columns wide."""
    wide = sum(unicodedata.east_asian_width(character) == "W" for character in label)
    return label + " " * (_WIDTH - len(label) - wide)
