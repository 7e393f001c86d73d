"""`zhian certificate`: the page's certificate, its fingerprint to compare with the browser's, and a new one."""

from datetime import UTC, datetime
from pathlib import Path

import click
import msgspec

from dashboard.access.tls import Pair, make_own, names_of, pair_of
from device_profiles.door import Refusal
from hub.clock import Clock
from hub.commands.options import DATA, JSON, SITE, print_lines
from hub.settings.door import load_site


class CertificateLine(msgspec.Struct, frozen=True):
    """The certificate in use."""

    file: str
    fingerprint: str
    ends: str
    made_here: bool


@click.group("certificate")
def certificate_command() -> None:
    """The certificate with which the page speaks HTTPS."""


@certificate_command.command("show")
@SITE
@DATA
@JSON
def certificate_show(site: Path, data: Path, as_json: bool) -> None:
    """Print file, SHA-256 fingerprint and end of the certificate in use."""
    _print(pair_of(load_site(site), _existing(data), Clock().now()), as_json=as_json)


@certificate_command.command("new")
@SITE
@DATA
@JSON
def certificate_new(site: Path, data: Path, as_json: bool) -> None:
    """Make a new one; the running page takes it up by itself, and browsers ask again whether it is to be trusted."""
    known = load_site(site)
    pair = pair_of(known, _existing(data), Clock().now())
    if not pair.own:
        raise Refusal(site, "page.certificate", "the site's own is in use", right="replace its file instead")
    make_own(pair, names_of(known), Clock().now())
    _print(pair, as_json=as_json)


def _existing(data: Path) -> Path:
    if not data.is_dir():
        raise Refusal(data, "", "there is no such folder", right="give the data folder of `zhian run` with --data")
    return data


def _print(pair: Pair, *, as_json: bool) -> None:
    ends = f"{datetime.fromtimestamp(pair.ends / 1000, UTC):%Y-%m-%d}"
    print_lines([CertificateLine(str(pair.certificate), pair.fingerprint, ends, pair.own)], as_json=as_json)
