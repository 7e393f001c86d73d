"""TLS of the dashboard: the site's certificate, or one of its own that is made at the first start. No sockets here.

1.2 at least. A certificate that was replaced is taken up without a restart; `watchman.py` asks how long it holds.
"""

import datetime
import hashlib
import ipaddress
import logging
import socket
import ssl
from collections.abc import Iterable
from pathlib import Path

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from device_profiles.door import Refusal
from hub.durable import replace_file
from hub.settings.site import Site

LOG = logging.getLogger("zhian.tls")
CERTIFICATE_FILE, KEY_FILE = "page.crt", "page.key"
OWN_DAYS = 825  # as long as browsers take one that somebody has trusted by hand (Apple HT210176)
DAY_MS = 86_400_000


class Pair(msgspec.Struct, frozen=True):
    """Certificate (with its chain) and key, PEM files. `own`: made here, nobody vouches for it."""

    certificate: Path
    key: Path
    own: bool

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the certificate, as browsers show it. Raises OSError, ValueError."""
        digest = hashlib.sha256(self._load().public_bytes(serialization.Encoding.DER)).hexdigest().upper()
        return ":".join(digest[at : at + 2] for at in range(0, len(digest), 2))

    @property
    def ends(self) -> int:
        """When it ends, ms since 1970. Raises OSError, ValueError."""
        return int(self._load().not_valid_after_utc.timestamp() * 1000)

    def _load(self) -> x509.Certificate:
        return x509.load_pem_x509_certificate(self.certificate.read_bytes())


class Tls:
    """A server's context over a pair of files that may be replaced while it runs."""

    def __init__(self, pair: Pair) -> None:
        """Raises Refusal where the files do not make a certificate."""
        self.pair = pair
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.minimum_version = ssl.TLSVersion.TLSv1_2
        self.context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
        try:
            self._stamp = self._load()
        except (OSError, ssl.SSLError, ValueError) as error:
            right = "a PEM certificate and the key that belongs to it, which the user of zhian can read"
            raise Refusal(pair.certificate, "", f"cannot be used for TLS: {error}", right=right) from None

    def look(self) -> bool:
        """Take up files that were replaced; True when they were. A pair that does not fit changes nothing."""
        try:
            if _stamp(self.pair) == self._stamp:
                return False
            Tls(self.pair)  # a pair that does not fit would leave this context with half of it
            self._stamp = self._load()
        except (OSError, ssl.SSLError, ValueError, Refusal) as error:
            LOG.error("the certificate was replaced by one that cannot be used, the old one goes on: %s", error)
            return False
        LOG.info("the certificate was replaced: %s", self.pair.fingerprint)
        return True

    def _load(self) -> tuple[tuple[int, int, int], ...]:
        stamp = _stamp(self.pair)
        self.context.load_cert_chain(self.pair.certificate, self.pair.key)
        _ = self.pair.ends  # readable for those who ask how long it holds
        return stamp


def pair_of(site: Site, data: Path, now: int) -> Pair:
    """The site's certificate, or the own one, which is made when there is none. Raises OSError."""
    if site.web.certificate:
        return Pair(Path(site.web.certificate), Path(site.web.key), own=False)
    pair = Pair(data / CERTIFICATE_FILE, data / KEY_FILE, own=True)
    if not (pair.certificate.exists() and pair.key.exists()):
        make_own(pair, names_of(site), now)
    return pair


def names_of(site: Site) -> list[str]:
    """By which names and addresses people may reach this machine, as far as it knows."""
    host = socket.gethostname()
    found = ["localhost", "127.0.0.1", "::1", host, *site.web.names]
    return list(dict.fromkeys([*found, *([f"{host}.local"] if "." not in host else [])]))


def make_own(pair: Pair, names: Iterable[str], now: int) -> None:
    """A new key and a certificate that it signs itself. Raises OSError."""
    key = ec.generate_private_key(ec.SECP256R1())
    names = list(names)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Zhian")])
    begin = datetime.datetime.fromtimestamp(now / 1000, datetime.UTC) - datetime.timedelta(days=1)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(begin + datetime.timedelta(days=OWN_DAYS))
        .add_extension(x509.SubjectAlternativeName([_general(each) for each in names]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    replace_file(pair.key, private.decode(), mode=0o600)
    replace_file(pair.certificate, made.public_bytes(serialization.Encoding.PEM).decode(), mode=0o644)


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _stamp(pair: Pair) -> tuple[tuple[int, int, int], ...]:
    found = [file.stat() for file in (pair.certificate, pair.key)]
    return tuple((each.st_mtime_ns, each.st_ino, each.st_size) for each in found)
