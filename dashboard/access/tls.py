"""TLS of the dashboard: the site's certificate, or one by its own authority, which renews itself. No sockets here.

1.2 at least. A certificate that was replaced is taken up without a restart; `watchman.py` asks how long it holds.
"""

import logging
import ssl
from collections.abc import Iterable
from pathlib import Path

import msgspec

from device_profiles.door import Refusal
from hub.authority import issued, ours, stale, text_of
from hub.certificates import DAY_MS as DAY_MS
from hub.certificates import Made, fits, read
from hub.certificates import names_of as names_of
from hub.durable import replace_file
from hub.settings.site import Site

LOG = logging.getLogger("zhian.tls")
CERTIFICATE_FILE, KEY_FILE = "page.crt", "page.key"


class Pair(msgspec.Struct, frozen=True):
    """Certificate (with its chain) and key, PEM files. `own`: made here, vouched for by nobody but the site."""

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
    """The site's certificate, or the own one, made where it is missing or ends soon. Raises OSError, Refusal."""
    if site.web.certificate:
        return Pair(Path(site.web.certificate), Path(site.web.key), own=False)
    pair = Pair(data / CERTIFICATE_FILE, data / KEY_FILE, own=True)
    text = text_of(pair.certificate, pair.key)
    try:
        above = ours(site.id, data, now)
    except ValueError as error:
        if fits(Made(text, text)):
            LOG.error("the page's certificate goes on, and cannot be renewed: %s", error)
            return pair
        right = "zhian certificate ca --new makes another authority; devices and browsers need it then"
        raise Refusal(data, "", f"the page's certificate cannot be made: {error}", right=right) from None
    if stale(text, above.certificate, names_of(site), now):
        make_own(pair, above, names_of(site), now)
    return pair


def make_own(pair: Pair, above: Made, names: Iterable[str], now: int) -> None:
    """A new key, and a certificate by this authority. Raises OSError."""
    made = issued(above, names, now)
    replace_file(pair.key, made.key, mode=0o600)  # killed here, they do not fit, and are made anew at the next look
    replace_file(pair.certificate, made.certificate + above.certificate, mode=0o644)


def _stamp(pair: Pair) -> tuple[tuple[int, int, int], ...]:
    found = [file.stat() for file in (pair.certificate, pair.key)]
    return tuple((each.st_mtime_ns, each.st_ino, each.st_size) for each in found)
