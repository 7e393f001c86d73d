"""The drill of an encrypted backup: made, carried away, restored elsewhere, counted and compared."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from hub.keeping import sealed_file
from hub.keeping.archive import BackupError
from hub.keeping.backup import backup, restore
from hub.keeping.sealed_file import CHUNK, LOG_N, is_sealed

if TYPE_CHECKING:
    from pathlib import Path

    from tests.hub.history.conftest import JournalFile

T = 1_760_000_000_000
PASSPHRASE = "correct horse battery staple"
CANARY = b"canary-5d1f"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """A key that is made in a moment; what the command makes has the real one."""
    monkeypatch.setattr(sealed_file, "LOG_N", 10)


@pytest.fixture
def data(tmp_path: Path, journal: JournalFile) -> Path:
    """A data folder with a secret, and a file of more than one chunk that does not pack."""
    journal.read(20)
    with closing(sqlite3.connect(tmp_path / "office.sqlite")) as office:
        office.executescript("CREATE TABLE user (name TEXT); INSERT INTO user VALUES ('a'), ('b'), ('c');")
    (tmp_path / "order-keys").mkdir(mode=0o700)
    for name, content in (("order-keys/gate-1.key", CANARY), ("plan.png", os.urandom(2 * CHUNK))):
        (tmp_path / name).touch(0o600)
        (tmp_path / name).write_bytes(content)
    return tmp_path


@pytest.fixture
def away(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Another disk."""
    return tmp_path_factory.mktemp("away")


@pytest.fixture
def archive(data: Path, away: Path) -> Path:
    """The backup, on the other disk."""
    backup(data, away / "zhian.sealed", T, passphrase=PASSPHRASE)
    return away / "zhian.sealed"


def refusal(archive: Path, target: Path, passphrase: str) -> str:
    """Why it is not restored; nothing is touched."""
    with pytest.raises(BackupError) as refused:
        restore(archive, target, passphrase)
    assert not target.exists()
    assert PASSPHRASE not in str(refused.value)
    return str(refused.value)


def test_the_numbers() -> None:
    """128 MiB a guess (OWASP's password storage, scrypt), a chunk of 1 MiB."""
    assert (LOG_N, sealed_file.R, sealed_file.P, CHUNK) == (17, 8, 1, 1 << 20)


def test_the_drill(data: Path, archive: Path, away: Path) -> None:
    """Restored with its passphrase: same files, same bytes, same rows; in the archive no byte of it can be read."""
    assert is_sealed(archive)
    assert archive.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in away.iterdir()] == ["zhian.sealed"]
    packed = archive.read_bytes()
    assert not [word for word in (CANARY, b"manifest", b"journal.sqlite", b"\x1f\x8b\x08\x00") if word in packed]
    target = away / "new" / "data"
    restored = restore(archive, target, PASSPHRASE)
    assert restored.manifest.counts["office.sqlite"]["user"] == 3
    for name in ("order-keys/gate-1.key", "plan.png"):
        assert (target / name).read_bytes() == (data / name).read_bytes()
        assert (target / name).stat().st_mode == (data / name).stat().st_mode
    found = [_rows(folder / "journal.sqlite", "reading") for folder in (data, target)]
    assert found[0] == found[1] != []


def test_nothing_readable_is_laid_beside_it(data: Path, away: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is packed waits in the data folder meanwhile, not on the stick that is carried away."""
    seen: list[list[str]] = []
    real = sealed_file.SealedWriter.write

    def write(self: sealed_file.SealedWriter, packed: bytes) -> int:
        seen.append([path.name for path in away.rglob("*")])
        return real(self, packed)

    monkeypatch.setattr(sealed_file.SealedWriter, "write", write)
    backup(data, away / "zhian.sealed", T, passphrase=PASSPHRASE)
    assert seen
    assert {name for names in seen for name in names} == {"zhian.sealed.part"}
    assert not list(data.glob(".zhian-*"))


def test_another_passphrase_touches_nothing(archive: Path, away: Path) -> None:
    """Told as what it is, in words that hold none of it; so is none at all."""
    assert "another passphrase" in refusal(archive, away / "new", "correct horse battery")
    assert "--passphrase-file" in refusal(archive, away / "new", "")


@pytest.mark.parametrize("left", [20, 500, CHUNK + 100, -1, -17])
def test_a_cut_file_touches_nothing(archive: Path, away: Path, left: int) -> None:
    """Wherever the copy broke off."""
    (away / "cut").write_bytes(archive.read_bytes()[:left])
    told = refusal(away / "cut", away / "new", PASSPHRASE)
    assert "its end is missing" in told or "is not encrypted" in told


def test_a_changed_byte_touches_nothing(archive: Path, away: Path) -> None:
    """And the words say that it is damage."""
    content = bytearray(archive.read_bytes())
    content[CHUNK + 999] ^= 4
    (away / "bad").write_bytes(content)
    assert "is damaged in its 2. MiB" in refusal(away / "bad", away / "new", PASSPHRASE)


def test_a_plain_archive_does_not_pass_for_an_encrypted_one(data: Path, away: Path) -> None:
    """Who can lay a file down, but not encrypt it, is noticed; without a passphrase it is restored as ever."""
    backup(data, away / "plain.tar.gz", T)
    assert "is not encrypted" in refusal(away / "plain.tar.gz", away / "new", PASSPHRASE)
    restore(away / "plain.tar.gz", away / "new")


def test_a_short_passphrase_makes_no_archive(data: Path, away: Path) -> None:
    """Nothing is left of the try."""
    with pytest.raises(BackupError, match="too short"):
        backup(data, away / "zhian.sealed", T, passphrase="boat")
    assert list(away.iterdir()) == []


def test_the_commands(data: Path, away: Path) -> None:
    """The passphrase comes from a file of its owner alone; without it restore says what is wanted, and exits 2."""
    secret = away / "passphrase"
    secret.touch(0o600)
    secret.write_text(PASSPHRASE + "\n")

    def zhian(*arguments: str) -> tuple[int, str]:
        done = subprocess.run(
            [sys.executable, "-m", "hub", *arguments], capture_output=True, text=True, check=False,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip
        return done.returncode, done.stdout + done.stderr

    file, key = str(away / "b.sealed"), ("--passphrase-file", str(secret))
    assert zhian("backup", file, *key, "--data", str(data))[0] == 0
    code, words = zhian("restore", file, "--data", str(away / "new"))
    assert (code, "--passphrase-file" in words, (away / "new").exists()) == (2, True, False)
    code, words = zhian("restore", file, *key, "--data", str(away / "new"))
    assert (code, PASSPHRASE in words) == (0, False)
    assert (away / "new" / "order-keys" / "gate-1.key").read_bytes() == CANARY
    secret.chmod(0o644)
    code, words = zhian("backup", str(away / "c"), *key, "--data", str(data))
    assert (code, "chmod 600" in words, (away / "c").exists()) == (2, True, False)


def _rows(path: Path, table: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(path)) as db:
        return [tuple(row) for row in db.execute(f"SELECT * FROM {table} ORDER BY 1")]
