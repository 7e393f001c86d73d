"""`zhian certificate`: the page's certificate and its fingerprint, and the authority by which all know the site."""

from datetime import UTC, datetime
from pathlib import Path

import click
import msgspec

from dashboard.access.tls import Pair, make_own, names_of, pair_of
from device_profiles.door import Refusal
from hub import authority
from hub.clock import Clock
from hub.commands.device import same_site
from hub.commands.options import DATA, JSON, SITE, print_lines
from hub.processes import broker
from hub.settings.door import load_site
from hub.settings.listeners import listeners


class CertificateLine(msgspec.Struct, frozen=True):
    """The certificate in use."""

    file: str
    fingerprint: str
    ends: str
    made_here: bool


@click.group("certificate")
def certificate_command() -> None:
    """The certificate with which the page speaks HTTPS, and the authority that browsers and MQTT devices are given."""


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
    """Make a new one; the running page takes it up by itself. Browsers that were not given the authority ask again."""
    known = load_site(site)
    pair = pair_of(known, _existing(data), Clock().now())
    if not pair.own:
        raise Refusal(site, "page.certificate", "the site's own is in use", right="replace its file instead")
    now = Clock().now()
    make_own(pair, authority.ours(known.id, data, now), names_of(known), now)
    _print(pair, as_json=as_json)


class Authority(msgspec.Struct, frozen=True):
    """What devices and browsers are given to know the site by, as `zhian certificate ca --json` prints it."""

    pem: str
    fingerprint: str
    ends: str
    file: str


@certificate_command.command("ca")
@SITE
@DATA
@click.option("--new", "renew", is_flag=True, help="Make another one; devices and browsers need it then.")
@JSON
def certificate_ca(site: Path, data: Path, renew: bool, as_json: bool) -> None:
    """Print the authority (CA) by which browsers and MQTT devices know the site, its fingerprint on standard error."""
    known = load_site(site)
    same_site(known, data)
    if renew:
        authority.forget(_existing(data))
    pair_of(known, data, Clock().now())  # what the one before has issued is worth nothing now
    for link in broker.own(known):
        if listeners(link).secure is not None:
            broker.prepare(known, link, data)
    broker.read_again(data)
    authority.ours(known.id, data, Clock().now())
    told = authority.told(data)
    ends = _day(told.ends)
    if as_json:
        print_lines([Authority(told.pem, told.fingerprint, ends, str(told.file))], as_json=True)
        return
    click.echo(told.pem, nl=False)
    click.echo(f"指纹 SHA-256 fingerprint: {told.fingerprint}\n有效期至 ends: {ends}", err=True)


def _existing(data: Path) -> Path:
    if not data.is_dir():
        raise Refusal(data, "", "there is no such folder", right="give the data folder of `zhian run` with --data")
    return data


def _print(pair: Pair, *, as_json: bool) -> None:
    line = CertificateLine(str(pair.certificate), pair.fingerprint, _day(pair.ends), pair.own)
    print_lines([line], as_json=as_json)


def _day(at: int) -> str:
    return f"{datetime.fromtimestamp(at / 1000, UTC):%Y-%m-%d}"
