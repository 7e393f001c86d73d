"""A site for measuring: a mosquitto, a real field process, and so many noise monitors, in a folder that goes away.

Nothing in it is simulated but the devices; the journal is read as any other process reads it.
"""

import contextlib
import os
import socket
import sqlite3
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from hub.journal.writer import FILE, Journal, connect
from hub.processes import broker
from hub.processes.supervisor import zhian
from hub.settings.door import load_site
from hub.settings.site import MqttBrokerLink

START_S = 120.0  # a site of a hundred thousand devices takes half a minute to read
_HEAD = """\
[site]
id = "bench"
name = {{ zh = "测量", en = "Bench" }}
timezone = "Asia/Shanghai"
noise_class = 2

[[zone]]
id = "yard"
name = {{ zh = "院子", en = "Yard" }}

[[link]]
id = "mqtt"
kind = "mqtt"
listen = "127.0.0.1:{port}"
"""
_METER = """
  [[link.device]]
  id = "{id}"
  profile = "noise/json-mqtt"
  zone = "yard"
"""


class Process:
    """A child of the bench, and what the system says of it."""

    def __init__(self, argv: list[str], log: Path, keep: Sequence[int] = ()) -> None:
        """Starts it; what it says goes to `log`. `keep`: file descriptors that it is handed."""
        self._log = log.open("wb")
        self._child = subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=self._log, stderr=self._log, pass_fds=keep
        )

    def cpu_s(self) -> float:
        """Seconds of processor time that it has had."""
        stat = Path(f"/proc/{self._child.pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        return (int(stat[11]) + int(stat[12])) / os.sysconf("SC_CLK_TCK")

    def rss_mb(self) -> float:
        """Its resident memory."""
        status = Path(f"/proc/{self._child.pid}/status").read_text(encoding="ascii")
        return int(status.partition("VmRSS:")[2].split()[0]) / 1024

    def stop(self) -> None:
        """End it in good order."""
        self._child.terminate()
        self._child.wait(20)
        self._log.close()


class Court:
    """The running site. `meters`: the ids of its noise monitors; `more`: further text for the site file."""

    def __init__(self, folder: Path, meters: int, more: str = "") -> None:
        """Starts broker and hub, and waits until the hub listens."""
        self.meters = [f"noise-{at:06d}" for at in range(meters)]
        self.port = free_port()
        self.path = folder / "site.toml"
        text = _HEAD.format(port=self.port) + "".join(_METER.format(id=name) for name in self.meters) + more
        self.path.write_text(text, encoding="utf-8")
        self.site = load_site(self.path)
        self.data = folder / "data"
        self.data.mkdir()
        link = next(link for link in self.site.links if isinstance(link, MqttBrokerLink))
        configuration = broker.prepare(self.site, link, self.data)
        self.password = broker.credentials(self.data)[broker.HUB]
        Journal(self.data / FILE, self.site).close()
        self.db = connect(self.data / FILE, read_only=True)
        self.broker = Process([broker.executable(), "-c", str(configuration)], folder / "broker.log")
        self.field = Process(zhian("field", str(self.path), "--data", str(self.data)), folder / "field.log")
        self._wait()

    def durable(self) -> int:
        """How many readings are on the disk."""
        return int(self.db.execute("SELECT coalesce(max(last), 0) FROM batch").fetchone()[0])

    def batches(self) -> int:
        """In how many transactions they came there."""
        return int(self.db.execute("SELECT count(*) FROM batch").fetchone()[0])

    def close(self) -> None:
        """End both processes."""
        self.db.close()
        self.field.stop()
        self.broker.stop()

    def _wait(self) -> None:
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline:
            with contextlib.suppress(sqlite3.OperationalError):
                down = self.db.execute("SELECT count(*) FROM health WHERE kind = 'link' AND state <> 'up'").fetchone()[
                    0
                ]
                if not down and self.db.execute("SELECT count(*) FROM health WHERE kind = 'link'").fetchone()[0]:
                    return
            time.sleep(0.05)
        raise TimeoutError(f"the hub did not connect to its broker within {START_S:.0f} s")


@contextlib.contextmanager
def court(meters: int, more: str = "") -> Iterator[Court]:
    """The running site for the length of a `with`."""
    with tempfile.TemporaryDirectory(prefix="zhian-bench-") as folder:
        running = Court(Path(folder), meters, more)
        try:
            yield running
        finally:
            running.close()


def free_port() -> int:
    """A TCP port on loopback that nobody uses now."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])
