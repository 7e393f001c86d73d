"""What systemd is told: on a real datagram socket, and nothing where there is none."""

import asyncio
import os
import socket
from pathlib import Path

import pytest

from hub.processes import supervisor
from hub.processes.notify import notify, watchdog_s
from hub.processes.supervisor import supervise


@pytest.fixture
def manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> socket.socket:
    """A service manager's socket that is asked each 100 ms whether we live."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    listener.bind(str(tmp_path / "notify"))
    listener.settimeout(10)
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
    monkeypatch.setenv("WATCHDOG_USEC", "200000")
    return listener


async def test_ready_alive_stopping(manager: socket.socket) -> None:
    """In this order; alive at half of what systemd waits, from the loop that keeps the children."""
    stop = asyncio.Event()
    running = asyncio.create_task(supervise([], stop))
    said = [(await asyncio.to_thread(manager.recv, 100)).decode() for _ in range(4)]
    stop.set()
    await running
    manager.setblocking(False)
    while said[-1] != "STOPPING=1":
        said.append(manager.recv(100).decode())
    manager.close()
    assert said[:4] == ["READY=1", "WATCHDOG=1", "WATCHDOG=1", "WATCHDOG=1"]


def test_children_are_not_told(manager: socket.socket) -> None:
    """A child that spoke for us would keep a dead supervisor alive in systemd's eyes."""
    assert not {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"} & supervisor._ours().keys()
    assert supervisor._ours().items() <= os.environ.items()
    manager.close()


@pytest.mark.parametrize(("pid", "asked"), [("", 15.0), ("1", None)])
def test_only_whom_systemd_means(monkeypatch: pytest.MonkeyPatch, pid: str, asked: float | None) -> None:
    """WATCHDOG_PID of another process is not meant for us; without WATCHDOG_USEC nobody asks."""
    monkeypatch.setenv("WATCHDOG_USEC", "30000000")
    monkeypatch.setenv("WATCHDOG_PID", pid or str(os.getpid()))
    assert watchdog_s() == asked
    monkeypatch.delenv("WATCHDOG_USEC")
    assert watchdog_s() is None


def test_nobody_listens(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without systemd, and with a socket that is gone: no word, no error."""
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    assert not notify("READY=1")
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "gone"))
    assert not notify("READY=1")
    monkeypatch.setenv("NOTIFY_SOCKET", "@zhian-test-nobody")
    assert not notify("READY=1")
