"""The log: what strangers say is one line, whatever they put into it."""

import logging

import pytest

from hub.processes.log_line import OneLine

FORGED = "gate-1\n2026-01-01 00:00:00 I zhian.audit: all is well"


def line(message: str, *arguments: object) -> str:
    """As it stands in the log."""
    record = logging.LogRecord("zhian.x", logging.WARNING, __file__, 1, message, arguments, None)
    return OneLine("%(levelname).1s %(name)s: %(message)s").format(record)


@pytest.mark.parametrize("sign", ["\n", "\r", "\x1b[2J", "\x00", "\x85", "\u2028", "\u202e", "\x9b31m", "\x7f"])
def test_no_sign_of_theirs_moves_a_line(sign: str) -> None:
    """Line breaks, terminal sequences and marks that turn text around are written out."""
    found = line("%s says %s", "device", f"a{sign}b")
    assert found.isprintable()
    assert found.startswith("W zhian.x: device says a\\")


def test_a_forged_line_is_part_of_its_own() -> None:
    """As it was sent."""
    assert line("no such device: %s", FORGED).count("\n") == 0


def test_chinese_stays_as_it_is() -> None:
    """People read it."""
    assert line("北门 %s", "道闸") == "W zhian.x: 北门 道闸"


def test_our_own_tracebacks_keep_their_lines() -> None:
    """Those who mend the program read them."""
    try:
        raise ValueError("a\nb")
    except ValueError as error:
        record = logging.LogRecord("x", logging.ERROR, __file__, 1, "failed", (), (type(error), error, None))
    assert OneLine("%(message)s").format(record).startswith("failed\n")
