"""`zhian demo` and `zhian simulate`: a whole community without hardware, on real ptys, sockets and a real broker."""

import asyncio
import contextlib
import shutil
import socket
import string
import tempfile
from collections.abc import Iterator
from pathlib import Path

import click
import uvloop

from device_profiles.door import Refusal
from firmware_bridge import simulate
from firmware_bridge.simulate.community import play
from firmware_bridge.simulate.script import Script, load_script
from hub.clock import Clock
from hub.commands.options import DATA, SITE, Finite
from hub.commands.run import DEFAULT_PORT, PORT, configure_log, is_loopback, run_site
from hub.durable import replace_file
from hub.duty.file import FILE as DUTY_FILE
from hub.duty.file import read_duty
from hub.journal.writer import FILE, Journal
from hub.orders.keys import is_signed, key_file, make_key, read_key
from hub.outcome import Entry, Outcome
from hub.processes import broker
from hub.processes.supervisor import Child, stop_on_signals, zhian
from hub.settings.door import load_site
from hub.settings.site import MqttBrokerLink, Site
from hub.settings.site_web import Way

HERE = Path(simulate.__file__).parent
COMMUNITY = HERE / "zhongshan.toml"
EVENING = HERE / "evening.toml"
DUTY = HERE / "duty.toml"
SPEEDS = Finite(0.1, 20.0)


@click.command("demo")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address of the dashboard; 0.0.0.0 = all.")
@click.option("--port", type=PORT, help="Port of the dashboard; 0 takes a free one. Default: 8080, or a free one.")
@click.option(
    "--data", type=click.Path(path_type=Path, file_okay=False), help="Keep the data here. Default: keep none."
)
@click.option("--speed", default=1.0, show_default=True, type=SPEEDS, help="How fast time runs, 0.1 to 20.")
def demo_command(host: str, port: int | None, data: Path | None, speed: float) -> None:
    """Run Zhongshan Garden (中山花园), a simulated community, with its dashboard. Ctrl-C stops everything."""
    configure_log()
    with _folder(data) as folder:
        site_path = _write_site(folder)
        site, script = load_site(site_path), load_script(EVENING)
        _register_dogs(site, script, folder)
        _install_duty(site, folder)
        for device in filter(is_signed, site.devices().values()):
            make_key(key_file(device, folder), renew=True)
        clock = Clock(speed, Clock().now())
        environment = clock.to_environment()
        devices = Child(
            name="devices", argv=zhian("simulate", str(site_path), "--data", str(folder)), environment=environment
        )
        chosen = _free_port(host, DEFAULT_PORT) if port is None else port
        flags = ["--demo", "--way", Way.PLAIN if is_loopback(host) else Way.TLS]
        asyncio.run(run_site(site_path, folder, host, chosen, [devices], environment=environment, office_flags=flags))


@click.command("simulate")
@SITE
@DATA
@click.option("--script", default=EVENING, type=click.Path(path_type=Path), help="What happens; default: an evening.")
def simulate_command(site: Path, data: Path, script: Path) -> None:
    """Play the devices of a site: the other end of each of its cables, each device by its own profile."""
    configure_log()
    uvloop.run(_simulate(load_site(site), data, load_script(script)))


async def _simulate(site: Site, data: Path, script: Script) -> None:
    link = next((link for link in site.links if isinstance(link, MqttBrokerLink)), None)
    host, _, port = link.listen.rpartition(":") if link else ("", "", "0")
    secrets = {name: (name, password) for name, password in broker.credentials(data).items()}
    stop = asyncio.Event()
    stop_on_signals(stop)
    playing = asyncio.create_task(
        play(
            site,
            script,
            Clock.from_environment(),
            credentials=secrets,
            broker=(host, int(port)),
            keys=_keys(site, data),
        )
    )
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait([playing, stopping], return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if not playing.done():
        playing.cancel()
    await asyncio.gather(playing, return_exceptions=stop.is_set())


def _keys(site: Site, data: Path) -> dict[str, bytes]:
    """What the installer has typed into the controllers."""
    files = {name: key_file(device, data) for name, device in site.devices().items() if is_signed(device)}
    return {name: read_key(file) for name, file in files.items() if file.exists()}


@contextlib.contextmanager
def _folder(data: Path | None) -> Iterator[Path]:
    """The user's folder, or one that goes away with the demo."""
    if data is not None:
        data.mkdir(parents=True, exist_ok=True)
        yield data.resolve()
        return
    folder = Path(tempfile.mkdtemp(prefix="zhian-demo-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _write_site(folder: Path) -> Path:
    """The demo's site file, with this machine's free ports. A site file of somebody else's is never overwritten."""
    path = folder / "site.toml"
    text = COMMUNITY.read_text(encoding="utf-8")
    if path.exists() and path.read_text(encoding="utf-8").partition("\n")[0] != text.partition("\n")[0]:
        raise Refusal(path, "", "is not the demo's", right="choose an empty folder with --data")
    ports = {"broker": _free_port("127.0.0.1"), "relay": _free_port("127.0.0.1")}
    path.write_text(string.Template(text).substitute(data=folder, **ports), encoding="utf-8")
    return path


def _register_dogs(site: Site, script: Script, folder: Path) -> None:
    journal = Journal(folder / FILE, site)
    try:
        journal.write(
            [Outcome(entries=[Entry(list="dogs", id=chip, note=note) for chip, note in script.registered.items()])]
        )
    finally:
        journal.close()


def _install_duty(site: Site, folder: Path) -> None:
    """The demo's roster, checked as any other. One that is there already, with what was changed in it, stays."""
    read_duty(DUTY, site)
    if not (folder / DUTY_FILE).exists():
        replace_file(folder / DUTY_FILE, DUTY.read_text(encoding="utf-8"))


def _free_port(host: str, wanted: int = 0) -> int:
    """The wanted port when it is free, else any free one."""
    for port in (wanted, 0):
        with contextlib.suppress(OSError), socket.create_server((host, port)) as server:
            return int(server.getsockname()[1])
    raise Refusal("--host", "", f"no port can be opened on {host}")
