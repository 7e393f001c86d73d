"""The benches of ingest and alarm run with the real parts, lose nothing, and print what the command line promises."""

from hub.bench import alarm, ingest


def test_ingest_counts_every_message_on_the_disk() -> None:
    """A short run: nothing lost, nothing twice, every figure there."""
    figures = ingest.measure(1.0, 1)
    assert (figures.lost, figures.duplicates) == (0, 0)
    assert figures.messages > 1000
    assert figures.messages_per_s > 0
    assert 0 < figures.p50_ms <= figures.p99_ms
    assert set(figures.path_us) == {"100", "1000"}
    assert min(figures.paho_messages_per_s, figures.aiomqtt_messages_per_s) > 0


def test_alarms_are_durable_and_their_sirens_confirmed() -> None:
    """A short run: every press is an alarm, also the one in the burst, and sirens sound."""
    figures = alarm.measure(1.0, 1)
    assert figures.alarms == int(alarm.PRESSES_PER_S)
    assert figures.sirens_confirmed > 0
    assert figures.burst_to_flip_ms < 60_000
    assert figures.rule_us > 0
