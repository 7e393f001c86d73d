"""`zhian run`: broker, field and office process of one site, kept running; and those two processes themselves."""

import asyncio
import fcntl
import gc
import logging
import os
import secrets
import signal
import socket
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import IO

import click
import uvloop

from device_profiles.door import Refusal
from firmware_bridge.links.modbus_bus import ModbusBus
from firmware_bridge.links.mqtt_lanes import MqttLanes
from firmware_bridge.links.mqtt_session import SESSION_EXPIRY_S, MqttSession
from firmware_bridge.links.serial_port import SerialPort
from firmware_bridge.raw import Link
from hub.calendar.days import calendar_or_seed
from hub.clock import Clock
from hub.commands.options import DATA, SITE
from hub.control.door import Control, Handler
from hub.control.lending import Lending
from hub.control.reload import Reloader, accept, last_reload, read_accepted, read_site
from hub.control.trying import Trying
from hub.core import Core
from hub.field import Field
from hub.journal.reserve import Reserve
from hub.journal.writer import FILE, Journal
from hub.orders.sayso import rules_in_force
from hub.processes import broker
from hub.processes.hearsay import OFFICE_FACTS, Hearsay
from hub.processes.log_line import OneLine
from hub.processes.pulse import beating, show_stacks
from hub.processes.repeats import Repeats
from hub.processes.state import Noted
from hub.processes.supervisor import Child, Keeper, on_hangup, stop_on_signals, supervise, zhian
from hub.rules.door import load_rules
from hub.settings.door import load_site
from hub.settings.site import (
    Device,
    ModbusAsciiLink,
    ModbusRtuLink,
    ModbusRtuOverTcpLink,
    ModbusTcpLink,
    MqttBrokerLink,
    SerialPortLink,
    Site,
    SiteLink,
)
from hub.settings.site_web import Way

LOG = logging.getLogger("zhian.run")
DEFAULT_PORT = 8080
PORT = click.IntRange(0, 65535)
# A core that answers within a second and has said nothing for 15 hangs; 15 s more and sensors count as silent. The
# office waits for databases: a guard rather waits half a minute for the page than loses it to an impatient supervisor.
FIELD_SILENT_S, OFFICE_SILENT_S = 15.0, 30.0
LOOK_S = 0.5  # how often the journal is asked whether the field process has reloaded


@click.command("run")
@SITE
@DATA
@click.option("--host", default="127.0.0.1", show_default=True, help="Address of the dashboard; 0.0.0.0 = all.")
@click.option(
    "--port", default=DEFAULT_PORT, show_default=True, type=PORT, help="Port of the dashboard; 0 takes a free one."
)
@click.option("--https", "way", flag_value="proxy", help="Plain HTTP for a proxy that people reach by HTTPS.")
@click.option("--plain", "way", flag_value="plain", help="Plain HTTP, on a loopback address only.")
def run_command(site: Path, data: Path, host: str, port: int, way: str | None) -> None:
    """Run a site: the hub, its dashboard (by HTTPS) and, where the site names no broker, a mosquitto."""
    if way == "plain" and not is_loopback(host):
        raise Refusal("--plain", "", "passwords would be readable on the way", value=host, right="--host 127.0.0.1")
    configure_log()
    asyncio.run(run_site(site, data, host, port, office_flags=["--way", way or "tls"]))


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
    load_rules(site, site_path)
    with lock(data), listening_socket(host, port) as listener:
        Reserve(data, site.journal).make_room()  # on a full disk, the files of a start find place
        _prepare_journal(site, site_path, data)
        accept(site_path, data)
        arguments = (str(site_path), "--data", str(data))
        office = (*arguments, "--listener", str(listener.fileno()), *office_flags)
        ours = [
            *more,
            Child(name="field", argv=zhian("field", *arguments), environment=environment, silent_s=FIELD_SILENT_S),
            Child(
                name="office",
                argv=zhian("office", *office),
                pass_fds=[listener.fileno()],
                environment=environment,
                silent_s=OFFICE_SILENT_S,
            ),
        ]
        for link in broker.own(site):
            broker.check_free(link)
        stop, keeper = asyncio.Event(), Keeper(Noted(data))
        stop_on_signals(stop)
        on_hangup(stop, lambda: keeper.signal("field", signal.SIGHUP))
        following = asyncio.create_task(_follow(keeper, site_path, data, ours))
        try:
            await supervise([*_brokers(site, data), *ours], stop, keeper)
        finally:
            following.cancel()


async def _follow(keeper: Keeper, site_path: Path, data: Path, ours: Sequence[Child]) -> None:
    """When the field process has reloaded: the brokers of the new file, and an office that knows it, in its place."""
    before, was = last_reload(data, ""), read_site(site_path)
    while True:
        await asyncio.sleep(LOOK_S)
        now = last_reload(data, before)
        if now == before:
            continue
        before = now
        try:
            fresh = read_site(site_path)
            brokers = _brokers(fresh[0], data)
        except Refusal as error:  # edited again since: the next reload will tell
            LOG.error("the office goes on with the old file: %s", error)
            continue
        again = {"office"} if fresh != was else set()
        if [link.listen for link in broker.own(fresh[0])] != [link.listen for link in broker.own(was[0])]:
            again.add("mosquitto")
        was = fresh
        await keeper.renew([*brokers, *ours], again)


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
    show_stacks()
    uvloop.run(_field(site, data, Clock.from_environment()))


async def _field(site_path: Path, data: Path, clock: Clock) -> None:
    site, rules = read_accepted(site_path, data)
    reserve = Reserve(data, site.journal)
    reserve.make_room()
    journal = Journal(data / FILE, site)
    limited = rules_in_force(site, rules, journal.limits())
    core = Core(site, limited, journal.memory(), clock.now(), calendar_or_seed(data))
    gc.freeze()  # what stands for years need not be looked through again and again
    links = [open_link(site, link, data, clock) for link in site.links]
    field = Field(site, {rule.id: rule for rule in rules}, core, journal, links, clock, reserve)
    stop = asyncio.Event()
    stop_on_signals(stop)
    reloader = Reloader(
        site, rules, site_path, data, field, lambda site, link: open_link(site, link, data, clock), clock
    )
    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, reloader.on_signal)
    trying = Trying(
        field, site_path, clock.now, data, lambda site, link: open_link(site, link, data, clock, guest=True)
    )
    async with beating(field.well), Control(data, _handlers(reloader, field, trying)):
        running = asyncio.create_task(field.run())
        stopping = asyncio.create_task(stop.wait())
        await asyncio.wait([running, stopping], return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if not running.done():
            running.cancel()
        await asyncio.gather(running, return_exceptions=stop.is_set())


def _handlers(reloader: Reloader, field: Field, trying: Trying) -> dict[str, Handler]:
    """What the command line may ask of the running field process: a word, and what answers it."""
    return {
        "reload": reloader.answer,
        **Lending(field).handlers,
        **trying.handlers,
        **Hearsay(OFFICE_FACTS, field.know).handlers,
    }


@click.command("office", hidden=True)
@SITE
@DATA
@click.option("--listener", type=int, required=True, help="File descriptor of the listening socket.")
@click.option("--demo", is_flag=True, help="Make a new first login at each start.")
@click.option("--way", type=click.Choice([way.value for way in Way]), default="tls", help="How the page is reached.")
def office_command(site: Path, data: Path, listener: int, demo: bool, way: str) -> None:
    """The office process: dashboard, users, history."""
    from hub.office import serve_office  # a web server, which the field process need not load

    async def serve() -> None:
        async with beating():
            checked = read_accepted(site, data)[0]
            await serve_office(checked, site, data, socket.socket(fileno=listener), demo=demo, way=Way(way))

    configure_log()
    show_stacks()
    uvloop.run(serve())


def configure_log() -> None:
    """One line an event on standard error, with its room; one that repeats itself a few times a minute."""
    for library in ("uvicorn", "apscheduler"):
        logging.getLogger(library).setLevel(logging.WARNING)
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(Repeats())
    handler.setFormatter(OneLine("%(asctime)s %(levelname).1s %(name)s: %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler])


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach it."""
    return host == "localhost" or host == "::1" or host.startswith("127.")


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
    try:
        data.mkdir(parents=True, exist_ok=True)
        file = (data / "lock").open("w")
    except OSError as error:
        right = "a folder that this user may write to"
        raise Refusal("--data", "", f"cannot be used: {error.strerror}", value=data, right=right) from None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        raise Refusal(
            data, "", "another zhian runs on this data folder", right="stop it, or choose another --data"
        ) from None
    os.set_inheritable(file.fileno(), False)
    return file


def _brokers(site: Site, data: Path) -> list[Child]:
    return [
        Child(name="mosquitto", argv=[broker.executable(), "-c", str(broker.prepare(site, link, data))])
        for link in broker.own(site)
    ]


def open_link(site: Site, link: SiteLink, data: Path, clock: Clock, *, guest: bool = False) -> Link:
    """The link of this kind, which opens its cable when it is entered. A `guest` leaves no session at a broker."""
    match link:
        case ModbusRtuLink() | ModbusAsciiLink() | ModbusRtuOverTcpLink() | ModbusTcpLink():
            return ModbusBus(link, clock)
        case SerialPortLink():
            return SerialPort(link, clock)
        case MqttBrokerLink():
            return _session(site, link, data, clock, guest=guest)


def _session(site: Site, link: MqttBrokerLink, data: Path, clock: Clock, *, guest: bool) -> MqttLanes:
    password = broker.credentials(data).get(broker.HUB, "")
    if link.url:
        password = Path(link.password_file).read_text(encoding="utf-8").strip() if link.password_file else ""
    own = f"-guest-{os.getpid()}-{secrets.token_hex(3)}" if guest else ""

    def lane(devices: Iterable[Device], elsewhere: Iterable[Device], *, urgent: bool) -> MqttSession:
        return MqttSession(
            link,
            devices,
            site.id,
            clock,
            url=link.url or f"mqtt://{link.listen}",
            username=link.username if link.url else broker.HUB,
            password=password,
            client_id=f"zhian-{site.id}-{link.id}" + ("-urgent" if urgent else "") + own,
            session_expiry=0 if guest else SESSION_EXPIRY_S,
            house=not urgent,
            elsewhere=elsewhere,
        )

    return MqttLanes(link.devices, lane)
