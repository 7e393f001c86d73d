"""A serial port made of a pseudo-terminal: the hub opens its path, a simulated device holds the other end.

The path is a symbolic link that stays the same when the plug is pulled and put back, as one in /dev/serial/by-id does.
"""

import os
import tty
from contextlib import suppress
from pathlib import Path
from typing import Self


class Tty:
    """Plugged in while entered. The line is raw; baud and parity are whatever the hub sets, a pty does not mind."""

    def __init__(self, path: Path) -> None:
        """Where the hub will find it; folders are made. Raises ValueError when a real port stands there."""
        self.path = path
        self._master = self._slave = -1
        self._refuse_real_port()

    def __enter__(self) -> Self:
        """Plug in."""
        self.plug()
        return self

    def __exit__(self, *_: object) -> None:
        """Unplug."""
        self.unplug()

    @property
    def fd(self) -> int:
        """The device's end, not blocking; another one after each plug. -1 while unplugged."""
        return self._master

    def plug(self) -> None:
        """Make the port appear. Our own hold on the hub's end keeps the line up while no hub has it open."""
        self.unplug()
        self._refuse_real_port()
        self._master, self._slave = os.openpty()
        os.set_blocking(self._master, False)
        tty.setraw(self._slave)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.unlink(missing_ok=True)  # left over by a process that was killed
        self.path.symlink_to(os.ttyname(self._slave))

    def unplug(self) -> None:
        """Make it disappear: whoever has it open gets a hang-up."""
        if self._master < 0:
            return
        self.path.unlink(missing_ok=True)
        for fd in (self._slave, self._master):
            os.close(fd)
        self._master = self._slave = -1

    def write(self, data: bytes) -> None:
        """Send as the device. What nobody reads is lost, as on a real line."""
        if self._master >= 0:
            with suppress(BlockingIOError):
                os.write(self._master, data)

    def read(self) -> bytes:
        """What the hub has sent so far; empty when nothing."""
        if self._master < 0:
            return b""
        try:
            return os.read(self._master, 4096)
        except BlockingIOError:
            return b""

    def _refuse_real_port(self) -> None:
        ours = self.path.is_symlink() and str(self.path.readlink()).startswith("/dev/pts/")
        if not ours and (self.path.is_symlink() or self.path.exists()):
            raise ValueError(f"{self.path} is there already, and is not a simulated port")
