"""The mosquitto that `zhian run` starts where the site names no broker: its configuration, passwords and access list.

Made anew from the site file at each start; only the passwords stay. Every device may speak on its own topics and
nothing else, and a mistake fails closed: no anonymous client, no topic without a line in the list.
"""

import base64
import contextlib
import getpass
import hashlib
import os
import re
import resource
import secrets
import shutil
import signal
import socket
import time
from collections.abc import Collection
from pathlib import Path

import msgspec

from device_profiles.door import Refusal, parse, read_toml
from device_profiles.types import MqttLink
from hub.clock import Clock
from hub.durable import alone, replace_file
from hub.processes import broker_tls
from hub.settings.links import HUB as HUB
from hub.settings.links import TOPIC
from hub.settings.listeners import Address, Listeners, listeners
from hub.settings.site import MqttBrokerLink, Site
from hub.settings.site_share import READER, ROOT, HomeAssistant

MOST_CONNECTIONS = 10_000
_LOOK_S, _PATIENCE = 0.05, 40  # 2 s for each way of ending it
_FORMS = {
    "passwords": re.compile(r"[a-z0-9-]+:\$7\$\d+\$[\w+/=]+\$[\w+/=]+"),
    "access": re.compile(
        r"user [a-z0-9-]+|topic (read|write) "
        + TOPIC.pattern
        + r"|topic (read|readwrite) [\w-]+(/[a-z0-9-]+)?/#|topic readwrite #"
        + r"|topic read \$SYS/broker/publish/messages/dropped"
    ),
}
ITERATIONS = 101  # what mosquitto_passwd of Debian 12 writes; the passwords are random, so stretching adds nothing

# max_inflight 0 and max_queued 0: no limit, so that nothing is dropped while the hub is away (bytes are capped).
# max_packet_size, not message_size_limit: that one answers "Success" to an MQTT 3.1.1 device, and drops the message.
# max_connections (a listener's own) stays below what the system lets one process open: a mosquitto without a descriptor
# left to read its access list with lets everybody do everything (CVE-2017-7652, and measured on 2.0.11).
# tlsv1.2: that and newer. Certificate and key stand in one file, which mosquitto reads again with the others (SIGHUP).
_TLS = """\
certfile {folder}/{file}
keyfile {folder}/{file}
tls_version tlsv1.2
"""
_CONFIGURATION = """\
{listeners}
pid_file {folder}/pid
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
max_packet_size 65536
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


def own(site: Site) -> list[MqttBrokerLink]:
    """The links whose broker zhian runs itself."""
    return [link for link in site.links if isinstance(link, MqttBrokerLink) and not link.url]


def check_free(link: MqttBrokerLink, held: Collection[Address] = ()) -> None:
    """A broker of Debian's own on our port is the usual surprise: told now, not again and again in a log.

    `held`: where our own listens now.
    """
    for key, address in zip(("listen", "listen_tls"), listeners(link).all, strict=False):
        if address in held:
            continue
        try:
            family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
            socket.create_server(address, family=family).close()
        except (OSError, OverflowError) as error:
            right = f"stop what listens there (systemctl disable --now mosquitto), give another `{key}`, or a `url`"
            problem = f"cannot be used: {error}"
            raise Refusal(f"link {link.id}", key, problem, value=str(address), right=right) from None


def prepare(site: Site, link: MqttBrokerLink, data: Path, *, renew: str = "") -> Path:
    """Write configuration, passwords, access list, and where TLS is spoken a certificate; returns the first's path.

    `renew`: a user who gets a new password. Raises Refusal for a topic that would open other devices' topics.
    """
    with alone(data / "broker") as folder:
        if listeners(link).secure is not None:
            _certify(site, link, folder)
        return _prepare(site, link, data, renew)


def renew_certificate(site: Site, data: Path) -> bool:
    """Where our broker speaks TLS: a new certificate when the old one ends soon, taken up by the running broker.

    True when it is new, or was not taken up before; sessions stay. Raises Refusal, OSError.
    """
    for link, secure in _secured(site):
        with alone(data / "broker") as folder:
            renewed = _certify(site, link, folder)
        if renewed or not broker_tls.is_served(data / "broker", secure):
            return read_again(data) or renewed
    return False


def certificate_ends(site: Site, data: Path) -> int | None:
    """When devices will refuse our broker, ms since 1970; None where it speaks no TLS. Raises OSError, ValueError."""
    return min((broker_tls.ends(data / "broker", secure) for _, secure in _secured(site)), default=None)


def _secured(site: Site) -> list[tuple[MqttBrokerLink, Address]]:
    return [(link, secure) for link in own(site) if (secure := listeners(link).secure) is not None]


def _certify(site: Site, link: MqttBrokerLink, folder: Path) -> bool:
    try:
        return broker_tls.take(site, link, folder, Clock().now())  # devices judge it by real time, a demo's too
    except ValueError as error:
        right = "zhian certificate ca --new makes another authority; devices and browsers need it then"
        raise Refusal(folder, "", f"the broker's certificate cannot be made: {error}", right=right) from None


def read_again(data: Path) -> bool:
    """Have the running broker read passwords and access list anew; False when none runs on this folder.

    mosquitto 2.0 that is told to read a broken access list lets everybody do everything. So files that are not as we
    write them stop it instead (Refusal): no broker rather than an open one.
    """
    folder = data / "broker"
    process = _process(folder)
    if process is None:
        return False
    if flaw := _flaw(folder):
        _stop(folder, process)
        raise Refusal(folder, "", f"{flaw}: the broker was stopped", right="zhian reload writes these files anew")
    with contextlib.suppress(ProcessLookupError):
        os.kill(process, signal.SIGHUP)
    return True


def _stop(folder: Path, process: int) -> None:
    """Told in the instant before it listens to signals it would not hear, and go on: then it is killed."""
    for told in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, told)
        for _ in range(_PATIENCE):
            if _process(folder) != process:
                return
            time.sleep(_LOOK_S)


def _process(folder: Path) -> int | None:
    """The mosquitto that runs with this folder's configuration. A number alone may be another program's by now."""
    try:
        number = int((folder / "pid").read_text())
        line = Path(f"/proc/{number}/cmdline").read_bytes().split(b"\0")
    except (OSError, ValueError):
        return None
    return number if str(folder.resolve() / "mosquitto.conf").encode() in line else None


def _flaw(folder: Path) -> str:
    """What is wrong with the files that decide who may do what; empty: nothing."""
    for name, form in _FORMS.items():
        try:
            lines = (folder / name).read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            return f"{name} cannot be read ({error})"
        wrong = [at for at, line in enumerate(lines, 1) if not form.fullmatch(line)]
        if wrong or not lines or HUB not in lines[0]:
            return f"{name}, line {wrong[0] if wrong else 1}: is not what zhian writes"
    return ""


def _prepare(site: Site, link: MqttBrokerLink, data: Path, renew: str) -> Path:
    folder = data / "broker"
    devices = [device for device in link.devices if isinstance(device.options, MqttLink)]
    access = [f"user {HUB}", "topic readwrite #", "topic read $SYS/broker/publish/messages/dropped"]
    for device in devices:
        access += _access(site.id, device.id, device.options)  # type: ignore[arg-type]  # filtered above
    shared = _sharing(site, link, data)
    access += [line for user, lines in shared.items() for line in (f"user {user}", *lines)]
    known = {name: word for name, word in credentials(data).items() if name != renew}
    users = {
        name: known.get(name) or secrets.token_urlsafe(18)
        for name in [HUB, *(device.id for device in devices), *shared]
    }
    lines = "".join(f'"{name}" = "{password}"\n' for name, password in users.items())
    replace_file(folder / "credentials.toml", f"# Made by zhian; a device's user name is its id.\n[users]\n{lines}")
    replace_file(folder / "passwords", "".join(f"{name}:{_hash(password)}\n" for name, password in users.items()))
    replace_file(folder / "access", "\n".join(access) + "\n")
    configuration = _CONFIGURATION.format(
        listeners=_listening(listeners(link), folder.resolve()), folder=folder.resolve(), user=getpass.getuser()
    )
    replace_file(folder / "mosquitto.conf", configuration)
    return folder / "mosquitto.conf"


def _listening(where: Listeners, folder: Path) -> str:
    most = _most_connections() // len(where.all)  # each its own: devices that come in a flood do not shut the hub out
    begun = [f"listener {each.port} {each.host}\nmax_connections {most}\n" for each in where.all]
    tls = _TLS.format(folder=folder, file=broker_tls.SERVER_FILE) if where.secure is not None else ""
    return ("".join(begun) + tls).rstrip()


def _access(site: str, device: str, options: MqttLink) -> list[str]:
    lines = [f"user {device}"]
    for key, may in (("topic", "write"), ("alive", "write"), ("orders", "read")):
        topic = getattr(options, key).format(site=site, device=device)
        if topic and not TOPIC.fullmatch(topic):
            right = 'one topic of its own, without + # $ or blanks at its ends, as "{site}/{device}/up"'
            raise Refusal(f"device {device}", key, "is no topic for one device", value=topic, right=right)
        lines += [f"topic {may} {topic}"] if topic else []
    return lines


def _sharing(site: Site, link: MqttBrokerLink, data: Path) -> dict[str, tuple[str, ...]]:
    """Who publishes what is shared, and who may read it; the former stays while something is to be withdrawn."""
    share, states = site.home_assistant, f"{ROOT}/{site.id}/#"
    here = share is not None and share.link in ("", link.id)
    if not here and not (data / "share.json").exists():
        return {}
    prefix = share.prefix if share is not None else HomeAssistant(devices=()).prefix
    users: dict[str, tuple[str, ...]] = {ROOT: (f"topic readwrite {prefix}/#", f"topic readwrite {states}")}
    if here:
        users[READER] = (f"topic read {prefix}/#", f"topic write {prefix}/status", f"topic read {states}")
    return users


def _most_connections() -> int:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return min(MOST_CONNECTIONS, max(soft - 64, 16)) if soft != resource.RLIM_INFINITY else MOST_CONNECTIONS


def _hash(password: str) -> str:
    """The password as mosquitto keeps it: $7$iterations$salt$PBKDF2-HMAC-SHA512, base64."""
    salt = secrets.token_bytes(12)
    key = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, ITERATIONS)
    return f"$7${ITERATIONS}${base64.b64encode(salt).decode()}${base64.b64encode(key).decode()}"
