"""The files that links and history of a site name: passwords, keys, tokens and certificates, before they are needed.

`zhian check` calls it. It opens no connection; what a voice names is judged in hub/settings/voices.py.
"""

import ssl
from datetime import UTC, datetime
from pathlib import Path

from device_profiles.door import Refusal
from hub.settings.secret import SecretError, read_secret
from hub.settings.site import MqttBrokerLink, Site

SOON_MS = 30 * 24 * 3_600_000  # so long before its end a certificate is worth a word
_BEGIN = "-----BEGIN CERTIFICATE-----"
_END = "-----END CERTIFICATE-----"
_SEQUENCE, _VERSION, _UTC_TIME = 0x30, 0xA0, 0x17


def check_files(site: Site, path: Path, now: int) -> list[str]:
    """Warnings of certificates that end soon. Raises Refusal for a file that would stop a link, or the history."""
    warnings = []
    for at, link in enumerate(site.links):
        if isinstance(link, MqttBrokerLink):
            warnings += _check_broker(link, f"link[{at}]", path, now)
    if site.history.token_file:
        _secret(site.history.token_file, "history.token_file", path)
    return warnings


def _check_broker(link: MqttBrokerLink, key: str, path: Path, now: int) -> list[str]:
    warnings = []
    if link.password_file:
        _secret(link.password_file, f"{key}.password_file", path)
    if link.ca_file:
        ends = [end for end in _ends(link.ca_file, f"{key}.ca_file", path) if end > now]
        if not ends:
            raise Refusal(path, f"{key}.ca_file", "has expired", value=link.ca_file, right="the broker's present one")
        warnings += _soon(max(ends), f"{path}: {key}.ca_file = {link.ca_file!r}", now)
    if link.key_file and not link.certificate_file:
        raise Refusal(path, f"{key}.key_file", "a key without its certificate", right="give certificate_file as well")
    if link.certificate_file:
        warnings += _check_certificate(link, key, path, now)
    return warnings


def _check_certificate(link: MqttBrokerLink, key: str, path: Path, now: int) -> list[str]:
    """Ours, that we show to the broker: in force, with its key, which nobody else may read."""
    file = link.certificate_file
    end = _ends(file, f"{key}.certificate_file", path)[0]
    if end <= now:
        raise Refusal(
            path, f"{key}.certificate_file", f"has expired on {_day(end)}", value=file, right="a new certificate"
        )
    name = "key_file" if link.key_file else "certificate_file"
    _secret(link.key_file or file, f"{key}.{name}", path)
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_cert_chain(file, link.key_file or None, password=lambda: "")
    except (ssl.SSLError, ValueError, OSError) as error:
        reason = getattr(error, "reason", None) or "it cannot be used"
        problem = f"is not the key of this certificate, or is locked by a password ({reason})"
        raise Refusal(
            path, f"{key}.{name}", problem, value=link.key_file or file, right="its own key, as PEM"
        ) from None
    return _soon(end, f"{path}: {key}.certificate_file = {file!r}", now)


def _secret(file: str, key: str, path: Path) -> None:
    try:
        read_secret(file)
    except SecretError as error:
        raise Refusal(path, key, error.problem, value=file, right=error.right) from None


def _ends(file: str, key: str, path: Path) -> list[int]:
    """When each certificate of the file ends, in ms since 1970."""
    try:
        text = Path(file).read_text(encoding="ascii", errors="replace")
    except OSError as error:
        right = "a PEM file that the user who runs zhian may read"
        raise Refusal(path, key, error.strerror or "cannot be read", value=file, right=right) from None
    blocks = [_BEGIN + block.partition(_END)[0] + _END for block in text.split(_BEGIN)[1:]]
    try:
        ends = [_not_after(ssl.PEM_cert_to_DER_cert(block)) for block in blocks]
    except (ValueError, IndexError):
        ends = []
    if not ends:
        problem = "is empty" if not text.strip() else "holds no certificate that can be read"
        raise Refusal(path, key, problem, value=file, right="PEM: -----BEGIN CERTIFICATE-----")
    return ends


def _not_after(der: bytes) -> int:
    """The end of a certificate's validity: RFC 5280, 4.1 (the fifth part of tbsCertificate) and 4.1.2.5 (the times).

    Raises ValueError, IndexError for what is no certificate.
    """
    whole, _ = _part(der, 0, _SEQUENCE)
    body, _ = _part(whole, 0, _SEQUENCE)
    at = _part(body, 0)[1] if body[0] == _VERSION else 0
    for _ in range(3):  # serial number, signature algorithm, issuer
        at = _part(body, at)[1]
    validity, _ = _part(body, at, _SEQUENCE)
    at = _part(validity, 0)[1]
    text = _part(validity, at)[0].decode("ascii")
    if validity[at] == _UTC_TIME:
        text = ("19" if int(text[:2]) >= 50 else "20") + text
    return int(datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC).timestamp() * 1000)


def _part(data: bytes, at: int, tag: int | None = None) -> tuple[bytes, int]:
    """Content of the DER element at `at`, and where the next one begins (X.690, 8.1)."""
    if tag is not None and data[at] != tag:
        raise ValueError("not a certificate")
    length, begin = data[at + 1], at + 2
    if length & 0x80:
        size = length & 0x7F
        length, begin = int.from_bytes(data[begin : begin + size], "big"), begin + size
    if begin + length > len(data):
        raise ValueError("breaks off")
    return data[begin : begin + length], begin + length


def _soon(end: int, what: str, now: int) -> list[str]:
    return [f"{what}: expires on {_day(end)}"] if end - now < SOON_MS else []


def _day(at: int) -> str:
    return f"{datetime.fromtimestamp(at / 1000, UTC):%Y-%m-%d}"
