"""The site's own authority: devices and browsers trust it once, and what it issues renews itself.

Two files in `authority/` of the data folder, made once, for twenty years; both are in the backup. What is issued where
is others' business: dashboard/access/tls.py, hub/processes/broker_tls.py.
"""

from collections.abc import Iterable
from pathlib import Path

import msgspec

from hub.certificates import DAY_MS, Made, authority, canonical, fits, issue, issued_by, read
from hub.durable import alone, replace_file

FOLDER = "authority"
CA_FILE, CA_KEY_FILE = "ca.crt", "ca.key"
CA_YEARS = 20  # longer than a door controller lives; RFC 5280's two-digit years end in 2049
DAYS = 397  # what phones' own TLS takes (825 at most, Apple HT210176) with half to spare
RENEW_DAYS = 60  # so long before the end: the alarms of the last month mean that it did not work
BACK_DAYS = 30  # it counts from so long ago, for devices whose clocks are behind
FIRST_MS = 1_767_225_600_000  # 2026-01-01: no clock that is right shows less; a box without a battery starts in 1970


class Told(msgspec.Struct, frozen=True):
    """The authority, for who carries it to a device: PEM, SHA-256, end in ms since 1970."""

    file: Path
    pem: str
    fingerprint: str
    ends: int


def ours(site: str, data: Path, now: int) -> Made:
    """The authority of the site with this id, made at the first call. Raises OSError.

    One that cannot be read is left alone, for devices trust it: ValueError.
    """
    folder = data / FOLDER
    certificate, key = folder / CA_FILE, folder / CA_KEY_FILE
    with alone(folder):
        if not (certificate.exists() and key.exists()):
            end = max(now, FIRST_MS) + CA_YEARS * 365 * DAY_MS
            made = authority(site, FIRST_MS - BACK_DAYS * DAY_MS, end)
            replace_file(key, made.key)
            replace_file(certificate, made.certificate)
    found = Made(text_of(certificate), text_of(key))
    if not fits(found):
        raise ValueError(f"{certificate} and {key} are not a certificate and its key: take them from a backup")
    return found


def told(data: Path) -> Told:
    """The authority as it stands. Raises OSError, ValueError."""
    file = data / FOLDER / CA_FILE
    pem = file.read_text(encoding="ascii")
    found = read(pem)
    return Told(file, pem, found.fingerprint, found.ends)


def forget(data: Path) -> None:
    """The next call of `ours` makes another one; devices come in no more until they have it."""
    for name in (CA_FILE, CA_KEY_FILE):
        (data / FOLDER / name).unlink(missing_ok=True)


def issued(by: Made, names: Iterable[str], now: int) -> Made:
    """A server's certificate for these names, from `now` on (ms since 1970) for DAYS, or as long as `by` holds."""
    now = max(now, FIRST_MS)
    return issue(by, names, now - BACK_DAYS * DAY_MS, min(now + DAYS * DAY_MS, read(by.certificate).ends))


def stale(text: str, above: str, wanted: Iterable[str], now: int) -> bool:
    """Whether another certificate is needed than the one in `text`, which holds its key too.

    A clock that cannot be right (a box that starts in 1970) takes none away that others may accept.
    """
    if not issued_by(text, above) or not fits(Made(text, text)):
        return True
    found = read(text)
    if now < FIRST_MS:
        return False
    ending = found.ends - now < RENEW_DAYS * DAY_MS and found.ends < read(above).ends  # else none would hold longer
    return ending or found.begins > now or not found.names >= {canonical(each) for each in wanted}


def text_of(*files: Path) -> str:
    """What stands in them, one after the other; nothing for those that are not there."""
    return "".join(file.read_text(encoding="ascii", errors="replace") for file in files if file.exists())
