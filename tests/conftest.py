"""Fixtures for every room: a real mosquitto on a free loopback port.

A test may stop, kill, freeze and start it again. Its type for annotations: `from tests.conftest import Mosquitto` under
TYPE_CHECKING.
"""

import contextlib
import itertools
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# Never by the clock, because the machine may be busy. All else as Hypothesis has it, in CI as well.
settings.register_profile("zhian", parent=settings(), deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("zhian")


class Mosquitto:
    """One broker with its own folder. `settings` are lines of mosquitto.conf, in force from the next start."""

    host = "127.0.0.1"

    def __init__(self, folder: Path) -> None:
        """It is not started yet."""
        self.folder = folder
        self.port = free_port()
        self.settings = ["allow_anonymous true"]
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """As a site file names it."""
        return f"mqtt://{self.host}:{self.port}"

    def start(self) -> None:
        """Start, and wait until it answers. What it kept on disk is there again."""
        config = self.folder / "mosquitto.conf"
        own = ["user root", f"listener {self.port} {self.host}", "persistence true", "autosave_on_changes true"]
        own += [f"persistence_location {self.folder}/", "autosave_interval 1", "max_queued_messages 0"]
        config.write_text("\n".join([*own, "max_inflight_messages 0", *self.settings, ""]))
        with (self.folder / "mosquitto.log").open("ab") as log:
            self._process = subprocess.Popen(["mosquitto", "-c", str(config)], stdout=log, stderr=log)
        give_up = time.monotonic() + 10
        while not self._listens():
            if self._process.poll() is not None or time.monotonic() > give_up:
                raise RuntimeError(self.log())
            time.sleep(0.01)

    def stop(self) -> None:
        """SIGTERM: it writes everything down."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL: as a power cut."""
        self._end(signal.SIGKILL)

    def freeze(self) -> None:
        """SIGSTOP: connections stay open and nothing answers."""
        self._send(signal.SIGSTOP)

    def thaw(self) -> None:
        """SIGCONT."""
        self._send(signal.SIGCONT)

    def forget(self) -> None:
        """Delete what it keeps on disk (while it is stopped): all sessions and retained messages."""
        (self.folder / "mosquitto.db").unlink(missing_ok=True)

    def user(self, name: str, password: str) -> None:
        """Only this user (and others so named) may connect, from the next start."""
        passwords = self.folder / "passwords"
        create = [] if passwords.exists() else ["-c"]
        command = ["mosquitto_passwd", *create, "-b", str(passwords), name, password]
        subprocess.run(command, check=True, capture_output=True)
        passwords.chmod(0o600)
        self.settings = [line for line in self.settings if not line.startswith(("allow_anonymous", "password_file"))]
        self.settings += ["allow_anonymous false", f"password_file {passwords}"]

    def acl(self, text: str) -> None:
        """The access list, from the next start."""
        file = self.folder / "acl"
        file.write_text(text)
        file.chmod(0o600)
        self.settings = [line for line in self.settings if not line.startswith("acl_file")] + [f"acl_file {file}"]

    def log(self) -> str:
        """What it printed."""
        return (self.folder / "mosquitto.log").read_text()

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex((self.host, self.port)) == 0

    def _send(self, number: signal.Signals) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(number)

    def _end(self, number: signal.Signals) -> None:
        self._send(number)
        if self._process is not None:
            self._process.wait(10)


PORTS = itertools.count(os.getpid() * 7919 % 18_000)  # other test processes begin elsewhere


def free_port() -> int:
    """A TCP port on loopback that nobody listens on, below those that the kernel hands out: it stays free."""
    while True:
        port = 12_000 + next(PORTS) % 20_000
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[Mosquitto]:
    """A broker that runs, with persistence; it is killed when the test is over."""
    folder = tmp_path / "mosquitto"
    folder.mkdir()
    broker = Mosquitto(folder)
    broker.start()
    yield broker
    broker.kill()


@pytest.fixture
def unused_port() -> int:
    """As free_port."""
    return free_port()
