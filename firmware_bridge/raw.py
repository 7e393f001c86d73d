"""What a link hands over and takes: the shapes between `links` and `wire`.

A Link is an async context manager and an async iterator of lists of arrivals. Asking it for the next list says that
the last one is durable: only then does it acknowledge (MQTT) and read on. It never invents, drops or decodes a value.
"""

from collections.abc import AsyncIterator, Iterable
from typing import Protocol, Self, TypeAlias, runtime_checkable

import msgspec

from hub.reading import FaultKind, LinkChange
from hub.settings.site import Device


class Registers(msgspec.Struct, frozen=True):
    """The data of one checked Modbus answer: bytes of `count` registers (or packed bits) from `address`."""

    table: str
    address: int
    count: int
    data: bytes


class Frame(msgspec.Struct, frozen=True):
    """One whole serial frame, marks and checksum included."""

    data: bytes


class Message(msgspec.Struct, frozen=True, gc=False):
    """One MQTT message on a device's `up` topic (or, with no device, on any topic that was subscribed)."""

    topic: str
    payload: bytes
    qos: int = 1
    retained: bool = False


class Alive(msgspec.Struct, frozen=True):
    """A device's birth or last will on its `alive` topic."""

    online: bool


class Trouble(msgspec.Struct, frozen=True):
    """The cable's own word for what went wrong with this device: no answer, a bad checksum, a refusal ...

    `pause_s` = so long the device wants to be left alone, as one that says "busy".
    """

    kind: FaultKind
    detail: str
    payload: bytes | None = None
    pause_s: float = 0.0


Raw: TypeAlias = Registers | Frame | Message | Alive | Trouble


class Redelivery(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """Identifies one QoS 1 delivery, so that a repeat after a crash is known (`again`: the DUP flag was set)."""

    link: str
    packet_id: int
    digest: int
    again: bool


class Arrival(msgspec.Struct, frozen=True, gc=False):
    """One raw thing from one device (empty: the device is not known), at `rx` ms since 1970."""

    device: str
    raw: Raw
    rx: int
    redelivery: Redelivery | None = None


class Write(msgspec.Struct, frozen=True):
    """A Modbus write. 5, 6: `value`; 15: `count` coils in `data`; 16: registers in `data`; 22: `mask` and `value`."""

    function: int
    address: int
    value: int = 0
    count: int = 1
    mask: int = 0
    data: bytes = b""


class Publish(msgspec.Struct, frozen=True):
    """An MQTT publish; `expires_s` becomes the message expiry interval, so that a broker cannot deliver it late."""

    topic: str
    payload: bytes
    expires_s: int = 0
    retain: bool = False


Action: TypeAlias = Write | Publish | bytes


class SendError(Exception):
    """The action did not leave, or the device refused it. Whether it may be tried again is the caller's business."""

    def __init__(self, kind: FaultKind, detail: str) -> None:
        """`kind` as in faults: link-down, no-answer, refused ..."""
        self.kind, self.detail = kind, detail
        super().__init__(f"{kind}: {detail}")


class Link(Protocol):
    """One cable. It reconnects by itself for ever, and reports each change of its state as a LinkChange."""

    id: str

    async def __aenter__(self) -> Self:
        """Prepare; the cable need not be there yet."""

    async def __aexit__(self, *_: object) -> None:
        """Let go of the cable."""

    def __aiter__(self) -> AsyncIterator[list[Arrival | LinkChange]]:
        """Lists of what came; each list was made durable by the caller before the next is asked for."""

    def carry(self, devices: Iterable[Device]) -> None:
        """Go on with another list of devices, without letting go of the cable. ValueError, TypeError: cannot be."""

    async def send(self, device: str, action: Action) -> None:
        """Do it now, before the next poll; return when it has left (and, on Modbus, was echoed). Raises SendError."""


@runtime_checkable
class Laned(Protocol):
    """A link whose ordinary messages can be left where they are, while the urgent ones are taken."""

    def hold(self, held: bool) -> None:
        """The last ordinary list is not durable yet, and no other is to be brought; or it is, and they go on."""


@runtime_checkable
class Broker(Protocol):
    """A link whose other end keeps messages for others, and may throw some away."""

    async def dropped(self) -> int | None:
        """How many it has thrown away since it was started; None: not known."""
