"""Who is on a line: exactly those who are, recognised by what they answer, at the speed that they have."""

import asyncio
import contextlib
import termios
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

import pytest
from pymodbus.pdu import ModbusPDU

from device_profiles.load import profiles
from device_profiles.types import ModbusLink
from firmware_bridge.links import sweep
from firmware_bridge.links.ports import PortError, open_port
from firmware_bridge.links.survey import Event, Found, Odd, Progress, Where, answer_s, is_there, survey
from firmware_bridge.links.sweep import Setting, asking, host_survey, hosts_of, listened, network, settings, speeds
from firmware_bridge.raw import Registers, Trouble
from firmware_bridge.simulate.modbus_units import Units
from firmware_bridge.simulate.tty import Tty
from firmware_bridge.wire import encode
from firmware_bridge.wire.match import Verdict
from firmware_bridge.wire.modbus import Request, crc16
from hub.clock import Clock
from hub.reading import FaultKind, Label, Value
from hub.settings.site import Device, Devices, ModbusRtuLink, ModbusTcpLink

T = TypeVar("T")
YARD: dict[int, tuple[str, dict[str, Value]]] = {
    2: ("noise/generic-rs485", {"laeq": 55.7}),
    5: ("relay/waveshare-8ch", {f"relay_{n}": "off" for n in range(1, 9)}),
    6: ("water/escort-td500", {"water_temperature": 18.0, "water_level": 1.127}),
}
LABEL = Label(zh="x", en="x")


def devices(yard: dict[int, tuple[str, dict[str, Value]]] = YARD) -> Devices:
    """One device a unit."""
    return Devices(
        Device(id=f"unit-{unit}", profile=profiles()[name], options=ModbusLink(unit=unit), name=LABEL, link="line")
        for unit, (name, _) in yard.items()
    )


@pytest.fixture(autouse=True)
def no_long_listening(monkeypatch: pytest.MonkeyPatch) -> None:
    """These lines are quiet: nobody has to be waited for at each speed."""
    monkeypatch.setattr(sweep, "LISTEN_S", 0.05)


class Picky(Units):
    """Units that understand a question only at their own speed, as real ones do; a pty itself does not mind."""

    tty: Tty
    baud = termios.B19200

    def answer(self, request: ModbusPDU, **more: Any) -> ModbusPDU | None:  # Any: as the units themselves
        if termios.tcgetattr(self.tty.fd)[5] != self.baud:
            return None
        return super().answer(request, **more)


@pytest.fixture
async def line(tmp_path: Path) -> AsyncIterator[Path]:
    """A pty with the units of YARD, at 19200 baud."""
    path = tmp_path / "line"
    with Tty(path) as tty:
        units = Picky(ModbusRtuLink(id="line", port=str(path), devices=devices()), Clock(), fd=tty.fd)
        units.tty = tty
        async with units:
            for unit, (_, values) in YARD.items():
                units.set(f"unit-{unit}", values)
            yield path


def where(units: Iterable[int], **more: object) -> Where:
    """What to survey, with a time-out for a busy machine."""
    return Where(name="line", units=tuple(units), timeout=0.1, **more)  # type: ignore[arg-type]  # as given


async def all_of(events: AsyncGenerator[T, None]) -> list[T]:
    """Every event."""
    async with contextlib.aclosing(events):
        return [event async for event in events]


def found(events: list[Event]) -> dict[int, Found]:
    """Who was found, by unit."""
    return {event.unit: event for event in events if isinstance(event, Found)}


def likely(event: Found) -> list[str]:
    """What it is thought to be."""
    return [guess.profile for guess in event.guesses if guess.verdict is Verdict.LIKELY]


async def test_exactly_those_who_are_there(line: Path) -> None:
    """Each unit of a mixed line is found once, with its own profile alone, its values, and a block to paste."""
    async with asking(Setting(19200).link(str(line))) as ask:
        events = await all_of(survey(ask, where(range(1, 8), known={2: "noise-east"})))
    seen = found(events)

    assert {unit: likely(event) for unit, event in seen.items()} == {unit: [name] for unit, (name, _) in YARD.items()}
    assert seen[6].guesses[0].values == YARD[6][1]
    assert (seen[2].device, seen[2].block) == ("noise-east", "")
    assert 'id = "water-6"' in seen[6].block
    assert "noise/generic-rs485" in seen[6].unlikely
    assert [event for event in events if isinstance(event, Odd)] == []


async def test_the_speed_is_found(line: Path) -> None:
    """At the wrong speed nobody answers; at the right one everybody is found, and no other is tried after it."""
    tried = [Setting(9600), Setting(19200), Setting(38400)]
    events = await all_of(speeds(str(line), tried, where([5, 6, 7])))

    assert {event.where for event in found(events).values()} == {"19200 8N1"}
    assert set(found(events)) == {5, 6}
    assert "38400 8N1" not in {event.where for event in events}
    assert "baud = 19200" in found(events)[6].link_block


async def test_leaving_in_the_middle_lets_go_of_the_port(line: Path) -> None:
    """Whoever stops a scan leaves no port open: it can be opened again at once."""
    events = speeds(str(line), [Setting(9600)], where(range(1, 248)))
    assert isinstance(await anext(events), Progress)
    with pytest.raises(PortError, match="another program"):
        await open_port(str(line), baud=9600, parity="N", stop_bits=1)
    await events.aclose()

    (await open_port(str(line), baud=9600, parity="N", stop_bits=1)).close()


async def test_a_slow_unit_is_found_all_the_same(tmp_path: Path) -> None:
    """An answer that comes while the next unit is asked is nobody's value, and brings the slow unit to light."""
    loop = asyncio.get_running_loop()
    with Tty(tmp_path / "line") as tty:

        def heard() -> None:
            asked = Request.from_rtu(tty.read())
            known = (asked.function, asked.count) == (3, 1)
            answer = bytes([3, 3, 2, 0x02, 0x2D] if known else [3, asked.function | 0x80, 2])
            if asked.unit == 3:
                loop.call_later(0.3 if known else 0.0, tty.write, answer + crc16(answer))

        loop.add_reader(tty.fd, heard)
        async with asking(Setting(115200).link(str(tmp_path / "line"))) as ask:
            line = Where(name="line", units=(2, 3, 4, 5), timeout=0.2)
            events = await all_of(survey(ask, line, [3]))
        loop.remove_reader(tty.fd)

    assert {unit: likely(event) for unit, event in found(events).items()} == {3: ["noise/generic-rs485"]}


@pytest.fixture
async def gateway() -> AsyncIterator[int]:
    """The port of a TCP gateway with the units of YARD; it says of others that they do not answer."""
    units = Units(ModbusTcpLink(id="net", host="127.0.0.1", devices=devices()), Clock(), port=0)
    async with units:
        for unit, (_, values) in YARD.items():
            units.set(f"unit-{unit}", values)
        yield units.port


async def test_a_gateways_word_for_nobody_is_nobody(gateway: int) -> None:
    """Exception 0B (no answer from the target) is not the answer of a unit."""
    events = await all_of(host_survey("127.0.0.1", gateway, where(range(1, 20))))

    assert {unit: likely(event) for unit, event in found(events).items()} == {
        unit: [name] for unit, (name, _) in YARD.items()
    }
    assert 'kind = "modbus-tcp"' in found(events)[2].link_block


async def test_hosts_of_a_network_are_tried_at_once(gateway: int) -> None:
    """Of a subnet those who listen are surveyed, and the others cost one connection each."""
    async with asyncio.timeout(20):
        events = await all_of(network(hosts_of("127.0.0.0/29"), gateway, where([1, 2, 3])))

    assert [(event.where, event.unit) for event in events if isinstance(event, Found)] == [(f"127.0.0.1:{gateway}", 2)]


def test_a_large_network_is_refused() -> None:
    """More than a /22 is somebody else's network."""
    assert len(hosts_of("10.0.0.0/22")) == 1022
    assert hosts_of("10.0.0.7") == ["10.0.0.7"]
    with pytest.raises(ValueError, match="more than /22"):
        hosts_of("10.0.0.0/21")
    with pytest.raises(ValueError, match="does not appear to be"):
        hosts_of("yard")


Script = Callable[[Request], Registers | Trouble]


async def surveyed(script: Script, units: Iterable[int] = range(1, 12)) -> list[Event]:
    """A survey of a line that answers as the script says."""

    async def ask(request: Request, timeout: float) -> Registers | Trouble:
        return script(request)

    return await all_of(survey(ask, where(units)))


async def test_a_device_that_ignores_the_unit_number_is_one_device() -> None:
    """Eight units that answer alike are one that answers to all; it is said, and the rest is not asked."""
    asked: list[int] = []

    def script(request: Request) -> Registers | Trouble:
        asked.append(request.unit)
        if request.function == 43:
            return Trouble(FaultKind.REFUSED, "exception 01")
        return Registers(request.table, request.address, request.count, b"\x02\x2d" * request.count)

    events = await surveyed(script, range(1, 248))

    assert list(found(events)) == [1]
    assert "every unit number" in found(events)[1].note
    assert max(asked) == 8


async def test_garbage_is_said_and_is_nobody() -> None:
    """Two devices with one number garble each other's answers: that is told, and nobody is invented."""
    events = await surveyed(
        lambda request: Trouble(FaultKind.CHECKSUM if request.unit == 3 else FaultKind.NO_ANSWER, "wrong CRC", b"\x03")
    )

    assert found(events) == {}
    assert {(event.unit, event.fault) for event in events if isinstance(event, Odd)} == {(3, FaultKind.CHECKSUM)}


async def test_it_tells_what_it_calls_itself() -> None:
    """Identification (43/14) is asked of who is there, and shown as text."""
    objects = b"\x00\x03ACM\x01\x02X1\x02\x03V10"

    def script(request: Request) -> Registers | Trouble:
        if request.unit != 4:
            return Trouble(FaultKind.NO_ANSWER, "silent")
        if request.function == 43:
            return Registers("identification", request.address, 1, b"\x01\x01\x00\x00\x03" + objects)
        return Trouble(FaultKind.REFUSED, "exception 02", bytes.fromhex("04 83 02") + crc16(bytes.fromhex("04 83 02")))

    events = await surveyed(script)

    assert list(found(events)) == [4]
    assert "ACM" in found(events)[4].identity.values()
    assert found(events)[4].guesses == []


def test_any_whole_answer_of_a_unit_proves_that_it_is_there() -> None:
    """Refusals and mis-shaped answers of that unit count, another unit's late answer and our own echo do not."""
    own = bytes.fromhex("07 03 08 14 04 67 00 00 00 00 00")
    long_answer = Trouble(FaultKind.MISMATCH, "8 bytes of data, asked were 2", own + crc16(own))
    echo = Trouble(FaultKind.MISMATCH, "our own question came back", Request(9, 3, 0).rtu() * 2)

    assert is_there(7, long_answer)
    assert not is_there(8, long_answer)
    assert not is_there(9, echo)
    assert is_there(7, Trouble(FaultKind.BUSY, "exception 06", b"\x07\x83\x06"))
    assert not is_there(7, Trouble(FaultKind.NO_ANSWER, "silent"))


async def test_a_device_that_speaks_by_itself_is_heard(tmp_path: Path) -> None:
    """A radar's reports are recognised by their frames; other bytes are told as such; silence is nobody."""
    radar = profiles()["water/hlk-ld2410"]
    said = encode.frame(radar, {"presence": "present", "distance": 1.2})  # type: ignore[arg-type]  # a serial profile
    with Tty(tmp_path / "port") as tty:

        async def heard(data: bytes) -> Found | Odd | None:
            task = asyncio.create_task(listened(str(tmp_path / "port"), Setting(256000), 0.3))
            for _ in range(4):
                await asyncio.sleep(0.05)
                tty.write(data)
            return await task

        speaker, noise, nobody = await heard(said), await heard(b"\x13\x37" * 9), await heard(b"")

    assert isinstance(speaker, Found)
    assert likely(speaker) == ["water/hlk-ld2410"]
    assert isinstance(noise, Odd)
    assert nobody is None


def test_the_present_setting_is_tried_first_and_none_twice() -> None:
    """An installer's own setting is the best guess; then the most usual."""
    tried = settings(Setting(4800, "E"))

    assert tried[0] == Setting(4800, "E")
    assert tried[1] == Setting(9600)
    assert len(tried) == len(set(tried))
    assert 0.05 < answer_s(115200) < answer_s(9600) < answer_s(1200) < 0.5
