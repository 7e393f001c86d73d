"""The archives in `backups/` of a data folder: what they are called, which there are, and what seals them.

One is made each night, by the page, and before an update. What one holds is hub/keeping/backup.py's.
"""

import re
from datetime import UTC, datetime
from pathlib import Path

from device_profiles.door import Refusal
from hub.keeping.archive import BackupError
from hub.keeping.sealed_file import LEAST_PASSPHRASE
from hub.settings.secret import SecretError, read_secret
from hub.settings.site import BackupSettings, Site

BACKUPS = "backups"
PLAIN, SEALED = ".tar.gz", ".sealed"
_STAMP = "%Y%m%dT%H%M%SZ"
_NAME = re.compile(rf"zhian-(\d{{8}}T\d{{6}}Z)(?:{re.escape(PLAIN)}|{re.escape(SEALED)})")


def name_at(now: int, settings: BackupSettings) -> str:
    """What an archive of that instant (ms since 1970) is called; its end says whether it is encrypted."""
    end = SEALED if settings.passphrase_file else PLAIN
    return f"zhian-{datetime.fromtimestamp(now / 1000, UTC):{_STAMP}}{end}"


def made_at(name: str) -> int | None:
    """When, in ms since 1970, by its name: a copy of a file has another date. None: it is none of ours."""
    match = _NAME.fullmatch(name)
    try:
        return int(datetime.strptime(match[1], _STAMP).replace(tzinfo=UTC).timestamp() * 1000) if match else None
    except ValueError:
        return None


def archives(data: Path) -> list[Path]:
    """The oldest first."""
    return sorted(path for path in (data / BACKUPS).glob("zhian-*") if made_at(path.name) is not None)


def passphrase_of(settings: BackupSettings) -> str:
    """The passphrase; empty where the site wants none. Raises BackupError, never with a word of it."""
    file = settings.passphrase_file
    try:
        passphrase = read_secret(file) if file else ""
    except SecretError as error:
        raise BackupError(file, "", error.problem, right=error.right) from None
    if file and len(passphrase) < LEAST_PASSPHRASE:
        raise BackupError(file, "", "the passphrase is too short", right=f"{LEAST_PASSPHRASE} characters or more")
    return passphrase


def passphrase_for(archive: str, settings: BackupSettings) -> str:
    """What opens an archive of this name. Raises BackupError."""
    if not archive.endswith(SEALED):
        return ""
    if not settings.passphrase_file:
        raise BackupError(archive, "", "is encrypted", right="the site's [backup] passphrase_file, as it was then")
    return passphrase_of(settings)


def backup_warnings(site: Site, path: Path, data: Path | None) -> list[str]:
    """What would lay secrets open, or make archives worthless. Raises Refusal for a passphrase that cannot be used."""
    file = site.backup.passphrase_file
    try:
        passphrase_of(site.backup)
    except BackupError as error:
        raise Refusal(path, "backup.passphrase_file", error.problem, value=file, right=error.right) from None
    if data is None:
        return []
    if not file and _elsewhere(data):
        held = "archives with every secret of the hub lie there, and are not encrypted"
        return [f"{data / BACKUPS} is another disk or folder: {held}; [backup] passphrase_file in {path} mends it"]
    if file and any(Path(file).resolve().is_relative_to(place.resolve()) for place in (data, data / BACKUPS)):
        return [f"{path}: backup.passphrase_file = {file!r}: is lost or stolen with what it seals; keep it elsewhere"]
    return []


def _elsewhere(data: Path) -> bool:
    """Whether the folder of the archives is a link out of the data folder, or another file system."""
    folder = data / BACKUPS
    if not folder.exists():
        return False
    return not folder.resolve().is_relative_to(data.resolve()) or folder.stat().st_dev != data.stat().st_dev
