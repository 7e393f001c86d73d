"""How far the history has come, as noted in the journal's own `cursor`: three rows, which pruning goes by.

`history`: all readings up to it are in the store. `history-kept`: they have been there for an hour at least, and what
is past it stays in the journal, for a store that forgets. `history-waiting`: becomes `history-kept` after its hour.
"""

import sqlite3

import msgspec

from hub.journal.file import transaction

WINDOW_MS = 3_600_000  # how long a reading has been in the store before the journal may forget it
NAME, KEPT, WAITING = "history", "history-kept", "history-waiting"


class Notes(msgspec.Struct, frozen=True):
    """The three numbers, and since when (ms since 1970) `waiting` waits."""

    noted: int
    kept: int
    waiting: int
    since: int


def read(journal: sqlite3.Connection) -> Notes | None:
    """What is noted; None while no shipper has seen this journal. Raises sqlite3.Error."""
    found = {
        name: (seq, at)
        for name, seq, at in journal.execute(
            "SELECT name, seq, at FROM cursor WHERE name IN (?, ?, ?)", (NAME, KEPT, WAITING)
        )
    }
    if NAME not in found:
        return None
    noted, at = found[NAME]
    waiting, since = found.get(WAITING, (noted, at))
    return Notes(noted=noted, kept=found.get(KEPT, (noted, at))[0], waiting=waiting, since=since)


def moved(notes: Notes | None, seq: int, now: int) -> Notes:
    """The notes once all readings up to `seq` are in the store, or (a lower one) once it is known that no more are."""
    if notes is None:
        return Notes(noted=seq, kept=seq, waiting=seq, since=now)
    kept, waiting, since = min(notes.kept, seq), notes.waiting, notes.since
    if waiting > seq or now < since:  # taken back, or the clock was: the hour begins anew
        return Notes(noted=seq, kept=kept, waiting=min(waiting, seq), since=now)
    if now - since >= WINDOW_MS:
        return Notes(noted=seq, kept=max(kept, min(waiting, seq)), waiting=seq, since=now)
    return Notes(noted=seq, kept=kept, waiting=waiting, since=since)


def write(journal: sqlite3.Connection, notes: Notes, now: int) -> None:
    """All three in one transaction. Raises sqlite3.Error."""
    with transaction(journal):
        journal.executemany(
            "INSERT INTO cursor (name, seq, at) VALUES (?, ?, ?) "
            "ON CONFLICT (name) DO UPDATE SET seq = excluded.seq, at = excluded.at",
            [(NAME, notes.noted, now), (KEPT, notes.kept, now), (WAITING, notes.waiting, notes.since)],
        )
