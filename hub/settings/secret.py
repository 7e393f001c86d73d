"""Secrets from files: the one place that reads a key, a password or a robot's address. It logs and keeps nothing.

A file that others than its owner may read or write is refused: a secret that is shared is none.
"""

import stat
from pathlib import Path

MOST_BYTES = 65_536


class SecretError(Exception):
    """The file cannot be used: `problem`, and what would be `right`. Neither ever holds a word of its content."""

    def __init__(self, file: str | Path, problem: str, right: str) -> None:
        """`file` is named in the whole text only."""
        self.problem, self.right = problem, right
        super().__init__(f"{file}: {problem}; {right}")


def read_secret(file: str | Path) -> str:
    """The file's text without surrounding blanks; never empty. Raises SecretError."""
    path = Path(file)
    try:
        with path.open("rb") as opened:
            mode = path.stat().st_mode
            content = opened.read(MOST_BYTES + 1)
    except OSError as error:
        problem = error.strerror or "cannot be read"
        raise SecretError(file, problem, "a file of the user that runs zhian, mode 0600") from None
    if stat.S_IMODE(mode) & 0o077:
        raise SecretError(file, f"may be read or written by others (mode {stat.S_IMODE(mode):04o})", "chmod 600")
    try:
        text = content.decode("utf-8").strip()
    except UnicodeDecodeError:
        raise SecretError(file, "is not text", "UTF-8") from None
    if not text or len(content) > MOST_BYTES:
        raise SecretError(file, "is empty" if not text else "is too long", "the secret alone, as text")
    return text
