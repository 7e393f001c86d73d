"""Real history servers of Debian's packages, for a bench or a test: on free ports of this machine, in a folder given.

Nothing of the hub's own runs them: a site's server is its owner's.
"""

import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

PATIENCE_S = 30.0
PACKAGES = {"influxd": "influxdb", "victoria-metrics": "victoria-metrics"}


class Daemon:
    """A server that can be killed and started again on the same port, with the same files."""

    def __init__(self, command: list[str], url: str, log: Path) -> None:
        """Starts it; `command` stays in the foreground."""
        self.command, self.url, self._log = command, url, log
        self.start()

    def start(self) -> None:
        """Returns once it answers. RuntimeError with its own words when it does not."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(self.command, stdout=log, stderr=log)  # our own arguments
        give_up = time.monotonic() + PATIENCE_S
        while not answers(f"{self.url}/ping"):
            if self._process.poll() is not None or time.monotonic() > give_up:
                raise RuntimeError(self._log.read_text(encoding="utf-8", errors="replace"))
            time.sleep(0.05)

    def kill(self) -> None:
        """As a power cut ends it, but for the disk's own cache."""
        self._process.kill()
        self._process.wait(10)


def influxdb(folder: Path, more: str = "") -> Daemon:
    """InfluxDB 1.x, with `more` lines at the end of its configuration, which is the section [http]."""
    port, internal = _free_port(), _free_port()
    (folder / "influxdb.conf").write_text(
        f'reporting-disabled = true\nbind-address = "127.0.0.1:{internal}"\n'
        f'[meta]\ndir = "{folder}/meta"\n[data]\ndir = "{folder}/data"\nwal-dir = "{folder}/wal"\n'
        f'[monitor]\nstore-enabled = false\n[http]\nbind-address = "127.0.0.1:{port}"\nlog-enabled = false\n{more}'
    )
    command = [installed("influxd"), "-config", str(folder / "influxdb.conf")]
    return Daemon(command, f"http://127.0.0.1:{port}", folder / "log")


def victoriametrics(folder: Path) -> Daemon:
    """VictoriaMetrics, which keeps what is a hundred years old."""
    port = _free_port()
    flags = [f"-storageDataPath={folder}/data", f"-httpListenAddr=127.0.0.1:{port}", "-retentionPeriod=100y"]
    command = [installed("victoria-metrics"), *flags, "-loggerLevel=ERROR"]
    return Daemon(command, f"http://127.0.0.1:{port}", folder / "log")


def installed(program: str) -> str:
    """The program's path. RuntimeError that says how it is installed."""
    path = shutil.which(program)
    if path is None:
        raise RuntimeError(f"needs {program}: apt-get install {PACKAGES[program]}")
    return path


def answers(url: str) -> bool:
    """Whether anything is said, if only that it wants a password."""
    try:
        urllib.request.urlopen(url, timeout=5).close()  # noqa: S310  # of this machine
    except urllib.error.HTTPError:
        return True
    except (urllib.error.URLError, ConnectionError):
        return False
    return True


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
