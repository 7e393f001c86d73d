"""Both languages are whole, and every word that the hub can write has a text for people."""

import re
from pathlib import Path
from typing import TYPE_CHECKING

from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po

from dashboard.language import i18n, reasons, words
from dashboard.language.limit_words import limit_text
from dashboard.places.plan import HEIGHT, WIDTH, drawing, spot
from hub.alarms.alarm import Closed, Deed, Rejected
from hub.orders.order import OrderWord
from hub.orders.words import REASONS
from hub.outcome import Order, OrderState
from hub.reading import FaultKind

if TYPE_CHECKING:
    from flask import Flask

    from hub.settings.site import Site
    from tests.dashboard.conftest import Browser

ROOM = Path(words.__file__).parents[1]
METHODS = [("**.py", "python"), ("templates/**.html", "jinja2")]
KEYWORDS = {"_": None, "gettext": None, "ngettext": (1, 2), "lazy_gettext": None}


def test_every_text_is_translated() -> None:
    """Each text of templates and code stands in the Chinese catalogue with its placeholders, and no other does."""
    found = extract_from_dir(ROOM, METHODS, keywords=KEYWORDS)
    wanted = {message[0] if isinstance(message, tuple) else message for _, _, message, _, _ in found}
    with (ROOM / "translations/zh/LC_MESSAGES/messages.po").open("rb") as file:
        catalogue = read_po(file, locale="zh")
    known = {message.id[0] if isinstance(message.id, tuple) else message.id: message for message in catalogue}
    assert wanted == set(known) - {""}
    for text, message in known.items():
        assert message.string, text
        assert not list(message.check(catalogue)), text


def test_no_text_without_translation_in_templates() -> None:
    """Words between tags are either translated or made of signs, ids and names of the two languages."""
    for path in (ROOM / "templates").glob("*.html"):
        plain = re.sub(r"{%.*?%}|{{.*?}}|<[^>]*>|&\w+;", " ", path.read_text(), flags=re.DOTALL)
        left = set(re.findall(r"[^\W\d_]{2,}", plain)) - {"中文", "English"}
        assert not left, (path.name, left)


def test_the_languages_differ(app: "Flask", browser: "Browser") -> None:
    """`?lang=` is remembered; the browser's language counts until then, and Chinese when it says nothing useful."""
    assert "Sign in" in browser.client.get("/login").text
    assert "登录" in browser.client.get("/login", headers={"Accept-Language": "zh-CN,zh;q=0.9,en;q=0.5"}).text
    assert "登录" in browser.client.get("/login", headers={"Accept-Language": "fr"}).text
    assert "登录" in browser.client.get("/login?lang=zh").text
    assert "登录" in browser.client.get("/login").text
    assert "登录" in browser.client.get("/login?lang=tlh").text


def test_texts_in_templates_are_those_of_the_catalogue(app: "Flask") -> None:
    """Looked up once and marked: the words of `gettext` in the reader's language; what is filled in is escaped."""
    text = "%(name)s on duty"
    for lang in ("zh", "en"):
        with app.test_request_context(f"/?lang={lang}"):
            made = app.jinja_env.from_string("{{ _(text, name=name) }}|{{ _('Now') }}|{{ _('100%%') }}")
            plain = f"{i18n.gettext(text, name='&lt;b&gt;')}|{i18n.gettext('Now')}|100%"
            assert made.render(text=text, name="<b>") == plain


def test_every_word_of_the_hub_has_a_text() -> None:
    """What the hub may write into flips, orders and faults is known here."""
    assert {str(deed) for deed in Deed} <= set(words.EVENTS)
    assert {str(word) for word in [*Closed, *Rejected]} <= set(reasons.NOTES)
    assert {str(word) for word in OrderWord} <= set(reasons.REASONS) | set(REASONS)
    assert {str(kind) for kind in FaultKind} <= set(reasons.FAULTS)


def test_an_outcome_says_what_is_not_known(app: "Flask", site: "Site") -> None:
    """Sent and not confirmed is "state unknown, look"; a failure carries the hub's reason in words."""
    names = words.Words(site, {})
    order = Order(id=1, token="t", kind="command", target="gate-north", actor="li", issued=0, expires=1, ended=0)
    said = {}
    with app.test_request_context("/?lang=en"):
        for state in OrderState:
            done = Order(**{**{f: getattr(order, f) for f in order.__struct_fields__}, "state": state, "outcome": "x"})
            said[state] = words.outcome(done, names)
        assert reasons.reason("not-sent:no-answer: 3 tries") == "it did not leave: no answer: 3 tries"
        assert reasons.reason("rejected:still-active") == "not possible: its condition still holds"
        assert reasons.reason("in its own words") == "in its own words"
    assert len(set(said.values())) == len(OrderState)
    assert "go and look" in said[OrderState.UNCONFIRMED]
    assert "go and look" in said[OrderState.UNKNOWN]


def test_names(site: "Site") -> None:
    """Channels by what hangs on them, devices by their names, ids where there is nothing better."""
    names = words.Words(site, {})
    assert names.command("yard-relay", "pulse_2").en.startswith("Lake siren: ")
    assert names.command("yard-relay", "pulse_7").en.endswith(" 7")
    assert names.channel("yard-relay", "pulse_2").zh == "湖边声光"
    assert names.channel("gate-north", "open").en == "North gate"
    assert names.source("mqtt").en == "link mqtt"
    assert names.rule("gone-rule").zh == "gone-rule"
    assert names.actor("rule:gone-rule").en == "automatic (gone-rule)"


def test_values(app: "Flask") -> None:
    """Numbers with the vocabulary's decimals and unit, states by their names."""
    with app.test_request_context("/?lang=en"):
        assert words.value_text("laeq", 52.149) == "52.1 dB"
        assert words.value_text("water_level", 1.1) == "1.100 m"
        assert words.value_text("gate", "stuck") == "stuck"
        assert words.value_text("laeq", None) == "–"
        assert words.value_text("no_such", 1.0) == "1.0"
        spans = [words.duration(ms) for ms in (-5, 59_999, 60_000, 3_600_000, 90_000_000)]
    assert spans == ["0 s", "59 s", "1 min", "1 h", "1 d 1 h"]
    with app.test_request_context("/?lang=zh"):
        assert words.value_text("gate", "stuck") == "卡住"
        spans = [words.duration(ms) for ms in (59_999, 60_000, 660_000, 672_000, 3_600_000, 5_400_000, 90_000_000)]
        limits = [limit_text(key, value, "laeq") for key, value in (("window", 600.0), ("hold", 7200.0), ("hold", 5.0))]
        limits.append(limit_text("above", 55.0, "laeq"))
    assert spans == ["59 秒", "1 分钟", "11 分钟", "11 分 12 秒", "1 小时", "1 小时 30 分钟", "1 天 1 小时"]
    assert limits == ["10 分钟", "2 小时", "5 秒", "55 dB"]


def test_a_day_that_is_not_today_is_named(app: "Flask", site: "Site") -> None:
    """Today the time alone; of another day month and day, in each language's own way."""
    names, at, day = words.Words(site, {}), 1_760_000_000_000, 86_400_000
    for lang, said in (("zh", "10月9日 16:53"), ("en", "10-09 16:53")):
        with app.test_request_context(f"/?lang={lang}"):
            assert names.day_time(at, at) == "16:53:20"
            assert names.day_time(at, at + day) == said


def test_the_plan_stays_on_the_paper(site: "Site") -> None:
    """Every zone, house and path lies within the drawing, and no house stands on a zone."""
    plan = drawing(site)
    assert plan.houses
    assert all(0 <= x <= WIDTH and 0 <= y <= HEIGHT for path in plan.paths for x, y in path)
    for zone in site.zones:
        x, y = spot(zone.at)
        assert not any(house.x < x < house.x + house.w and house.y < y < house.y + house.h for house in plan.houses)


def test_what_is_live_has_a_name() -> None:
    """A part that is to be made anew is found by its id: without one it would stand still, or become another part."""
    for path in (ROOM / "templates").glob("*.html"):
        for tag in re.findall(r"<\w+[^>]*data-live=[^>]*>", path.read_text()):
            assert re.search(r' id="', tag), (path.name, tag[:80])


def test_what_htmx_touches_asks_for_nothing_else() -> None:
    """No link in a form that it sends, for it would follow that as well; no part made anew takes the focus away."""
    texts = [path.read_text() for path in (ROOM / "templates").glob("*.html")]
    forms = [form for text in texts for form in re.findall(r"<form[^>]* hx-boost[^>]*>.*?</form>", text, re.DOTALL)]
    assert len(forms) > 10
    assert [form for form in forms if "<a " in form] == []
    assert [text[:80] for text in texts if "data-live" in text and "autofocus" in text] == []
