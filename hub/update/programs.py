"""The programs that an update calls: pip for the new version's folder, the new version itself, the backup, the service.

Each has an end. What belongs to the data folder is done as its owner, also when root installs.
"""

import os
import shlex
import ssl
import subprocess
import sys
import urllib.request
from collections.abc import Sequence
from http.client import HTTPException
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from hub.update.release import Manifest, UpdateError

BUILD_S, CHECK_S, BACKUP_S, RESTART_S, LOOK_S = 1800.0, 300.0, 3600.0, 300.0, 5.0
MOST_BYTES = 64 * 1024
_PIP = ("-m", "pip", "--isolated", "--disable-pip-version-check", "--no-input")
_OFFLINE = ("--no-index", "--no-cache-dir", "--root-user-action=ignore", "--quiet")


class Failed(Exception):
    """A program said that it did not work, in its own words."""


def run(command: Sequence[str | Path], seconds: float, *, as_owner_of: Path | None = None) -> str:
    """What it printed. Raises Failed: it is not there, says no, or has not ended after so long."""
    who = as_owner_of.stat() if as_owner_of is not None and os.geteuid() == 0 else None
    user, group = (who.st_uid, who.st_gid) if who is not None and who.st_uid != 0 else (None, None)
    try:
        done = subprocess.run(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, text=True,
            errors="replace", timeout=seconds, check=False, umask=0o022, user=user, group=group,
            extra_groups=None if user is None else (), cwd="/",
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError) as error:
        raise Failed(str(error)) from None
    if done.returncode:
        raise Failed(f"{Path(command[0]).name} ended with {done.returncode}: {done.stdout.strip()[-2000:]}")
    return done.stdout


def build(folder: Path, wheels: Path, manifest: Manifest) -> None:
    """A virtual environment of the wheels alone, each by its hash, no network. Raises Failed, OSError."""
    wanted = wheels / "requirements.txt"
    parts = [(wheel.name.split("-"), wheel.sha256) for wheel in manifest.wheels]
    text = "".join(f"{name}=={version} --hash=sha256:{digest}\n" for (name, version, *_), digest in parts)
    wanted.write_text(text, encoding="utf-8")
    run([sys.executable, "-m", "venv", folder], BUILD_S)
    python = folder / "bin" / "python"
    run([python, *_PIP, "install", *_OFFLINE, "--require-hashes", "--find-links", wheels, "-r", wanted], BUILD_S)
    run([python, *_PIP, "check"], CHECK_S)


def complete(folder: Path, manifest: Manifest) -> None:
    """Refuse a folder of wheels in which something is missing that another one of them needs. Raises UpdateError."""
    call = [sys.executable, *_PIP, "install", "--dry-run", "--ignore-installed", *_OFFLINE]
    try:
        run([*call, "--find-links", folder, f"zhian=={manifest.version}"], BUILD_S)
    except Failed as error:
        right = "make wheels: build/wheels is whole then"
        raise UpdateError(folder, "", f"is not all that it takes: {error}", right=right) from None


def check(folder: Path, version: str, site: Path, owner: Path | None = None) -> None:
    """The new program says its version, and takes this box's site file, as whoever owns `owner`. Raises Failed."""
    program = folder / "bin" / "zhian"
    said = run([program, "--version"], CHECK_S)
    if said.split()[-1:] != [version]:
        raise Failed(f"says of itself: {said.strip()}")
    run([program, "check", site.absolute()], CHECK_S, as_owner_of=owner)


def back_up(program: Path, data: Path, target: Path, passphrase_file: str = "") -> None:
    """By the version that runs now, with all that its office knows. Raises Failed."""
    sealed = ["--passphrase-file", passphrase_file] if passphrase_file else []
    run([program, "backup", target, "--force", "--data", data, *sealed], BACKUP_S, as_owner_of=data)


def order(command: str) -> None:
    """A command of the service manager, as `systemctl restart zhian`. Raises Failed."""
    run(shlex.split(command), RESTART_S)


class _Said(msgspec.Struct, frozen=True):
    """What of /healthz's answer matters here. An older program, or one behind a proxy, names no version."""

    version: str = ""


def is_well(address: str, version: str) -> bool:
    """Whether /healthz of this machine's page says that the hub does its work (200).

    `version`: which program must not be another one, where it names itself; empty: any.
    """
    trust = ssl.create_default_context()  # we ask our own machine, and tell it nothing: any certificate will do
    trust.check_hostname, trust.verify_mode = False, ssl.CERT_NONE
    try:
        with urllib.request.urlopen(address, timeout=LOOK_S, context=trust) as answer:  # noqa: S310  # see `address_of`
            said = msgspec.json.decode(answer.read(MOST_BYTES), type=_Said).version
            return answer.status == 200 and (not version or said in ("", version))
    except (OSError, ValueError, HTTPException, msgspec.MsgspecError):
        return False


def address_of(text: str) -> str:
    """An address of this machine's page. Raises UpdateError."""
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise UpdateError("--health", "", "is no address of a page", value=text, right="https://127.0.0.1:8080/healthz")
    return text
