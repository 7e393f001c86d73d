"""The archives of a data folder where the site has a passphrase: encrypted or none, rotated, restored."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from device_profiles.door import Refusal
from hub.history.duck import DuckStore
from hub.journal.batches import Row
from hub.keeping import sealed_file
from hub.keeping.agenda import KEEP_BACKUPS, nightly_backup
from hub.keeping.archive import BackupError
from hub.keeping.archives import archives, backup_warnings, made_at, name_at
from hub.keeping.backup import restore
from hub.keeping.retention import forget_copies
from hub.settings.door import load_site
from hub.settings.site import BackupSettings, Site

if TYPE_CHECKING:
    from tests.hub.history.conftest import JournalFile

PASSPHRASE = "correct horse battery staple"
START, DAY = 1_760_000_000_000, 86_400_000
SITE = """
[site]
id = "garden"
name = { zh = "花园", en = "Garden" }
timezone = "Asia/Shanghai"
"""


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """A key that is made in a moment."""
    monkeypatch.setattr(sealed_file, "LOG_N", 10)


@pytest.fixture
def etc(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Another folder, with a passphrase that its owner alone reads."""
    folder = tmp_path_factory.mktemp("etc")
    (folder / "passphrase").touch(0o600)
    (folder / "passphrase").write_text(PASSPHRASE + "\n")
    return folder


@pytest.fixture
def night(tmp_path: Path, etc: Path, journal: "JournalFile", duck: DuckStore, row: Callable[..., Row]) -> "Night":
    """A data folder with five readings, whose nights are backed up."""
    journal.read(5)
    duck.append([row(n) for n in range(1, 6)], 5)
    (etc / "site.toml").write_text(SITE)

    def backed_up(number: int, settings: BackupSettings) -> Path:
        return nightly_backup(duck, tmp_path, etc / "site.toml", START + number * DAY, settings).path

    return backed_up


Night = Callable[[int, BackupSettings], Path]
Warned = Callable[..., list[str]]


def sealing(etc: Path) -> BackupSettings:
    """As the site says it."""
    return BackupSettings(passphrase_file=str(etc / "passphrase"))


def test_the_drill_of_a_night(night: Night, etc: Path, tmp_path: Path) -> None:
    """Encrypted, and restored with its passphrase alone: the same rows, the same site file."""
    made = night(0, sealing(etc))
    assert (made.name, sealed_file.is_sealed(made)) == ("zhian-20251009T085320Z.sealed", True)
    assert made.stat().st_mode & 0o777 == 0o600
    assert b"garden" not in made.read_bytes()

    with pytest.raises(BackupError, match="--passphrase-file"):
        restore(made, etc / "none")
    assert restore(made, etc / "data", PASSPHRASE).manifest.history.rows == 5
    assert (etc / "data" / "site.toml").read_text() == SITE
    assert [path.name for path in tmp_path.glob(".zhian-*")] == []


@pytest.mark.parametrize("spoilt", ["gone", "shared", "short", "empty"])
def test_no_passphrase_no_archive(night: Night, etc: Path, tmp_path: Path, spoilt: str) -> None:
    """What the passphrase cannot seal is not written plain instead; the words hold none of it."""
    file = etc / "passphrase"
    match spoilt:
        case "gone":
            file.unlink()
        case "shared":
            file.chmod(0o644)
        case "short":
            file.write_text("tooshort")
        case _:
            file.write_text("")

    with pytest.raises(BackupError) as refused:
        night(0, sealing(etc))
    assert not (tmp_path / "backups").exists()
    assert str(file) in str(refused.value)
    assert not [word for word in (PASSPHRASE, "tooshort") if word in str(refused.value)]


def test_both_kinds_are_rotated_together(night: Night, etc: Path, tmp_path: Path) -> None:
    """The newest 7 stay, encrypted or not; what is not ours is not touched."""
    (tmp_path / "backups").mkdir()
    (tmp_path / "backups" / "zhian-notes.sealed").write_text("mine")
    made = [night(number, sealing(etc) if number % 2 else BackupSettings()) for number in range(KEEP_BACKUPS + 2)]

    assert archives(tmp_path) == made[2:]
    assert {path.suffix for path in made[2:]} == {".sealed", ".gz"}
    assert (tmp_path / "backups" / "zhian-notes.sealed").exists()


def test_old_traces_go_with_encrypted_archives_too(night: Night, etc: Path, tmp_path: Path) -> None:
    """Who went where is forgotten in them as well, but the newest archive stays."""
    made = [night(number, sealing(etc)) for number in range(3)]

    assert forget_copies(tmp_path, START + 9 * DAY) == 2 + len(list((tmp_path / "history-snapshots").iterdir())) + 1
    assert archives(tmp_path) == made[2:]


def test_a_name_says_when_and_whether() -> None:
    """And nothing else is a name of an archive."""
    for settings in (BackupSettings(), BackupSettings(passphrase_file="/x")):
        assert made_at(name_at(START, settings)) == START
    names = [
        "zhian-20251009T085320Z",
        "zhian-20251309T085320Z.sealed",
        "zhian-20251009T085320Z.sealed.part",
        "../x.sealed",
    ]
    assert [made_at(name) for name in names] == [None] * len(names)


@pytest.fixture
def warned(etc: Path) -> Warned:
    """What `zhian check` says of a site with this text."""

    def judge(text: str = "", data: Path | None = None) -> list[str]:
        path = etc / "site.toml"
        path.write_text(SITE + text)
        return backup_warnings(load_site(path), path, data)

    return judge


def test_a_usable_passphrase_is_no_word(warned: Warned, tmp_path: Path) -> None:
    """Named from the site file's folder; and without one, where archives lie beside what they hold."""
    (tmp_path / "backups").mkdir()
    assert warned('[backup]\npassphrase_file = "passphrase"\n', tmp_path) == []
    assert warned("", tmp_path) == warned("") == []


def test_a_passphrase_that_others_may_read_is_refused(warned: Warned, etc: Path) -> None:
    """By its key, with what would be right."""
    (etc / "passphrase").chmod(0o640)
    with pytest.raises(Refusal, match=r"backup\.passphrase_file = .*read or written by others.*chmod 600"):
        warned('[backup]\npassphrase_file = "passphrase"\n')


def test_archives_that_leave_the_box_want_a_passphrase(
    warned: Warned, tmp_path: Path, etc: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A link out of the data folder, or another file system mounted there; with a passphrase not a word."""
    (etc / "nas").mkdir()
    (tmp_path / "backups").symlink_to(etc / "nas")
    (warning,) = warned("", tmp_path)
    assert "not encrypted" in warning
    assert "[backup] passphrase_file" in warning
    assert warned('[backup]\npassphrase_file = "passphrase"\n', tmp_path) == []

    (tmp_path / "backups").unlink()
    (tmp_path / "backups").symlink_to("inside")
    (tmp_path / "inside").mkdir()
    assert warned("", tmp_path) == []
    real = Path.stat

    def mounted(path: Path, *, follow_symlinks: bool = True) -> os.stat_result:
        found = real(path, follow_symlinks=follow_symlinks)
        parts = list(found)
        parts[2] += path.name == "backups"  # its device
        return os.stat_result(parts)

    monkeypatch.setattr(Path, "stat", mounted)
    assert len(warned("", tmp_path)) == 1


def test_a_passphrase_beside_what_it_seals_is_warned_of(warned: Warned, tmp_path: Path) -> None:
    """Lost with the disk, stolen with the archive."""
    inside = tmp_path / "passphrase"
    inside.touch(0o600)
    inside.write_text(PASSPHRASE)
    (warning,) = warned(f'[backup]\npassphrase_file = "{inside}"\n', tmp_path)
    assert "elsewhere" in warning


def test_the_site_names_it_from_its_own_folder(etc: Path) -> None:
    """A relative path is one from the site file, as everywhere in it; left out, there is none."""
    (etc / "site.toml").write_text(SITE + '[backup]\npassphrase_file = "keys/pass"\n')
    site: Site = load_site(etc / "site.toml")
    assert site.backup.passphrase_file == str(etc / "keys" / "pass")
    (etc / "site.toml").write_text(SITE)
    assert load_site(etc / "site.toml").backup.passphrase_file == ""
