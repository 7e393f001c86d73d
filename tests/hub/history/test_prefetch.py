"""The next item is made while the one before is used: in order, one ahead, and nothing goes on afterwards."""

import threading
from collections.abc import Iterator
from contextlib import closing

import pytest

from hub.history.prefetch import prefetched


def test_all_come_in_their_order() -> None:
    """None is left out, None is an item as any other, and an empty source is empty."""
    assert list(prefetched([3, None, 1, None])) == [3, None, 1, None]
    assert list(prefetched(())) == []


def test_the_next_is_made_while_one_is_used() -> None:
    """Whoever has the first can wait until the second is there; the third is not begun before it is asked for."""
    made = [threading.Event() for _ in range(4)]

    def source() -> Iterator[int]:
        for number, each in enumerate(made):
            each.set()
            yield number

    with closing(prefetched(source())) as items:
        assert next(items) == 0
        assert made[1].wait(20)
        assert not made[2].is_set()
        assert next(items) == 1
        assert made[2].wait(20)
        assert not made[3].is_set()


def test_an_error_comes_where_its_item_would_have_come() -> None:
    """Not earlier: what was made before it is whole."""

    def source() -> Iterator[int]:
        yield 1
        raise OSError("the disk is gone")

    items = prefetched(source())
    assert next(items) == 1
    with pytest.raises(OSError, match="the disk is gone"):
        next(items)


def test_closing_waits_for_the_one_that_is_being_made() -> None:
    """Afterwards no thread uses what the source uses."""
    begun, go_on, ended = threading.Event(), threading.Event(), list[int]()

    def source() -> Iterator[int]:
        yield 1
        begun.set()
        assert go_on.wait(20)
        ended.append(2)
        yield 2

    items = prefetched(source())
    assert next(items) == 1
    assert begun.wait(20)
    threading.Timer(0.05, go_on.set).start()
    items.close()
    assert ended == [2]
