"""Profile files into checked, frozen `Profile`s: what cannot be true is refused here, with the key and the right word.

A profile that comes through this door can be decoded, simulated, tested and shown without another check.
"""

from functools import cache
from pathlib import Path

import msgspec

from device_profiles import vocabulary
from device_profiles.door import Refusal, nearest, parse, read_toml
from device_profiles.types import (
    PROFILE_OF_LINK,
    JsonField,
    ModbusCommand,
    ModbusProfile,
    MqttProfile,
    Profile,
    RegisterField,
    Sample,
    SerialProfile,
)
from hub.reading import Kind

ROOT = Path(__file__).parent


@cache
def profiles() -> dict[str, Profile]:
    """Every profile that comes with Zhian, by id (`noise/generic-rs485`)."""
    return {profile.id: profile for profile in map(load, sorted(ROOT.glob("*/*.toml")))}


def load(path: Path) -> Profile:
    """One profile file, checked. Raises Refusal."""
    table = read_toml(path)
    link = table.get("link")
    kind = link.get("kind") if isinstance(link, dict) else None
    if kind not in PROFILE_OF_LINK:
        raise Refusal(path, "link.kind", "not a kind of link", value=kind, right=nearest(str(kind), PROFILE_OF_LINK))
    profile = _expand(parse(PROFILE_OF_LINK[kind], table, file=path))
    _check_header(profile, path)
    _check_readings(profile, path)
    _check_commands(profile, path)
    _check_samples(profile, path)
    return profile


def find(profile_id: str, *, file: str | Path, key: str) -> Profile:
    """The profile with this id, or a Refusal that names the nearest one."""
    known = profiles()
    if profile_id not in known:
        raise Refusal(file, key, "no such profile", value=profile_id, right=nearest(profile_id, known))
    return known[profile_id]


def _expand(profile: Profile) -> Profile:
    """Spell out `count`: relay with count 8 becomes relay_1 ... relay_8 at consecutive addresses."""
    if not isinstance(profile, ModbusProfile):
        return profile
    reading: dict[str, RegisterField] = {}
    for name, field in profile.reading.items():
        reading.update({name: field} if field.count == 1 else _numbered_fields(name, field))
    command: dict[str, ModbusCommand] = {}
    for name, order in profile.command.items():
        command.update({name: order} if order.count == 1 else _numbered_commands(name, order))
    return msgspec.structs.replace(profile, reading=reading, command=command)


def _numbered_fields(name: str, field: RegisterField) -> dict[str, RegisterField]:
    return {
        f"{name}_{n + 1}": msgspec.structs.replace(field, address=field.address + n, count=1)
        for n in range(field.count)
    }


def _numbered_commands(name: str, order: ModbusCommand) -> dict[str, ModbusCommand]:
    return {
        f"{name}_{n + 1}": msgspec.structs.replace(
            order,
            address=order.address + n,
            count=1,
            confirm={f"{quantity}_{n + 1}": state for quantity, state in order.confirm.items()},
        )
        for n in range(order.count)
    }


def _check_header(profile: Profile, path: Path) -> None:
    right = f"{path.parent.name}/{path.stem}"
    if profile.id != right:
        raise Refusal(path, "id", "must be folder/file name", value=profile.id, right=f'write "{right}"')
    if len(profile.source.strip()) < 20:
        raise Refusal(
            path,
            "source",
            "must say where the numbers come from",
            value=profile.source,
            right="manual and clause, or who saw it on which device",
        )
    if not profile.reading:
        raise Refusal(path, "reading", "a profile reads at least one quantity")


def _check_readings(profile: Profile, path: Path) -> None:
    for name, field in profile.reading.items():
        key = f"reading.{name}"
        quantity = vocabulary.require(name, file=path, key=key).quantity
        if field.unit != quantity.unit:
            raise Refusal(
                path,
                f"{key}.unit",
                "must restate the vocabulary's unit",
                value=field.unit,
                right=f'write "{quantity.unit}"',
            )
        if (quantity.kind is Kind.STATE) != bool(field.choices):
            raise Refusal(
                path,
                f"{key}.choices",
                "a state needs choices, and nothing else has them",
                right=f"states of {name}: {', '.join(quantity.states)}",
            )
        for state in field.choices:
            if state not in quantity.states:
                raise Refusal(
                    path,
                    f"{key}.choices",
                    f"not a state of {name}",
                    value=state,
                    right=nearest(state, quantity.states),
                )
        if isinstance(field, JsonField):
            fitting = {Kind.STATE: "choice", Kind.EVENT: "text"}.get(quantity.kind, "number")
            if field.type != fitting:
                raise Refusal(path, f"{key}.type", f"a {quantity.kind} is read as {fitting}", value=field.type)


def _check_commands(profile: Profile, path: Path) -> None:
    for name, command in profile.command.items():
        key = f"command.{name}.confirm"
        if not command.confirm:
            raise Refusal(path, key, "a command says which reading confirms it", right='as confirm = { gate = "open" }')
        for quantity_name, state in command.confirm.items():
            if quantity_name not in profile.reading:
                raise Refusal(
                    path,
                    key,
                    "is not read by this profile",
                    value=quantity_name,
                    right=nearest(quantity_name, profile.reading),
                )
            states = vocabulary.require(quantity_name, file=path, key=key).quantity.states
            if state not in states:
                raise Refusal(
                    path,
                    f"{key}.{quantity_name}",
                    f"not a state of {quantity_name}",
                    value=state,
                    right=nearest(state, states),
                )


def _check_samples(profile: Profile, path: Path) -> None:
    good = [sample for sample in profile.sample if sample.want]
    refused = [sample for sample in profile.sample if sample.fault]
    if not good or not refused:
        raise Refusal(path, "sample", "at least two samples: one with `want`, and one refusal with `fault`")
    for index, sample in enumerate(profile.sample):
        _check_sample(profile, sample, path, f"sample[{index}]")
    told = {sample.command for sample in profile.sample}
    for base in _commands_as_written(profile):
        if not any(command == base or command.startswith(f"{base}_") for command in told):
            raise Refusal(
                path,
                f"command.{base}",
                "has no sample that says what it sends",
                right=f'add a [[sample]] with command = "{base}"',
            )


def _check_sample(profile: Profile, sample: Sample, path: Path, key: str) -> None:
    if sample.command:
        if sample.command not in profile.command:
            right = nearest(sample.command, profile.command)
            raise Refusal(path, f"{key}.command", "no such command", value=sample.command, right=right)
        return
    if bool(sample.want) == bool(sample.fault):
        raise Refusal(path, key, "a sample says what it gives: `want` or `fault`, not both", value=sample.name)
    if isinstance(profile, ModbusProfile) and not sample.ask:
        raise Refusal(path, f"{key}.ask", "a Modbus sample has the question too", value=sample.name)
    for name in sample.want:
        if name not in profile.reading:
            right = nearest(name, profile.reading)
            raise Refusal(path, f"{key}.want", "is not read by this profile", value=name, right=right)


def _commands_as_written(profile: ModbusProfile | SerialProfile | MqttProfile) -> set[str]:
    return {name.rstrip("0123456789").rstrip("_") for name in profile.command}
