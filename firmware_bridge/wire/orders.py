"""Orders into what a cable carries, and back again for simulated devices.

Whether an order may be given, and whether it has been obeyed, is the core's business.
"""

import math
from typing import TypeAlias

import msgspec

from device_profiles.types import Duration, ModbusCommand, ModbusProfile, MqttProfile, Profile, SerialProfile
from firmware_bridge.raw import Action, Publish, Write

Understood: TypeAlias = tuple[str, float | None]


def action(
    profile: Profile, command: str, *, seconds: float | None = None, order_id: str, expires: int, topic: str = ""
) -> Action:
    """What to send for `command`. `expires`: ms since 1970, told to the device with the order's id (MQTT).

    `seconds` None is the profile's default. `topic`: the device's orders topic. Raises ValueError, in clear words.
    """
    if command not in profile.command:
        known = ", ".join(profile.command) or "no command at all"
        raise ValueError(f"{profile.id} has no command {command!r}; it has {known}")
    lasting = _duration(command, profile.command[command].seconds, seconds)
    if isinstance(profile, ModbusProfile):
        write = profile.command[command]
        return Write(write.function, write.address, _word(write, lasting))
    if isinstance(profile, SerialProfile):
        return bytes.fromhex(profile.command[command].bytes)
    order = profile.command[command]
    payload: dict[str, object] = {**order.payload, "id": order_id, "expires": expires}
    if lasting is not None:
        payload["seconds"] = lasting
    return Publish(topic or profile.link.orders, msgspec.json.encode(payload), expires_s=math.ceil(order.expires))


def read(profile: Profile, action: Action) -> Understood | None:
    """The command and its seconds in what came over the cable; None when this device knows no such order."""
    if isinstance(profile, ModbusProfile):
        return _read_write(profile, action) if isinstance(action, Write) else None
    payload = action.payload if isinstance(action, Publish) else action
    if not isinstance(payload, bytes):
        return None
    if isinstance(profile, SerialProfile):
        found = (name for name, order in profile.command.items() if bytes.fromhex(order.bytes) == payload)
        return next(((name, None) for name in found), None)
    return _read_json(profile, payload)


def _duration(command: str, duration: Duration | None, seconds: float | None) -> float | None:
    if duration is None:
        if seconds is not None:
            raise ValueError(f"{command} takes no seconds, {seconds:g} were given")
        return None
    lasting = duration.default if seconds is None else seconds
    if not duration.min <= lasting <= duration.max:  # NaN is outside too
        raise ValueError(f"{command} takes {duration.min:g} to {duration.max:g} seconds, not {lasting:g}")
    return lasting


def _word(write: ModbusCommand, seconds: float | None) -> int:
    """The word to write: the command's own, or the duration in ticks of the device."""
    if write.seconds is None or seconds is None:
        return write.value
    return round(seconds * write.seconds.per_second)


def _read_write(profile: ModbusProfile, write: Write) -> Understood | None:
    for name, order in profile.command.items():
        if (order.function, order.address) != (write.function, write.address):
            continue
        if order.seconds is not None:
            return name, write.value / order.seconds.per_second
        if order.value == write.value:
            return name, None
    return None


def _read_json(profile: MqttProfile, payload: bytes) -> Understood | None:
    try:
        said = msgspec.json.decode(payload, type=dict[str, object])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    fitting = [name for name, order in profile.command.items() if order.payload.items() <= said.items()]
    if not fitting:
        return None
    name = max(fitting, key=lambda name: len(profile.command[name].payload))  # the one that says most of it
    seconds = said.get("seconds")
    if profile.command[name].seconds is None or not isinstance(seconds, int | float):
        return name, None
    return name, float(seconds)
