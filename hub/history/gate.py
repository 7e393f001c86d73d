"""A gate around a resource that many use at once and one may replace. It knows nothing of what it guards."""

import contextlib
import threading
from collections.abc import Iterator


class Gate:
    """Many use it at once; whoever replaces it waits until nobody does, and keeps the others out."""

    def __init__(self) -> None:
        """Open, with nobody inside."""
        self._changed = threading.Condition()
        self._users = 0
        self._shut = False

    @contextlib.contextmanager
    def using(self) -> Iterator[None]:
        """One of many. Never nested in itself or in `alone`."""
        with self._changed:
            self._changed.wait_for(lambda: not self._shut)
            self._users += 1
        try:
            yield
        finally:
            with self._changed:
                self._users -= 1
                self._changed.notify_all()

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """The only one, once the others have left."""
        with self._changed:
            self._changed.wait_for(lambda: not self._shut)
            self._shut = True
            self._changed.wait_for(lambda: self._users == 0)
        try:
            yield
        finally:
            with self._changed:
                self._shut = False
                self._changed.notify_all()
