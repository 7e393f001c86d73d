"""Which cable an electrician means, and who asks on it: the running hub where there is one, else this process itself.

Nobody becomes a second master: while a hub runs on the data folder, a line of its site is reached through the hub only.
"""

import asyncio
import contextlib
import fcntl
import functools
import itertools
import re
from collections.abc import AsyncGenerator, Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import click
import msgspec

from device_profiles.door import Refusal, nearest
from firmware_bridge.links import sweep
from firmware_bridge.links.ports import PortError
from firmware_bridge.links.survey import Ask
from hub.control.door import NotRunning, Refused, Said, ask
from hub.settings.door import load_site
from hub.settings.links import is_host
from hub.settings.site import ModbusRtuLink, ModbusTcpLink, MqttBrokerLink, SerialPortLink, Site, SiteLink

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])  # Any: a command's own arguments
UNITS = range(1, 248)


class Reach(msgspec.Struct, frozen=True, kw_only=True):
    """What was said of a cable on the command line: a link of the site, or a port or host of its own."""

    link: str
    site: Path
    data: Path
    port: str
    baud: int
    parity: str
    stop_bits: int
    host: str

    @property
    def by_hand(self) -> bool:
        """A port or host was named, instead of a link."""
        return bool(self.port or self.host)

    def named(self, link: str) -> "Reach":
        """The same with a link, which must not stand beside a port or host. Raises UsageError."""
        if bool(link) == self.by_hand:
            raise click.UsageError("name a LINK of the site file, or else --port or --host")
        return msgspec.structs.replace(self, link=link)

    def open(self) -> tuple[Site | None, SiteLink]:
        """The link to open here, and its site. Raises Refusal."""
        if self.port:
            parts = {"port": self.port, "baud": self.baud, "parity": self.parity, "stop_bits": self.stop_bits}
            return None, msgspec.convert({"kind": "modbus-rtu", "id": "line", **parts}, ModbusRtuLink)
        if self.host:
            name, _, port = self.host.partition(":")
            return None, ModbusTcpLink(id="net", host=name, port=int(port or 502))
        site = load_site(self.site)
        for link in site.links:
            if link.id == self.link:
                return site, link
        names = [link.id for link in site.links]
        raise Refusal(self.site, "link", "there is no such link", value=self.link, right=nearest(self.link, names))

    def hub(self, do: str, arguments: Said, kind: type[T], *, patience: float | None = None) -> Iterator[T] | None:
        """The running hub's answers; None when there is none to ask, or the cable was named by hand. Raises Refused."""
        if self.by_hand:
            return None
        answers = ask(self.data, do, arguments, timeout=patience)
        try:
            first = list(itertools.islice(answers, 1))
        except NotRunning:
            _refuse_while_it_starts(self.data)
            return None
        return (msgspec.convert(said, kind) for said in itertools.chain(first, answers))


def reaches(command: F) -> F:
    """Options that name a cable; the command takes one argument `reach`."""

    @functools.wraps(command)
    def gathered(**given: Any) -> Any:  # Any: click's own
        fields = {name: given.pop(name) for name in Reach.__struct_fields__ if name not in ("link", "host")}
        reach = Reach(link="", host=_host(given.pop("host")), **fields)
        with _spoken(by_hand=reach.by_hand):
            return command(reach=reach, **given)

    path = click.Path(path_type=Path)
    options = [
        click.option("--site", default="site.toml", show_default=True, type=path, help="The site file."),
        click.option(
            "--data", default="zhian-data", show_default=True, type=path, help="The running hub's data folder."
        ),
        click.option("--port", default="", help="A serial port, without a site file: /dev/serial/by-id/..."),
        click.option("--baud", default=9600, show_default=True, type=click.IntRange(50), help="Speed, with --port."),
        click.option(
            "--parity", default="N", show_default=True, type=click.Choice(["N", "E", "O"]), help="With --port."
        ),
        click.option("--stop-bits", default=1, show_default=True, type=click.IntRange(1, 2), help="With --port."),
        click.option(
            "--host", default="", help="A Modbus TCP device or gateway, without a site file: HOST or HOST:PORT."
        ),
    ]
    for option in reversed(options):
        gathered = option(gathered)
    return gathered  # type: ignore[return-value]  # the command, with other arguments


class _Mistake(click.ClickException):
    """The user's to mend."""

    exit_code = 2


class Units(click.ParamType):  # type: ignore[type-arg]  # generic in newer versions only
    """Unit numbers as "1-247" or "1,3,10-20"."""

    name = "units"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, ...]:
        """Each once, in the order given."""
        if isinstance(value, tuple):
            return value
        found: list[int] = []
        for part in str(value).split(","):
            match = re.fullmatch(r"\s*(\d+)\s*(?:-\s*(\d+)\s*)?", part)
            numbers = range(int(match[1]), int(match[2] or match[1]) + 1) if match else range(0)
            if not numbers or numbers[0] < UNITS[0] or numbers[-1] > UNITS[-1]:
                self.fail(f"{part!r} are no unit numbers; write 1-247, or 1,3,10-20", param, ctx)
            found += numbers
        return tuple(dict.fromkeys(found))


def stepped(events: AsyncGenerator[T, None]) -> Iterator[T]:
    """What an asynchronous generator gives, for a command that prints it. It is closed in the end, come what may."""

    async def one() -> list[T]:
        try:
            return [await anext(events)]
        except StopAsyncIteration:
            return []

    async def end() -> None:
        await events.aclose()

    with asyncio.Runner() as runner:
        try:
            while item := runner.run(one()):
                yield item[0]
        finally:
            runner.run(end())


def asking(link: SiteLink) -> contextlib.AbstractAsyncContextManager[Ask]:
    """Any kind of Modbus line, opened here, and how to ask on it. Raises Refused; PortError when it is entered."""
    if isinstance(link, SerialPortLink | MqttBrokerLink):
        raise Refused(
            f"{link.id} is no Modbus line: nobody can be asked there; `zhian watch {link.id}` shows what it says"
        )
    return sweep.asking(link)


def _host(text: str) -> str:
    name, colon, port = text.partition(":")
    good = not colon or (re.fullmatch(r"[1-9]\d{0,4}", port) and int(port) <= 0xFFFF)
    if text and not (good and is_host(name)):
        raise click.UsageError(f"--host {text!r}: write HOST or HOST:PORT, as 192.168.1.20:502")
    return text


def _refuse_while_it_starts(data: Path) -> None:
    """A hub that holds the folder and does not answer yet (or again) has its hand on the cables."""
    with contextlib.suppress(FileNotFoundError, NotADirectoryError), (data / "lock").open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            raise Refused(f"a hub runs on {data} and does not answer yet: try again", mistake=False) from None


@contextlib.contextmanager
def _spoken(*, by_hand: bool) -> Iterator[None]:
    """Refusals and lost cables, as the command line says them."""
    try:
        yield
    except Refused as error:
        raise (_Mistake if error.mistake else click.ClickException)(error.words) from error
    except PortError as error:
        way = "name its LINK instead of --port" if by_hand else "name its folder with --data"
        held = f"; if that is the hub, {way}" if "another program" in error.detail else ""
        raise click.ClickException(error.detail + held) from error
    except TimeoutError as error:
        raise click.ClickException("the running hub does not answer") from error
