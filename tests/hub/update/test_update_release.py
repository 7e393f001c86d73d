"""A release file is taken as it was signed by a trusted maker, or not at all."""

from __future__ import annotations

import platform
import shutil
import stat
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest

from device_profiles.door import Refusal
from hub.update.install import install
from hub.update.keys import make_key, sign, trusted
from hub.update.release import (
    MANIFEST,
    SIGNATURE,
    Manifest,
    UpdateError,
    Wheel,
    fits_here,
    machine_of,
    make_release,
    manifest_of,
    opened,
    parts_of,
)
from tests.hub.update.yard import wheel

if TYPE_CHECKING:
    from tests.hub.update.yard import Yard


def refused(yard: Yard, file: Path, why: str) -> None:
    """By `install`, with these words, and without a trace on the box."""
    with pytest.raises(UpdateError, match=why):
        install(file, yard.box, yard.means())
    assert (yard.link, yard.running) == (".venv", "1.0.0")
    assert not (yard.root / "versions").exists()
    assert not (yard.data / "backups").exists()


def packed(yard: Yard, members: list[tuple[str, bytes]]) -> Path:
    """A zip of exactly these, in this order."""
    target = yard.folder / "made.update"
    with zipfile.ZipFile(target, "w") as archive, pytest.MonkeyPatch.context() as patch:
        patch.setattr("warnings.warn", lambda *_, **__: None)  # zipfile warns of a name that is there twice
        for name, content in members:
            archive.writestr(name, content)
    return target


def members_of(file: Path) -> list[tuple[str, bytes]]:
    """Name and content, in their order."""
    with zipfile.ZipFile(file) as archive:
        return [(info.filename, archive.read(info)) for info in archive.infolist()]


def signed(yard: Yard, **changes: object) -> Path:
    """1.0.1 with another list, signed by the trusted maker: a maker's mistake, not a forger's."""
    members = dict(members_of(yard.release("1.0.1")))
    manifest = msgspec.structs.replace(msgspec.json.decode(members[MANIFEST], type=Manifest), **changes)
    members[MANIFEST] = msgspec.json.encode(manifest)
    members[SIGNATURE] = sign(yard.key, members[MANIFEST])
    return packed(yard, list(members.items()))


def test_no_flipped_byte_changes_what_is_installed(yard: Yard, tmp_path: Path) -> None:
    """At every place: refused, or (in what zip keeps beside the content, as dates) exactly what was signed."""
    file, keys = yard.release("1.0.1"), trusted(yard.root / "update-keys")
    whole, copy, harmless = file.read_bytes(), tmp_path / "copy.update", 0
    content = b"".join(content for _, content in members_of(file))
    manifest = msgspec.json.decode(dict(members_of(file))[MANIFEST], type=Manifest)

    for at in range(len(whole)):
        copy.write_bytes(whole[:at] + bytes([whole[at] ^ 0x20]) + whole[at + 1 :])
        try:
            with opened(copy, keys) as release:
                assert release.manifest == manifest
        except UpdateError:
            continue
        harmless += 1

    assert 0 < harmless < len(whole) - len(content), "no byte of the content is harmless"


@pytest.mark.parametrize("member", [MANIFEST, SIGNATURE, "wheels/helper-2.0-py3-none-any.whl"])
def test_another_content_with_right_check_sums(yard: Yard, member: str) -> None:
    """A forger packs the zip anew: every member is proved by the signature, not by the zip."""
    members = members_of(yard.release("1.0.1"))
    changed = [
        (name, bytes([content[0] ^ 1]) + content[1:] if name == member else content) for name, content in members
    ]

    refused(yard, packed(yard, changed), "signed by nobody|SHA-256 differs")


def test_a_cut_file(yard: Yard) -> None:
    """Wherever the copying broke off."""
    file = yard.release("1.0.1")
    whole, keys = file.read_bytes(), trusted(yard.root / "update-keys")
    for length in range(0, len(whole), 7):
        file.write_bytes(whole[:length])
        with pytest.raises(UpdateError), opened(file, keys):
            pass
    refused(yard, file, "not a whole update")


def test_another_key(yard: Yard) -> None:
    """Signed, by somebody whom this box does not know."""
    shutil.copy(yard.key, yard.folder / "kept")
    yard.key.unlink()
    make_key(yard.key)

    refused(yard, yard.release("1.0.1"), "signed by nobody whom this box trusts")


def test_a_signature_for_something_else(yard: Yard) -> None:
    """The same bytes signed without the words that say what for."""
    members = dict(members_of(yard.release("1.0.1")))
    members[SIGNATURE] = sign(yard.key, b"zhian-update-1\n" + members[MANIFEST])

    refused(yard, packed(yard, list(members.items())), "signed by nobody")


@pytest.mark.parametrize("name", ["wheels/extra-1.0-py3-none-any.whl", "../../etc/cron.d/x", "wheels/../zhian.pth"])
def test_an_additional_file(yard: Yard, name: str) -> None:
    """What is not in the list does not come along, whatever it is called."""
    members = members_of(yard.release("1.0.1"))

    refused(yard, packed(yard, [*members, (name, b"x")]), "not in the list")


def test_a_file_twice(yard: Yard) -> None:
    """Which of the two is read would be a matter of luck."""
    members = members_of(yard.release("1.0.1"))

    refused(yard, packed(yard, [*members, members[-1]]), "twice")


def test_a_missing_wheel(yard: Yard) -> None:
    """Listed, and not there."""
    members = members_of(yard.release("1.0.1"))

    refused(yard, packed(yard, members[:-1]), "lacks")


def test_what_could_swell(yard: Yard) -> None:
    """Nothing in it is compressed, so that nothing of it is larger than the file."""
    members = members_of(yard.release("1.0.1"))
    target = yard.folder / "made.update"
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members:
            archive.writestr(name, content)

    refused(yard, target, "swell")


@pytest.mark.parametrize(
    "name", ["../e-1.0-py3-none-any.whl", "/tmp/e-1.0-py3-none-any.whl", "a.pth", "a\n-1-p-n-any.whl"]
)
def test_a_path_that_leads_out(yard: Yard, name: str) -> None:
    """Not even the maker's own list may name a path."""
    refused(yard, signed(yard, wheels=[Wheel(name, 1, "00")]), "no wheel")


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"python": "3.99"}, "another Python"),
        ({"machine": "pdp11"}, "another kind of machine"),
        ({"format": 2}, "newer updater"),
        ({"version": "1.0.1rc1"}, "no version such as"),
    ],
)
def test_made_for_something_else(yard: Yard, changes: dict[str, object], why: str) -> None:
    """Said before anything is built."""
    refused(yard, signed(yard, **changes), why)


def test_what_fits_is_taken() -> None:
    """The control of the one above: this Python, and this machine or any."""
    here = ".".join(platform.python_version_tuple()[:2])
    ours = Manifest(format=1, version="1.0.0", python=here, machine="any", wheels=[])

    fits_here(Path("ours"), ours)
    fits_here(Path("ours"), msgspec.structs.replace(ours, machine=platform.machine()))
    with pytest.raises(UpdateError):
        fits_here(Path("ours"), msgspec.structs.replace(ours, python="3.1"))


def test_whoever_may_write_the_trusted_keys_decides(yard: Yard) -> None:
    """So nobody but their owner may; an empty list trusts nobody, and that is said."""
    keys = yard.root / "update-keys"
    keys.chmod(0o666)
    with pytest.raises(Refusal, match="may be written by others"):
        trusted(keys)
    keys.chmod(0o644)
    keys.write_text("# nobody yet\n")
    with pytest.raises(Refusal, match="trusts nobody"):
        trusted(keys)
    keys.write_text("bm90IGEga2V5 x\n")
    with pytest.raises(Refusal, match=r"line 1.*no public key"):
        trusted(keys)


def test_the_signing_key_is_secret_and_stays(yard: Yard) -> None:
    """Mode 0600, never written over, and not used when others may read it."""
    assert stat.S_IMODE(yard.key.stat().st_mode) == 0o600
    with pytest.raises(Refusal, match="is there already"):
        make_key(yard.key)
    yard.key.chmod(0o644)
    with pytest.raises(Refusal, match="may be read"):
        sign(yard.key, b"")


def test_a_folder_that_is_not_wheels_alone(yard: Yard) -> None:
    """An sdist would run code while it is installed; a folder without Zhian is no release."""
    wheels = yard.folder / "wheels"
    wheels.mkdir()
    wheel(wheels, "helper", "2.0", {})
    with pytest.raises(UpdateError, match="no wheel of Zhian"):
        manifest_of(wheels)
    (wheels / "zhian-1.0.1.tar.gz").touch()
    with pytest.raises(UpdateError, match="is no wheel"):
        manifest_of(wheels)


def test_wheels_of_two_machines(yard: Yard) -> None:
    """A box would find out half-way."""
    wheels = yard.folder / "wheels"
    wheels.mkdir()
    for machine in ("x86_64", "aarch64"):
        (wheels / f"fast-1.0-cp311-cp311-manylinux_2_28_{machine}.whl").touch()
    wheel(wheels, "zhian", "1.0.1", {})
    with pytest.raises(UpdateError, match="aarch64, x86_64"):
        manifest_of(wheels)

    (wheels / "fast-1.0-cp311-cp311-manylinux_2_28_aarch64.whl").unlink()
    assert manifest_of(wheels).machine == "x86_64"
    assert machine_of("manylinux_2_17_x86_64.manylinux2014_x86_64") == "x86_64"


def test_a_release_appears_whole(yard: Yard) -> None:
    """A wheel that went away meanwhile leaves no half file behind."""
    wheels = yard.folder / "wheels"
    wheels.mkdir()
    gone = wheel(wheels, "zhian", "1.0.1", {})
    manifest = manifest_of(wheels)
    gone.unlink()

    with pytest.raises(FileNotFoundError):
        make_release(wheels, manifest, yard.key, yard.folder / "half.update")
    assert list(yard.folder.glob("half*")) == []


@pytest.mark.parametrize("text", ["1.2", "1.2.3.4", "1.02.3", "v1.2.3", "1.2.3\n", "１.2.3", "1.2.-3", ""])
def test_what_is_no_version(text: str) -> None:
    """Two readings of one text could be two orders."""
    with pytest.raises(ValueError, match="no version"):
        parts_of(text)
