"""Profile files into checked, frozen `Profile`s: what cannot be true is refused here, with the key and the right word.

A profile that comes through this door can be decoded, simulated, tested and shown without another check.
"""

from functools import cache
from pathlib import Path

import msgspec

from device_profiles.check import check
from device_profiles.door import Refusal, nearest, parse, read_toml
from device_profiles.types import PROFILE_OF_LINK, ModbusCommand, ModbusProfile, Profile, RegisterField

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
    check(profile, path)
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
        channels = {f"{name}_{n + 1}": field.channel(n) for n in range(field.count)}
        reading.update(channels if field.count > 1 else {name: field})
    command: dict[str, ModbusCommand] = {}
    for name, order in profile.command.items():
        numbered = {f"{name}_{n + 1}": order.channel(n) for n in range(order.count)}
        command.update(numbered if order.count > 1 else {name: order})
    return msgspec.structs.replace(profile, reading=reading, command=command)
