"""Looks at a line from the page: the hub tells what crosses it, for a minute at most, and it is kept for readers.

A few at a time, each in a thread of its own, so that no reader's request waits for a cable.
"""

import threading
from collections import deque
from pathlib import Path

import msgspec

from hub.control import door as control
from hub.control.exchange_line import Line

LONGEST_S = 60.0
MOST_WATCHES = 3
MOST_LINES = 300
PATIENCE_S = 5.0


class Watch:
    """One look at one line."""

    def __init__(self, link: str, began: int) -> None:
        """`began` in ms since 1970."""
        self.link, self.began = link, began
        self.seen: deque[Line] = deque(maxlen=MOST_LINES)
        self.running = True
        self.problem = ""  # not-running, or the hub's own words

    def newest(self) -> list[Line]:
        """The newest first."""
        return list(reversed(self.seen.copy()))


class Watching:
    """The looks of one office. From any thread."""

    def __init__(self, data: Path) -> None:
        """Nothing is looked at."""
        self._data, self._lock = data, threading.Lock()
        self._watches: dict[str, Watch] = {}

    def find(self, link: str) -> Watch | None:
        """The look at this line that runs, or the last one."""
        return self._watches.get(link)

    def begin(self, link: str, now: int) -> bool:
        """Look at a line, unless somebody does already; False when too many are looked at."""
        with self._lock:
            known = self._watches.get(link)
            if known is not None and known.running:
                return True
            if sum(watch.running for watch in self._watches.values()) >= MOST_WATCHES:
                return False
            watch = self._watches[link] = Watch(link, now)
        threading.Thread(target=self._look, args=(watch,), name=f"watch-{link}", daemon=True).start()
        return True

    def _look(self, watch: Watch) -> None:
        wanted = {"link": watch.link, "seconds": LONGEST_S}
        try:
            for said in control.ask(self._data, "frames", wanted, timeout=LONGEST_S + PATIENCE_S):
                watch.seen.append(msgspec.convert(said, Line))
        except control.NotRunning:
            watch.problem = "not-running"
        except control.Refused as error:
            watch.problem = error.words
        except (OSError, msgspec.MsgspecError) as error:
            watch.problem = str(error)
        finally:
            watch.running = False
