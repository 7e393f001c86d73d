"""Whom we take for the broker: its authority, or the fingerprint of its certificate. Files are read, nothing is opened.

A broker that is not the right one is told no password: the handshake ends before the first byte of MQTT.
"""

import hashlib
import hmac
import ssl
from urllib.parse import urlsplit

from hub.settings.site import MqttBrokerLink


def address(url: str) -> tuple[str, int, bool]:
    """Host, port, and whether TLS is spoken there. Raises ValueError."""
    parts = urlsplit(url)
    if parts.scheme not in ("mqtt", "mqtts") or not parts.hostname:
        raise ValueError(f"{url!r} is not mqtt://host:port or mqtts://host:port")
    tls = parts.scheme == "mqtts"
    return parts.hostname, parts.port or (8883 if tls else 1883), tls


def tls_of(link: MqttBrokerLink) -> tuple[str, int, ssl.SSLContext | None]:
    """Host, port and (where it is spoken) the TLS of a link's broker. Reads files. Raises ValueError, OSError."""
    host, port, tls = address(link.url or f"mqtt://{link.listen}")
    return host, port, tls_context(link) if tls else None


def tls_context(link: MqttBrokerLink) -> ssl.SSLContext:
    """As the link says: an authority, a fingerprint, or both; neither: what the system trusts. Raises OSError.

    A fingerprint alone is enough, for a certificate that names another host and nobody vouches for.
    """
    context = ssl.create_default_context(cafile=link.ca_file or None)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if link.fingerprint:
        context.sslobject_class = _pinned(link.fingerprint)
        if not link.ca_file:
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if link.certificate_file:
        context.load_cert_chain(link.certificate_file, link.key_file or None)
    return context


def _pinned(fingerprint: str) -> type[ssl.SSLObject]:
    """A handshake that ends well with this certificate only. SHA-256, hexadecimal, with or without colons."""
    wanted = fingerprint.replace(":", "").lower()

    class Pinned(ssl.SSLObject):
        def do_handshake(self) -> None:
            super().do_handshake()
            shown = hashlib.sha256(self.getpeercert(binary_form=True) or b"").hexdigest()
            if not hmac.compare_digest(shown, wanted):
                error = ssl.SSLCertVerificationError(ssl.SSLErrorNumber.SSL_ERROR_SSL, "another fingerprint")
                error.verify_message = f"its fingerprint is {shown}, not the one of `fingerprint`"
                raise error

    return Pinned
