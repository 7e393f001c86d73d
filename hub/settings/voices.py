"""The `[[voice]]` tables of `site.toml`, each into the struct of its kind. Opens no file and no connection.

What stands in the files that a voice names (secrets) is judged by `check_secrets`, which `zhian check` calls.
"""

import importlib.util
import re
import string
from collections.abc import Callable, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from msgspec.structs import replace

from device_profiles.door import Refusal, nearest, parse
from device_profiles.types import Duration
from hub.settings.links import is_host
from hub.settings.secret import SecretError, read_secret
from hub.settings.site import MqttBrokerLink, Site
from hub.settings.site_voice import (
    KINDS,
    AppriseSpec,
    CallSpec,
    DeviceSpec,
    MailSpec,
    MqttSpec,
    SmsSpec,
    Voice,
    WebhookSpec,
    _Web,
)

BLANKS = ("site", "severity", "kind", "title", "zone", "source", "time", "value", "what")
"""What may stand in a template's parameters, in braces; hub.voices.text fills them."""
_MAIL = re.compile(r"[^@\s]+@[^@\s]+")
_PHONE = re.compile(r"\+?\d{5,15}")
_WANTED: dict[str, str] = {
    "webhook_file": 'the path of a file (mode 0600) with the robot\'s address, as "/etc/zhian/robot.url"',
    "access_key_file": "the path of a file (mode 0600) with two lines: access key id, access key secret",
    "urls_file": "the path of a file (mode 0600) with one apprise address a line",
    "template": 'the code of an approved template, as "SMS_123456789"',
    "sign_name": "the approved signature of the messages",
    "parameters": 'the template\'s variables, as { what = "{title}", where = "{zone}" }',
    "host": 'a mail server, as "smtp.example.org"',
    "sender": 'a mail address, as "alarm@example.org"',
    "to": "at least one receiver, as a list",
    "device": "the id of a device of this site",
    "command": "a command of that device",
    "languages": '["zh"], ["en"] or ["zh", "en"]',
    "severities": 'some of "P1", "P2", "P3", "P4"',
}
_FILES = ("webhook_file", "url_file", "secret_file", "password_file", "access_key_file", "urls_file", "ca_file")
SECRETS = tuple(name for name in _FILES if name != "ca_file")


def read_voices(tables: Sequence[dict[str, object]], path: Path) -> list[Voice]:
    """The voices as the file has them; paths of files are beside the site file. Raises Refusal."""
    return [_read(table, f"voice[{at}]", path) for at, table in enumerate(tables)]


def check_voice(voice: Voice, key: str, site: Site, path: Path) -> None:
    """A voice that would fail at the first alarm is named now. Raises Refusal."""
    for name, right in _WANTED.items():
        if name in voice.__struct_fields__ and not getattr(voice, name) and not _may_lack(voice, name):
            raise Refusal(path, f"{key}.{name}", f"a voice of kind {voice.kind} needs it", right=right)
    for zone in voice.zones:
        if zone not in (known := site.zones_by_id()):
            raise Refusal(path, f"{key}.zones", "no such zone", value=zone, right=nearest(zone, known))
    if isinstance(voice, _Web) and voice.proxy and not is_address(voice.proxy, ("http",)):
        raise Refusal(path, f"{key}.proxy", "not a proxy", value=voice.proxy, right='as "http://10.0.0.1:3128"')
    checker = _CHECKS.get(type(voice))
    if checker is not None:
        checker(voice, key, site, path)


def check_seconds(seconds: float | None, span: Duration | None, key: str, path: Path) -> None:
    """An order with other seconds than its command takes would be refused, at the first alarm. Raises Refusal."""
    if seconds is not None and (span is None or not span.min <= seconds <= span.max):
        right = f"{span.min:g} to {span.max:g}" if span else "leave it out: the command takes no seconds"
        raise Refusal(path, key, "is not what the command takes", value=seconds, right=right)


def check_secrets(site: Site, path: Path) -> None:
    """Every file that a voice names is there and readable by its owner alone; apprise is installed. Raises Refusal."""
    for at, voice in enumerate(site.voices):
        for name in SECRETS:
            if not (file := getattr(voice, name, "")):
                continue
            try:
                read_secret(file)
            except SecretError as error:
                raise Refusal(path, f"voice[{at}].{name}", error.problem, value=file, right=error.right) from None
        if isinstance(voice, AppriseSpec) and importlib.util.find_spec("apprise") is None:
            right = "install it into Zhian's environment: pip install apprise"
            raise Refusal(path, f"voice[{at}].kind", "the library is not installed", value="apprise", right=right)


def _read(table: dict[str, object], key: str, path: Path) -> Voice:
    kind = table.get("kind")
    if not isinstance(kind, str) or kind not in KINDS:
        raise Refusal(path, f"{key}.kind", "not a kind of voice", value=kind, right=nearest(str(kind), KINDS))
    voice: Voice = parse(KINDS[kind], table, file=path, key=key)
    beside = path.absolute().parent
    files = {name: str(beside / file) for name in _FILES if (file := getattr(voice, name, ""))}
    return replace(voice, **files)


def _may_lack(voice: Voice, name: str) -> bool:
    """Mail may go without a name and password; a person on duty has a number of his own."""
    return name == "to" and isinstance(voice, SmsSpec | CallSpec)


def _check_webhook(voice: WebhookSpec, key: str, site: Site, path: Path) -> None:
    if voice.url and voice.url_file:
        raise Refusal(path, f"{key}.url_file", "the address is given twice", right="write `url` or `url_file`")
    if not voice.url_file and not is_address(voice.url, ("http", "https")):
        right = 'as "https://example.org/alarm"'
        raise Refusal(path, f"{key}.url", "a webhook needs an address", value=voice.url, right=right)


def _check_mqtt(voice: MqttSpec, key: str, site: Site, path: Path) -> None:
    if not any(isinstance(link, MqttBrokerLink) for link in site.links):
        right = 'add a [[link]] with kind = "mqtt"'
        raise Refusal(path, f"{key}.kind", "there is no broker to speak to", value="mqtt", right=right)
    _check_blanks(voice.topic, ("site", "rule", "source"), f"{key}.topic", path)


def check_address(voice: Voice, address: str, path: Path, key: str) -> None:
    """One person's address for this voice. Raises Refusal."""
    if not address.strip():
        raise Refusal(path, key, "is empty", right="an address, or leave it out")
    if isinstance(voice, MailSpec) and not _MAIL.fullmatch(address):
        raise Refusal(path, key, "not a mail address", value=address, right='as "guard@example.org"')
    if isinstance(voice, SmsSpec | CallSpec) and not _PHONE.fullmatch(address):
        raise Refusal(path, key, "not a telephone number", value=address, right='as "13800138000"')


def _check_mail(voice: MailSpec, key: str, site: Site, path: Path) -> None:
    for name, addresses in (("sender", (voice.sender,)), ("to", voice.to)):
        for address in addresses:
            if not _MAIL.fullmatch(address):
                right = 'as "alarm@example.org"'
                raise Refusal(path, f"{key}.{name}", "not a mail address", value=address, right=right)
    if not is_host(voice.host):
        raise Refusal(path, f"{key}.host", "is no address", value=voice.host, right='as "smtp.example.org"')
    if bool(voice.username) != bool(voice.password_file):
        lacking = "password_file" if voice.username else "username"
        raise Refusal(path, f"{key}.{lacking}", "a login is a username and a password_file", right="give both, or none")


def _check_aliyun(voice: SmsSpec | CallSpec, key: str, site: Site, path: Path) -> None:
    for number in voice.to:
        if not _PHONE.fullmatch(number):
            raise Refusal(path, f"{key}.to", "not a telephone number", value=number, right='as "13800138000"')
    for name, text in voice.parameters.items():
        _check_blanks(text, BLANKS, f"{key}.parameters.{name}", path)
    if not is_address(voice.endpoint, ("http", "https")):
        raise Refusal(path, f"{key}.endpoint", "not an address", value=voice.endpoint, right="leave it out")


def _check_device(voice: DeviceSpec, key: str, site: Site, path: Path) -> None:
    devices = site.devices()
    if voice.device not in devices:
        right = nearest(voice.device, devices)
        raise Refusal(path, f"{key}.device", "no such device", value=voice.device, right=right)
    commands = devices[voice.device].profile.command
    if voice.command not in commands:
        problem, right = f"{voice.device} has no such command", nearest(voice.command, commands)
        raise Refusal(path, f"{key}.command", problem, value=voice.command, right=right)
    check_seconds(voice.seconds, commands[voice.command].seconds, f"{key}.seconds", path)


_CHECKS: dict[type, Callable[..., None]] = {
    WebhookSpec: _check_webhook,
    MqttSpec: _check_mqtt,
    MailSpec: _check_mail,
    SmsSpec: _check_aliyun,
    CallSpec: _check_aliyun,
    DeviceSpec: _check_device,
}


def _check_blanks(text: str, blanks: Sequence[str], key: str, path: Path) -> None:
    right = " and ".join(f"{{{blank}}}" for blank in blanks) + " may stand in it"
    try:
        found = {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}
    except ValueError:
        found = {""}
    if not found <= set(blanks):
        raise Refusal(path, key, "has a blank that cannot be filled", value=text, right=right)


def is_address(url: str, schemes: tuple[str, ...] = ("http", "https")) -> bool:
    """True for an address of one of the schemes, with a host."""
    try:
        parts = urlsplit(url)
        return (
            url.isascii()
            and url.isprintable()
            and " " not in url
            and parts.scheme in schemes
            and is_host(parts.hostname or "")
            and (parts.port or 1) > 0
        )
    except ValueError:
        return False
