"""`zhian capture`: real traffic as [[sample]] blocks of a profile, with what identifies anybody masked.

From the running hub or from the cable itself. What a profile can prove is written with `want` or `fault`; the rest is
said, and left out.
"""

import contextlib
import os
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import click

from device_profiles import load
from device_profiles.door import Refusal
from device_profiles.types import ModbusProfile, MqttProfile, Profile, Sample, SerialProfile
from firmware_bridge.links.tap import Heard
from firmware_bridge.raw import Frame, Message, Publish, Registers, Trouble
from firmware_bridge.wire import capture
from firmware_bridge.wire.mask import Masks
from hub.clock import Clock
from hub.commands.cable import Reach, reaches
from hub.commands.options import Finite
from hub.commands.watch import heard_on

MOST = 200  # samples a device: more of the same prove nothing more


@click.command("capture")
@click.argument("link", default="")
@click.option("--device", default="", help="Only this device of the link.")
@click.option("--seconds", default=30.0, show_default=True, type=Finite(0.1, 86400), help="How long.")
@click.option(
    "--out", type=click.Path(path_type=Path, dir_okay=False), help="Write to this file instead of the screen."
)
@reaches
def capture_command(reach: Reach, link: str, device: str, seconds: float, out: Path | None) -> None:
    """Record what crosses a LINK for a while, as [[sample]] blocks; chip ids, serial numbers and credentials masked."""
    reach = reach.named(link)
    if out is not None:
        _check_new(out)
    speakers: set[str] = set()
    samples: dict[str, list[Sample]] = {}
    left_out: Counter[str] = Counter()
    masks = Masks()
    with contextlib.suppress(KeyboardInterrupt):  # Ctrl-C: what there is by now
        for heard in heard_on(reach, seconds):
            if heard.state:
                continue
            speakers.add(heard.device)
            if device and heard.device != device:
                continue
            try:
                _keep(heard, samples, masks)
            except capture.Unfit as error:
                left_out[f"{heard.device or heard.link}: {error}"] += 1
    for why, count in left_out.most_common():
        click.echo(f"left out {count} of {why}", err=True)
    if not any(samples.values()):
        raise click.ClickException(_nothing(device, speakers))
    _write(samples, out)


def _nothing(device: str, speakers: set[str]) -> str:
    if not speakers:
        return "nobody spoke: is it powered? Would it have spoken in that time (--seconds)?"
    heard = ", ".join(sorted(name for name in speakers if name)) or "devices that the site does not have"
    return f"no sample of {device}; heard: {heard}" if device else f"no sample that a profile proves; heard: {heard}"


def _check_new(out: Path) -> None:
    """Said before anything is recorded; a profile that stands there already is not lost."""
    if out.exists():
        raise Refusal("--out", "", "is there already", value=out, right="another name, or >> FILE to append to it")
    if not os.access(out.absolute().parent, os.W_OK | os.X_OK):
        raise Refusal("--out", "", "cannot be written there", value=out, right="a folder that this user may write to")


def _keep(heard: Heard, samples: dict[str, list[Sample]], masks: Masks) -> None:
    profile = load.profiles().get(heard.profile)
    if profile is None:
        raise capture.Unfit("of no device of the site")
    kept = samples.setdefault(heard.profile, [])
    if len(kept) < MOST and (found := sample(profile, heard, masks)) not in kept:
        kept.append(found)


def sample(profile: Profile, heard: Heard, masks: Masks) -> Sample:
    """One exchange with a device of this profile. Raises Unfit."""
    raw = heard.raw()
    if isinstance(profile, ModbusProfile):
        if heard.request is None or not isinstance(raw, Registers | Trouble):
            raise capture.Unfit("came unasked")
        return capture.exchange(profile, heard.request, raw)
    if heard.asked:
        mqtt = isinstance(profile, MqttProfile)
        return capture.order(profile, Publish(heard.topic, heard.asked) if mqtt else heard.asked)
    if isinstance(profile, SerialProfile) and isinstance(raw, Frame | Trouble):
        return capture.frame(profile, raw, masks)
    if isinstance(profile, MqttProfile) and isinstance(raw, Message):
        return capture.message(profile, raw.payload, masks)
    raise capture.Unfit("birth, last will or trouble of the link")


def _write(samples: dict[str, list[Sample]], out: Path | None) -> None:
    since = f"captured {datetime.fromtimestamp(Clock().now() / 1000, UTC).astimezone():%Y-%m-%d}"
    texts = [f"# {name}\n\n{capture.blocks(found, since)}" for name, found in samples.items() if found]
    if out is None:
        click.echo("\n".join(texts), nl=False)
        return
    try:
        out.write_text("\n".join(texts), encoding="utf-8")
    except OSError as error:
        raise Refusal(out, "", f"cannot be written: {error.strerror}") from None
    click.echo(f"{out}: {sum(map(len, samples.values()))} samples", err=True)
