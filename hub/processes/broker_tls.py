"""The authority and the certificate of our own broker's TLS listener: files in `broker/` of the data folder.

A device trusts the authority, which stays; the certificate is renewed by itself. Nothing here runs a broker: who has
it read its files again is hub/processes/broker.py.
"""

import contextlib
import logging
import socket
import ssl
from pathlib import Path

import msgspec

from hub.certificates import DAY_MS, Made, authority, fits, issue, issued_by, names_of, read
from hub.durable import replace_file
from hub.settings.listeners import Address, is_everywhere, listeners
from hub.settings.site import MqttBrokerLink, Site

LOG = logging.getLogger("zhian.broker")
CA_FILE, CA_KEY_FILE, SERVER_FILE = "ca.crt", "ca.key", "server.pem"
CA_YEARS = 20  # longer than a door controller lives; RFC 5280's two-digit years end in 2049
DAYS = 397  # what phones' own TLS takes (825 at most, Apple HT210176) with half to spare
RENEW_DAYS = 60  # so long before the end: the alarms of the last month mean that it did not work
BACK_DAYS = 30  # it counts from so long ago, for devices whose clocks are behind
SERVED_S = 2.0
FIRST_MS = 1_767_225_600_000  # 2026-01-01: no clock that is right shows less; a box without a battery starts in 1970

_LOOKS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # only looks at what is shown, and says nothing there
_LOOKS.check_hostname, _LOOKS.verify_mode = False, ssl.CERT_NONE


class Told(msgspec.Struct, frozen=True):
    """The authority, for who carries it to a device: PEM, SHA-256, end in ms since 1970."""

    file: Path
    pem: str
    fingerprint: str
    ends: int


def take(site: Site, link: MqttBrokerLink, folder: Path, now: int) -> bool:
    """Make what is missing, wrong or ends soon; True when the broker's certificate is another one. Raises OSError.

    The authority is made once. One that cannot be read is left alone, for devices trust it: ValueError.
    """
    above = _authority(site, folder, now)
    file, wanted = folder / SERVER_FILE, _names(site, link)
    text = _text(file)
    if not stale(text, above.certificate, wanted, now):
        return False
    now = max(now, FIRST_MS)
    end = min(now + DAYS * DAY_MS, read(above.certificate).ends)
    made = issue(above, wanted, now - BACK_DAYS * DAY_MS, end)
    replace_file(file, made.certificate + made.key)  # one file: never a certificate with another one's key
    LOG.info("the broker's certificate is new: %s", read(made.certificate).fingerprint)
    return True


def stale(text: str, above: str, wanted: list[str], now: int) -> bool:
    """Whether the broker needs another certificate than the one in `text`, which holds its key too.

    A clock that cannot be right (a box that starts in 1970) takes none away that devices may accept.
    """
    if not issued_by(text, above) or not fits(Made(text, text)):
        return True
    found = read(text)
    if now < FIRST_MS:
        return False
    return found.ends - now < RENEW_DAYS * DAY_MS or found.begins > now or not found.names >= set(wanted)


def told(folder: Path) -> Told:
    """The authority as it stands. Raises OSError, ValueError."""
    file = folder / CA_FILE
    pem = file.read_text(encoding="ascii")
    found = read(pem)
    return Told(file, pem, found.fingerprint, found.ends)


def ends(folder: Path, secure: Address) -> int:
    """When devices refuse the broker, ms since 1970: the end of its certificate, of the one that it shows, or of the
    authority. Raises as told.
    """
    shown = served(secure)
    here = [read(text).ends for text in (_text(folder / SERVER_FILE), shown) if text is not None]
    return min(*here, told(folder).ends)


def is_served(folder: Path, secure: Address) -> bool:
    """Whether a broker that runs shows the certificate as it stands in its file; True where none runs."""
    shown = served(secure)
    return shown is None or read(shown).fingerprint == read(_text(folder / SERVER_FILE)).fingerprint


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


def forget_authority(folder: Path) -> None:
    """The next `take` makes another one; devices come in no more until they have it."""
    for name in (CA_FILE, CA_KEY_FILE):
        (folder / name).unlink(missing_ok=True)


def our_address() -> str:
    """The address of this machine on the network that leads out; its name where there is none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # RFC 5737: nobody's; nothing is sent
        except OSError:
            return socket.gethostname()
        return str(probe.getsockname()[0])


def _authority(site: Site, folder: Path, now: int) -> Made:
    certificate, key = folder / CA_FILE, folder / CA_KEY_FILE
    if not (certificate.exists() and key.exists()):
        now = max(now, FIRST_MS)
        made = authority(site.id, FIRST_MS - BACK_DAYS * DAY_MS, now + CA_YEARS * 365 * DAY_MS)
        replace_file(key, made.key)
        replace_file(certificate, made.certificate)
    found = Made(_text(certificate), _text(key))
    if not fits(found):
        raise ValueError(f"{certificate} and {key} are not a certificate and its key: take them from a backup")
    return found


def _names(site: Site, link: MqttBrokerLink) -> list[str]:
    secure = listeners(link).secure
    here = [] if secure is None or is_everywhere(secure.host) else [secure.host]
    return list(dict.fromkeys([*names_of(site), *here, our_address()]))


def _text(file: Path) -> str:
    with contextlib.suppress(FileNotFoundError):
        return file.read_text(encoding="ascii", errors="replace")
    return ""
