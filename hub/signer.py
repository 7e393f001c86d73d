"""Seals orders as they leave: the controller's key, and a counter that is on the disk before the first byte goes out.

A key is read for each order, so that a new one counts at once, and is not kept in memory. What is signed, and how,
stands in firmware_bridge/wire/seal.py.
"""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator
from pathlib import Path

from firmware_bridge.raw import SendError
from firmware_bridge.wire.seal import Seal
from hub.clock import Clock
from hub.orders.keys import FOLDER, is_signed, key_file, read_key
from hub.reading import FaultKind
from hub.settings.secret import SecretError
from hub.settings.site import Device

_WIDTH = 20  # digits; a fixed size is written over in place, which a full disk does not prevent


class Signer:
    """Gives orders their seals. Counters only grow: through restarts, and by the clock after a data folder was lost.

    Orders of one device leave in the order of their counters, for it refuses one that comes behind a higher one.
    """

    def __init__(self, data: Path, clock: Clock) -> None:
        """`data`: the data folder. Nothing is read yet."""
        self._data, self._clock = data, clock
        self._turns: dict[str, asyncio.Lock] = {}

    @contextlib.asynccontextmanager
    async def turn(self, device: Device) -> AsyncIterator[Seal | None]:
        """While an order to `device` leaves: its seal, None where it wants none. Raises SendError: no order without."""
        if not is_signed(device):
            yield None
            return
        async with self._turns.setdefault(device.id, asyncio.Lock()):
            try:
                seal = await asyncio.to_thread(self._seal, device)
            except (SecretError, OSError) as error:
                words = error.problem if isinstance(error, SecretError) else error.strerror or str(error)
                where = f"the key of {device.id} ({key_file(device, self._data)})"
                raise SendError(FaultKind.REFUSED, f"{where}: {words}; see zhian device key {device.id}") from None
            yield seal

    def _seal(self, device: Device) -> Seal:
        key = read_key(key_file(device, self._data))
        file = self._data / FOLDER / f"{device.id}.counter"
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        counter = max(_counter(file) + 1, self._clock.now())
        _write_counter(file, counter)
        return Seal(key, counter)


def _counter(file: Path) -> int:
    """The last one that may have been used; 0 when that is not known: then the clock is past all of them."""
    try:
        text = file.read_text(encoding="ascii").strip()
    except (FileNotFoundError, UnicodeDecodeError):
        return 0
    return int(text) if text.isdecimal() and len(text) <= _WIDTH else 0


def _write_counter(file: Path, counter: int) -> None:
    """Durable on return, before anything is sent. Raises OSError."""
    fresh = not file.exists()
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT, 0o600)
    try:
        os.pwrite(descriptor, f"{counter:0{_WIDTH}d}\n".encode(), 0)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    if fresh:
        folder = os.open(file.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
