"""History files that could not be used: the note that stands beside each, for people. Nothing is mended here."""

import contextlib
from pathlib import Path

import msgspec

_NOTES = "history.duckdb.corrupt-*.json"


class Aside(msgspec.Struct, frozen=True):
    """`file` was moved there at `at` because of `reason`; `loaded` readings are back from the snapshot of `snapshot`.

    Instants in ms since 1970; 0 where there was no snapshot.
    """

    file: str
    reason: str
    at: int
    loaded: int = 0
    snapshot: int = 0


def write(folder: Path, note: Aside) -> None:
    """Put it beside the file; not where the disk is full, which must not keep the history from beginning anew."""
    with contextlib.suppress(OSError):
        (folder / f"{note.file}.json").write_bytes(msgspec.json.encode(note))


def found(folder: Path) -> list[Aside]:
    """The notes of a data folder, newest first."""
    notes = []
    for path in folder.glob(_NOTES):
        with contextlib.suppress(OSError, msgspec.MsgspecError, UnicodeDecodeError):
            notes.append(msgspec.json.decode(path.read_bytes(), type=Aside))
    return sorted(notes, key=lambda note: note.at, reverse=True)
