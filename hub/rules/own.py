"""What the hub knows of itself (a calendar that is missing, a roster with a hole), as the question of `self` rules.

It looks at nothing: `hub/duty/room.py` finds out, and tells the core.
"""

from hub.alarms.alarm import Truth
from hub.reading import Value
from hub.rules.truth import Plain, Question

SOURCE = "hub"  # the source of these alarms: no device and no link


class Own(Plain):
    """The answer is what was told last, and unknown before."""

    __slots__ = ("_truth", "_why")

    def __init__(self) -> None:
        """Not told yet."""
        super().__init__(None)
        self._truth, self._why = Truth.UNKNOWN, ""

    def learn(self, why: str) -> None:
        """It is so because of `why`, or (empty) not so. To be asked after that."""
        self._truth, self._why = Truth.TRUE if why else Truth.FALSE, why

    def ask(self, now: int, standing: bool) -> Truth:
        """See Question."""
        return self._truth

    def value(self, now: int) -> Value | None:
        """Why it is so."""
        return self._why or None

    def take_over(self, old: Question) -> None:
        """What was told to the one before a reload still stands."""
        if isinstance(old, Own):
            self._truth, self._why = old._truth, old._why
