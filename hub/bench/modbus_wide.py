"""Width: so many Modbus TCP devices, each on a connection of its own, polled every second by a real field process.

The field process is `zhian field` on a site made for this: links, decoding, alarms and a journal on the disk. Its CPU
time is the system's count, taken over the seconds in which everything runs.
"""

import contextlib
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec

from hub.journal.writer import FILE, connect

PATIENCE_S = 60.0  # until all have been read once
_TICKS = os.sysconf("SC_CLK_TCK")
_HEAD = """
[site]
id = "wide"
name = {{ zh = "宽", en = "Wide" }}
timezone = "Asia/Shanghai"
[[zone]]
id = "yard"
name = {{ zh = "院子", en = "Yard" }}
"""
_LINK = """
[[link]]
id = "link-{n}"
kind = "modbus-tcp"
host = "127.0.{high}.{low}"
port = {port}
  [[link.device]]
  id = "meter-{n}"
  name = {{ zh = "噪声计 {n}", en = "Noise meter {n}" }}
  profile = "noise/generic-rs485"
  every = 1.0
  zone = "yard"
"""


class WideFigures(msgspec.Struct, frozen=True):
    """`cpu_share` of one core; `cadence` = readings in the journal / polls due; `open_s` until all had been read."""

    devices: int
    cpu_share: float
    cadence: float
    open_s: float
    rss_mb: float


def wide(folder: Path, port: int, devices: int, seconds: float) -> WideFigures:
    """Poll `devices` of the server at `port` for `seconds`, once all have been read. RuntimeError: they are not."""
    site = folder / "site.toml"
    links = (_LINK.format(n=n, high=1 + n // 250, low=1 + n % 250, port=port) for n in range(devices))
    site.write_text(_HEAD.format() + "".join(links), encoding="utf-8")
    with _field(site, folder) as process:
        began = time.monotonic()
        journal = _opened(folder / FILE, process)
        while _heard(journal) < devices:
            if process.poll() is not None or time.monotonic() - began > PATIENCE_S:
                raise RuntimeError(f"the field process has not read all of {devices} devices")
            time.sleep(0.2)
        open_s = time.monotonic() - began
        time.sleep(min(2.0, seconds / 2))  # its first commits and page faults
        return _count(process.pid, journal, devices, seconds, open_s)


@contextlib.contextmanager
def _field(site: Path, folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", "hub", "field", str(site), "--data", str(folder)]
    with (folder / "log").open("wb") as log, subprocess.Popen(command, stderr=log) as process:
        try:
            yield process
        finally:
            process.terminate()


def _count(pid: int, journal: sqlite3.Connection, devices: int, seconds: float, open_s: float) -> WideFigures:
    cpu, rows, began = _cpu_s(pid), _rows(journal), time.monotonic()
    time.sleep(seconds)
    took = time.monotonic() - began
    cpu, rows = _cpu_s(pid) - cpu, _rows(journal) - rows
    return WideFigures(
        devices=devices,
        cpu_share=round(cpu / took, 4),
        cadence=round(rows / (devices * took), 4),
        open_s=round(open_s, 1),
        rss_mb=round(_rss_mb(pid), 1),
    )


def _opened(path: Path, process: subprocess.Popen[bytes]) -> sqlite3.Connection:
    while process.poll() is None:
        with contextlib.suppress(sqlite3.Error):
            journal = connect(path, read_only=True)
            journal.execute("SELECT count(*) FROM latest")
            return journal
        time.sleep(0.2)
    raise RuntimeError(f"the field process ended: {path.with_name('log').read_text(encoding='utf-8')[-500:]}")


def _heard(journal: sqlite3.Connection) -> int:
    return int(journal.execute("SELECT count(*) FROM latest").fetchone()[0])


def _rows(journal: sqlite3.Connection) -> int:
    return int(journal.execute("SELECT coalesce(max(last), 0) FROM batch").fetchone()[0])


def _cpu_s(pid: int) -> float:
    """User and system time of the process, all its threads together (proc(5), fields 14 and 15)."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def _rss_mb(pid: int) -> float:
    pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="utf-8").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6
