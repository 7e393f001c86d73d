"""`zhian run`: broker, field and office process of one site, kept running; and those two processes themselves."""

import asyncio
import fcntl
import gc
import logging
import os
import socket
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

import click
import uvloop

from device_profiles.door import Refusal
from firmware_bridge.links.modbus_bus import ModbusBus
from firmware_bridge.links.mqtt_session import MqttSession
from firmware_bridge.links.serial_port import SerialPort
from firmware_bridge.raw import Link
from hub import broker
from hub.clock import Clock
from hub.commands.options import DATA, SITE
from hub.core import Core
from hub.field import Field
from hub.journal import FILE, Journal
from hub.route import check_routes
from hub.rules import load_rules
from hub.settings import load_site
from hub.site import ModbusRtuLink, ModbusTcpLink, MqttBrokerLink, SerialPortLink, Site, SiteLink
from hub.supervisor import Child, stop_on_signals, supervise, zhian

DEFAULT_PORT = 8080


@click.command("run")
@SITE
@DATA
@click.option("--host", default="127.0.0.1", show_default=True, help="Address of the dashboard; 0.0.0.0 = all.")
@click.option("--port", default=DEFAULT_PORT, show_default=True, help="Port of the dashboard; 0 takes a free one.")
@click.option("--https", is_flag=True, help="The page is reached by HTTPS only, behind a proxy: cookies say Secure.")
def run_command(site: Path, data: Path, host: str, port: int, https: bool) -> None:
    """Run a site: the hub, its dashboard and, where the site names no broker, a mosquitto."""
    configure_log()
    asyncio.run(run_site(site, data, host, port, office_flags=["--https"] if https else []))


async def run_site(
    site_path: Path,
    data: Path,
    host: str,
    port: int,
    more: Sequence[Child] = (),
    *,
    environment: Mapping[str, str] = {},  # only read
    office_flags: Sequence[str] = (),
) -> None:
    """Run until Ctrl-C or SIGTERM. `more` are further processes (the demo's simulated devices)."""
    site = load_site(site_path)
    check_routes(site, {rule.id for rule in load_rules(site, site_path)}, site_path)
    with lock(data), listening_socket(host, port) as listener:
        _prepare_journal(site, site_path, data)
        arguments = (str(site_path), "--data", str(data))
        office = (*arguments, "--listener", str(listener.fileno()), *office_flags)
        children = [
            *(_broker(site, data)),
            *more,
            Child(name="field", argv=zhian("field", *arguments), environment=environment),
            Child(name="office", argv=zhian("office", *office), pass_fds=[listener.fileno()], environment=environment),
        ]
        stop = asyncio.Event()
        stop_on_signals(stop)
        await supervise(children, stop)


def _prepare_journal(site: Site, site_path: Path, data: Path) -> None:
    """Make it when there is none; one that cannot be used is told now, not in a child's log."""
    journal = Journal(data / FILE, site)
    journal.remember("site_file", str(site_path.absolute()))
    journal.close()


@click.command("field", hidden=True)
@SITE
@DATA
def field_command(site: Path, data: Path) -> None:
    """The field process: links, decoding, alarms, journal, announcements."""
    configure_log()
    uvloop.run(_field(site, data, Clock.from_environment()))


async def _field(site_path: Path, data: Path, clock: Clock) -> None:
    site = load_site(site_path)
    rules = load_rules(site, site_path)
    journal = Journal(data / FILE, site)
    core = Core(site, rules, journal.memory(), clock.now())
    gc.freeze()  # what stands for years need not be looked through again and again
    links = [_link(site, link, data, clock) for link in site.links]
    stop = asyncio.Event()
    stop_on_signals(stop)
    running = asyncio.create_task(Field(site, {rule.id: rule for rule in rules}, core, journal, links, clock).run())
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait([running, stopping], return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if not running.done():
        running.cancel()
    await asyncio.gather(running, return_exceptions=stop.is_set())


@click.command("office", hidden=True)
@SITE
@DATA
@click.option("--listener", type=int, required=True, help="File descriptor of the listening socket.")
@click.option("--demo", is_flag=True, help="Make a new first login at each start.")
@click.option("--https", is_flag=True, help="Cookies say Secure.")
def office_command(site: Path, data: Path, listener: int, demo: bool, https: bool) -> None:
    """The office process: dashboard, users, history."""
    from hub.office import serve_office  # a web server, which the field process need not load

    configure_log()
    uvloop.run(serve_office(load_site(site), site, data, socket.socket(fileno=listener), demo=demo, https=https))


def configure_log() -> None:
    """One line an event on standard error, with its room."""
    for library in ("uvicorn", "apscheduler"):
        logging.getLogger(library).setLevel(logging.WARNING)
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname).1s %(name)s: %(message)s", stream=sys.stderr
    )


def listening_socket(host: str, port: int) -> socket.socket:
    """The dashboard's socket, held by the parent so that its address survives a restart of the office process."""
    try:
        return socket.create_server((host, port), backlog=512)
    except OSError as error:
        raise Refusal(
            "--port", "", f"{host}:{port}: {error.strerror}", right="choose another, or 0 for a free one"
        ) from None


def lock(data: Path) -> IO[str]:
    """Make and hold the data folder; two hubs on one journal would order every gate twice."""
    data.mkdir(parents=True, exist_ok=True)
    file = (data / "lock").open("w")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        raise Refusal(
            data, "", "another zhian runs on this data folder", right="stop it, or choose another --data"
        ) from None
    os.set_inheritable(file.fileno(), False)
    return file


def _broker(site: Site, data: Path) -> list[Child]:
    own = [link for link in site.links if isinstance(link, MqttBrokerLink) and not link.url]
    for link in own:
        _check_free(link)
    return [
        Child(name="mosquitto", argv=[broker.executable(), "-c", str(broker.prepare(site, link, data))]) for link in own
    ]


def _check_free(link: MqttBrokerLink) -> None:
    """A broker of Debian's own on our port is the usual surprise: told now, not again and again in a log."""
    host, _, port = link.listen.rpartition(":")
    try:
        socket.create_server((host, int(port))).close()
    except (OSError, OverflowError) as error:
        right = (
            "stop what listens there (systemctl disable --now mosquitto), give another `listen`, or a broker's `url`"
        )
        raise Refusal(f"link {link.id}", "listen", f"cannot be used: {error}", value=link.listen, right=right) from None


def _link(site: Site, link: SiteLink, data: Path, clock: Clock) -> Link:
    match link:
        case ModbusRtuLink() | ModbusTcpLink():
            return ModbusBus(link, clock)
        case SerialPortLink():
            return SerialPort(link, clock)
        case MqttBrokerLink():
            return _session(site, link, data, clock)


def _session(site: Site, link: MqttBrokerLink, data: Path, clock: Clock) -> MqttSession:
    password = broker.credentials(data).get(broker.HUB, "")
    if link.url:
        password = Path(link.password_file).read_text(encoding="utf-8").strip() if link.password_file else ""
    return MqttSession(
        link,
        link.devices,
        site.id,
        clock,
        url=link.url or f"mqtt://{link.listen}",
        username=link.username if link.url else broker.HUB,
        password=password,
        client_id=f"zhian-{site.id}-{link.id}",
    )
