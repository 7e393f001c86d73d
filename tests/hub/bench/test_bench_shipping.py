"""`zhian bench shipping`: real servers, nothing lost, and faster than the promise of five times real time."""

from hub.bench import shipping


def test_what_waited_is_there_once_and_soon() -> None:
    """Both servers of Debian are measured; each reading is there once, at more than five times real time."""
    found = shipping.measure(2.0, 7)
    assert found.readings == 30_000
    for caught in (found.influxdb, found.victoriametrics):
        assert caught is not None
        assert (caught.lost, caught.twice) == (0, 0)
        assert caught.times_real_time > 5
        assert caught.first_s > 0
