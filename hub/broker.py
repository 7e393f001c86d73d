"""The mosquitto that `zhian run` starts where the site names no broker: its configuration, passwords and access list.

Made anew from the site file at each start; only the passwords stay. Every device may speak on its own topics and
nothing else, and a mistake fails closed: no anonymous client, no topic without a line in the list.
"""

import base64
import getpass
import hashlib
import os
import secrets
import shutil
from pathlib import Path

import msgspec

from device_profiles.door import Refusal, parse, read_toml
from device_profiles.types import MqttLink
from hub.site import MqttBrokerLink, Site

HUB = "zhian-hub"
ITERATIONS = 101  # what mosquitto_passwd of Debian 12 writes; the passwords are random, so stretching adds nothing

# max_inflight 0 and max_queued 0: no limit, so that nothing is dropped while the hub is away (bytes are capped).
_CONFIGURATION = """\
listener {port} {host}
allow_anonymous false
password_file {folder}/passwords
acl_file {folder}/access
persistence true
persistence_location {folder}/
autosave_interval 1
persistent_client_expiration 14d
max_inflight_messages 0
max_queued_messages 0
max_queued_bytes 268435456
max_packet_size 131072
max_keepalive 120
set_tcp_nodelay true
log_dest stderr
log_timestamp_format %Y-%m-%d %H:%M:%S mosquitto
log_type error
log_type warning
user {user}
"""


class Credentials(msgspec.Struct, frozen=True):
    """User names and passwords of the hub and of each MQTT device of the site, as kept in `broker/credentials.toml`."""

    users: dict[str, str]


def credentials(data: Path) -> dict[str, str]:
    """The passwords by user name (a device's user name is its id). Empty before the broker was prepared."""
    path = data / "broker" / "credentials.toml"
    return parse(Credentials, read_toml(path), file=path).users if path.exists() else {}


def executable() -> str:
    """Where mosquitto is, or a Refusal that says how to get it."""
    found = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")
    if found is None:
        raise Refusal(
            "mosquitto", "", "is not installed", right="apt-get install mosquitto, or give the mqtt link a `url`"
        )
    return found


def prepare(site: Site, link: MqttBrokerLink, data: Path) -> Path:
    """Write configuration, passwords and access list; returns the configuration's path."""
    folder = data / "broker"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    devices = [device for device in link.devices if isinstance(device.options, MqttLink)]
    known = credentials(data)
    users = {name: known.get(name) or secrets.token_urlsafe(18) for name in [HUB, *(device.id for device in devices)]}
    lines = "".join(f'"{name}" = "{password}"\n' for name, password in users.items())
    _private(folder / "credentials.toml", f"# Made by zhian; a device's user name is its id.\n[users]\n{lines}")
    _private(folder / "passwords", "".join(f"{name}:{_hash(password)}\n" for name, password in users.items()))
    access = [f"user {HUB}", "topic readwrite #"]
    for device in devices:
        access += _access(site.id, device.id, device.options)  # type: ignore[arg-type]  # filtered above
    _private(folder / "access", "\n".join(access) + "\n")
    host, _, port = link.listen.rpartition(":")
    configuration = _CONFIGURATION.format(port=port, host=host, folder=folder.resolve(), user=getpass.getuser())
    _private(folder / "mosquitto.conf", configuration)
    return folder / "mosquitto.conf"


def _access(site: str, device: str, options: MqttLink) -> list[str]:
    topics = {"write": [options.topic, options.alive], "read": [options.orders]}
    lines = [f"user {device}"]
    for right, patterns in topics.items():
        lines += [f"topic {right} {pattern.format(site=site, device=device)}" for pattern in patterns if pattern]
    return lines


def _hash(password: str) -> str:
    """The password as mosquitto keeps it: $7$iterations$salt$PBKDF2-HMAC-SHA512, base64."""
    salt = secrets.token_bytes(12)
    key = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, ITERATIONS)
    return f"$7${ITERATIONS}${base64.b64encode(salt).decode()}${base64.b64encode(key).decode()}"


def _private(path: Path, text: str) -> None:
    """Write a file that only this user may read, whole or not at all."""
    draft = path.with_name(path.name + ".new")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
