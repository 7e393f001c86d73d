"""A guard's night at the lake: P1 at ten past two, telephone, briefing, seen, resolved; handed over at half past seven.

Hub, broker, cables, pages and Chromium are real. The radar, the relay board and the telephone's
provider are simulated. The site's clock is set ahead to the night.
"""

import json
import os
import re
import threading
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion
from playwright.sync_api import Browser, BrowserContext, Locator, Page, ViewportSize, expect

from hub.clock import ENVIRONMENT, Clock
from hub.duty.file import FILE as DUTY
from hub.processes import broker
from tests.e2e.conftest import QUIET, Installation, free_port, wait_for

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]

ZONE = ZoneInfo("Asia/Shanghai")
PATIENCE_MS = 30_000
PHONE: ViewportSize = {"width": 390, "height": 844}
SITE = """
[site]
id = "garden"
name = { zh = "湖畔花园", en = "Lakeside Garden" }
timezone = "Asia/Shanghai"
page = "http://127.0.0.1:$page"
[[zone]]
id = "lake"
name = { zh = "景观湖", en = "Lake" }
closed = "22:00-06:00"
siren = { device = "board", command = "pulse_2", seconds = 8.0 }
[[voice]]
id = "phone"
kind = "webhook"
url = "http://127.0.0.1:$phone/call"
[[link]]
id = "mqtt"
kind = "mqtt"
listen = "127.0.0.1:$port_a"
  [[link.device]]
  id = "radar"
  name = { zh = "湖边雷达", en = "Lake radar" }
  profile = "water/json-mqtt"
  zone = "lake"
"""
YARD = """
[[link]]
id = "line"
kind = "modbus-rtu"
port = "$data/tty/line"
  [[link.device]]
  id = "board"
  name = { zh = "继电器柜", en = "Relay cabinet" }
  profile = "relay/waveshare-8ch"
  zone = "lake"
  every = 0.5
    [link.device.names]
    relay_2 = { zh = "湖边声光", en = "Lake siren" }
"""
ROSTER = """
[[person]]
id = "p1"
name = "值班员甲"
user = "guard"
address = { phone = "13800000000" }
[[shift]]
id = "night"
name = { zh = "夜班", en = "Night" }
role = "guard"
hours = "19:00-07:00"
people = ["p1"]
[[shift]]
id = "day"
name = { zh = "白班", en = "Day" }
role = "guard"
hours = "07:00-19:00"
people = ["p1"]
"""


def clock_at(hour: int, minute: int, second: int = 0) -> str:
    """A clock, as the environment says it, that now shows the next such time at the lake, and runs on as the real one.

    A clock's instant is anchor + (real - anchor) * speed: with a speed of one and a millionth, an anchor far away is an
    offset, and the night is a millisecond wrong after a quarter of an hour.
    """
    real = Clock().now()
    now = datetime.fromtimestamp(real / 1000, ZONE)
    wanted = now.replace(hour=hour, minute=minute, second=second, microsecond=0)
    ahead = (wanted + timedelta(days=wanted <= now) - now).total_seconds() * 1000
    return f"1.000001@{round(real - ahead * 1_000_000)}"


class Radar:
    """The radar at the lake: it says each half second whether somebody is there."""

    def __init__(self, data: Path, port: int) -> None:
        """Nobody is there."""
        self.presence = "absent"
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id="radar")
        self._client.username_pw_set("radar", broker.credentials(data)["radar"])
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        while not self._over.wait(0.5):
            self._client.publish("garden/radar/up", json.dumps({"presence": self.presence}), qos=1)

    def stop(self) -> None:
        """Taken down."""
        self._over.set()
        self._thread.join(10)
        self._client.disconnect()
        self._client.loop_stop()


class Garden(Installation):
    """The site with its page on a port that the roster's links know; its relay board alone is played by `simulate`."""

    def __init__(self, folder: Path, phone: int) -> None:
        """Files only."""
        self.port, self.broker_port = free_port(), free_port()
        filled = (SITE + YARD).replace("$phone", str(phone)).replace("$page", str(self.port))
        super().__init__(folder, filled.replace("$port_a", str(self.broker_port)), QUIET)
        (self.data / DUTY).write_text(ROSTER, encoding="utf-8")
        self.yard = folder / "yard.toml"
        head = SITE.partition("page =")[0] + SITE[SITE.index("[[zone]]") : SITE.index("[[voice]]")]
        self.yard.write_text((head + YARD).replace("$data", str(self.data)), encoding="utf-8")

    def open(self) -> None:
        """The hub, its page and the board; and a guard with a login."""
        site, self.site = self.site, self.yard
        self.start_devices()
        self.site = site
        told = self.zhian("user", "add", "guard", "--role", "guard").stdout
        self.login = ("guard", told.partition(" (guard): ")[2].strip())
        wait_for((self.data / "tty" / "line").exists)
        self._start("run", "--port", str(self.port), "--plain")
        wait_for(lambda: "dashboard at" in self.output.read_text(encoding="utf-8"))


@pytest.fixture
def garden(
    tmp_path: Path, calls: tuple[int, list[dict[str, Any]]], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Garden]:
    """Open since shortly before ten past two."""
    monkeypatch.setenv(ENVIRONMENT, clock_at(2, 9, 55))
    with Garden(tmp_path, calls[0]) as running:
        running.open()
        yield running


@pytest.fixture
def radar(garden: Garden) -> Iterator[Radar]:
    """Speaks."""
    made = Radar(garden.data, garden.broker_port)
    yield made
    made.stop()


@pytest.fixture
def handset(chromium: Browser) -> Iterator[BrowserContext]:
    """A telephone in Chinese, on which nobody is signed in."""
    context = chromium.new_context(locale="zh-CN", viewport=PHONE, is_mobile=True, has_touch=True, color_scheme="dark")
    context.set_default_timeout(PATIENCE_MS)
    yield context
    context.close()


def watch(chromium: Browser, garden: Garden) -> Page:
    """The Now page on the guard's own telephone, signed in."""
    page = chromium.new_context(locale="zh-CN", viewport=PHONE, color_scheme="dark").new_page()
    page.goto(garden.address)
    page.fill("input[name=name]", garden.login[0])
    page.fill("input[name=password]", garden.login[1])
    page.click("form button[type=submit]")
    page.wait_for_selector("#live-word:has-text('实时')")
    return page


def shows(where: Locator, words: str | re.Pattern[str]) -> None:
    """Sooner or later, by itself."""
    expect(where).to_contain_text(words, timeout=PATIENCE_MS)


def press(page: Page, words: str) -> None:
    """The one button of a briefing, and the page again until the hub has answered."""
    with page.expect_navigation(timeout=PATIENCE_MS):
        page.get_by_role("button", name=words).click()
    waiting = page.get_by_text("等待系统处理")
    deadline = time.monotonic() + PATIENCE_MS / 1000
    while waiting.count() and time.monotonic() < deadline:
        page.wait_for_timeout(200)
        page.reload()


def picture(page: Page, name: str) -> None:
    """For people to look at, where ZHIAN_SHOTS names a folder."""
    if folder := os.environ.get("ZHIAN_SHOTS", ""):
        page.screenshot(path=f"{folder}/night-{name}.png")


def answer(garden: Garden, handset: BrowserContext, link: str, card: Locator) -> Page:
    """The briefing, opened without login: read, seen, taken on; the guard's other page says who has seen it."""
    brief = handset.new_page()
    brief.goto(link)
    shows(brief.locator("article"), "立即派人到现场")
    shows(brief.locator("article"), re.compile(r"02:1\d:\d\d"))
    assert handset.cookies() == []
    assert garden.ask("SELECT state FROM alarm WHERE key = 'water-presence/radar'") == [("unacked",)]
    picture(brief, "3-briefing")
    press(brief, "我已看到")
    shows(brief.locator("article"), re.compile(r"02:1\d:\d\d · guard"))
    shows(card, re.compile(r"guard 已于 02:1\d(:\d\d)? 看到"))
    press(brief, "我来处理")
    wait_for(lambda: garden.ask("SELECT 1 FROM incident WHERE state = 'working'"))
    brief.reload()
    shows(brief.locator("article"), re.compile(r"您自 .* 02:1\d:\d\d 起处理此事"))
    picture(brief, "4-accepted")
    picture(card.page, "5-seen")
    return brief


def in_the_morning(garden: Garden) -> None:
    """The list, the sheet and the incident's log at half past seven."""
    (line,) = garden.lines("alarms", "--since", "12h")
    assert (line["rule"], line["acked_by"], line["closed"]) == ("water-presence", "guard", "cleared")
    moments = [local(line[name]) for name in ("raised", "acked", "cleared")]
    assert moments == sorted(moments)
    assert {moment[:4] for moment in moments} == {"02:1"}
    sheet = garden.zhian("duty", "handover", "--since", "12h").stdout
    assert re.search(r"19:30 - \d\d-\d\d 07:30", sheet)
    assert re.search(r"02:1\d\b.*02:1\d\b.*P1 水边有人", sheet), sheet
    assert re.search(r"#1 P1 .*02:1\d\b", sheet), sheet
    assert re.search(r"操作 .*\n.*02:1\d\b.*湖边声光", sheet), sheet
    for step in ("pass", "archive"):
        garden.zhian("incidents", "step", "1", step)
    log = garden.ask("SELECT event, actor FROM incident_log ORDER BY seq")
    assert [event for event, _ in log] == [
        "opened", "classify", "dispatch", "accept", "alarm-cleared", "feedback", "pass", "archive",
    ]  # fmt: skip
    assert log[3][1] == "guard"


def local(instant: object) -> str:
    """On the lake's clock."""
    assert isinstance(instant, int)
    return f"{datetime.fromtimestamp(instant / 1000, ZONE):%H:%M:%S}"


def test_a_guards_night(
    garden: Garden,
    radar: Radar,
    calls: tuple[int, list[dict[str, Any]]],
    chromium: Browser,
    handset: BrowserContext,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Closed lake, siren, call, briefing, seen, accepted, gone, fed back; and the morning's sheet has it with times."""
    heard = calls[1]
    now = watch(chromium, garden)
    shows(now.locator("main"), "全部在监护中，无需处理。")
    picture(now, "1-calm")
    assert [call for call in heard if call["severity"] == "P1"] == []

    radar.presence = "present"
    card = now.locator("article.need.p1")
    shows(card, "水边有人")
    shows(card, re.compile(r"湖边声光：02:1\d:\d\d 设备已确认执行"))
    moved = garden.ask("SELECT target, command, state FROM orders WHERE kind = 'command'")
    assert moved == [("board", "pulse_2", "confirmed")]
    wait_for(lambda: [call for call in heard if call["to"]])
    picture(now, "2-p1")

    called = next(call for call in heard if call["to"])
    assert (called["kind"], called["severity"], called["rule"]) == ("raised", "P1", "water-presence")
    assert (called["to"], called["zone_name"]["zh"]) == ("13800000000", "景观湖")
    assert re.search(r" 02:1\d:", called["time"])
    assert called["page"].startswith(f"http://127.0.0.1:{garden.port}/b/")

    brief = answer(garden, handset, called["page"], card)
    radar.presence = "absent"
    expect(card).to_have_count(0, timeout=PATIENCE_MS)
    shows(now.locator("main"), "全部在监护中，无需处理。")
    brief.reload()
    assert brief.locator("article button").count() == 0
    wait_for(lambda: garden.ask("SELECT 1 FROM incident_log WHERE event = 'alarm-cleared'"))  # the desk's, a look later
    garden.zhian("incidents", "step", "1", "feedback", "--text", "一人夜钓，已劝离")
    now.goto(f"{garden.address}/alarms/1")
    picture(now, "6-alarm")
    story = now.inner_text(".timeline")
    marks = [rf"02:1\d:\d\d\s+{word}" for word in ("触发", "已呼叫", "已确认 · guard", "触发条件解除")]
    assert re.search(".*".join(marks), story, re.DOTALL), story

    monkeypatch.setenv(ENVIRONMENT, clock_at(7, 30))
    in_the_morning(garden)
