"""What is generated from the profile types and files: the JSON Schema for editors, and the table of supported devices.

`python -m device_profiles.schema` writes both; a test says when they are no longer current.
"""

import re
from collections.abc import Iterable
from pathlib import Path

import msgspec

from device_profiles.load import profiles
from device_profiles.types import ModbusProfile, MqttProfile, Profile, SerialProfile

SCHEMA = Path(__file__).with_name("profile.schema.json")
README = Path(__file__).with_name("README.md")
BEGIN = "<!-- supported: begin (written by `python -m device_profiles.schema`) -->"
END = "<!-- supported: end -->"

_KINDS: tuple[type[Profile], ...] = (ModbusProfile, SerialProfile, MqttProfile)


def schema() -> dict[str, object]:
    """JSON Schema (2020-12) of a profile file: exactly one of the three kinds."""
    parts, components = msgspec.json.schema_components(_KINDS, ref_template="#/$defs/{name}")
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Zhian device profile",
        "description": "One product: where its values stand on the wire. See device_profiles/README.md.",
        "oneOf": list(parts),
        "$defs": dict(components),
    }


def schema_text() -> str:
    """The schema as it stands in `profile.schema.json`."""
    return msgspec.json.format(msgspec.json.encode(schema(), order="sorted"), indent=2).decode() + "\n"


def supported_table() -> str:
    """The supported devices as a Markdown table, by id."""
    head = "| profile | device | 设备 | link | quantities | commands |\n|---|---|---|---|---|---|"
    return "\n".join([head, *(_row(profile) for profile in profiles().values())])


def readme_text() -> str:
    """The README with the current table between its marks."""
    before, _, rest = README.read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n{supported_table()}\n\n{END}{after}"


def main() -> None:
    """Write what is generated."""
    SCHEMA.write_text(schema_text(), encoding="utf-8")
    README.write_text(readme_text(), encoding="utf-8")


def _row(profile: Profile) -> str:
    cells = (
        f"`{profile.id}`",
        profile.title.en,
        profile.title.zh,
        profile.KIND,
        _names(profile.reading),
        _names(profile.command),
    )
    return f"| {' | '.join(cells)} |"


def _names(names: Iterable[str]) -> str:
    """`laeq`, `battery`; numbered ones as `relay_1` … `relay_8`."""
    groups: dict[str, list[str]] = {}
    for name in names:
        groups.setdefault(re.sub(r"_[0-9]+$", "", name), []).append(name)
    return ", ".join(
        f"`{group[0]}` … `{group[-1]}`" if len(group) > 1 else f"`{group[0]}`" for group in groups.values()
    )


if __name__ == "__main__":
    main()
