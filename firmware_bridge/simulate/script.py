"""What happens in a played community, as data: scenes on a round that comes again and again. Pure; it plays nothing.

A scene sets values for a while, lets something happen once (a chip, a passage), or makes a device fall silent.
"""

import re
from enum import StrEnum
from pathlib import Path

import msgspec

from device_profiles import vocabulary
from device_profiles.door import Refusal, nearest, parse, read_toml
from device_profiles.types import Positive, Seconds
from hub.reading import Kind, Label, Value
from hub.settings.site import Device, Site, Strict


class Mute(StrEnum):
    """How a device says nothing. On a bus or a serial line both are the same."""

    NO = "no"
    SILENT = "silent"  # it is connected and says nothing
    GONE = "gone"  # it leaves the broker, which tells its last will


class Scene(Strict, frozen=True, kw_only=True):
    """From `at` for `for` seconds of the round, on one device.

    `set`: these values instead of the ordinary ones, numbers +- `spread`. `event`: said once, and again each second of
    `for`, with its `detail`. `mute`: nothing is said at all.
    """

    at: Seconds
    lasts: Seconds = msgspec.field(default=0.0, name="for")
    device: str
    set: dict[str, Value] = {}
    spread: Seconds = 0.0
    event: dict[str, str] = {}
    detail: dict[str, str] = {}
    mute: Mute = Mute.NO
    note: Label

    def moments(self, first: float, last: float) -> int:
        """How many times its event is said at round times in [first, last)."""
        times = [self.at + n for n in range(max(1, int(self.lasts)))] if self.event else []
        return sum(first <= time < last for time in times)


class Script(Strict, frozen=True, kw_only=True):
    """`round`: seconds until everything comes again. `registered`: chip -> whose dog it is."""

    round: Positive
    registered: dict[str, str] = {}
    scene: tuple[Scene, ...] = ()

    def now(self, device: str, elapsed: float) -> list[Scene]:
        """The scenes that are on for this device, `elapsed` seconds after the start."""
        time = elapsed % self.round
        return [each for each in self.scene if each.device == device and each.at <= time < each.at + each.lasts]

    def events(self, device: str, after: float, until: float) -> list[Scene]:
        """The scenes whose event is due in [after, until) seconds after the start, each as often as it is due."""
        due: list[Scene] = []
        for number in range(int(after // self.round), int(until // self.round) + 1):
            start = number * self.round
            for scene in self.scene:
                if scene.device == device:
                    due += [scene] * scene.moments(after - start, until - start)
        return due


QUIET = Script(round=3600.0)


def load_script(path: Path) -> Script:
    """The checked script. Raises Refusal."""
    script = parse(Script, read_toml(path), file=path)
    chip = vocabulary.require("chip", file=path, key="registered").quantity
    for number in script.registered:
        if not _fits(number, chip):
            raise Refusal(path, "registered", "is not a chip", value=number, right="15 digits (ISO 11784)")
    for at, scene in enumerate(script.scene):
        if scene.at + scene.lasts > script.round:
            raise Refusal(path, f"scene[{at}].for", "ends after the round", right=f"the round is {script.round:g} s")
        if not scene.set and not scene.event and scene.mute is Mute.NO:
            raise Refusal(path, f"scene[{at}]", "nothing happens", right="write set, event or mute")
    return script


def check(script: Script, site: Site, path: str | Path) -> list[str]:
    """Refuse what the site's devices cannot say; the devices that the site does not have. Raises Refusal.

    `path` is for the words only.
    """
    devices = site.devices()
    for at, scene in enumerate(script.scene):
        if scene.device not in devices:
            continue
        for name, value in {**scene.set, **scene.event}.items():
            where = f"scene[{at}].{'set' if name in scene.set else 'event'}"
            _check_value(devices[scene.device], name, value, path, where, event=name in scene.event)
    return sorted({scene.device for scene in script.scene} - set(devices))


def _check_value(device: Device, name: str, value: Value, path: str | Path, key: str, *, event: bool) -> None:
    reading = device.profile.reading
    if name not in reading:
        raise Refusal(path, key, f"{device.id} does not read it", value=name, right=nearest(name, reading))
    quantity = vocabulary.require(name, file=path, key=key).quantity
    if event != (quantity.kind is Kind.EVENT):
        right = "write event = { ... }" if quantity.kind is Kind.EVENT else "write set = { ... }"
        raise Refusal(path, key, f"{name} is a {quantity.kind}", right=right)
    if not _fits(value, quantity):
        right = f"one of {', '.join(quantity.states)}" if quantity.states else f"as {quantity.pattern or 'a number'}"
        raise Refusal(path, f"{key}.{name}", f"is not what {name} can be", value=value, right=right)


def _fits(value: Value, quantity: vocabulary.Quantity) -> bool:
    if isinstance(value, str):
        return (
            value in quantity.states
            if quantity.states
            else bool(quantity.pattern and re.fullmatch(quantity.pattern, value))
        )
    return not quantity.states and not quantity.pattern
