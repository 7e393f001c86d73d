"""What many readers ask for at once is made once: for everybody who asked before the making began.

Nobody gets what was begun before they asked, so nothing is older than a page of one's own would be. Where a page only
looks again of its own accord (the stream tells it of every change), one of the last second will do.
"""

import itertools
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any, TypeVar, cast

T = TypeVar("T")
MOST = 32  # things that are kept; of pages that is a few MB


class _Making:
    """One thing, while it is made and after."""

    def __init__(self, begun: int, at: float) -> None:
        self.begun, self.at = begun, at
        self.over = threading.Event()
        self.made = False
        self.value: Any = None  # Any: what its key stands for


class Shared:
    """Used from any thread. Order is told by tickets, since two clocks' readings may be the same."""

    def __init__(self, most: int = MOST) -> None:
        """Keeps nothing yet."""
        self._tickets, self._most = itertools.count(1), most
        self._lock = threading.Lock()
        self._kept: OrderedDict[Hashable, _Making] = OrderedDict()

    def __len__(self) -> int:
        """How many things are kept."""
        return len(self._kept)

    def ticket(self) -> int:
        """When somebody asked: greater than all before."""
        return next(self._tickets)

    def get(self, key: Hashable, asked: int, make: Callable[[], T], *, now_s: float = 0.0, young_s: float = 0.0) -> T:
        """The thing, begun after `asked` or within the last `young_s`. Raises what `make` does; others try anew."""
        while True:
            with self._lock:
                found = self._kept.get(key)
                if found is None or (found.over.is_set() and not _fits(found, asked, now_s - young_s, young_s)):
                    mine = self._begin(key, now_s)
                    break
            found.over.wait()
            if found.made and _fits(found, asked, now_s - young_s, young_s):
                return cast("T", found.value)
        try:
            mine.value = make()
            mine.made = True
            return cast("T", mine.value)
        finally:
            self._end(key, mine)

    def _begin(self, key: Hashable, now_s: float) -> _Making:
        mine = self._kept[key] = _Making(next(self._tickets), now_s)
        self._kept.move_to_end(key)
        if len(self._kept) > self._most:
            self._kept.popitem(last=False)  # who waits for it has it still
        return mine

    def _end(self, key: Hashable, mine: _Making) -> None:
        with self._lock:
            if not mine.made and self._kept.get(key) is mine:
                del self._kept[key]
        mine.over.set()


def _fits(found: _Making, asked: int, oldest_s: float, young_s: float) -> bool:
    return found.begun > asked or (young_s > 0 and found.at >= oldest_s)
