"""How often a series speaks, and how much of a stretch of time its readings cover.

Pure, and the same for every store.
"""

from collections.abc import Sequence

from hub.history.store import Bucket, Figure


def covered(buckets: Sequence[Bucket], width: int, cadence_ms: float) -> list[Figure]:
    """Buckets of `width` ms with their coverage. `cadence_ms` is the median time between two readings of the series.

    A reading stands for one cadence, so the share is count * cadence / width, at most 1.
    """
    return [Figure(b.ts, b.low, b.mean, b.high, b.count, min(1.0, b.count * cadence_ms / width)) for b in buckets]
