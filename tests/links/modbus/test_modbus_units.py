"""Simulated Modbus units, asked by the bus: both ends of the cable are made from one profile, and agree."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

import msgspec
import pytest

from device_profiles import load
from device_profiles.types import ModbusLink, ModbusProfile, RegisterField
from firmware_bridge.raw import Arrival, Registers, SendError, Write
from firmware_bridge.simulate.modbus_units import Units
from firmware_bridge.wire import orders
from firmware_bridge.wire.decode import decode
from hub.clock import Clock
from hub.reading import FaultKind, Label, Reading, Value
from hub.settings.site import Device, Devices, ModbusRtuLink, ModbusTcpLink

if TYPE_CHECKING:
    from pathlib import Path

    from tests.links.modbus.conftest import Heard, Run

MODBUS = {name: profile for name, profile in load.profiles().items() if isinstance(profile, ModbusProfile)}
RELAY = "relay/waveshare-8ch"
OFF: dict[str, Value] = {f"relay_{n}": "off" for n in range(1, 9)}


def made(profile: str, unit: int = 1) -> Device:
    """A device of a profile that comes with Zhian."""
    options = ModbusLink(unit=unit, every=0.5, timeout=0.5)
    return Device(id=f"unit-{unit}", profile=MODBUS[profile], options=options, name=Label(zh="x", en="x"), link="bus")


def readings(heard: Heard, profile: str) -> dict[str, Value]:
    """The last value of each quantity."""
    said = [
        item for arrival in heard.arrivals for item in decode("d", MODBUS[profile], arrival.raw, arrival.rx) if arrival
    ]
    return {item.quantity: item.value for item in said if isinstance(item, Reading)}


def tcp(units: Units, *devices: Device) -> ModbusTcpLink:
    """The link to these units."""
    return ModbusTcpLink(id="bus", host="127.0.0.1", port=units.port, devices=Devices(devices))


def written(profile: str, command: str, seconds: float | None = None) -> Write:
    """What the hub would send."""
    action = orders.action(MODBUS[profile], command, seconds=seconds, order_id="1", expires=0)
    assert isinstance(action, Write)
    return action


@pytest.mark.parametrize("profile", MODBUS)
async def test_every_profile_over_tcp(profile: str, run: Run, fast: Clock) -> None:
    """What is set in the simulator is what the hub reads, for each good sample of each Modbus profile."""
    device = made(profile)
    samples = [sample.want for sample in MODBUS[profile].sample if sample.want]
    async with Units(ModbusTcpLink(id="bus", host="127.0.0.1", devices=Devices([device])), fast) as units:
        units.set(device.id, samples[0])
        heard = run(tcp(units, device))
        for want in samples:
            units.set(device.id, want)
            await heard.until(lambda want=want: want.items() <= readings(heard, profile).items())  # type: ignore[misc]


async def test_a_readable_gap_is_read_along(run: Run, fast: Clock) -> None:
    """Both ends agree on it: the bus asks once for all, and the unit answers 0 where nothing is known to stand."""
    fields = {"laeq": RegisterField(address=0), "lafmax": RegisterField(address=9)}
    meter = msgspec.structs.replace(MODBUS["noise/generic-rs485"], reading=fields, gaps="readable")
    device = msgspec.structs.replace(made("noise/generic-rs485"), profile=meter)
    async with Units(ModbusTcpLink(id="bus", host="127.0.0.1", devices=Devices([device])), fast) as units:
        units.set(device.id, {"laeq": 61.0, "lafmax": 77.0})
        heard = run(tcp(units, device))
        await heard.until(lambda: len(heard.values()) >= 2)
    assert heard.values()[0] == Registers("holding", 0, 10, b"\0\x3d" + bytes(16) + b"\0\x4d")
    assert heard.values()[0] == heard.values()[1]


async def test_a_line_of_three(run: Run, fast: Clock, tmp_path: Path) -> None:
    """Units on a pty answer for themselves; one without power is silent, and answers again when it has power."""
    devices = [made("noise/generic-rs485", unit) for unit in (1, 2, 3)]
    master, slave = os.openpty()
    link = ModbusRtuLink(id="bus", port=os.ttyname(slave), devices=Devices(devices))
    os.close(slave)  # nobody is there when it starts
    async with Units(link, fast, fd=master) as units:
        for level, device in enumerate(devices):
            units.set(device.id, {"laeq": 40.0 + level})
        units.mute("unit-2", True)
        await asyncio.sleep(0.1)
        heard = run(link)
        await heard.until(lambda: heard.troubles("unit-2") and heard.values("unit-1") and heard.values("unit-3"))
        assert heard.troubles("unit-2")[0].kind is FaultKind.NO_ANSWER
        units.mute("unit-2", False)
        await heard.until(lambda: heard.values("unit-2"))
        assert {a.device: a.raw.data for a in heard.arrivals if isinstance(a.raw, Registers)} == {
            "unit-1": (400).to_bytes(2, "big"),
            "unit-2": (410).to_bytes(2, "big"),
            "unit-3": (420).to_bytes(2, "big"),
        }
    os.close(master)


async def test_the_board_ends_its_pulse(run: Run) -> None:
    """A timed relay goes on and off again by itself; the hub sees both, and nothing else moves."""
    clock = Clock(speed=10.0, anchor_ms=0)
    relay = made(RELAY)
    async with Units(ModbusTcpLink(id="bus", host="127.0.0.1", devices=Devices([relay])), clock) as units:
        units.set(relay.id, OFF)
        heard = run(tcp(units, relay), clock)
        await heard.until(lambda: heard.values())
        began = clock.monotonic()
        await heard.bus.send(relay.id, written(RELAY, "pulse_2", 5.0))
        await heard.until(lambda: readings(heard, RELAY)["relay_2"] == "on")
        assert units.values(relay.id) == {**OFF, "relay_2": "on"}
        await heard.until(lambda: readings(heard, RELAY)["relay_2"] == "off")
        assert clock.monotonic() - began >= 5.0
        assert units.values(relay.id) == OFF


async def test_a_second_command_replaces_the_pulse(run: Run) -> None:
    """Switching on during a pulse leaves it on; switching off ends it, and no old timer speaks later."""
    clock = Clock(speed=20.0, anchor_ms=0)
    relay = made(RELAY)
    async with Units(ModbusTcpLink(id="bus", host="127.0.0.1", devices=Devices([relay])), clock) as units:
        units.set(relay.id, OFF)
        heard = run(tcp(units, relay), clock)
        await heard.until(lambda: heard.values())
        await heard.bus.send(relay.id, written(RELAY, "pulse_1", 2.0))
        await heard.bus.send(relay.id, written(RELAY, "on_1"))
        await heard.bus.send(relay.id, written(RELAY, "pulse_3", 2.0))
        await heard.bus.send(relay.id, written(RELAY, "off_3"))
        assert units.values(relay.id) == {**OFF, "relay_1": "on"}
        await asyncio.sleep(3.0 / 20)
        assert units.values(relay.id) == {**OFF, "relay_1": "on"}


@pytest.mark.parametrize(
    ("write", "detail"),
    [
        (Write(5, 3, 0x1234), "exception 03: illegal data value"),
        (Write(5, 99, 0xFF00), "exception 02: illegal data address"),
        (Write(6, 0, 1), "exception 02: illegal data address"),
    ],
    ids=str,
)
async def test_writes_that_the_board_does_not_know(run: Run, fast: Clock, write: Write, detail: str) -> None:
    """A wrong address or value is refused with the protocol's own exception."""
    relay = made(RELAY)
    async with Units(ModbusTcpLink(id="bus", host="127.0.0.1", devices=Devices([relay])), fast) as units:
        units.set(relay.id, OFF)
        heard = run(tcp(units, relay))
        await heard.until(lambda: heard.values())
        with pytest.raises(SendError) as refused:
            await heard.bus.send(relay.id, write)
        assert (refused.value.kind, refused.value.detail) == (FaultKind.REFUSED, detail)
        assert units.values(relay.id) == OFF


async def test_what_was_never_set(run: Run, fast: Clock) -> None:
    """Registers without a value answer exception 02; a unit that the gateway does not have, 0B."""
    known, stranger = made("noise/generic-rs485", 1), made("noise/generic-rs485", 2)
    async with Units(ModbusTcpLink(id="bus", host="127.0.0.1", devices=Devices([known])), fast) as units:
        heard = run(tcp(units, known, stranger))
        await heard.until(lambda: heard.troubles("unit-1") and heard.troubles("unit-2"))
        assert heard.troubles("unit-1")[0].detail == "exception 02: illegal data address"
        assert heard.troubles("unit-2")[0].detail == "exception 0B: gateway: the target device did not respond"
        assert all(isinstance(item, Arrival) for batch in heard.batches[1:] for item in batch)
