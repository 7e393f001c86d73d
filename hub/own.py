"""What the hub knows of itself (a calendar that is missing, a roster with a hole), as the question of `self` rules.

It looks at nothing: `hub/duty_room.py` finds out, and tells the core.
"""

from hub.alarm import Truth
from hub.instance import Instance

SOURCE = "hub"  # the source of these alarms: no device and no link


class Own:
    """The answer is what was told last, and unknown before."""

    __slots__ = ("truth",)

    def __init__(self) -> None:
        """Not told yet."""
        self.truth = Truth.UNKNOWN

    def ask(self, now: int, standing: bool) -> Truth:
        """See hub.truth.Question."""
        return self.truth

    def until(self, now: int) -> int | None:
        """The clock alone changes nothing."""
        return None

    def take_over(self, old: object) -> None:
        """What was told to the one before a reload still stands."""
        if isinstance(old, Own):
            self.truth = old.truth

    def calm(self, now: int) -> None:
        """No number leans on it."""

    def limit(self, now: int) -> float | None:
        """There is none."""
        return None


def learn(instance: Instance, why: str) -> None:
    """It is so because of `why`, or (empty) not so. To be evaluated after that."""
    if isinstance(instance.question, Own):
        instance.question.truth = Truth.TRUE if why else Truth.FALSE
    if why and why != instance.value:
        instance.value, instance.changed = why, True
