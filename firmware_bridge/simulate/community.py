"""The other end of every cable of a site, played at once: ordinary life, with a script laid over it.

It opens ports, sockets and broker connections, and lets them be lost; it knows nothing of hub, rules and alarms.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Mapping
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

from device_profiles.types import SerialLink, SerialProfile
from firmware_bridge.simulate.life import Life
from firmware_bridge.simulate.modbus_units import Units
from firmware_bridge.simulate.mqtt_device import MqttDevice
from firmware_bridge.simulate.script import Mute, Script, check
from firmware_bridge.simulate.serial_device import play_serial
from firmware_bridge.simulate.tty import Tty
from hub.clock import Clock
from hub.reading import Value
from hub.settings.site import (
    Device,
    ModbusAsciiLink,
    ModbusLine,
    ModbusRtuLink,
    ModbusRtuOverTcpLink,
    ModbusTcpLink,
    MqttBrokerLink,
    SerialPortLink,
    Site,
    SiteLink,
)

LOG = logging.getLogger("zhian.simulate")
Part: TypeAlias = Callable[[], Coroutine[Any, Any, None]]  # Any: what a coroutine never yields
REGISTERS_S = 0.25  # how often the registers of Modbus units are written anew


async def play(
    site: Site,
    script: Script,
    clock: Clock,
    *,
    credentials: Mapping[str, tuple[str, str]],
    broker: tuple[str, int],
    keys: Mapping[str, bytes] = {},  # only read
) -> None:
    """Play until cancelled. `credentials`: device -> user name and password; `keys`: what its orders are signed with.

    Raises Refusal for an unfit script.

    Scenes of devices that this site does not have are passed over, so that one script serves many sites.
    """
    for device in check(script, site, "script"):
        LOG.warning("the site has no device %s: its scenes are not played", device)
    cast = _Cast(script, clock, credentials, broker, site.id, keys)
    async with AsyncExitStack() as stack:
        parts = [part for link in site.links for part in await cast.join(link, stack)]
        async with asyncio.TaskGroup() as group:
            for part in parts:
                group.create_task(part())


class _Cast:
    """Finds the players of each link."""

    def __init__(
        self,
        script: Script,
        clock: Clock,
        credentials: Mapping[str, tuple[str, str]],
        broker: tuple[str, int],
        site_id: str,
        keys: Mapping[str, bytes],
    ) -> None:
        self._keys = keys
        self._script, self._clock, self._site_id = script, clock, site_id
        self._credentials, self._broker = credentials, broker
        self._began = clock.monotonic()

    async def join(self, link: SiteLink, stack: AsyncExitStack) -> list[Part]:
        """Open this link's other end; what there is to do on it."""
        match link:
            case ModbusRtuLink() | ModbusAsciiLink():
                tty = stack.enter_context(Tty(Path(link.port)))
                return [await self._modbus(link, Units(link, self._clock, fd=tty.fd), stack)]
            case ModbusTcpLink() | ModbusRtuOverTcpLink():
                units = Units(link, self._clock, host=link.host, port=link.port)
                return [await self._modbus(link, units, stack)]
            case SerialPortLink():
                tty = stack.enter_context(Tty(Path(link.port)))
                return [
                    partial(
                        play_serial,
                        device.profile,
                        tty,
                        self._life(device),
                        self._clock,
                        self._began,
                        address=device.options.address,
                    )
                    for device in link.devices
                    if isinstance(device.profile, SerialProfile) and isinstance(device.options, SerialLink)
                ]
            case MqttBrokerLink():
                return [self._mqtt(device) for device in link.devices]

    async def _modbus(self, link: ModbusLine, units: Units, stack: AsyncExitStack) -> Part:
        registers = _Registers({device.id: self._life(device) for device in link.devices}, units)
        registers.turn(self._now())  # before anybody can ask
        await stack.enter_async_context(units)
        return partial(self._turn_for_ever, registers)

    async def _turn_for_ever(self, registers: "_Registers") -> None:
        while True:
            registers.turn(self._now())
            await self._clock.sleep(REGISTERS_S)

    def _mqtt(self, device: Device) -> Part:
        key = self._keys.get(device.id, b"")
        player = MqttDevice(device, self._site_id, self._life(device), self._clock, self._began, key=key)
        return partial(player.play, *self._broker, *self._credentials.get(device.id, ("", "")))

    def _life(self, device: Device) -> Life:
        return Life(device, self._script)

    def _now(self) -> float:
        return self._clock.monotonic() - self._began


class _Registers:
    """Turns the values of Modbus units. It writes what changed: a relay that the hub switched stays as it is."""

    def __init__(self, lives: Mapping[str, Life], units: Units) -> None:
        self._lives, self._units = lives, units
        self._told: dict[str, dict[str, Value]] = {device: {} for device in lives}

    def turn(self, now: float) -> None:
        """Once."""
        for device, life in self._lives.items():
            moment, told = life.look(now), self._told[device]
            if fresh := {name: value for name, value in moment.values.items() if told.get(name) != value}:
                self._units.set(device, fresh)
                told |= fresh
            self._units.mute(device, moment.mute is not Mute.NO)
