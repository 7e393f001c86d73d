"""A serial port whose devices speak by themselves: opened, read, healed for ever after a pulled plug.

Bytes become frames, and frames find their device, by the profiles; what a frame says is `wire`'s. Nothing is asked.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Self

from device_profiles.types import SerialLink, SerialProfile
from firmware_bridge.links.backoff import Backoff
from firmware_bridge.links.ports import Port, PortError, open_port
from firmware_bridge.links.tap import Tap
from firmware_bridge.raw import Action, Arrival, Frame, SendError, Trouble
from firmware_bridge.wire.multidrop import Multidrop, Speaker
from hub.clock import Clock
from hub.reading import FaultKind, LinkChange, LinkState
from hub.settings.site import Device, SerialPortLink

QUIET_S = 0.25  # a frame that pauses so long has broken off: 300 characters at 9600 baud
IDLE_S = 60.0  # how long one look at a silent port takes; a pulled plug ends it at once
RETRY_S = (0.5, 4.0)  # a plug put back is found within 5 s


class SerialPort:
    """The port of a `serial` link. A chip reader says nothing for hours; a radar ten frames a second."""

    def __init__(self, link: SerialPortLink, clock: Clock) -> None:
        """Raises ValueError when the link carries no device, or one that is not serial.

        Its devices share the line settings, and no frame is two devices': the site file's door has seen to both.
        """
        if not link.devices:
            raise ValueError(f"{link.id}: a serial port without a device")
        self.id = link.id
        self._path, self._line = link.port, _options(link.devices[0])
        self._devices = [device.id for device in link.devices]
        self._frames = Multidrop([_speaker(device) for device in link.devices])
        self._clock = clock
        self._backoff = Backoff(*RETRY_S)
        self._port: Port | None = None
        self._down_because: str | None = None
        self._failed = False
        self._begun = False
        self._lent, self._back = "", asyncio.Event()
        self.tap = Tap(link.id)

    async def __aenter__(self) -> Self:
        """The port need not be there yet."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close the port."""
        if self._port is not None:
            self._port.close()
            self._port = None

    def __aiter__(self) -> AsyncIterator[list[Arrival | LinkChange]]:
        """Lists of what one read brought. A serial line cannot be acknowledged: what comes meanwhile waits in it."""
        return self

    async def __anext__(self) -> list[Arrival | LinkChange]:
        """Wait for frames, for trouble, or for a change of the port."""
        while True:
            news = await (self._open() if self._port is None else self._read(self._port))
            if news:
                self.tap.arrived(news)
                return news

    def carry(self, devices: Iterable[Device]) -> None:
        """Its devices may be called otherwise; other devices, or other line settings, need the port opened anew."""
        if [device.id for device in devices] != self._devices:
            raise ValueError(f"{self.id}: the port is that of {', '.join(self._devices)}")

    @contextlib.asynccontextmanager
    async def lend(self, why: str) -> AsyncIterator[None]:
        """Let go of the port while this is held, so that somebody else can open it: the link is down, for `why`.

        Raises PortError when it is lent already.
        """
        if self._lent:
            raise PortError(self._lent)
        self._lent = why
        self._back.clear()
        if self._port is not None:
            self._port.close()  # whoever reads hears of it
        try:
            yield
        finally:
            self._lent, self._failed = "", False
            self._back.set()

    async def send(self, device: str, action: Action) -> None:
        """Write the bytes; a serial device gives no receipt."""
        if not isinstance(action, bytes):
            raise TypeError(f"a serial link sends bytes, it cannot do {type(action).__name__}")
        if self._port is None:
            raise SendError(FaultKind.LINK_DOWN, self._down_because or f"{self._path}: not open yet")
        try:
            self._port.write(action)
        except PortError as error:
            raise SendError(FaultKind.LINK_DOWN, error.detail) from error
        if self.tap:
            self.tap.ordered(device, action, self._clock.now())

    async def _open(self) -> list[Arrival | LinkChange]:
        if self._failed and not self._lent:
            await self._clock.sleep(self._backoff.next())
        if self._lent:
            if told := self._lost(self._lent):
                return told
            await self._back.wait()
        line = self._line
        try:
            self._port = await open_port(self._path, baud=line.baud, parity=line.parity, stop_bits=line.stop_bits)
        except PortError as error:
            return self._lost(error.detail)
        self._down_because = None
        words = f"{self._path}: open at {line.baud} 8{line.parity}{line.stop_bits}"
        return [self._change(LinkState.UP, words)]

    async def _read(self, port: Port) -> list[Arrival | LinkChange]:
        try:
            data = await port.read(QUIET_S if self._begun else IDLE_S)
        except PortError as error:
            port.close()
            self._port = None
            return [*self._arrivals(self._frames.flush()), *self._lost(self._lent or error.detail)]
        if data:
            self._backoff.reset()
        self._begun = bool(data)
        return self._arrivals(self._frames.feed(data) if data else self._frames.flush())

    def _lost(self, why: str) -> list[Arrival | LinkChange]:
        """Said once, and again only when the reason is another one."""
        self._failed, self._begun = True, False
        if why == self._down_because:
            return []
        self._down_because = why
        return [self._change(LinkState.DOWN, why)]

    def _arrivals(self, found: Sequence[tuple[str, Frame | Trouble]]) -> list[Arrival | LinkChange]:
        rx = self._clock.now()
        return [Arrival(device, raw, rx) for device, raw in found]

    def _change(self, state: LinkState, detail: str) -> LinkChange:
        return LinkChange(link=self.id, state=state, detail=detail, rx=self._clock.now())


def _options(device: Device) -> SerialLink:
    if not isinstance(device.options, SerialLink):
        raise ValueError(f"{device.id} is not a serial device")
    return device.options


def _speaker(device: Device) -> Speaker:
    if not isinstance(device.profile, SerialProfile):
        raise ValueError(f"{device.id} is not a serial device")
    return Speaker(device.id, device.profile.frame, _options(device).address)
