"""The door for `[page]` of `site.toml`: paths beside the site file, networks that are some, certificates."""

import ipaddress
import re
from pathlib import Path

from msgspec.structs import replace

from device_profiles.door import Refusal
from hub.settings.site_web import Web

_NAME = re.compile(r"(?=.{1,253}$)[A-Za-z0-9-]{1,63}(\.[A-Za-z0-9-]{1,63})*")


def check_web(web: Web, path: Path) -> Web:
    """The table with whole paths. Raises Refusal."""
    if bool(web.certificate) != bool(web.key):
        missing = "key" if web.certificate else "certificate"
        raise Refusal(path, f"page.{missing}", "is missing", right="certificate and key, or neither of them")
    for at, proxy in enumerate(web.trusted_proxies):
        try:
            ipaddress.ip_network(proxy)
        except ValueError:
            right = 'an address or a network, as "127.0.0.1" or "10.0.0.0/24"'
            raise Refusal(path, f"page.trusted_proxies[{at}]", "is none", value=proxy, right=right) from None
    for at, name in enumerate(web.names):
        if not _NAME.fullmatch(name) and not _is_address(name):
            raise Refusal(path, f"page.names[{at}]", "is no host name", value=name, right='as "zhian.lan"')
    if web.contact and not web.contact.startswith(("mailto:", "https://", "tel:")):
        raise Refusal(
            path, "page.contact", "is no contact", value=web.contact, right='as "mailto:..." or "https://..."'
        )
    beside = path.absolute().parent
    files = {key: str(beside / found) for key in ("certificate", "key") if (found := getattr(web, key))}
    for key, file in files.items():
        if not Path(file).is_file():
            raise Refusal(path, f"page.{key}", "there is no such file", value=file, right="a PEM file")
    return replace(web, **files)


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
