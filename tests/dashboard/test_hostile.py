"""Hostile names and payloads: on every page and in every answer they are text, and never a tag, an attribute or a line.

The corpus comes in by every way that a device, a person or the site file has.
"""

import json
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from flask import Flask

from dashboard import create_app
from dashboard.office import EXTENSION, Office
from hub.outcome import Order
from hub.reading import Label
from tests.dashboard.conftest import NOW
from tests.dashboard.test_security import path_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from hub.rules.door import Rule
    from hub.settings.site import Site
    from tests.dashboard.conftest import Browser, Field, ListHistory, StillClock

CORPUS = [
    "<x-evil>",
    '"><x-evil onload=alert(1)>',
    "'><x-evil onload=alert(1)>",
    "</script><script>x_evil()</script>",
    "</title></textarea></style><x-evil>",
    "<img src=x onerror=x_evil()>",
    "<svg/onload=x_evil()>",
    "javascript:x_evil()",
    "&lt;x-evil&gt;&#60;x-evil&#62;",
    "{{ 7*7191 }}{% raw %}${7*7191}",
    "%(name)s %s {0} {site}",
    "\u202e<x-evil>\u2066",
    "<!--<x-evil>--><![CDATA[<x-evil>]]>",
    "x-evil\r\nSet-Cookie: zhian=evil",
    "<a href=//evil.example>",
    '" autofocus onfocus="x_evil()',
    "\x00<x-evil>\x1b]0;x\x07",
    "﹤x-evil﹥＜x-evil＞",
]


class Tags(HTMLParser):
    """Every tag and attribute that a browser would make of a page."""

    def __init__(self, page: str) -> None:
        """Reads it."""
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.targets: set[str] = set()
        self.inline: list[str] = []
        self._in_script = False
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """One tag."""
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        self.targets |= {value or "" for name, value in attrs if name in ("href", "src", "action")}
        self._in_script = tag == "script"

    def handle_endtag(self, tag: str) -> None:
        """Its end."""
        self._in_script = False

    def handle_data(self, data: str) -> None:
        """What stands between."""
        if self._in_script and data.strip():
            self.inline.append(data)


@pytest.fixture
def evil_site(site: "Site", evil: str) -> "Site":
    """The community, whose installer's keyboard was somebody else's."""
    label = Label(zh=evil, en=evil)
    links = tuple(
        msgspec.structs.replace(
            link, devices=tuple(msgspec.structs.replace(device, name=label) for device in link.devices)
        )
        for link in site.links
    )
    zones = tuple(msgspec.structs.replace(zone, name=label) for zone in site.zones)
    return msgspec.structs.replace(site, name=label, links=links, zones=zones)


@pytest.fixture
def app(
    tmp_path: Path,
    evil_site: "Site",
    clock: "StillClock",
    field: "Field",
    history: "ListHistory",
    people: Path,
    rules: "tuple[Rule, ...]",
) -> Iterator[Flask]:
    """Its office, over a journal in which everything is hostile that may be any text."""
    (tmp_path / "office.sqlite").write_bytes(people.read_bytes())
    made = create_app(evil_site, tmp_path, clock, history=history, rules=rules)
    yield made
    found: Office = made.extensions[EXTENSION]
    found.close()


def fill(field: "Field", evil: str) -> None:
    """Readings, faults, alarms, orders, mutes, limits, lists."""
    field.all_well()
    for device, quantity in (("chip-north", "chip"), ("gate-north", "gate"), ("radar-lake", "presence")):
        field.read(device, quantity, evil, note=evil)
        field.health(device, "offline", detail=evil)
        field.put("quarantine", rx=1, source=device, kind=evil, detail=evil, payload=evil.encode())
        field.put("fault", source=device, kind=evil, minute=1, count=1, detail=evil)
        number = field.alarm("gate-held", device, key=f"{evil}/{device}", value=evil, quantity=quantity, acked_by=evil)
        field.flip(number, "comment", actor=evil, note=evil)
        field.order("command", device, command=evil, actor=evil, text=evil, outcome=f"no-echo:{evil}", state="failed")
    field.alarm(evil, evil, zone=evil, severity="P1")
    field.put("mute", zone="square", at=1, until=NOW + 3_600_000, actor=evil, reason=evil)
    field.put(
        "rule_limit", rule="noise-limit", zone="", key="above", value=50, before=60, actor=evil, reason=evil, at=1
    )


@pytest.mark.parametrize("evil", [" ".join(CORPUS[at::4]) for at in range(4)])
def test_nothing_of_it_becomes_html(
    evil: str, app: Flask, field: "Field", new_browser: "Callable[[Flask], Browser]"
) -> None:
    """On no page that anybody can open, signed in or not, in either language."""
    fill(field, evil)
    admin = new_browser(app)
    admin.enter("admin")
    office: Office = app.extensions[EXTENSION]
    office.desk.put(Order(id=0, token="t", kind="ack", target=evil, text=evil, actor=evil, issued=1, expires=2))
    for path in paths(app):
        for query in ({"lang": "en"}, {"lang": "zh", "zone": evil, "q": evil, "text": evil, "actor": evil}):
            answer = admin.client.get(path, query_string=query)
            assert answer.status_code < 500, (path, query)
            judge(answer, f"{path} {query}")


def paths(app: Flask) -> list[str]:
    """Every address that is asked with GET, and those of what is hostile."""
    asked = [path_of(rule) for rule in app.url_map.iter_rules() if "GET" in (rule.methods or ())]
    asked += [f"/devices/{name}" for name in ("chip-north", "gate-north", "radar-lake")]
    asked += [f"/alarms/{number}" for number in range(1, 5)]
    return [path for path in asked if "/static/" not in path]


def judge(answer: Any, where: str) -> None:  # Any: werkzeug's test response
    """A page has our tags alone, an answer of the API is JSON that nobody takes for a page."""
    assert "evil" not in str(answer.headers.get("Set-Cookie", "")), where
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    if answer.mimetype.endswith("json"):
        json.loads(answer.text)
        return
    if answer.mimetype != "text/html":
        assert "xml" not in answer.mimetype or where.startswith("/favicon.ico"), (where, answer.mimetype)
        return
    found = Tags(answer.text)
    assert found.tags.isdisjoint({"x-evil", "iframe", "object", "base", "embed"}), where
    assert not [name for name in found.attributes if name.startswith("on")], where
    assert not [target for target in found.targets if "evil" in target.split("?")[0]], where
    assert found.inline == [], where
    assert str(7 * 7191) not in answer.text, where


@pytest.mark.parametrize("evil", ["<x-evil>"])
def test_the_corpus_is_seen_at_all(
    evil: str, app: Flask, field: "Field", new_browser: "Callable[[Flask], Browser]"
) -> None:
    """The control: the pages do show it, escaped; and the judge finds it where it is not."""
    fill(field, evil)
    admin = new_browser(app)
    admin.enter("admin")
    for path in ("/", "/devices", "/devices/chip-north", "/alarms", "/mutes"):
        assert "&lt;x-evil&gt;" in admin.client.get(path).text, path
    assert "x-evil" in Tags("<p><x-evil>").tags
    assert Tags("<script>x_evil()</script>").inline == ["x_evil()"]
