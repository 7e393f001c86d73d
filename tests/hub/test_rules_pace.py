"""What rules cost does not grow out of hand (measured by hub.bench.rules; the limits forgive a loaded machine)."""

from hub.bench.rules import measure


def test_rules_are_cheap() -> None:
    """A calm reading costs the same with a hundred rules as with one; a question a few microseconds at most."""
    found = measure(0.6, 1)
    assert found.calm_us_100_rules < 10 * found.calm_us_1_rule
    assert found.asked_us_100_rules < 1000
    assert found.window_us < 100
    assert found.expression_us < 20
