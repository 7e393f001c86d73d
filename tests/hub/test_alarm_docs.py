"""The page about alarms says what the tables say."""

import re

from hub.alarms.diagram import DRAWN, PAGES, drawn
from hub.rules.door import Rule


def test_the_page_is_as_the_tables_are() -> None:
    """Run `python -m hub.alarms.diagram` when this fails."""
    for path in PAGES:
        page = path.read_text(encoding="utf-8")
        assert drawn(page) == page, path


def test_every_drawing_is_on_the_page() -> None:
    """And no part is marked that nothing draws."""
    pages = "".join(path.read_text(encoding="utf-8") for path in PAGES)
    marked = re.findall(r"<!-- drawn: ([a-z-]+) -->", pages)
    assert sorted(marked) == sorted(DRAWN)


def test_every_key_of_a_rule_is_explained() -> None:
    """The page's table of keys is complete."""
    page = PAGES[0].read_text(encoding="utf-8")
    missing = [name for name in Rule.__struct_encode_fields__ if name != "story" and f"`{name}`" not in page]
    assert missing == []
