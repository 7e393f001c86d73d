"""A kill at any write: a connection that dies at its n-th statement, for the tests of everything that is announced."""

import sqlite3
from collections.abc import Iterable, Sequence
from typing import Any


class Killed(BaseException):
    """The process died at this statement."""


class Wire:
    """A connection that is cut at its n-th statement, as a kill would: what was not committed is gone."""

    def __init__(self, db: sqlite3.Connection, left: int | None, *, loose: bool = False) -> None:
        """`left`: None = never cut. `loose`: each statement is a transaction of its own; no kill test survives it."""
        self.whole, self._left, self._loose = db, left, loose
        self.count = 0

    @property
    def in_transaction(self) -> bool:
        """A dead process rolls nothing back."""
        return self._left is None and self.whole.in_transaction

    def execute(self, sql: str, parameters: Iterable[Any] | dict[str, Any] = ()) -> sqlite3.Cursor:  # Any: SQLite's
        """One statement."""
        self._tick()
        if self._loose and sql in ("BEGIN IMMEDIATE", "COMMIT"):
            sql = "SELECT 1"
        return self.whole.execute(sql, parameters)  # type: ignore[arg-type]  # as sqlite3

    def executemany(self, sql: str, rows: Iterable[Sequence[Any]]) -> sqlite3.Cursor:  # Any: SQLite's
        """Many rows, one statement."""
        self._tick()
        return self.whole.executemany(sql, rows)

    def close(self) -> None:
        """Let go."""
        self.whole.close()

    def _tick(self) -> None:
        self.count += 1
        if self._left is not None:
            self._left -= 1
            if self._left < 0:
                raise Killed
