"""The log: a trouble of every second is a line a minute, and no other line is lost for it."""

import io
import logging

import pytest

from hub.processes.repeats import MOST, OFTEN, Repeats


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


def test_a_line_a_second_is_three_a_minute(log: Log) -> None:
    """The first of the next minute says how many were left out."""
    for second in range(121):
        log.now = second
        log.logger.error("no room on %s", "/data")
    said, more = "no room on /data", "no room on /data (and 57 times more since)"
    assert log.lines == [said, said, said, more, said, said, more]


def test_who_asks_twice_is_answered_twice(log: Log) -> None:
    """A reload that is refused again is said again."""
    for _ in range(OFTEN):
        log.logger.error("not reloaded")
    assert log.lines == ["not reloaded"] * OFTEN


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
    for _ in range(2 * OFTEN):
        log.logger.error("line 0")
        log.logger.error("line %d", MOST + 49)
    assert (log.lines.count("line 0"), log.lines.count(f"line {MOST + 49}")) == (1 + OFTEN, OFTEN)
