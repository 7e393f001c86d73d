"""An update ends in one of two ways: the new version runs and is well, or the old one does; and it says which."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest

from hub.keeping import sealed_file
from hub.settings.site import BackupSettings
from hub.update.install import install, stays_well, would_change
from hub.update.programs import Failed
from hub.update.release import UpdateError

if TYPE_CHECKING:
    from pathlib import Path

    from tests.hub.update.yard import Yard


def tree(folder: Path) -> dict[str, bytes | str]:
    """Every file and link below, with its content."""
    found = sorted(path for path in folder.rglob("*") if path.is_symlink() or path.is_file())
    return {str(path): str(path.readlink()) if path.is_symlink() else path.read_bytes() for path in found}


def test_the_next_version_runs(yard: Yard) -> None:
    """Link, service and folder are the new one's; nothing of the work is left, and there is a backup."""
    assert install(yard.release("1.0.1"), yard.box, yard.means())

    assert (yard.link, yard.running) == ("versions/1.0.1", "1.0.1")
    names = {path.name for path in yard.root.iterdir()}
    assert names == {".venv", "current", "update-keys", "update.lock", "versions"}
    assert [path.name for path in (yard.root / "versions").iterdir()] == ["1.0.1"]
    assert len(list((yard.data / "backups").glob("zhian-*Z.tar.gz"))) == 1
    assert "signed by the maker" in yard.said[0]


def test_the_last_two_are_kept(yard: Yard) -> None:
    """What is older goes, the first installation never."""
    yard.good |= {"1.0.2", "1.0.3"}
    for version in ("1.0.1", "1.0.2", "1.0.3"):
        assert install(yard.release(version), yard.box, yard.means())

    assert sorted(path.name for path in (yard.root / "versions").iterdir()) == ["1.0.2", "1.0.3"]
    assert (yard.root / ".venv" / "bin" / "zhian").exists()


@pytest.mark.parametrize("version", ["0.9.9", "1.0.0"])
def test_an_older_or_the_same_version_is_refused(yard: Yard, version: str) -> None:
    """A signature does not grow old: who keeps an old file must not bring its holes back."""
    file = yard.release(version)
    before = tree(yard.folder)

    with pytest.raises(UpdateError, match="is not newer"):
        install(file, yard.box, yard.means())

    assert tree(yard.folder) == before | {str(yard.root / "update.lock"): b""}


def test_numbers_are_compared_as_numbers(yard: Yard) -> None:
    """1.0.10 comes after 1.0.9."""
    yard.good |= {"1.0.9", "1.0.10"}

    assert install(yard.release("1.0.9"), yard.box, yard.means())
    assert install(yard.release("1.0.10"), yard.box, yard.means())


def test_check_says_what_would_change_and_touches_nothing(yard: Yard) -> None:
    """Version, signer and wheels."""
    file = yard.release("1.0.1")
    before = tree(yard.folder)

    lines = would_change(file, yard.box, yard.root / "update-keys")

    assert lines[0].startswith("zhian 1.0.0 -> 1.0.1, signed by the maker")
    assert "  helper-2.0-py3-none-any.whl" in lines
    assert tree(yard.folder) == before


def test_one_that_is_not_well_goes_back(yard: Yard) -> None:
    """The old version runs again, it is said, and the new one's folder is gone."""
    yard.good.discard("1.0.1")

    assert not install(yard.release("1.0.1"), yard.box, yard.means())

    assert (yard.link, yard.running) == (".venv", "1.0.0")
    assert list((yard.root / "versions").iterdir()) == []
    assert not (yard.root / "update.json").exists()
    assert yard.said[-1].startswith("NOT UPDATED")


def test_one_that_does_not_start_goes_back(yard: Yard) -> None:
    """The service manager's no counts as well, although something may still answer."""

    def restart() -> None:
        if yard.link != ".venv":
            raise Failed("Job for zhian.service failed")
        yard.restart()

    assert not install(yard.release("1.0.1"), yard.box, msgspec.structs.replace(yard.means(), restart=restart))
    assert (yard.link, yard.running) == (".venv", "1.0.0")


def test_a_file_of_a_newer_form_is_put_back(yard: Yard) -> None:
    """The old version refuses it: it gets its own back, and what the new one wrote stays beside it."""
    assert not install(yard.release("1.2.0"), yard.box, yard.means())

    assert (yard.running, yard.office_rows()) == ("1.0.0", ["old"])
    assert (yard.data / "office.sqlite.of-1.2.0").exists()
    assert "office.sqlite" in yard.said[-2]
    assert not (yard.data / "journal.sqlite.of-1.2.0").exists(), "only what was changed"


def test_a_file_is_put_back_from_an_encrypted_backup(yard: Yard, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the site has its archives encrypted, that of the update is too; the way back needs no site file."""
    monkeypatch.setattr(sealed_file, "LOG_N", 10)
    secret = yard.folder / "passphrase"
    secret.touch(0o600)
    secret.write_text("correct horse battery staple")
    settings = BackupSettings(passphrase_file=str(secret))
    assert not install(yard.release("1.2.0"), yard.box, msgspec.structs.replace(yard.means(), backups=lambda: settings))

    (archive,) = (yard.data / "backups").iterdir()
    assert (archive.suffix, sealed_file.is_sealed(archive)) == (".sealed", True)
    assert (yard.running, yard.office_rows()) == ("1.0.0", ["old"])


def test_a_file_of_a_newer_form_stays_where_the_new_version_is_well(yard: Yard) -> None:
    """The control of the one above."""
    yard.good.add("1.2.0")

    assert install(yard.release("1.2.0"), yard.box, yard.means())
    assert yard.office_rows() == ["old", "1.2.0"]


def test_a_site_file_that_the_new_version_refuses_changes_nothing(yard: Yard) -> None:
    """It is asked before anything runs on it."""

    def check(folder: Path, version: str, site: Path) -> None:
        raise Failed(f"{folder.name} {version}: {site}: link[0].kind: no such kind")

    yard.checked = check
    with pytest.raises(UpdateError, match="no such kind"):
        install(yard.release("1.0.1"), yard.box, yard.means())

    assert (yard.link, yard.running, list((yard.root / "versions").iterdir())) == (".venv", "1.0.0", [])


def test_a_hub_that_is_not_well_is_mended_first(yard: Yard) -> None:
    """Else the way back would prove nothing; whoever must, may say so."""
    file = yard.release("1.0.1")
    yard.good.discard("1.0.0")

    with pytest.raises(UpdateError, match="not well now"):
        install(file, yard.box, yard.means())

    assert install(file, yard.box, msgspec.structs.replace(yard.means(), while_unwell=True))


def test_without_a_backup_nothing_is_switched(yard: Yard) -> None:
    """The way back may need it."""

    def back_up(program: Path, data: Path, target: Path, passphrase_file: str) -> None:
        raise Failed(f"{program}: {data}: cannot be packed into {target}: the disk is full")

    with pytest.raises(UpdateError, match="the disk is full"):
        install(yard.release("1.0.1"), yard.box, msgspec.structs.replace(yard.means(), back_up=back_up))
    assert (yard.link, yard.running) == (".venv", "1.0.0")


def test_an_old_version_that_still_answers_is_not_the_new_one(yard: Yard) -> None:
    """A service manager that says yes and restarts nothing: the link goes back to what runs."""
    means = msgspec.structs.replace(yard.means(), restart=lambda: None)
    assert not install(yard.release("1.0.1"), yard.box, means)
    assert (yard.link, yard.running) == (".venv", "1.0.0")


def test_when_neither_is_well_it_is_said(yard: Yard) -> None:
    """And the next call tries the way back again."""
    file = yard.release("1.0.1")
    asked = iter([True])

    with pytest.raises(UpdateError, match="NOT UPDATED") as caught:
        install(file, yard.box, msgspec.structs.replace(yard.means(), well=lambda _: next(asked, False)))
    assert caught.value.key == ".venv"

    assert not install(file, yard.box, yard.means())
    assert (yard.link, yard.running) == (".venv", "1.0.0")


def test_two_at_a_time(yard: Yard) -> None:
    """The second is refused while the first works."""
    file = yard.release("1.0.1")
    with yard.box.locked(), pytest.raises(UpdateError, match="another update"):
        install(file, yard.box, yard.means())


def test_a_box_without_the_link_is_told_how(yard: Yard) -> None:
    """As every box that was installed before there were updates."""
    (yard.root / "current").unlink()

    with pytest.raises(UpdateError, match=r"ln -s \.venv"):
        install(yard.release("1.0.1"), yard.box, yard.means())


def test_one_look_that_is_well_is_not_enough(yard: Yard) -> None:
    """A version that dies again and again is well now and then."""
    answers = iter([True, False] * 1000)
    means = msgspec.structs.replace(yard.means(), well=lambda _: next(answers), within_s=0.1, steady_s=0.5)

    assert not stays_well(means, "")
    assert stays_well(msgspec.structs.replace(means, well=lambda _: True), "")


def test_what_was_begun_is_ended_first(yard: Yard) -> None:
    """Whatever file is given, and also when the stick is gone."""

    def restart() -> None:
        raise KeyboardInterrupt

    file = yard.release("1.0.1")
    with pytest.raises(KeyboardInterrupt):
        install(file, yard.box, msgspec.structs.replace(yard.means(), restart=restart))
    file.unlink()

    assert install(file, yard.box, yard.means())
    assert (yard.link, yard.running) == ("versions/1.0.1", "1.0.1")
