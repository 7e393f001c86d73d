"""The certificate of our own broker's TLS listener: a file in `broker/` of the data folder, which renews itself.

Devices trust the authority (hub/authority.py), which stays. Nothing here runs a broker: who has it read its files again
is hub/processes/broker.py.
"""

import contextlib
import logging
import socket
import ssl
from pathlib import Path

from hub.authority import issued, ours, stale, text_of, told
from hub.certificates import names_of, read
from hub.durable import replace_file
from hub.settings.listeners import Address, is_everywhere, listeners
from hub.settings.site import MqttBrokerLink, Site

LOG = logging.getLogger("zhian.broker")
SERVER_FILE = "server.pem"
SERVED_S = 2.0

_LOOKS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # only looks at what is shown, and says nothing there
_LOOKS.check_hostname, _LOOKS.verify_mode = False, ssl.CERT_NONE


def take(site: Site, link: MqttBrokerLink, folder: Path, now: int) -> bool:
    """Make what is missing, wrong or ends soon; True when the broker's certificate is another one.

    `folder`: the broker's, in the data folder. Raises OSError; ValueError where the authority cannot be read.
    """
    above = ours(site.id, folder.parent, now)
    file, wanted = folder / SERVER_FILE, _names(site, link)
    if not stale(text_of(file), above.certificate, wanted, now):
        return False
    made = issued(above, wanted, now)
    replace_file(file, made.certificate + made.key)  # one file: never a certificate with another one's key
    LOG.info("the broker's certificate is new: %s", read(made.certificate).fingerprint)
    return True


def ends(folder: Path, secure: Address) -> int:
    """When devices refuse the broker, ms since 1970: the end of its certificate, of the one that it shows, or of the
    authority. Raises as told.
    """
    shown = served(secure)
    here = [read(text).ends for text in (text_of(folder / SERVER_FILE), shown) if text is not None]
    return min(*here, told(folder.parent).ends)


def is_served(folder: Path, secure: Address) -> bool:
    """Whether a broker that runs shows the certificate as it stands in its file; True where none runs."""
    shown = served(secure)
    return shown is None or read(shown).fingerprint == read(text_of(folder / SERVER_FILE)).fingerprint


def served(secure: Address) -> str | None:
    """The certificate that is shown there now, PEM; None where nobody speaks TLS. Waits for seconds at most."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(secure.host, secure.host)  # noqa: S104  # only compared
    try:
        with (
            socket.create_connection((host, secure.port), timeout=SERVED_S) as raw,
            _LOOKS.wrap_socket(raw) as shown,
        ):
            found = ssl.DER_cert_to_PEM_cert(shown.getpeercert(binary_form=True) or b"")
            with contextlib.suppress(OSError):  # a farewell, or the broker's log has a line for each look
                shown.unwrap()
            return found
    except OSError:
        return None


def our_address() -> str:
    """The address of this machine on the network that leads out; its name where there is none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # RFC 5737: nobody's; nothing is sent
        except OSError:
            return socket.gethostname()
        return str(probe.getsockname()[0])


def _names(site: Site, link: MqttBrokerLink) -> list[str]:
    secure = listeners(link).secure
    here = [] if secure is None or is_everywhere(secure.host) else [secure.host]
    return list(dict.fromkeys([*names_of(site), *here, our_address()]))
