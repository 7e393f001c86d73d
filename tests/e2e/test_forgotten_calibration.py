"""A calibration that nobody announced, in a running installation: it is written down, and its sound is gone."""

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from playwright.sync_api import Page, expect

from hub.clock import Clock
from tests.e2e.conftest import COURT, QUIET, Installation, wait_for

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]
SITE = (
    COURT
    + """
[[zone]]
id = "square"
name = { zh = "广场", en = "Square" }

[[link]]
id = "broker"
kind = "mqtt"
listen = "127.0.0.1:$port_a"

  [[link.device]]
  id = "meter"
  profile = "noise/json-mqtt"
  zone = "square"
"""
)
SHANGHAI = ZoneInfo("Asia/Shanghai")
CHART = "/api/v1/devices/meter/series?quantity=laeq&range=1h"


def loudest(page: Page, address: str) -> float:
    """What the chart has."""
    answer = page.request.get(address.rstrip("/") + CHART)
    assert answer.ok, answer.text()
    return max((level for level in answer.json()["max"] if level is not None), default=0.0)


def test_it_goes_out_of_chart_readings_and_history(tmp_path: Path, open_page: Callable[[Installation], Page]) -> None:
    """94 dB of a quarter of an hour ago: a manager writes it down, and the chart, readings and the audit trail know."""
    with Installation(tmp_path, SITE, QUIET) as court:
        court.start(devices=False)
        wait_for(lambda: court.lines("readings", "meter", "--since", "1h") == [])
        # a device with a clock of its own, which was without a network
        first = datetime.fromtimestamp(Clock().now() / 1000, SHANGHAI) - timedelta(minutes=15)
        if first.day != (first + timedelta(minutes=15)).day:
            first -= timedelta(minutes=20)  # the form has one day
        times = [first + timedelta(minutes=n) for n in range(14)]
        told = [(int(at.timestamp() * 1000), 94.0 if 2 <= n <= 8 else 50.0) for n, at in enumerate(times)]
        court.say("meter", *(f'{{"ts": {ts}, "laeq": {level}}}' for ts, level in told))
        wait_for(lambda: len(court.lines("readings", "meter", "--since", "1h")) == len(told))
        wait_for(lambda: court.ask("SELECT seq FROM cursor WHERE name = 'history'") == [(len(told),)])
        page = open_page(court)
        assert loudest(page, court.address) == 94.0

        page.goto(court.address.rstrip("/") + "/devices/meter/upkeep")
        page.click("#earlier summary")
        form = page.locator("#earlier form")
        form.locator("#day").fill(f"{first:%Y-%m-%d}")
        form.locator("#since").fill(f"{times[2]:%H:%M}")
        form.locator("#until").fill(f"{times[9]:%H:%M}")
        form.locator("#reading2").fill("93.8")
        form.locator("#text2").fill("B&K 4231, class 1")
        form.get_by_role("button").click()
        expect(page.locator("#done")).to_contain_text("-0.20 dB")

        assert loudest(page, court.address) == 50.0
        marked = {line["ts"]: line["quality"] for line in court.lines("readings", "meter", "--since", "1h")}
        loud = {ts for ts, level in told if level == 94.0}
        assert {ts for ts, quality in marked.items() if quality == "calibration"} >= loud
        assert "the history is whole" in court.zhian("history", "verify", "--deep").stdout
        page.goto(court.address.rstrip("/") + "/audit")
        expect(page.locator("main")).to_contain_text("wrote a calibration down")
