"""Secrets come from files that nobody else can read, or not at all."""

from pathlib import Path

import pytest

from hub.settings.secret import MOST_BYTES, SecretError, read_secret


def kept(folder: Path, content: bytes, mode: int = 0o600) -> Path:
    """A file."""
    path = folder / "secret"
    path.write_bytes(content)
    path.chmod(mode)
    return path


def test_a_secret_is_its_text(tmp_path: Path) -> None:
    """The line break that every editor adds is none of it."""
    assert read_secret(kept(tmp_path, b"s3cret\n")) == "s3cret"
    assert read_secret(kept(tmp_path, b"s3cret", 0o400)) == "s3cret"


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o644, 0o666])
def test_a_shared_secret_is_none(tmp_path: Path, mode: int) -> None:
    """The words name file and mode, and not a word of the content."""
    with pytest.raises(SecretError, match=f"{mode:04o}.*chmod 600") as error:
        read_secret(kept(tmp_path, b"s3cret", mode))

    assert "s3cret" not in str(error.value)


@pytest.mark.parametrize(
    ("content", "problem"),
    [(b"", "empty"), (b" \n", "empty"), (b"\xff\xfe", "text"), (b"x" * (MOST_BYTES + 1), "long")],
)
def test_what_cannot_be_a_secret_is_refused(tmp_path: Path, content: bytes, problem: str) -> None:
    """An empty key would sign everything for everybody."""
    with pytest.raises(SecretError, match=problem):
        read_secret(kept(tmp_path, content))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    """With what would be right; a folder is no file."""
    with pytest.raises(SecretError, match=r"nothing.*No such file.*0600"):
        read_secret(tmp_path / "nothing")
    with pytest.raises(SecretError, match="directory"):
        read_secret(tmp_path)
