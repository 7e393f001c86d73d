"""A whole installation in processes of its own, as `zhian run` makes it, with simulated devices on real cables."""

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

CHROMIUM = "/usr/bin/chromium"
QUIET = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
START_S = 40.0


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


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
            process.wait(20)

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
        """The JSON lines of one call."""
        return [json.loads(line) for line in self.zhian(*arguments, "--json").stdout.splitlines()]

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
        """SIGKILL one of the processes."""
        os.kill(self.process(name), signal.SIGKILL)

    def _start(self, command: str, *arguments: str) -> "subprocess.Popen[bytes]":
        with self.output.open("ab") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "hub", command, str(self.site), "--data", str(self.data), *arguments],
                stdout=output,
                stderr=output,
            )
        self._processes.append(process)
        return process


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """One headless Chromium. It keeps an event loop running: no asynchronous test in a file that uses it."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
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
