"""How a zone's siren is made quiet again: which command of its device ends what its siren does. Orders nothing."""

from collections.abc import Mapping

from dashboard.office import office
from hub.settings.site import Zone

QUIET = {"off", "idle"}  # states of the vocabulary in which nothing sounds


def siren_off(zone: Zone | None) -> str | None:
    """The command of the siren's device that makes the same channel quiet; None where there is none."""
    if zone is None or zone.siren is None:
        return None
    commands = office().site.devices()[zone.siren.device].profile.command
    sounds = commands[zone.siren.command].confirm
    return next((name for name, one in commands.items() if _silences(one.confirm, sounds)), None)


def _silences(confirm: Mapping[str, str], sounds: Mapping[str, str]) -> bool:
    return bool(confirm) and confirm.keys() == sounds.keys() and set(confirm.values()) <= QUIET
