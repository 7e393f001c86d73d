"""What crosses a cable, for whoever watches: whole exchanges, as the link saw them, byte for byte.

A link tells its Tap, and a Tap without listeners costs one question. It decides, decodes and keeps nothing; a listener
that is too slow loses what it has no room for, and is told how many: the cable never waits for it.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Iterator

import msgspec
from msgspec.structs import replace

from firmware_bridge.links.ports import Port
from firmware_bridge.raw import Action, Alive, Arrival, Frame, Message, Publish, Raw, Registers, Trouble
from firmware_bridge.wire.modbus import READ_FUNCTION, Request, crc16
from hub.reading import FaultKind, LinkChange

ROOM = 500  # exchanges that wait for one listener; more than that are lost, and counted
_MOST_BYTES = 4096  # of one direction of one exchange: a chattering line must not fill the memory


class Heard(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One exchange at `at` (ms since 1970): bytes out (`asked`) and in (`came`), and what the link made of them.

    Modbus: `request`, and `data` of a checked answer. MQTT: `topic`. `fault`: the cable's own word. `state`: up or down
    of the link itself. `lost`: so many exchanges before this one had no room. `device`, `profile`: where known.
    """

    at: int
    link: str = ""
    asked: bytes = b""
    came: bytes = b""
    device: str = ""
    profile: str = ""
    unit: int = 0
    took_ms: float = 0.0
    request: Request | None = None
    data: bytes | None = None
    topic: str = ""
    qos: int = 0
    retained: bool = False
    online: bool | None = None
    fault: FaultKind | None = None
    detail: str = ""
    state: str = ""
    lost: int = 0

    def raw(self) -> Raw | None:
        """What `decode` takes; None for what only went out, or says how the link is."""
        if self.fault is not None:
            return Trouble(self.fault, self.detail, self.came or None)
        if self.request is not None and self.data is not None:
            return Registers(self.request.table, self.request.address, self.request.count, self.data)
        if self.online is not None:
            return Alive(self.online)
        if self.topic and not self.asked:
            return Message(self.topic, self.came, self.qos, self.retained)
        return Frame(self.came) if self.came and not self.topic else None


class Tap:
    """The place at a link where others may listen."""

    def __init__(self, link: str) -> None:
        """Nobody listens yet."""
        self._link = link
        self._ears: list[_Ear] = []
        self._out, self._in, self._stray = bytearray(), bytearray(), b""

    def __bool__(self) -> bool:
        """True while somebody listens."""
        return bool(self._ears)

    def say(self, heard: Heard) -> None:
        """Tell everybody; never waits."""
        for ear in self._ears:
            ear.take(replace(heard, link=self._link))

    def on(self, port: Port) -> Port:
        """The same port, whose bytes are heard too."""
        return _TappedPort(port, self)

    def sent(self, data: bytes) -> None:
        """These bytes left, as part of the exchange that is under way."""
        self._out += data[: _MOST_BYTES - len(self._out)]

    def came(self, data: bytes) -> None:
        """These bytes came."""
        self._in += data[: _MOST_BYTES - len(self._in)]

    def begin(self) -> None:
        """A question is about to leave: what came since the last one was over belongs to none."""
        self._stray = bytes(self._in)
        self._out.clear()
        self._in.clear()

    def answered(self, request: Request, answer: Registers | Trouble, at: int, took: float) -> None:
        """The Modbus exchange is over, `took` s long. Where no port was heard, it is told as RTU frames."""
        if self._stray:
            self.say(Heard(at=at, came=self._stray, fault=FaultKind.MISMATCH, detail="came unasked"))
        trouble = answer if isinstance(answer, Trouble) else None
        self.say(
            Heard(
                at=at,
                asked=bytes(self._out) or request.rtu(),
                came=bytes(self._in) or _as_rtu(request, answer),
                unit=request.unit,
                took_ms=round(1000 * took, 1),
                request=request,
                data=answer.data if isinstance(answer, Registers) else None,
                fault=trouble.kind if trouble else None,
                detail=trouble.detail if trouble else "",
            )
        )
        self._out.clear()
        self._in.clear()

    def arrived(self, news: Iterable[Arrival | LinkChange]) -> None:
        """What a serial port or a broker brought, or any link said of itself."""
        for item in news if self else ():
            self.say(_change(item) if isinstance(item, LinkChange) else _arrival(item))

    def ordered(self, device: str, action: Action, at: int) -> None:
        """An order left on a serial port or to a broker."""
        if isinstance(action, Publish):
            self.say(Heard(at=at, asked=action.payload, topic=action.topic, device=device))
        elif isinstance(action, bytes):
            self.say(Heard(at=at, asked=action, device=device))


@contextlib.contextmanager
def listen(taps: Iterable[Tap], room: int = ROOM) -> Iterator[AsyncIterator[Heard]]:
    """All that is heard at these places from now on, for ever; at most `room` exchanges wait."""
    ear, places = _Ear(room), list(taps)
    for tap in places:
        tap._ears.append(ear)
    try:
        yield ear
    finally:
        for tap in places:
            tap._ears.remove(ear)


async def for_a_while(heard: AsyncIterator[Heard], seconds: float) -> AsyncGenerator[Heard, None]:
    """What is heard within so many real seconds; 0: for ever."""
    loop = asyncio.get_running_loop()
    until = loop.time() + seconds if seconds else None
    while True:
        try:
            yield await asyncio.wait_for(anext(heard), None if until is None else until - loop.time())
        except (TimeoutError, StopAsyncIteration):
            return


class _Ear:
    """One listener's bounded room."""

    def __init__(self, room: int) -> None:
        self._room = room
        self._waiting: deque[Heard] = deque()
        self._lost = 0
        self._more = asyncio.Event()

    def take(self, heard: Heard) -> None:
        if len(self._waiting) >= self._room:
            self._lost += 1
            return
        if self._lost:
            heard, self._lost = replace(heard, lost=self._lost), 0
        self._waiting.append(heard)
        self._more.set()

    def __aiter__(self) -> AsyncIterator[Heard]:
        return self

    async def __anext__(self) -> Heard:
        while not self._waiting:
            self._more.clear()
            await self._more.wait()
        return self._waiting.popleft()


class _TappedPort:
    """A Port whose bytes its Tap hears while somebody listens."""

    def __init__(self, port: Port, tap: Tap) -> None:
        self.name = port.name
        self._port, self._tap = port, tap
        self.now: Callable[[], float] = port.now
        self.last_byte: Callable[[], float] = port.last_byte
        self.close: Callable[[], None] = port.close

    async def read(self, timeout: float) -> bytes:
        return self._heard(await self._port.read(timeout))

    def drain_input(self) -> bytes:
        return self._heard(self._port.drain_input())

    def write(self, data: bytes) -> None:
        self._port.write(data)
        if self._tap:
            self._tap.begin()
            self._tap.sent(data)

    def _heard(self, data: bytes) -> bytes:
        if data and self._tap:
            self._tap.came(data)
        return data


def _as_rtu(request: Request, answer: Registers | Trouble) -> bytes:
    """The frame that a serial line would have carried; what came of a trouble."""
    if isinstance(answer, Trouble):
        return answer.payload or b""
    if request.function in READ_FUNCTION.values():
        body = bytes([request.unit, request.function, len(answer.data)]) + answer.data
    elif not answer.data:  # a write is confirmed by its own beginning
        body = bytes([request.unit]) + request.pdu[: request.answer_length]
    else:
        return b""
    return body + crc16(body)


def _arrival(item: Arrival) -> Heard:
    raw, known = item.raw, Heard(at=item.rx, device=item.device)
    match raw:
        case Message():
            return replace(known, came=raw.payload, topic=raw.topic, qos=raw.qos, retained=raw.retained)
        case Alive():
            return replace(known, online=raw.online)
        case Trouble():
            return replace(known, came=raw.payload or b"", fault=raw.kind, detail=raw.detail)
    return replace(known, came=raw.data)


def _change(change: LinkChange) -> Heard:
    return Heard(at=change.rx, state=change.state.value, detail=change.detail)
