"""Who is told: by severity, zone, rule and cleared notices; and never a broken voice about itself."""

from pathlib import Path

import pytest
from msgspec.structs import replace

from device_profiles.door import Refusal
from hub.settings.site import Site
from hub.settings.site_voice import CallSpec, LogSpec, SmsSpec, Voice, WecomSpec
from hub.speaking.route import check_routes, speakers


def told(*voices: Voice, announce: str = "raised", severity: str = "P2", rule: str = "gate-held", zone: str = "lake",
         source: str = "gate-1") -> list[str]:  # fmt: skip
    """Ids of the speakers."""
    return speakers(voices, announce=announce, severity=severity, rule=rule, zone=zone, source=source)


def wecom(name: str, **more: tuple[str, ...]) -> WecomSpec:
    """A voice."""
    return replace(WecomSpec(id=name), **more)


def test_each_filter_leaves_out() -> None:
    """A voice is told what passes all of its filters; an empty one lets everything pass."""
    voices: list[Voice] = [
        wecom("all"), wecom("worst", severities=("P1",)), wecom("lake", zones=("lake",)),
        wecom("yard", zones=("yard",)),
        wecom("gates", rules=("gate-held", "gate-forced")), wecom("noise", rules=("noise-limit",)),
    ]  # fmt: skip

    assert told(*voices) == ["all", "lake", "gates"]
    assert told(*voices, severity="P1", zone="", rule="x") == ["all", "worst"]


def test_cleared_notices_can_be_left_out() -> None:
    """A telephone that rings because something is over would soon be off."""
    voices: list[Voice] = [wecom("all"), replace(wecom("phone"), cleared="not-told")]

    assert told(*voices) == ["all", "phone"]
    assert told(*voices, announce="cleared") == ["all"]


def test_a_failing_voice_is_told_by_another() -> None:
    """Not by itself; and where no other takes its severity, by all others."""
    voices: list[Voice] = [wecom("group"), wecom("sms", severities=("P1",)), LogSpec(id="log")]
    about = {"rule": "voice-failing", "zone": ""}

    assert told(*voices, source="voice:sms", **about) == ["group", "log"]
    assert told(*voices, source="voice:group", **about) == ["sms", "log"]
    assert told(voices[0], source="voice:group", **about) == []


def test_a_voice_without_a_number_of_its_own_tells_nobody_by_itself() -> None:
    """Text messages and calls without `to` are for those whom the roster calls: no row waits for nobody."""
    sms = SmsSpec(id="sms")
    assert told(wecom("group"), sms, CallSpec(id="call")) == ["group"]
    assert told(replace(sms, to=("13800138000",))) == ["sms"]
    assert told(wecom("group"), sms, source="voice:group", rule="voice-failing", zone="") == []


def test_a_voice_that_waits_for_no_rule_is_refused(site: Site) -> None:
    """A misspelt rule would be silence."""
    odd = replace(site, voices=(wecom("a", rules=("gate-hold",)),))

    with pytest.raises(Refusal, match=r"voice\[0\]\.rules = 'gate-hold': no such rule; did you mean \"gate-held\""):
        check_routes(odd, {"gate-held", "noise-limit"}, Path("site.toml"))
    check_routes(odd, {"gate-hold"}, Path("site.toml"))
