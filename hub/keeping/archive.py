"""The archive file of a backup: a tar.gz whose first member is a manifest with the SHA-256 of every other.

It is not signed: the hashes find damage, not a forger who rewrites the manifest too. With a passphrase all of it is
encrypted (hub/keeping/sealed_file.py), and nobody forges it either who does not know that.
"""

import gzip
import hashlib
import os
import tarfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, cast

import msgspec

from device_profiles.door import Refusal
from hub.keeping.sealed_file import CHUNK, SealedReader, SealedWriter, SealError, is_sealed

FORMAT = 1
MANIFEST = "manifest.json"


class BackupError(Refusal):
    """A backup that cannot be made, or an archive that cannot be used: names the file and the remedy."""


class Member(msgspec.Struct, frozen=True):
    """One file of the archive. `mode` are the permission bits."""

    name: str
    size: int
    mode: int
    sha256: str


class HistoryNote(msgspec.Struct, frozen=True):
    """Where the readings of the archive come from: the file itself (live), a nightly snapshot, or nowhere (none)."""

    source: str
    at: int = 0
    rows: int = 0
    reason: str = ""
    elsewhere: str = ""  # what of the history is on which server


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What the archive holds. `counts`: database -> table -> rows. `made` and `history.at` in ms since 1970."""

    format: int
    made: int
    versions: dict[str, str]
    history: HistoryNote
    counts: dict[str, dict[str, int]]
    members: list[Member]


def member_of(path: Path, root: Path) -> Member:
    """The manifest's line for one file below `root`."""
    found = path.stat()
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return Member(str(path.relative_to(root)), found.st_size, found.st_mode & 0o777, digest)


def write_archive(target: Path, staging: Path, manifest: Manifest, passphrase: str = "") -> None:
    """Pack manifest and members from `staging`, and read all of it again; `target` appears whole or not at all.

    Mode 0600; encrypted, with a passphrase. Raises OSError, BackupError when what was written is not what is read.
    """
    part = target.with_name(f"{target.name}.part")
    part.unlink(missing_ok=True)
    try:
        with _create(part) as file:
            with (
                _sealing(file, passphrase) as packed,
                tarfile.open(fileobj=packed, mode="w:gz", compresslevel=6) as tar,
            ):
                (staging / MANIFEST).write_bytes(msgspec.json.format(msgspec.json.encode(manifest)))
                for name in [MANIFEST, *(member.name for member in manifest.members)]:
                    tar.add(staging / name, arcname=name, recursive=False)
            file.flush()
            os.fsync(file.fileno())
        _check(part, manifest, passphrase)
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def _sealing(file: IO[bytes], passphrase: str) -> Iterator[IO[bytes]]:
    """What is packed goes through the cipher where there is a passphrase. Raises BackupError."""
    if not passphrase:
        yield file
        return
    try:
        with SealedWriter(file, passphrase) as writer:
            yield cast("IO[bytes]", writer)
    except SealError as error:
        raise BackupError("the passphrase", "", error.problem, right=error.right) from None


@contextmanager
def _opened(archive: Path, passphrase: str) -> Iterator[IO[bytes]]:
    """The packed bytes, through the cipher where the archive is encrypted. Raises BackupError, OSError."""
    sealed = is_sealed(archive)
    if sealed != bool(passphrase):
        problem = "is encrypted" if sealed else "is not encrypted: somebody may have put it in the place of one that is"
        right = (
            "give --passphrase-file FILE" if sealed else "leave the passphrase out, if this is the file that you mean"
        )
        raise BackupError(archive, "", problem, right=right)
    with archive.open("rb") as file:
        if not sealed:
            yield file
            return
        try:
            with SealedReader(file, passphrase) as reader:
                yield cast("IO[bytes]", reader)
        except SealError as error:
            raise BackupError(archive, "", error.problem, right=error.right) from None


def check_passphrase(archive: Path, passphrase: str) -> None:
    """Read an encrypted archive to its end, before anything is made of it. Raises BackupError, OSError."""
    with _opened(archive, passphrase) as file:
        while passphrase and file.read(CHUNK):
            pass


def _check(part: Path, manifest: Manifest, passphrase: str) -> None:
    """What lies on the disk is what was packed. Raises BackupError."""
    try:
        found = unpack(part, None, passphrase)
    except (EOFError, tarfile.TarError, zlib.error) as error:
        raise tampered(part, "the archive", str(error)) from error
    if found != manifest:
        raise tampered(part, MANIFEST, "is not what was written")


def unpack(archive: Path, staging: Path | None, passphrase: str = "") -> Manifest:
    """Every member into `staging` (None: nowhere, only checked), each hash checked.

    Raises BackupError, OSError, EOFError, TarError, zlib.error.
    """
    with (
        _opened(archive, passphrase) as file,
        gzip.open(file) as whole,
        tarfile.open(fileobj=cast("IO[bytes]", whole), mode="r:") as tar,
    ):
        first = tar.next()
        if first is None or first.name != MANIFEST or (content := tar.extractfile(first)) is None:
            raise BackupError(archive, "", "is not a backup of Zhian", right="give a FILE that `zhian backup` wrote")
        manifest = _read_manifest(archive, content)
        wanted = {member.name: member for member in manifest.members}
        while (info := tar.next()) is not None:
            member = wanted.pop(info.name, None)
            content = tar.extractfile(info) if info.isreg() else None
            if member is None or content is None:
                raise tampered(archive, info.name, "is not in the manifest")
            _write_member(archive, member, content, staging)
        while whole.read(1 << 20):  # to its very end, where gzip compares its own checksum
            pass
    if wanted:
        raise tampered(archive, min(wanted), "is missing")
    return manifest


def _read_manifest(archive: Path, file: IO[bytes]) -> Manifest:
    try:
        manifest = msgspec.json.decode(file.read(), type=Manifest)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise tampered(archive, MANIFEST, str(error)) from None
    if manifest.format != FORMAT:
        raise BackupError(
            archive, "format", "was written by another version", value=manifest.format, right=f"this one reads {FORMAT}"
        )
    return manifest


def _write_member(archive: Path, member: Member, content: IO[bytes], staging: Path | None) -> None:
    if staging is None:
        _copy(archive, member, content, None)
        return
    target = (staging / member.name).resolve()
    if not target.is_relative_to(staging.resolve()):
        raise tampered(archive, member.name, "points out of the folder")
    _make_folders(target.parent, staging.resolve())
    with _create(target) as file:
        _copy(archive, member, content, file)
        os.fsync(file.fileno())
    target.chmod(member.mode & 0o777)


def _copy(archive: Path, member: Member, content: IO[bytes], file: IO[bytes] | None) -> None:
    digest = hashlib.sha256()
    while chunk := content.read(1 << 20):
        digest.update(chunk)
        if file is not None:
            file.write(chunk)
    if digest.hexdigest() != member.sha256:
        raise tampered(archive, member.name, "is not what was written: its SHA-256 differs")


def tampered(archive: Path, name: str, problem: str) -> BackupError:
    """The error for an archive whose content is not what was packed."""
    return BackupError(archive, name, problem, right="the archive is damaged; take another copy, or an older backup")


def _make_folders(folder: Path, root: Path) -> None:
    if folder != root:
        _make_folders(folder.parent, root)
        folder.mkdir(mode=0o700, exist_ok=True)


def _create(path: Path) -> IO[bytes]:
    """A new file that nobody else may read, from its first byte on."""
    path.touch(mode=0o600, exist_ok=False)
    return path.open("wb")
