"""What `zhian run` tells systemd: that it is ready, that it lives, that it stops (sd_notify(3), one datagram each).

Without systemd ($NOTIFY_SOCKET is not set) nothing is said. The words are the protocol's own.
"""

import os
import socket

_ADDRESS = "NOTIFY_SOCKET"


def notify(words: str) -> bool:
    """Say it; False where nobody listens. Never fails: a service manager that is away must not stop a hub."""
    address = os.environ.get(_ADDRESS, "")
    if not address:
        return False
    if address.startswith("@"):
        address = "\0" + address[1:]  # Linux's abstract names
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK) as line:
            line.sendto(words.encode(), address)
    except OSError:
        return False
    return True


def watchdog_s() -> float | None:
    """How often systemd wants to hear from us (half of WatchdogSec, as sd_watchdog_enabled(3) advises); None: not."""
    try:
        whole = int(os.environ.get("WATCHDOG_USEC", "0"))
        ours = int(os.environ.get("WATCHDOG_PID", str(os.getpid()))) == os.getpid()
    except ValueError:
        return None
    return whole / 2_000_000 if ours and whole > 0 else None
