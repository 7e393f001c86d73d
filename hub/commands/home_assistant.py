"""`zhian home-assistant credentials`: how a Home Assistant signs in at the site's broker, where it may only read."""

from pathlib import Path
from urllib.parse import urlsplit

import click
import msgspec

from device_profiles.door import Refusal
from hub.commands.device import same_site
from hub.commands.options import DATA, JSON, SITE
from hub.processes import broker
from hub.settings.door import load_site
from hub.settings.share import broker_of
from hub.settings.site import MqttBrokerLink, Site
from hub.settings.site_share import READER, ROOT


class Access(msgspec.Struct, frozen=True, kw_only=True):
    """The reader's access, as `zhian home-assistant credentials --json` prints it."""

    host: str
    port: int
    username: str
    password: str
    prefix: str
    states: str
    notes: tuple[str, ...] = ()


@click.group("home-assistant")
def home_assistant_command() -> None:
    """What concerns a Home Assistant that is shown devices of the site."""


@home_assistant_command.command("credentials")
@SITE
@DATA
@click.option("--new", "renew", is_flag=True, help="Make a new password; the old one is refused at once.")
@JSON
def home_assistant_credentials(site: Path, data: Path, renew: bool, as_json: bool) -> None:
    """Print broker, user name and password for a Home Assistant; the password is made when there is none."""
    found = load_site(site)
    link = broker_of(found)
    if found.home_assistant is None or link is None:
        right = 'a table [home_assistant] with devices = ["..."]'
        raise Refusal(site, "home_assistant", "nothing is shared with a Home Assistant", right=right)
    told = _of_another(found, link, renew) if link.url else _of_ours(found, link, data, renew)
    click.echo(msgspec.json.encode(told).decode() if as_json else _shown(told))


def _of_ours(site: Site, link: MqttBrokerLink, data: Path, renew: bool) -> Access:
    same_site(site, data)
    notes: list[str] = []
    if renew or READER not in broker.credentials(data):
        broker.prepare(site, link, data, renew=READER if renew else "")
        if not broker.read_again(data):
            notes.append("the broker does not run now: this is in force from its next start")
    host, _, port = link.listen.rpartition(":")
    if host.startswith("127.") or host == "localhost":
        notes.append(f'the broker hears this machine only; for a Home Assistant elsewhere: listen = "0.0.0.0:{port}"')
    notes.append("it may read what is shared, and say that it has started; nothing can be ordered from there")
    return _access(site, host, int(port), READER, broker.credentials(data)[READER], notes)


def _of_another(site: Site, link: MqttBrokerLink, renew: bool) -> Access:
    url = urlsplit(link.url)
    if renew:
        right = "its administrator makes the passwords; zhian makes those of its own broker only"
        raise Refusal(f"link {link.id}", "url", "is another broker", value=link.url, right=right)
    notes = [f"user name and password are given by the administrator of {url.hostname}; reading is enough"]
    return _access(site, url.hostname or "", url.port or (8883 if url.scheme == "mqtts" else 1883), "", "", notes)


def _access(site: Site, host: str, port: int, username: str, password: str, notes: list[str]) -> Access:
    return Access(
        host=host,
        port=port,
        username=username,
        password=password,
        prefix=site.home_assistant.prefix if site.home_assistant is not None else "",
        states=f"{ROOT}/{site.id}/#",
        notes=tuple(notes),
    )


def _shown(told: Access) -> str:
    labels = {"host": "服务器 broker", "port": "端口 port", "username": "用户名 user name", "password": "密码 password"}
    labels |= {"prefix": "发现前缀 discovery prefix", "states": "状态主题 states"}
    lines = [f"{label}: {getattr(told, name) or '-'}" for name, label in labels.items()]
    return "\n".join([*lines, *(f"! {note}" for note in told.notes)])
