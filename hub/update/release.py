"""The release file: a zip of wheels, the list of them with their SHA-256, and an Ed25519 signature over that list.

Nothing of it is believed before the signature is; and nothing is unpacked before every byte of it fits the list.
"""

import hashlib
import platform
import re
import struct
import sys
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import msgspec

from device_profiles.door import Refusal
from hub.update.keys import SIGNATURE_BYTES, Trusted, sign, signer_of

FORMAT = 1
MANIFEST, SIGNATURE, WHEELS = "manifest.json", "manifest.sig", "wheels/"
MOST_WHEELS, MOST_MANIFEST = 500, 1 << 20
WHEEL = re.compile(
    r"(?P<name>[A-Za-z0-9_.]+)-(?P<version>[A-Za-z0-9_.!+]+)(-\d\w*)?-[\w.]+-[\w.]+-(?P<tag>[\w.]+)\.whl"
)
VERSION = re.compile(r"(0|[1-9]\d{0,5})\.(0|[1-9]\d{0,5})\.(0|[1-9]\d{0,5})", re.ASCII)
# What zipfile raises for a file that is not as it was written.
_BROKEN = (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError, ValueError, struct.error, OSError)
ANOTHER_COPY = "take another copy of it, from where it was made"


class UpdateError(Refusal):
    """An update that is not taken: names the file, what is wrong, and the remedy. Nothing was changed."""


class Wheel(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One file of the release."""

    name: str
    size: int
    sha256: str


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What is signed. `python` as "3.11", `machine` as platform.machine() says it, or "any"."""

    format: int
    version: str
    python: str
    machine: str
    wheels: list[Wheel]


class Release:
    """An open release file whose every byte was compared with what `signer` signed."""

    def __init__(self, archive: zipfile.ZipFile, manifest: Manifest, signer: str) -> None:
        """By `opened` only."""
        self.manifest, self.signer, self._archive = manifest, signer, archive

    def unpack(self, folder: Path) -> None:
        """Every wheel into `folder`, compared again while it is written. Raises UpdateError, OSError."""
        for wheel in self.manifest.wheels:
            _compare(self._archive, wheel, folder / wheel.name)


def parts_of(version: str) -> tuple[int, ...]:
    """As numbers that can be compared. Raises ValueError."""
    match = VERSION.fullmatch(version)
    if match is None:
        raise ValueError(f"{version!r} is no version such as 1.2.3")
    return tuple(int(part) for part in match.groups())


def python_here() -> str:
    """The Python that runs this, without its patch release: wheels fit all of 3.11."""
    return f"{sys.version_info[0]}.{sys.version_info[1]}"


def make_release(folder: Path, manifest: Manifest, key: Path, target: Path) -> None:
    """Sign what `manifest_of` found in `folder` into `target`, whole or not at all. Raises Refusal, OSError."""
    message = msgspec.json.format(msgspec.json.encode(manifest))
    signature, part = sign(key, message), target.with_name(f"{target.name}.part")
    try:
        with zipfile.ZipFile(part, "w", zipfile.ZIP_STORED) as archive:  # wheels are packed already
            archive.writestr(MANIFEST, message)
            archive.writestr(SIGNATURE, signature)
            for wheel in manifest.wheels:
                archive.write(folder / wheel.name, WHEELS + wheel.name)
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def opened(file: Path, keys: Trusted) -> Iterator[Release]:
    """The release, proved to be what a trusted maker signed, byte for byte. Raises UpdateError."""
    try:
        archive = zipfile.ZipFile(file)
    except _BROKEN as error:
        raise UpdateError(file, "", f"is not a whole update: {error}", right=ANOTHER_COPY) from None
    with archive:
        if any(info.compress_type != zipfile.ZIP_STORED for info in archive.infolist()):
            raise UpdateError(file, "", "holds what is compressed, and could swell", right=ANOTHER_COPY)
        manifest, signer = _proved(file, archive, keys)
        _names_fit(file, archive, manifest)
        for wheel in manifest.wheels:
            _compare(archive, wheel, None)
        yield Release(archive, manifest, signer)


def _proved(file: Path, archive: zipfile.ZipFile, keys: Trusted) -> tuple[Manifest, str]:
    message, signature = (
        _small(file, archive, MANIFEST, MOST_MANIFEST),
        _small(file, archive, SIGNATURE, SIGNATURE_BYTES),
    )
    signer = signer_of(message, signature, keys)
    if signer is None:
        right = f"whom this box trusts: {', '.join(sorted(keys))}; a damaged file looks the same: {ANOTHER_COPY}"
        raise UpdateError(file, MANIFEST, "is signed by nobody whom this box trusts", right=right)
    try:
        manifest = msgspec.json.decode(message, type=Manifest)
        parts_of(manifest.version)
    except (msgspec.MsgspecError, ValueError) as error:
        raise UpdateError(file, MANIFEST, f"cannot be read: {error}", right="ask who made it") from None
    if manifest.format != FORMAT:
        right = f"this version reads {FORMAT}: install one in between"
        raise UpdateError(file, "format", "was made for a newer updater", value=manifest.format, right=right)
    return manifest, signer


def _small(file: Path, archive: zipfile.ZipFile, name: str, most: int) -> bytes:
    """A member of a few bytes, which is not yet believed."""
    try:
        with archive.open(name) as member:
            content = member.read(most + 1)
    except (KeyError, *_BROKEN) as error:
        raise UpdateError(file, name, f"cannot be read: {error}", right=ANOTHER_COPY) from None
    if len(content) > most:
        raise UpdateError(file, name, f"is larger than {most} bytes", right=ANOTHER_COPY)
    return content


def _names_fit(file: Path, archive: zipfile.ZipFile, manifest: Manifest) -> None:
    """Exactly the files of the list, each once, each a wheel's name and no path."""
    listed = [wheel.name for wheel in manifest.wheels]
    odd = [name for name in listed if WHEEL.fullmatch(name) is None]
    if odd or len(set(listed)) != len(listed) or len(listed) > MOST_WHEELS:
        named = odd[0] if odd else f"{len(listed)} wheels"
        raise UpdateError(file, MANIFEST, "lists what is no wheel, or one twice", value=named, right="ask who made it")
    wanted = sorted([MANIFEST, SIGNATURE, *(WHEELS + name for name in listed)])
    found = sorted(info.filename for info in archive.infolist())
    if found != wanted:
        more, missing = sorted(set(found) - set(wanted)), sorted(set(wanted) - set(found))
        problem = f"holds {more[0]!r}, which is not in the list" if more else f"lacks {missing[0]!r}" if missing else ""
        raise UpdateError(file, "", problem or "holds a file twice", right=ANOTHER_COPY)


def _compare(archive: zipfile.ZipFile, wheel: Wheel, target: Path | None) -> None:
    """Read one wheel, no more of it than the list says, and keep it where there is a `target`."""
    digest, size = hashlib.sha256(), 0
    with target.open("xb") if target is not None else nullcontext() as kept:
        for chunk in _chunks(archive, wheel):
            size += len(chunk)
            digest.update(chunk)
            if kept is not None:
                kept.write(chunk)
    if size != wheel.size or digest.hexdigest() != wheel.sha256:
        raise UpdateError(
            archive.filename or "", wheel.name, "is not what was signed: its SHA-256 differs", right=ANOTHER_COPY
        )


def _chunks(archive: zipfile.ZipFile, wheel: Wheel) -> Iterator[bytes]:
    """At most a byte more than is signed: a file that swells is cut off there."""
    left = wheel.size + 1
    try:
        with archive.open(WHEELS + wheel.name) as member:
            while left and (chunk := member.read(min(left, 1 << 20))):
                left -= len(chunk)
                yield chunk
    except _BROKEN as error:
        raise UpdateError(archive.filename or "", wheel.name, f"cannot be read: {error}", right=ANOTHER_COPY) from None


def manifest_of(folder: Path) -> Manifest:
    """The list of a folder of wheels and nothing else; made for the Python that runs this. Raises UpdateError."""
    wheels, tags, version = [], set(), ""
    for path in sorted(folder.iterdir()):
        match = WHEEL.fullmatch(path.name)
        if match is None or not path.is_file():
            raise UpdateError(path, "", "is no wheel", right="a folder that `pip wheel` wrote, and nothing else in it")
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        wheels.append(Wheel(path.name, path.stat().st_size, digest))
        tags.add(machine_of(match["tag"]))
        version = match["version"] if match["name"] == "zhian" else version
    if VERSION.fullmatch(version) is None:
        right = "the wheel of one release, zhian-1.2.3-py3-none-any.whl"
        raise UpdateError(folder, "zhian", "there is no wheel of Zhian with such a version", value=version, right=right)
    if len(machines := sorted(tags - {"any"})) > 1:
        raise UpdateError(folder, "", f"wheels of several machines: {', '.join(machines)}", right="one file for each")
    machine = machines[0] if machines else "any"
    return Manifest(format=FORMAT, version=version, python=python_here(), machine=machine, wheels=wheels)


def machine_of(tag: str) -> str:
    """The machine of a wheel's platform tag, as `manylinux_2_28_x86_64.manylinux2014_x86_64`; "any" for pure ones."""
    last = tag.rpartition(".")[2]
    known = ("x86_64", "aarch64", "armv7l", "armv6l", "i686", "any")
    return next((machine for machine in known if last.endswith(machine)), last)


def fits_here(file: Path, manifest: Manifest) -> None:
    """Made for this Python and this machine. Raises UpdateError."""
    if manifest.python != python_here():
        right = f"one that was made with Python {python_here()}"
        raise UpdateError(file, "python", "is for another Python", value=manifest.python, right=right)
    if manifest.machine not in ("any", platform.machine()):
        right = f"one for {platform.machine()}"
        raise UpdateError(file, "machine", "is for another kind of machine", value=manifest.machine, right=right)
