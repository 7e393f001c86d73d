"""Files that people and processes share in the data folder: read whole, replaced whole, or made once as a secret."""

import contextlib
import fcntl
import os
import secrets
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def alone(folder: Path) -> Iterator[Path]:
    """A folder of secrets, made when there is none, in which no other process that asks so writes meanwhile."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield folder
    finally:
        os.close(lock)


def replace_file(path: Path, text: str, *, mode: int = 0o600) -> None:
    """Whoever reads sees the old text or the new one, also after a power cut. Raises OSError."""
    part = path.with_name(f".{path.name}.part")
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def secret_key(path: Path) -> bytes:
    """32 random bytes that are made at the first use and stay, readable by their owner alone. Raises OSError."""
    while True:
        try:
            return path.read_bytes()
        except FileNotFoundError:
            part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
            with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.write(secrets.token_bytes(32))
                file.flush()
                os.fsync(file.fileno())
            with contextlib.suppress(FileExistsError):
                os.link(part, path)  # of two processes that make it at once, one wins, and both read that one
            part.unlink()
