"""Which voices are told of a flip. Pure: the site's voices and one flip in, names out.

An alarm about a voice never goes out by that voice; where no other voice would take it, all others are told.
"""

from collections.abc import Collection, Sequence
from pathlib import Path

from device_profiles.door import Refusal, nearest
from hub.care.reminder import REMINDER
from hub.settings.site import Site
from hub.settings.site_voice import CallSpec, DeviceSpec, LogSpec, SmsSpec, Voice

VOICE = "voice:"  # before a voice's id, where it is the source of an alarm; no id of a link or device has a colon


def speakers(voices: Sequence[Voice], *, announce: str, severity: str, rule: str, zone: str, source: str) -> list[str]:
    """Ids of the voices that say this "raised" or "cleared" of a rule at a source, in the order of the site file."""
    if announce == REMINDER:
        return _reminded(voices, severity)
    others = [voice for voice in voices if source != VOICE + voice.id]
    takers = [voice.id for voice in others if _takes(voice, announce, severity, rule, zone)]
    if source.startswith(VOICE) and not any(not isinstance(voice, LogSpec) for voice in others if voice.id in takers):
        reaching = [voice for voice in others if not isinstance(voice, SmsSpec | CallSpec) or voice.to]
        return [voice.id for voice in reaching if announce == "raised" or voice.cleared == "told"]
    return takers


def _reminded(voices: Sequence[Voice], severity: str) -> list[str]:
    """Whom the daily list of what is out of service reaches: all who read, or those of its worst severity; no siren."""
    readers = [voice for voice in voices if not isinstance(voice, DeviceSpec | CallSpec)]
    takers = [voice.id for voice in readers if severity in voice.severities and not (voice.rules or voice.zones)]
    reaching = [voice.id for voice in readers if not isinstance(voice, SmsSpec) or voice.to]
    return [name for name in takers if name in reaching] or reaching


def check_routes(site: Site, rules: Collection[str], path: Path) -> None:
    """A voice that waits for a rule that is none would never speak. Raises Refusal."""
    for at, voice in enumerate(site.voices):
        for rule in voice.rules:
            if rule not in rules:
                raise Refusal(path, f"voice[{at}].rules", "no such rule", value=rule, right=nearest(rule, rules))


def _takes(voice: Voice, announce: str, severity: str, rule: str, zone: str) -> bool:
    if isinstance(voice, SmsSpec | CallSpec) and not voice.to:
        return False  # it has no number of its own: it is for those whom the roster calls
    if severity not in voice.severities or (announce == "cleared" and voice.cleared == "not-told"):
        return False
    return (not voice.zones or zone in voice.zones) and (not voice.rules or rule in voice.rules)
