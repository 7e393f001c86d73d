"""A Chinese page is Chinese: whatever the hub wrote into its rows, no page shows a sentence of it in English."""

import html
import re
from typing import TYPE_CHECKING

import pytest

from dashboard.menu import MENU
from tests.dashboard.conftest import NOW

if TYPE_CHECKING:
    from flask import Flask

    from tests.dashboard.conftest import Browser, Field

# Names that are English in China, too, and the ids of this community.
NAMES = re.compile(r"Debian GNU/Linux|Authorization: Bearer|zhian [a-z]+ [a-z]+(?: FILE)?|Content Security Policy")
_ASIDE = re.compile(r"<(script|style|code|svg|pre)\b.*?</\1>|<[^>]*lang=\"en\"[^>]*>[^<]*|<[^>]*>", flags=re.DOTALL)
_ENGLISH = re.compile(r"(?:[A-Za-z][a-z']+[ ,]+){2}[a-z']{2,}")


def english(page: str) -> list[str]:
    """Three words of English in a row, in what a reader sees of the page."""
    shown = re.sub(
        r"<(script|style|code|svg|pre)\b.*?</\1>|<[^>]*lang=\"en\"[^>]*>[^<]*|<[^>]*>", "\n", page, flags=re.DOTALL
    )
    return _ENGLISH.findall(NAMES.sub("", html.unescape(shown)))


@pytest.fixture
def trouble(field: "Field") -> int:
    """A community in which much went wrong, with the hub's own sentences; the number of an alarm."""
    field.all_well()
    field.health("noise-garage", "silent", detail="no-answer: unit 4 does not answer")
    field.health("rs485-yard", "down", detail="/dev/ttyUSB0: there is no such port (unplugged?)")
    for number, outcome in enumerate(
        (
            "failed not-sent:no-answer: the broker did not confirm within 10 s",
            "failed link-down:/dev/ttyUSB0: the port hung up (unplugged?)",
            "refused seconds-out-of-range:0.1..3276.7",
            "refused already-under-way:12",
            "refused rejected:accept is not possible while it is new; possible: classify, note",
            "unconfirmed not-confirmed:8",
        )
    ):
        state, _, why = outcome.partition(" ")
        field.order("command", "gate-north", command="open", state=state, outcome=why, token=f"t{number}", sent=NOW)
    minute, kind = NOW // 60_000, "checksum"
    field.put("fault", source="noise-north", kind=kind, minute=minute, count=3, detail="wrong CRC in 010304")
    field.put("quarantine", rx=NOW, source="noise-north", kind=kind, detail="wrong CRC in 01", payload=b"\1")
    field.put(
        "quarantine", rx=NOW, source="noise-east", kind="malformed", detail="history: 'x' is not a number", payload=b""
    )
    number = field.alarm("sos", "sos-lake", severity="P1")
    flip = int(field.db.execute("SELECT max(seq) FROM flip").fetchone()[0])
    detail = "http://127.0.0.1: no whole answer within 5 s (3 s to connect)"
    field.put("outbox", flip=flip, voice="broker", kind="raised", status="failed", detail=detail, next_try=0, done=NOW)
    field.put("voice", id="broker", failing=NOW - 1000, detail=detail)
    return number


def test_no_page_shows_english_sentences(app: "Flask", trouble: int, admin: "Browser") -> None:
    """Every page of the menu, a device, a line, an alarm, a limit and the handover sheet."""
    with app.test_request_context():
        paths = [app.url_for(entry.endpoint) for entry in MENU]
    paths += ["/devices/gate-north", "/devices/noise-north", "/devices/noise-garage", "/lines/rs485-yard"]
    paths += [f"/alarms/{trouble}", "/duty/handover", "/limits/noise-limit?zone=square", "/lines/rs485-yard/add"]
    paths += ["/lines/rs485-yard/add/noise/generic-rs485", "/settings/calendar", "/water/lake/test"]
    shown = {}
    for path in paths:
        answer = admin.client.get(path, headers={"Accept-Language": "zh-CN"})
        assert answer.status_code == 200, path
        shown[path] = answer.text
    left = {path: found for path, page in shown.items() if (found := english(page))}
    assert not left
    assert "站号 4 无应答" in shown["/devices/noise-garage"]
    assert "没有这个串口（是否被拔出？）" in shown["/lines/rs485-yard"]
    assert "消息服务器 10 秒内未确认" in shown["/devices/gate-north"]
    assert "3 秒" in shown[f"/alarms/{trouble}"]


def test_english_is_noticed() -> None:
    """The eye of the test: a sentence is found between tags, names and single words are not."""
    assert english("<p>失败：the port hung up</p>") == ["the port hung"]
    assert english("<p>RS-485 线路 <code>zhian duty set FILE</code> Debian GNU/Linux 12</p>") == []
