"""The dashboard's bench runs with real processes and a real screen, and its figures are of what happened."""

from hub.bench import dashboard, viewers


def test_pages_answer_while_the_hub_is_busy() -> None:
    """A short run: every page was given, changes reached the screen, every figure there."""
    figures = dashboard.measure(2.0, 1)
    assert figures.viewers == dashboard.VIEWERS // 10
    assert figures.pages > 0
    assert figures.refused == 0
    assert figures.changes > figures.changes_unseen
    assert 0 < figures.first_byte_p50_ms <= figures.first_byte_p95_ms
    assert 0 < figures.wire_to_screen_p50_ms <= figures.wire_to_screen_p95_ms
    assert figures.heard_mb > 0
    assert min(figures.rss_mb, figures.rss_before_mb, figures.cpu_share) > 0
    assert 0 < figures.script_kb <= 150


def test_a_viewer_knows_news_when_it_hears_it() -> None:
    """A change that concerns the page, and none that does not; a part of an event is none."""
    assert viewers.is_news(b'event: change\ndata: {"now":1,"what":["alarms"]}\n\n')
    assert not viewers.is_news(b'event: change\ndata: {"now":1,"what":["history"]}\n\n')
    assert not viewers.is_news(b'event: values\ndata: {"now":1,"values":{}}\n\nevent: change\ndata: {"no')
