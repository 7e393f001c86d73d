"""The log: a trouble of every second is a line a minute, and no other line is lost for it."""

import io
import logging

import pytest

from hub.repeats import MOST, QUIET_S, Repeats


class Log:
    """A logger of its own, whose clock the test sets."""

    def __init__(self) -> None:
        """At second 0."""
        self.now, self._said = 0.0, io.StringIO()
        handler = logging.StreamHandler(self._said)
        handler.addFilter(Repeats(lambda: self.now))
        self.logger = logging.Logger("zhian.test")
        self.logger.addHandler(handler)

    @property
    def lines(self) -> list[str]:
        """What was written."""
        return self._said.getvalue().splitlines()


@pytest.fixture
def log() -> Log:
    """Empty."""
    return Log()


def test_a_line_a_second_is_a_line_a_minute(log: Log) -> None:
    """The second one says how many were left out."""
    for second in range(121):
        log.now = second
        log.logger.error("no room on %s", "/data")
    more = f"no room on /data (and {round(QUIET_S) - 1} times since the last such line)"
    assert log.lines == ["no room on /data", more, more]


def test_other_words_are_other_lines(log: Log) -> None:
    """Another word, another level: each is said at once."""
    log.logger.error("no room on %s", "/data")
    log.logger.error("no room on %s", "/other")
    log.logger.warning("no room on %s", "/data")
    assert len(log.lines) == 3


def test_after_a_quiet_time_it_is_news(log: Log) -> None:
    """What comes once an hour is said each time, as it is."""
    for at in (0.0, 3600.0):
        log.now = at
        log.logger.error("gone")
    assert log.lines == ["gone", "gone"]


def test_what_is_remembered_is_bounded(log: Log) -> None:
    """Lines that are all different fill no memory."""
    for number in range(MOST + 50):
        log.logger.error("line %d", number)
    log.logger.error("line 0")
    log.logger.error("line %d", MOST + 49)
    assert len(log.lines) == MOST + 51
