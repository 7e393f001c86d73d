"""TLS of the dashboard: the site's certificate, or one of its own that is made at the first start. No sockets here.

1.2 at least. A certificate that was replaced is taken up without a restart; `watchman.py` asks how long it holds.
"""

import logging
import ssl
from collections.abc import Iterable
from pathlib import Path

import msgspec

from device_profiles.door import Refusal
from hub.certificates import DAY_MS as DAY_MS
from hub.certificates import names_of as names_of
from hub.certificates import own_page, read
from hub.durable import replace_file
from hub.settings.site import Site

LOG = logging.getLogger("zhian.tls")
CERTIFICATE_FILE, KEY_FILE = "page.crt", "page.key"
OWN_DAYS = 825  # as long as browsers take one that somebody has trusted by hand (Apple HT210176)


class Pair(msgspec.Struct, frozen=True):
    """Certificate (with its chain) and key, PEM files. `own`: made here, nobody vouches for it."""

    certificate: Path
    key: Path
    own: bool

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the certificate, as browsers show it. Raises OSError, ValueError."""
        return read(self.certificate.read_text(encoding="ascii", errors="replace")).fingerprint

    @property
    def ends(self) -> int:
        """When it ends, ms since 1970. Raises OSError, ValueError."""
        return read(self.certificate.read_text(encoding="ascii", errors="replace")).ends


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


def make_own(pair: Pair, names: Iterable[str], now: int) -> None:
    """A new key and a certificate that it signs itself. Raises OSError."""
    made = own_page(names, now - DAY_MS, OWN_DAYS)
    replace_file(pair.key, made.key, mode=0o600)
    replace_file(pair.certificate, made.certificate, mode=0o644)


def _stamp(pair: Pair) -> tuple[tuple[int, int, int], ...]:
    found = [file.stat() for file in (pair.certificate, pair.key)]
    return tuple((each.st_mtime_ns, each.st_ino, each.st_size) for each in found)
