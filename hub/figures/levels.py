"""Sound levels put together by energy, never arithmetically: equivalent levels, percentiles, day-night levels.

Numbers only: no time of day, no site, no limit. Levels in dB, lengths in any unit that is the same for all.
"""

import math
from collections.abc import Iterable, Mapping

PERCENTS = (5, 10, 50, 90, 95)
NIGHT_DB = 10.0  # what the night counts more in Ldn
_BINS_A_DB = 10  # levels are given to 0.1 dB; percentiles are exact on that grid


class Tally:
    """What is known of one stretch of time: its energy, its length and how long each tenth of a dB lasted.

    `low` and `top` are the lowest and highest level that was read, `readings` how many there were.
    """

    __slots__ = ("_bins", "_energy", "length", "low", "readings", "top")

    def __init__(self) -> None:
        """Nothing was measured."""
        self._bins: dict[int, float] = {}
        self._energy = 0.0
        self.length = 0.0
        self.low, self.top = math.inf, -math.inf
        self.readings = 0

    def add(self, lengths: Mapping[float, float], readings: int = 0) -> None:
        """So long at each level."""
        for level, length in lengths.items():
            self.low, self.top = min(self.low, level), max(self.top, level)
            tenth = math.floor(level * _BINS_A_DB + 0.5)
            self._bins[tenth] = self._bins.get(tenth, 0) + length
        self._energy = math.fsum((self._energy, *(t * 10 ** (level / 10) for level, t in lengths.items())))
        self.length += sum(lengths.values())
        self.readings += readings

    def join(self, others: Iterable["Tally"]) -> "Tally":
        """Take in what others measured; returns itself."""
        for other in others:
            self._energy += other._energy
            self.length += other.length
            self.low, self.top = min(self.low, other.low), max(self.top, other.top)
            self.readings += other.readings
            for tenth, length in other._bins.items():
                self._bins[tenth] = self._bins.get(tenth, 0) + length
        return self

    @property
    def laeq(self) -> float | None:
        """LAeq,T in dB: 10 lg((1/T) sum(t 10^(L/10))) (GB 3096-2008, clause 3; IEC 61672-1). None: T is 0."""
        if self.length <= 0:
            return None
        # Within what was read: 10 lg(10^(L/10)) is not L in the last digit, and 60.0 must not exceed 60.0.
        return max(self.low, min(self.top, 10 * math.log10(self._energy / self.length)))

    def exceeded(self, percent: float) -> float | None:
        """LN in dB: the lowest level within the loudest N % of the time. None: nothing was measured.

        GB 3096-2008, clause 3 (累积百分声级): of the levels sorted from the loudest, the last one that belongs to N %
        of the time. Nothing is interpolated; of a hundred equal samples L10 is the tenth from above.
        """
        wanted = self.length * percent
        reached = 0.0
        for tenth in sorted(self._bins, reverse=True):
            reached += self._bins[tenth] * 100
            if reached >= wanted and self._bins[tenth] > 0:
                return tenth / _BINS_A_DB
        return None


def mean_level(parts: Iterable[tuple[float, float]]) -> float | None:
    """The equivalent level in dB of (level, length) together; None when no length is left."""
    tally = Tally()
    for level, length in parts:
        if length > 0:
            tally.add({level: length})
    return tally.laeq


def day_night_level(ld: float | None, ln: float | None, day: float = 16.0, night: float = 8.0) -> float | None:
    """Ldn in dB: day and night by their lengths, the night with 10 dB more. None unless both are known.

    10 lg((16 x 10^(Ld/10) + 8 x 10^((Ln+10)/10)) / 24) for the usual hours (06-22 and 22-06). A part of no length
    is not asked for.
    """
    parts = [(ld, day, 0.0), (ln, night, NIGHT_DB)]
    known = [(level + more, length) for level, length, more in parts if level is not None and length > 0]
    return mean_level(known) if len(known) == sum(length > 0 for _, length, _ in parts) else None


def exposure_level(levels: Iterable[float], seconds_each: float) -> float | None:
    """SEL in dB: the same energy within one second. None without levels."""
    known = list(levels)
    whole = mean_level((level, seconds_each) for level in known)
    return None if whole is None else whole + 10 * math.log10(seconds_each * len(known))


def summed_level(levels: Iterable[float]) -> float:
    """Several sources at once, in dB; at least one is needed."""
    return 10 * math.log10(math.fsum(10 ** (level / 10) for level in levels))
