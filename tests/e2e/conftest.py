"""A whole installation in processes of its own, as `zhian run` makes it, with simulated devices on real cables.

And what several installations have in common: pieces of site files, scenes, a broker alone, a telephone's provider.
"""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import IO, Any, Self

import paho.mqtt.client as mqtt
import pytest
from click.testing import CliRunner
from paho.mqtt.enums import CallbackAPIVersion
from playwright.sync_api import Browser, Page, sync_playwright

from hub.__main__ import cli
from hub.journal.query import open_journal
from hub.processes import broker
from hub.settings.door import load_site
from hub.settings.site import MqttBrokerLink, Site
from tests.conftest import free_port as free_port

COURT = """
[site]
id = "court"
name = { zh = "测试小区", en = "Test court" }
timezone = "Asia/Shanghai"
noise_class = 1
"""
LAKE = """
[site]
id = "lake"
name = { zh = "湖", en = "Lake" }
timezone = "Asia/Shanghai"

[rule.water-presence]
on_delay = 0.0

[[zone]]
id = "lake"
name = { zh = "湖", en = "Lake" }
closed = "00:00-24:00"
siren = { device = "board", command = "pulse_2", seconds = 8.0 }

[[link]]
id = "wire"
kind = "serial"
port = "$data/../wire"
  [[link.device]]
  id = "radar"
  profile = "water/hlk-ld2410"
  zone = "lake"

[[link]]
id = "line"
kind = "modbus-rtu"
port = "$data/../line"
  [[link.device]]
  id = "board"
  profile = "relay/waveshare-8ch"
  every = 0.5
"""
QUIET = "round = 3600.0\n"  # a script in which nothing happens
CHROMIUM = "/usr/bin/chromium"
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
START_S = 60.0


def scene(device: str, change: str, at: float) -> str:
    """What a simulated device says for the rest of a QUIET script, from `at` seconds after it was plugged in."""
    head = f'[[scene]]\nat = {at}\nfor = 3500.0\ndevice = "{device}"\n'
    return head + f'set = {{ {change} }}\nnote = {{ zh = "", en = "" }}\n'


def rows(data: Path, sql: str) -> list[tuple[Any, ...]]:  # Any: the columns of any question
    """What stands in the journal of a data folder."""
    with contextlib.closing(open_journal(data)) as db:
        return [tuple(row) for row in db.execute(sql)]


def wait_for(what: Callable[[], object], seconds: float = START_S) -> None:
    """Until it is true; a test that waits for what another process does."""
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, f"waited {seconds:.0f} s in vain"
        time.sleep(0.05)


class Installation:
    """`zhian run` and `zhian simulate` on one site, in a folder of their own."""

    def __init__(self, folder: Path, site: str, script: str) -> None:
        """`site` and `script` are texts; $data stands for the folder, $port_a and $port_b for free ports."""
        self.data = folder / "data"
        self.data.mkdir()
        ports = {"$port_a": str(free_port()), "$port_b": str(free_port()), "$data": str(self.data)}
        for name, value in ports.items():
            site = site.replace(name, value)
        self.site, self.script = folder / "site.toml", folder / "script.toml"
        self.site.write_text(site, encoding="utf-8")
        self.script.write_text(script, encoding="utf-8")
        self.output = folder / "run.log"
        self.login = ("admin", "")
        self._processes: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Self:
        """Nothing yet."""
        return self

    def __exit__(self, *_: object) -> None:
        """Leaves no process behind, whatever failed."""
        self.stop()

    def start(self, *, devices: bool = True) -> None:
        """Start both, and wait until the page's address is known."""
        if not self.login[1]:
            name, _, password = self.zhian("user", "add", "admin", "--role", "admin").stdout.partition(" (admin): ")
            self.login = (name, password.strip())
        self._start("run", "--port", "0", "--plain")
        wait_for(lambda: "dashboard at" in self.output.read_text(encoding="utf-8"))
        if devices:
            self.start_devices()

    def start_devices(self) -> subprocess.Popen[bytes]:
        """Plug the simulated devices in."""
        return self._start("simulate", "--script", str(self.script))

    def stop(self) -> None:
        """Ctrl-C, as a person does."""
        for process in reversed(self._processes):
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGINT)
        for process in self._processes:
            process.wait(60)

    def stop_hub(self) -> None:
        """The hub alone, as a service manager does; the devices stay."""
        hub = self._processes.pop(0)
        hub.send_signal(signal.SIGTERM)
        hub.wait(30)

    @property
    def address(self) -> str:
        """Where the dashboard is, as it was printed."""
        found = re.search(r"dashboard at (http://\S+)", self.output.read_text(encoding="utf-8"))
        assert found
        return found[1]

    def zhian(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """One call of the command line on this data folder."""
        command = [sys.executable, "-m", "hub", *arguments, "--data", str(self.data)]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=check)

    def lines(self, *arguments: str) -> list[dict[str, object]]:
        """The JSON lines of a question, asked in this process: tests wait by it, and need no new Python each time."""
        command = [*arguments, "--json", "--data", str(self.data)]
        done = CliRunner().invoke(cli, command, standalone_mode=False, catch_exceptions=False)
        return [json.loads(line) for line in done.stdout.splitlines()]

    def ask(self, sql: str) -> list[tuple[Any, ...]]:  # Any: as rows
        """What stands in the journal."""
        return rows(self.data, sql)

    def say(self, device: str, *payloads: str | bytes) -> None:
        """A message of a device through the site's broker, whether or not it is simulated as well."""
        site = load_site(self.site)
        say(self.data, int(_broker_of(site).listen.rpartition(":")[2]), f"{site.id}/{device}/up", *payloads)

    def alarms(self) -> dict[str, str]:
        """Rule/device -> state of the newest occurrence."""
        return {f"{line['rule']}/{line['device']}": str(line["state"]) for line in self.lines("alarms")}

    def process(self, name: str) -> int:
        """The number of the process that runs `hub NAME` (or mosquitto) on this data folder."""
        for entry in Path("/proc").iterdir():
            with contextlib.suppress(OSError):
                line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode() if entry.name.isdigit() else ""
                if str(self.data) in line and f"{name} " in line.replace("/usr/sbin/", "") and "run " not in line:
                    return int(entry.name)
        return 0

    def kill(self, name: str) -> None:
        """SIGKILL one of the processes; of killed devices the ports are gone too, as when a cable is pulled."""
        os.kill(self.process(name), signal.SIGKILL)
        if name == "simulate":  # else the hub would open a pty that another hub's test is given next
            for link in load_site(self.site).links:
                if isinstance(port := getattr(link, "port", None), str):
                    Path(port).unlink(missing_ok=True)

    def _start(self, command: str, *arguments: str) -> "subprocess.Popen[bytes]":
        with self.output.open("ab") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "hub", command, str(self.site), "--data", str(self.data), *arguments],
                stdout=output,
                stderr=output,
            )
        self._processes.append(process)
        return process


def say(data: Path, port: int, topic: str, *payloads: str | bytes) -> None:
    """Speak to a broker as the device that the topic names; it has taken all when this returns."""
    device = topic.split("/")[1]
    client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id=f"{device}-too")
    client.username_pw_set(device, broker.credentials(data)[device])
    client.connect("127.0.0.1", port)
    client.loop_start()
    for payload in payloads:
        client.publish(topic, payload, qos=1).wait_for_publish(10)
    client.disconnect()
    client.loop_stop()


@contextlib.contextmanager
def running_broker(site_file: Path, data: Path, log: IO[bytes]) -> Iterator[None]:
    """The site's own mosquitto without a hub."""
    site = load_site(site_file)
    command = [broker.executable(), "-c", str(broker.prepare(site, _broker_of(site), data))]
    process = subprocess.Popen(command, stderr=log)
    try:
        yield
    finally:
        process.terminate()
        process.wait(10)


def _broker_of(site: Site) -> MqttBrokerLink:
    return next(link for link in site.links if isinstance(link, MqttBrokerLink))


class _Provider(BaseHTTPRequestHandler):
    """What would ring: it keeps each call."""

    heard: list[dict[str, Any]]  # Any: the JSON of a call

    def do_POST(self) -> None:
        """One call."""
        self.heard.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Quiet."""


@pytest.fixture
def calls() -> Iterator[tuple[int, list[dict[str, Any]]]]:
    """A telephone provider's port, and the calls that it was given."""
    kind = type("Mine", (_Provider,), {"heard": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), kind)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server.server_port, kind.heard  # type: ignore[attr-defined]  # given above
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """One headless Chromium. It keeps an event loop running: no asynchronous test in a file that uses it."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


def log_in(browser: Browser, installation: Installation) -> Page:
    """A new page of the installation, logged in, in English."""
    page = browser.new_context(locale="en-GB", viewport={"width": 1440, "height": 900}).new_page()
    page.goto(installation.address)
    name, password = installation.login
    page.fill("input[name=name]", name)
    page.fill("input[name=password]", password)
    page.click("form button[type=submit]")
    page.wait_for_selector("main")
    return page


@pytest.fixture
def open_page(chromium: Browser) -> Iterator[Callable[[Installation], Page]]:
    """Opens an installation's page, logged in, in English."""
    pages: list[Page] = []

    def opened(installation: Installation) -> Page:
        pages.append(log_in(chromium, installation))
        return pages[-1]

    yield opened
    for page in pages:
        page.context.close()
