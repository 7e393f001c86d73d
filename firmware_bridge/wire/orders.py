"""Orders into what a cable carries, and back again for simulated devices.

Whether an order may be given, and whether it has been obeyed, is the core's business.
"""

import math
from typing import TypeAlias

import msgspec

from device_profiles.types import (
    Duration,
    ModbusCommand,
    ModbusProfile,
    MqttProfile,
    Profile,
    SerialProfile,
    Speech,
    speech_of,
)
from firmware_bridge.raw import Action, Publish, Write
from firmware_bridge.wire.seal import Seal, sealed

Understood: TypeAlias = tuple[str, float | None]


def action(
    profile: Profile,
    command: str,
    *,
    seconds: float | None = None,
    text: str = "",
    order_id: str,
    expires: int,
    issued: int | None = None,
    device: str = "",
    now: int | None = None,
    topic: str = "",
    seal: Seal | None = None,
) -> Action:
    """What to send for `command`. `issued`, `expires`: ms since 1970, told to the device with id and `device` (MQTT).

    `seconds` None is the profile's default; `text` is for a command that takes one. `topic`: the device's orders topic;
    a broker keeps it no longer than it is good from `now` on. `seal`: for a device that wants its orders signed. Raises
    ValueError, in clear words.
    """
    if command not in profile.command:
        known = ", ".join(profile.command) or "no command at all"
        raise ValueError(f"{profile.id} has no command {command!r}; it has {known}")
    lasting = _duration(command, profile.command[command].seconds, seconds)
    speech = speech_of(profile, command)
    if problem := misfit(speech, text):
        raise ValueError(f"{command} {problem}")
    if isinstance(profile, ModbusProfile):
        return _write(profile.command[command], lasting)
    if isinstance(profile, SerialProfile):
        return bytes.fromhex(profile.command[command].bytes)
    order = profile.command[command]
    payload: dict[str, object] = {**order.payload, "id": order_id}
    payload |= {name: value for name, value in (("device", device), ("issued", issued)) if value}
    payload["expires"] = expires
    if lasting is not None:
        payload["seconds"] = lasting
    if speech is not None:
        payload[speech.key] = text
    left = order.expires if now is None else min(order.expires, max(1.0, (expires - now) / 1000))
    topic = topic or profile.link.orders
    return Publish(topic, _written(profile, topic, payload, seal), expires_s=math.ceil(left))


def _written(profile: MqttProfile, topic: str, payload: dict[str, object], seal: Seal | None) -> bytes:
    if not profile.signed:
        return msgspec.json.encode(payload)
    if seal is None:
        raise ValueError(f"{profile.id} obeys signed orders only, and there is no key")
    return sealed(topic, payload, seal)


def misfit(speech: Speech | None, text: str) -> str:
    """Why a command cannot be given with this text; empty when it can."""
    if speech is None:
        return "takes no text" if text else ""
    if not text.strip():
        return "says nothing without a text"
    return f"takes {speech.most} characters, not {len(text)}" if len(text) > speech.most else ""


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


def _write(order: ModbusCommand, seconds: float | None) -> Write:
    """What function and address carry: the command's own words, or the duration in ticks of the device."""
    ticks = round(seconds * order.seconds.per_second) if order.seconds and seconds is not None else None
    if order.function == 15:
        packed = sum(coil << n for n, coil in enumerate(order.values)).to_bytes((len(order.values) + 7) // 8, "little")
        return Write(15, order.address, count=len(order.values), data=packed)
    if order.function == 16:
        words = order.values if ticks is None else [*order.values, ticks]
        return Write(16, order.address, data=b"".join(word.to_bytes(2, "big") for word in words))
    if order.bits is not None:
        first, last = order.bits
        theirs = (1 << last + 1) - (1 << first)
        return Write(22, order.address, order.value << first, mask=0xFFFF & ~theirs)
    return Write(order.function, order.address, order.value if ticks is None else ticks)


def _read_write(profile: ModbusProfile, write: Write) -> Understood | None:
    """The command that would be sent so; a duration is read out of its ticks first."""
    for name, order in profile.command.items():
        if (order.function, order.address) != (write.function, write.address):
            continue
        ticks = int.from_bytes(write.data[-2:], "big") if order.function == 16 else write.value
        seconds = ticks / order.seconds.per_second if order.seconds else None
        if _write(order, seconds) == write:
            return name, seconds
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
    speech, seconds = profile.command[name].text, said.get("seconds")
    if speech is not None and not (isinstance(text := said.get(speech.key), str) and not misfit(speech, text)):
        return None
    if profile.command[name].seconds is None or not isinstance(seconds, int | float):
        return name, None
    return name, float(seconds)
