"""`zhian certificate`: the page's certificate and its fingerprint, and the authority that MQTT devices are given."""

from datetime import UTC, datetime
from pathlib import Path

import click
import msgspec

from dashboard.access.tls import Pair, make_own, names_of, pair_of
from device_profiles.door import Refusal
from hub.clock import Clock
from hub.commands.device import same_site
from hub.commands.options import DATA, JSON, SITE, print_lines
from hub.processes import broker, broker_tls
from hub.settings.door import load_site
from hub.settings.listeners import TLS_PORT, listeners


class CertificateLine(msgspec.Struct, frozen=True):
    """The certificate in use."""

    file: str
    fingerprint: str
    ends: str
    made_here: bool


@click.group("certificate")
def certificate_command() -> None:
    """The certificate with which the page speaks HTTPS, and what MQTT devices know the broker by."""


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


class Authority(msgspec.Struct, frozen=True):
    """What a device is given to know our broker by, as `zhian certificate ca --json` prints it."""

    pem: str
    fingerprint: str
    ends: str
    file: str


@certificate_command.command("ca")
@SITE
@DATA
@click.option("--new", "renew", is_flag=True, help="Make another one; no device comes in until it has it.")
@JSON
def certificate_ca(site: Path, data: Path, renew: bool, as_json: bool) -> None:
    """Print the authority (CA) by which MQTT devices know the broker: PEM, and its fingerprint on standard error."""
    known = load_site(site)
    link = next((link for link in broker.own(known) if listeners(link).secure is not None), None)
    if link is None:
        right = f'listen_tls = "0.0.0.0:{TLS_PORT}" in the link of kind "mqtt"'
        raise Refusal(site, "link", "zhian's own broker speaks no TLS here", right=right)
    same_site(known, data)
    if renew:
        broker_tls.forget_authority(_existing(data) / "broker")
    broker.prepare(known, link, data)
    broker.read_again(data)
    told = broker_tls.told(data / "broker")
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
