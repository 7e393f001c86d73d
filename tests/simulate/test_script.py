"""The script file: what the demo's evening holds, and which mistakes are refused in which words."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from device_profiles.door import Refusal
from firmware_bridge.simulate.script import Mute, Scene, check, load_script
from hub.reading import Label

if TYPE_CHECKING:
    from pathlib import Path

    from hub.settings.site import Site

NOTE = 'note = { zh = "", en = "" }'


def scene(text: str, round_s: float = 60.0) -> str:
    """A script of one scene."""
    return f"round = {round_s}\n[[scene]]\n{text}\n{NOTE}\n"


def test_evening_fits_the_demo_site(evening: Path, demo_site: Site) -> None:
    """Each scene of the demo is about a device that the demo has, and something that it can say."""
    assert check(load_script(evening), demo_site, evening) == []


def test_first_75_seconds_show_the_five_things(evening: Path) -> None:
    """Noise, the lake, a gate held open, an unknown dog, a silent meter: in a minute and a quarter, and over again."""
    script = load_script(evening)
    early = {each.device: each for each in script.scene if each.at + each.lasts <= 75}
    assert set(early) == {"noise-square", "radar-lake", "gate-east", "chip-north", "noise-garage"}
    assert early["chip-north"].event["chip"] not in script.registered
    assert early["noise-garage"].mute is Mute.SILENT
    assert early["noise-garage"].lasts > 8 + 4  # longer than its silent_after in the demo site
    assert early["gate-east"].lasts > 12 + 4  # longer than the demo's rule waits
    assert early["noise-square"].lasts > 6 + 4


def test_each_event_comes_once_a_round() -> None:
    """Times are half-open, so that looks that meet neither miss nor repeat."""
    chip = Scene(at=10.0, device="chip", event={"chip": "1" * 15}, note=Label(zh="", en=""))
    many = Scene(at=10.0, lasts=3.0, device="chip", event={"chip": "1" * 15}, note=Label(zh="", en=""))
    assert [chip.moments(*span) for span in ((0, 10), (10, 10.5), (10.5, 20), (0, 60))] == [0, 1, 0, 1]
    assert [many.moments(*span) for span in ((0, 10), (10, 11), (11, 60))] == [0, 1, 2]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        pytest.param(scene('at = 50.0\nfor = 20.0\ndevice = "a"\nmute = "silent"'), "ends after the round", id="late"),
        pytest.param(scene('at = 5.0\ndevice = "a"'), "nothing happens", id="empty"),
        pytest.param(scene('at = 5.0\ndevice = "a"\nmute = "loud"'), "mute", id="how mute"),
        pytest.param(scene('at = 5.0\ndevice = "a"\nsets = { laeq = 1.0 }'), "sets", id="unknown key"),
        pytest.param('round = 60.0\n[registered]\n"123" = "a dog"\n', "is not a chip", id="chip"),
        pytest.param("round = 0.0\n", "round", id="round"),
    ],
)
def test_mistakes_in_the_file_are_refused(tmp_path: Path, text: str, words: str) -> None:
    """The refusal names the key."""
    path = tmp_path / "script.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(Refusal, match=words):
        load_script(path)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        pytest.param('device = "noise-square"\nset = { lafmax = 60.0 }', "does not read it", id="quantity"),
        pytest.param('device = "gate-east"\nset = { gate = "ajar" }', "is not what gate can be", id="state"),
        pytest.param('device = "gate-east"\nset = { gate = 1.0 }', "is not what gate can be", id="number as state"),
        pytest.param(
            'device = "noise-square"\nset = { laeq = "loud" }', "is not what laeq can be", id="text as number"
        ),
        pytest.param('device = "chip-north"\nset = { chip = "156000000000101" }', "write event", id="event as value"),
        pytest.param('device = "gate-east"\nevent = { gate = "open" }', "write set", id="value as event"),
        pytest.param('device = "chip-north"\nevent = { chip = "42" }', "is not what chip can be", id="pattern"),
    ],
)
def test_what_a_device_cannot_say_is_refused(tmp_path: Path, demo_site: Site, text: str, words: str) -> None:
    """A script is judged by the site's own profiles before it is played."""
    path = tmp_path / "script.toml"
    path.write_text(scene(f"at = 5.0\nfor = 5.0\n{text}"), encoding="utf-8")
    with pytest.raises(Refusal, match=words):
        check(load_script(path), demo_site, path)


def test_devices_of_another_site_are_named(tmp_path: Path, demo_site: Site) -> None:
    """One script serves many sites: what is not there is told, not refused."""
    path = tmp_path / "script.toml"
    path.write_text(scene('at = 5.0\ndevice = "elsewhere"\nset = { laeq = 60.0 }'), encoding="utf-8")
    assert check(load_script(path), demo_site, path) == ["elsewhere"]
