"""What many readers ask for at once is made once: for everybody who asked before the making began.

Nobody gets what was begun before they asked, so nothing is older than a page of one's own would be. A page that looks
again hears the stream: for it, what was made since the last news (and within a second) will do, for more will be told.
"""

import itertools
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any, TypeVar, cast

T = TypeVar("T")
MOST = 64  # things that are kept; of pages that is a few MB


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
        self._news = 0  # the ticket of the newest thing that was done here or told to all

    def __len__(self) -> int:
        """How many things are kept."""
        return len(self._kept)

    def ticket(self) -> int:
        """When somebody asked: greater than all before."""
        return next(self._tickets)

    def news(self) -> None:
        """Something was done, or is about to be told: what was begun before is good for nobody who looks again."""
        with self._lock:
            self._news = next(self._tickets)

    def knows(self, key: Hashable) -> bool:
        """Whether it was made before, or is being made."""
        return key in self._kept

    def get(self, key: Hashable, asked: int, make: Callable[[], T], *, now_s: float = 0.0, young_s: float = 0.0) -> T:
        """The thing, begun after `asked`, or young where that will do. Raises what `make` does; others try anew."""
        while True:
            with self._lock:
                found = self._kept.get(key)
                if found is None or (found.over.is_set() and not self._fits(found, asked, now_s, young_s)):
                    mine = self._begin(key, now_s)
                    break
            found.over.wait()
            if found.made and self._fits(found, asked, now_s, young_s):
                return cast("T", found.value)
        try:
            mine.value = make()
            mine.made = True
            return cast("T", mine.value)
        finally:
            self._end(key, mine)

    def made(self, key: Hashable, asked: int, now_s: float, young_s: float) -> Any:  # Any: what its key stands for
        """The same where it is made already; else None. Waits for nobody."""
        found = self._kept.get(key)
        return found.value if found is not None and found.made and self._fits(found, asked, now_s, young_s) else None

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

    def _fits(self, found: _Making, asked: int, now_s: float, young_s: float) -> bool:
        return found.begun > asked or self._is_young(found, now_s, young_s)

    def _is_young(self, found: _Making, now_s: float, young_s: float) -> bool:
        return young_s > 0 and found.begun > self._news and found.at >= now_s - young_s
