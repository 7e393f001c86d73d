"""Speeds of a serial line, and hosts of a network, tried one after the other for somebody who answers.

It opens the cable itself: whoever calls sees to it that nobody else holds it. Nothing is written to any device.
"""

import asyncio
import contextlib
import ipaddress
import re
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Sequence
from typing import Any, TypeAlias

import msgspec

from device_profiles.load import profiles
from device_profiles.types import SerialProfile
from firmware_bridge.links.modbus_bus import ModbusBus
from firmware_bridge.links.ports import PortError, open_port
from firmware_bridge.links.survey import FIRST_FUNCTIONS, Ask, Event, Found, Odd, Progress, Where, answer_s, survey
from firmware_bridge.raw import Frame
from firmware_bridge.wire.decode import decode
from firmware_bridge.wire.framing import Framer
from firmware_bridge.wire.match import Guess, Verdict
from hub.clock import Clock
from hub.reading import Fault, FaultKind, LinkChange, LinkState, Reading
from hub.settings.site import Devices, ModbusLine, ModbusRtuLink, ModbusTcpLink

MOST_HOSTS = 1022  # of a /22
TCP_ANSWER_S = 0.3
OPEN_S, CONNECT_S = 5.0, 1.0  # a line that is named; a host that may not be there
HEAR_S = 5.0  # at each speed, for a device that speaks by itself; hold a chip at the reader meanwhile
LISTEN_S = 0.6  # before anything is asked: six reports of a radar
_MOST_HEARD = 4096  # bytes: a device of the library would have shown itself
_AT_ONCE = 32  # hosts
_ROOM = 64  # events that wait for the asker


class Setting(msgspec.Struct, frozen=True):
    """How a serial line is set."""

    baud: int
    parity: str = "N"
    stop_bits: int = 1

    def __str__(self) -> str:
        """As an installer writes it."""
        return f"{self.baud} 8{self.parity}{self.stop_bits}"

    def link(self, path: str) -> ModbusRtuLink:
        """A line of this setting on this port."""
        known = {"kind": "modbus-rtu", "id": "line", "port": path, **msgspec.to_builtins(self)}
        return msgspec.convert(known, ModbusRtuLink)

    def block(self, path: str) -> str:
        """The [[link]] table of such a line, to paste into site.toml."""
        text = f'[[link]]\nid = "{_id(path)}"\nkind = "modbus-rtu"\nport = "{path}"\nbaud = {self.baud}\n'
        text += f'parity = "{self.parity}"\n' if self.parity != "N" else ""
        return text + (f"stop_bits = {self.stop_bits}\n" if self.stop_bits != 1 else "") + "\n"


# The most usual first: what makers of RS-485 sensors deliver, then what installers set.
USUAL = tuple(
    Setting(*each)
    for each in (
        (9600,), (4800,), (19200,), (38400,), (115200,), (9600, "E"), (9600, "N", 2), (19200, "E"), (19200, "N", 2),
        (2400,), (57600,), (4800, "E"), (9600, "O"), (38400, "E"), (115200, "E"), (19200, "O"), (1200,), (14400,),
    )
)  # fmt: skip
Name: TypeAlias = Callable[[Setting], Where]


@contextlib.asynccontextmanager
async def asking(link: ModbusLine, patience: float = OPEN_S) -> AsyncIterator[Ask]:
    """This line, opened here within `patience` s, and how to ask on it; nobody is polled. Raises PortError."""
    async with ModbusBus(msgspec.structs.replace(link, devices=Devices()), Clock()) as bus:
        try:
            async with asyncio.timeout(patience):
                news = await anext(aiter(bus))
        except TimeoutError:
            raise PortError(f"{link.id}: no answer within {patience:g} s") from None
        for change in news:
            if isinstance(change, LinkChange) and change.state is LinkState.DOWN:
                raise PortError(change.detail)
        yield bus.ask


def settings(first: Setting) -> list[Setting]:
    """All that are tried, each once, beginning with `first`."""
    return list(dict.fromkeys((first, *USUAL)))


async def speeds(path: str, tried: Sequence[Setting], where: Where) -> AsyncGenerator[Event, None]:
    """Try settings until one finds somebody: registers at all of them first, then coils. Raises PortError."""
    for round_ in range(len(FIRST_FUNCTIONS)):
        for setting in tried:
            found = False
            async with contextlib.aclosing(
                _at(path, setting, where, FIRST_FUNCTIONS[round_:], listen=not round_)
            ) as at:
                async for event in at:
                    found = found or isinstance(event, Found)
                    yield event
            if found:
                return


async def _at(
    path: str, setting: Setting, where: Where, functions: Sequence[int], *, listen: bool
) -> AsyncGenerator[Event, None]:
    here = msgspec.structs.replace(
        where,
        name=str(setting),
        baud=setting.baud,
        timeout=where.timeout or answer_s(setting.baud),
        link_block=setting.block(path),
    )
    if listen and (speaker := await listened(path, setting, LISTEN_S)):
        yield speaker
        if isinstance(speaker, Found):
            return
    async with asking(setting.link(path)) as ask, contextlib.aclosing(survey(ask, here, functions)) as events:
        async for event in events:
            yield event


async def everywhere(path: str, seconds: float) -> AsyncGenerator[Event, None]:
    """Listen at the speeds of all serial profiles, then at the usual ones, until a device is understood."""
    own = [profile.link for profile in profiles().values() if isinstance(profile, SerialProfile)]
    tried = list(dict.fromkeys([*(Setting(each.baud, each.parity, each.stop_bits) for each in own), *USUAL]))
    for done, setting in enumerate(tried):
        yield Progress(where=str(setting), done=done, of=len(tried), found=0)
        if speaker := await listened(path, setting, seconds):
            yield speaker
            if isinstance(speaker, Found):
                return


async def listened(path: str, setting: Setting, seconds: float) -> Found | Odd | None:
    """Who speaks by itself on this line: a device of the library, somebody else, or nobody. Raises PortError."""
    port = await open_port(path, baud=setting.baud, parity=setting.parity, stop_bits=setting.stop_bits)
    data = b""
    with contextlib.closing(port):
        until = port.now() + seconds
        while (left := until - port.now()) > 0 and len(data) < _MOST_HEARD:
            data += await port.read(left)
            if fitting := [guess for profile in profiles().values() if (guess := _spoken(profile, data))]:
                note = "it speaks by itself: a link of kind serial"
                return Found(where=str(setting), unit=0, guesses=fitting, note=note)
    if len(data) > 8:
        detail = f"{len(data)} bytes came unasked: another speed, a second master, or a device of no profile"
        return Odd(where=str(setting), unit=0, fault=FaultKind.MALFORMED, detail=detail)
    return None


def _spoken(profile: object, data: bytes) -> Guess | None:
    """The profile, when whole good frames of it are in these bytes."""
    if not isinstance(profile, SerialProfile):
        return None
    framer = Framer(profile.frame)
    said = [word for raw in framer.feed(data) if isinstance(raw, Frame) for word in decode("", profile, raw, 0)]
    values = {word.quantity: word.value for word in said if isinstance(word, Reading)}
    if not values:
        return None
    doubt = any(isinstance(word, Fault) for word in said)
    verdict = Verdict.POSSIBLE if doubt else Verdict.LIKELY
    return Guess(profile=profile.id, verdict=verdict, bits=0.0, values=values)


def hosts_of(text: str) -> list[str]:
    """The hosts of "192.168.1.0/28", or the one of "192.168.1.7". Raises ValueError, in clear words."""
    network = ipaddress.ip_network(text, strict=False)
    if network.num_addresses > MOST_HOSTS + 2:
        raise ValueError(f"{network.num_addresses} addresses are more than /22 has: name a smaller part of the network")
    return [str(host) for host in network.hosts()]


async def network(hosts: Iterable[str], port: int, where: Where) -> AsyncGenerator[Event, None]:
    """Survey every host that lets us connect, 32 at a time."""
    events: asyncio.Queue[Event] = asyncio.Queue(_ROOM)
    places = asyncio.Semaphore(_AT_ONCE)

    async def one(host: str) -> None:
        async with places:
            with contextlib.suppress(PortError):  # nobody there, or gone again: the next
                async with contextlib.aclosing(host_survey(host, port, where)) as found:
                    async for event in found:
                        await events.put(event)

    asking = asyncio.gather(*map(one, hosts))
    try:
        while not (asking.done() and events.empty()):
            next_one = asyncio.create_task(events.get())
            waited: set[asyncio.Future[Any]] = {next_one, asking}  # Any: an event, or nothing
            await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
            if next_one.done():
                yield next_one.result()
            else:
                next_one.cancel()
        await asking
    finally:
        asking.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asking


async def host_survey(host: str, port: int, where: Where) -> AsyncGenerator[Event, None]:
    """One Modbus TCP host. Raises PortError when nobody listens there."""
    name = f"{host}:{port}"
    block = f'[[link]]\nid = "{_id(host)}"\nkind = "modbus-tcp"\nhost = "{host}"\nport = {port}\n\n'
    here = msgspec.structs.replace(where, name=name, timeout=where.timeout or TCP_ANSWER_S, link_block=block)
    link = ModbusTcpLink(id=name, host=host, port=port)
    async with asking(link, CONNECT_S) as ask, contextlib.aclosing(survey(ask, here)) as events:
        async for event in events:
            yield event


def _id(text: str) -> str:
    """An id of the site file out of a port's or a host's name."""
    return re.sub(r"[^a-z0-9]+", "-", text.rpartition("/")[2].lower()).strip("-") or "line"
