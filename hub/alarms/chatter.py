"""An alarm that comes and goes: from the third time within a minute on it is one occurrence, until a minute is quiet.

Three raises within a minute is the first criterion that is usual with ISA-18.2. It holds back no raise.
"""

from collections import deque

from msgspec.structs import replace

from hub.alarms.alarm import Manners

RAISES, WITHIN = 3, 60_000  # so often within so many ms


class Chatter:
    """What one alarm did lately. `folded`: it chatters, and is over only when it has been quiet for a minute."""

    __slots__ = ("folded", "raises")

    def __init__(self) -> None:
        """Quiet."""
        self.raises: deque[int] = deque(maxlen=RAISES)
        self.folded = False

    def raised(self, now: int, manners: Manners) -> bool:
        """It was raised (or came back); True when it chatters from now on. A long off delay folds by itself."""
        self.raises.append(now)
        often = len(self.raises) == RAISES and now - self.raises[0] <= WITHIN
        if self.folded or not often or manners.off_delay >= WITHIN:
            return False
        self.folded = True
        return True

    def cleared(self) -> bool:
        """It is over; True when that ends a chatter."""
        if not self.folded:
            return False
        self.folded = False
        self.raises.clear()
        return True

    def manners(self, manners: Manners) -> Manners:
        """The rule's, or the patient ones."""
        return replace(manners, off_delay=max(manners.off_delay, WITHIN)) if self.folded else manners

    def shift(self, gap: int) -> None:
        """The clock was set by `gap` ms."""
        self.raises = deque((at + gap for at in self.raises), maxlen=RAISES)
