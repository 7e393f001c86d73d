"""Which things are to be looked at when: a heap that is cheap to push back, so that a tick touches only what is due.

It knows nothing of alarms or devices, and it never sleeps: `hub.core` asks it once a second.
"""

import heapq
from collections.abc import Hashable
from itertools import count
from typing import Generic, TypeVar

T = TypeVar("T", bound=Hashable)


class Due(Generic[T]):
    """At most one due time a thing; setting a later one costs a dict write."""

    def __init__(self) -> None:
        """Empty."""
        self._at: dict[T, int] = {}
        self._queued: dict[T, int] = {}
        self._heap: list[tuple[int, int, T]] = []
        self._order = count()

    def set(self, thing: T, at: int | None) -> None:
        """Look at `thing` at `at` (ms) and at no other time; None: not at all."""
        if at is None:
            self._at.pop(thing, None)
            return
        self._at[thing] = at
        queued = self._queued.get(thing)
        if queued is None or at < queued:
            self._push(thing, at)

    def sooner(self, thing: T, at: int) -> None:
        """Look at `thing` at `at` unless it is due before that anyway."""
        known = self._at.get(thing)
        if known is None or at < known:
            self.set(thing, at)

    def at(self, thing: T) -> int | None:
        """When `thing` is due."""
        return self._at.get(thing)

    def pop(self, now: int) -> list[T]:
        """Everything that is due at `now`, earliest first, and forgotten with that: what is set meanwhile waits."""
        ready: list[T] = []
        while self._heap and self._heap[0][0] <= now:
            at, _, thing = heapq.heappop(self._heap)
            if self._queued.get(thing) != at:
                continue
            del self._queued[thing]
            wanted = self._at.get(thing)
            if wanted is None:
                continue
            if wanted > now:
                self._push(thing, wanted)
                continue
            del self._at[thing]
            ready.append(thing)
        return ready

    def _push(self, thing: T, at: int) -> None:
        self._queued[thing] = at
        heapq.heappush(self._heap, (at, next(self._order), thing))
