"""One step ahead: the next item is made in a thread while the one before is used. It knows nothing of what they are."""

import itertools
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

_Item = TypeVar("_Item")


def prefetched(items: Iterable[_Item]) -> Generator[_Item, None, None]:
    """The same items, in order, one made ahead in a thread of its own. Close it: it then waits for that one.

    What making one raises is raised where it would have come. At most one is made that nobody takes.
    """
    source = iter(items)
    with ThreadPoolExecutor(1, "prefetch") as maker:
        coming = maker.submit(_next, source)
        while made := coming.result():
            coming = maker.submit(_next, source)
            yield made[0]


def _next(source: Iterator[_Item]) -> list[_Item]:
    return list(itertools.islice(source, 1))
