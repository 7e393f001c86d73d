"""Certificates that the hub makes itself: an authority, and what it issues to servers. PEM texts, no files.

Pure but for chance and the machine's own names. Where they are kept is hub/authority.py's business.
"""

import datetime
import hashlib
import ipaddress
import socket
from collections.abc import Iterable

import msgspec
from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from hub.settings.site import Site

DAY_MS = 86_400_000


class Made(msgspec.Struct, frozen=True):
    """A certificate and its key, PEM."""

    certificate: str
    key: str


def authority(site: str, begin: int, end: int) -> Made:
    """An authority that issues certificates of servers and nothing below itself; `begin`, `end` in ms since 1970."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = _named(f"Zhian {site}"[:64])  # X.520: ub-common-name
    usage = x509.KeyUsage(
        digital_signature=False, content_commitment=False, key_encipherment=False, data_encipherment=False,
        key_agreement=False, key_cert_sign=True, crl_sign=True, encipher_only=False, decipher_only=False,
    )  # fmt: skip
    made = (
        _between(begin, end)
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    return _signed(made, key, key)


def issue(by: Made, names: Iterable[str], begin: int, end: int) -> Made:
    """A server's certificate, signed by this authority, with a new key. Raises ValueError where `by` is none."""
    above, signing = x509.load_pem_x509_certificate(by.certificate.encode()), _key(by.key)
    key = ec.generate_private_key(ec.SECP256R1())
    made = (
        _server(names, begin, end)
        .subject_name(_named("Zhian"))
        .issuer_name(above.subject)
        .public_key(key.public_key())
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signing.public_key()), critical=False)
    )
    return _signed(made, key, signing)


class Read(msgspec.Struct, frozen=True):
    """What a certificate says: begin and end in ms since 1970, names, and its SHA-256 as browsers show it."""

    begins: int
    ends: int
    names: frozenset[str]
    fingerprint: str


def read(pem: str) -> Read:
    """Of the first certificate in a PEM text. Raises ValueError."""
    found = x509.load_pem_x509_certificate(pem.encode())
    digest = hashlib.sha256(found.public_bytes(serialization.Encoding.DER)).hexdigest().upper()
    return Read(
        begins=int(found.not_valid_before_utc.timestamp() * 1000),
        ends=int(found.not_valid_after_utc.timestamp() * 1000),
        names=_names(found),
        fingerprint=":".join(digest[at : at + 2] for at in range(0, len(digest), 2)),
    )


def issued_by(pem: str, above: str) -> bool:
    """Whether the first certificate of a PEM text was signed by the one in the other. False where one is none."""
    try:
        x509.load_pem_x509_certificate(pem.encode()).verify_directly_issued_by(
            x509.load_pem_x509_certificate(above.encode())
        )
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def fits(made: Made) -> bool:
    """Whether the key is the certificate's."""
    try:
        certificate = x509.load_pem_x509_certificate(made.certificate.encode())
        return certificate.public_key() == _key(made.key).public_key()
    except (ValueError, TypeError):
        return False


def names_of(site: Site) -> list[str]:
    """By which names and addresses people and devices may reach this machine, as far as it knows."""
    host = socket.gethostname()
    found = ["localhost", "127.0.0.1", "::1", host, *site.web.names]
    return list(dict.fromkeys([*found, *([f"{host}.local"] if "." not in host else [])]))


def canonical(name: str) -> str:
    """As a certificate says it: an address has many spellings, and there one."""
    try:
        return str(ipaddress.ip_address(name))
    except ValueError:
        return name


def _server(names: Iterable[str], begin: int, end: int) -> x509.CertificateBuilder:
    return (
        _between(begin, end)
        .add_extension(x509.SubjectAlternativeName([_general(each) for each in names]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
    )


def _between(begin: int, end: int) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .serial_number(x509.random_serial_number())
        .not_valid_before(datetime.datetime.fromtimestamp(begin / 1000, datetime.UTC))
        .not_valid_after(datetime.datetime.fromtimestamp(end / 1000, datetime.UTC))
    )


def _signed(
    made: x509.CertificateBuilder, key: ec.EllipticCurvePrivateKey, signing: ec.EllipticCurvePrivateKey
) -> Made:
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    certificate = made.sign(signing, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    return Made(certificate.decode(), private.decode())


def _key(pem: str) -> ec.EllipticCurvePrivateKey:
    key = serialization.load_pem_private_key(pem.encode(), password=None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise ValueError("is no key of an elliptic curve")
    return key


def _named(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _names(certificate: x509.Certificate) -> frozenset[str]:
    try:
        said = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return frozenset()
    addresses = {str(address) for address in said.get_values_for_type(x509.IPAddress)}
    return frozenset({*said.get_values_for_type(x509.DNSName), *addresses})
