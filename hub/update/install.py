"""From one version to the next, and back by itself when the next one is not well.

    verify | unpack, build, check | backup | note "try" | link, restart, watch | note gone
                                                  not well: note "back" | link, files, restart, watch | note gone

Killed anywhere: before the note nothing has changed but a folder that nobody uses; after it `install` goes on from it.
"""

import os
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from hub.clock import Clock
from hub.keeping.archive import BackupError
from hub.keeping.archives import BACKUPS, name_at, passphrase_of
from hub.settings.site import BackupSettings
from hub.update.box import Box, Note
from hub.update.forms import changed, forms_of, put_back
from hub.update.keys import trusted
from hub.update.programs import Failed
from hub.update.release import Manifest, Release, UpdateError, fits_here, opened, parts_of

LOOK_EVERY_S = 1.0


class Means(msgspec.Struct, frozen=True, kw_only=True):
    """How things are done on this box. All that may fail raises Failed.

    `well`: whether /healthz says so, and is this version's (empty: any version's). `backups`: what the site file says
    of archives; it is asked before anything is switched.
    """

    site: Path
    data: Path
    keys: Path
    build: Callable[[Path, Path, Manifest], None]
    check: Callable[[Path, str, Path], None]
    back_up: Callable[[Path, Path, Path, str], None]
    restart: Callable[[], None]
    stop: Callable[[], None]
    well: Callable[[str], bool]
    say: Callable[[str], None]
    backups: Callable[[], BackupSettings] = BackupSettings
    within_s: float = 120.0
    steady_s: float = 60.0
    while_unwell: bool = False


def install(file: Path, box: Box, means: Means) -> bool:
    """Whether the new version runs. False: it was not well, and what ran before runs again.

    Raises UpdateError for what is refused: then nothing was changed. An update that was cut off is ended first, and
    `file` is not looked at.
    """
    with box.locked():
        note = box.note()
        if note is not None:
            means.say(f"an update to {note.new} was cut off: ending that one, {file} is not looked at")
            return _go_on(box, means, note)
        old = box.current()
        with opened(file, trusted(means.keys)) as release:
            _judge(file, release.manifest, box.version_of(old))
            if not means.while_unwell and not means.well(""):
                right = "mend that first, or --while-unwell; else nobody could tell whether the new version is well"
                raise UpdateError("--health", "", "the hub is not well now", right=right)
            means.say(f"zhian {release.manifest.version}, signed by {release.signer}")
            box.tidy()
            new = _prepare(file, release, box, means)
        backups = means.backups()
        target, sealed_by = _backed_up(box, means, backups), backups.passphrase_file
        note = Note(step="try", old=old, new=new, backup=target, forms=forms_of(means.data), sealed_by=sealed_by)
        os.sync()  # the new folder, before anything says that it is there
        box.write_note(note)
        return _go_on(box, means, note)


def _judge(file: Path, manifest: Manifest, running: str) -> None:
    """Newer than what runs, and made for this box. Raises UpdateError."""
    if parts_of(manifest.version) <= parts_of(running):
        right = f"a version newer than {running}, which runs here"
        raise UpdateError(file, "version", "is not newer", value=manifest.version, right=right)
    fits_here(file, manifest)


def would_change(file: Path, box: Box, keys: Path) -> list[str]:
    """What `install` would do with this file, as lines. It touches nothing. Raises UpdateError, Refusal."""
    running = box.version_of(box.current())
    with opened(file, trusted(keys)) as release:
        manifest = release.manifest
        _judge(file, manifest, running)
        size = sum(wheel.size for wheel in manifest.wheels) / 1e6
        lines = [f"zhian {running} -> {manifest.version}, signed by {release.signer}; Python {manifest.python}"]
        lines.append(f"{len(manifest.wheels)} wheels, {size:.1f} MB, every SHA-256 as signed:")
        lines += [f"  {wheel.name}" for wheel in manifest.wheels]
    if (note := box.note()) is not None:
        lines.append(f"an update to {note.new} was cut off here: `zhian update install` ends it first")
    return lines


def _prepare(file: Path, release: Release, box: Box, means: Means) -> str:
    """The new version's folder, built and tried on this box's site file; on failure nothing is left of it."""
    version = release.manifest.version
    folder = box.folder(version)
    folder.parent.mkdir(exist_ok=True)
    folder.parent.chmod(0o755)  # the service's user runs what is in it, whatever root's umask
    shutil.rmtree(folder, ignore_errors=True)  # of a time when this was cut off
    means.say("building it beside the one that runs; this takes minutes on a small box")
    try:
        with tempfile.TemporaryDirectory(prefix="wheels-", dir=folder.parent) as wheels:
            release.unpack(Path(wheels))
            means.build(folder, Path(wheels), release.manifest)
        means.check(folder, version, means.site)
    except (Failed, OSError) as error:
        shutil.rmtree(folder, ignore_errors=True)
        right = "nothing was changed; mend the site file where it names one, or ask who made the update"
        raise UpdateError(file, version, f"cannot run on this box: {error}", right=right) from None
    return box.place(version)


def _backed_up(box: Box, means: Means, backups: BackupSettings) -> str:
    """The archive's path. Its name is that of a nightly one: rotation and retention know it."""
    target = means.data.absolute() / BACKUPS / name_at(Clock().now(), backups)
    means.say(f"backup before the switch: {target}")
    try:
        means.back_up(
            box.root / box.current() / "bin" / "zhian", means.data.absolute(), target, backups.passphrase_file
        )
    except Failed as error:
        right = "nothing was changed; mend that first"
        raise UpdateError(means.data, "", f"no backup could be made: {error}", right=right) from None
    return str(target)


def _go_on(box: Box, means: Means, note: Note) -> bool:
    """From the note on, as often as it takes."""
    if note.step == "try":
        if _tried(box, means, note):
            box.drop_note()
            box.tidy()
            means.say(f"{note.new} runs and is well; {note.old} is kept")
            return True
        note = msgspec.structs.replace(note, step="back")
        box.write_note(note)
    _went_back(box, means, note)
    return False


def _tried(box: Box, means: Means, note: Note) -> bool:
    """Whether the new version runs and stays well."""
    box.switch(note.new)
    try:
        means.restart()
    except Failed as error:
        means.say(f"{note.new} did not start: {error}")
        return False
    if not stays_well(means, Path(note.new).name):
        means.say(f"{note.new} was not well for {means.steady_s:.0f} s on end: going back to {note.old}")
        return False
    return True


def _went_back(box: Box, means: Means, note: Note) -> None:
    """The old version again, with files that it can read. Raises UpdateError when that is not well either."""
    box.switch(note.old)
    try:
        if names := changed(means.data, note.forms):
            _files_back(means, note, names)
        means.restart()
    except (Failed, BackupError, OSError) as error:
        raise _helpless(box, note, str(error)) from None
    well = stays_well(means, box.version_of(note.old))
    if not well and not means.while_unwell:
        raise _helpless(box, note, "it is not well")
    box.drop_note()
    box.tidy()
    means.say(f"NOT UPDATED: {note.new} was not well; {note.old} runs again{'' if well else ', as unwell as before'}")


def _files_back(means: Means, note: Note, names: list[str]) -> None:
    """What the old version cannot read any more, as it was before the switch; the service stands still meanwhile."""
    passphrase = passphrase_of(BackupSettings(passphrase_file=note.sealed_by))
    means.stop()
    aside = put_back(means.data, names, Path(note.backup), Path(note.new).name, passphrase)
    means.say(
        f"put back as in {note.backup}: {', '.join(names)}. What was written into them since is not in them; "
        f"it lies in {means.data} as {', '.join(aside)}"
    )


def _helpless(box: Box, note: Note, why: str) -> UpdateError:
    right = f"NOT UPDATED, and {note.old} does not run well: look at its log, then `zhian update install` again"
    return UpdateError(box.root, note.old, why, right=right)


def stays_well(means: Means, version: str) -> bool:
    """Well for `steady_s` on end, and this version; what is not well once `within_s` are over has failed."""
    start, since = time.monotonic(), None
    while True:
        now = time.monotonic()
        since = (now if since is None else since) if means.well(version) else None
        if since is None and time.monotonic() - start >= means.within_s:
            return False
        if since is not None and time.monotonic() - since >= means.steady_s:
            return True
        time.sleep(min(LOOK_EVERY_S, max(means.steady_s / 4, 0.01)))
