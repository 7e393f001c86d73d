"""One real screen: Chromium with the Now page open, which writes down when a value and an alarm were painted.

A process of its own (`python -m hub.bench.screen`): address and session come as JSON on stdin; `ready` is said when
the page is live; when stdin ends what was painted is printed. Without Chromium a client hears the same on the stream.
"""

import importlib.util
import re
import sys
import time
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any

import msgspec

CHROMIUM = Path("/usr/bin/chromium")
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-dev-shm-usage"]
# What is painted is in the document when the frame begins: the time is taken there, not when the document changed.
WATCH = """
(series) => {
  const seen = window.zhianSeen = [];
  const known = new Set();
  const look = () => requestAnimationFrame(() => {
    const at = performance.timeOrigin + performance.now();
    const names = [...document.querySelectorAll('[id^="need-"]')].map((e) => e.id);
    const value = document.querySelector(`[data-series="${series}"]`);
    if (value) names.push(value.textContent.trim());
    for (const name of names) if (!known.has(name)) { known.add(name); seen.push([name, at]); }
  });
  new MutationObserver(look).observe(document.body, { childList: true, subtree: true, characterData: true });
  look();
}
"""


class Watch(msgspec.Struct):
    """`series`: "device/quantity" whose figure is watched, beside all alarms."""

    port: int
    token: str
    series: str


class Painted(msgspec.Struct):
    """What was seen first when: texts of the figure, `need-N` of alarms; ms since 1970. `by`: chromium or stream."""

    by: str
    seen: list[tuple[str, float]]


def here() -> bool:
    """Whether a Chromium can be driven on this machine."""
    return CHROMIUM.exists() and importlib.util.find_spec("playwright") is not None


def chromium(watch: Watch) -> Painted:
    """Until stdin ends."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=ARGUMENTS)
        context = browser.new_context(locale="zh-CN", viewport={"width": 1440, "height": 900})
        url = f"http://127.0.0.1:{watch.port}"
        context.add_cookies([{"name": "zhian", "value": watch.token, "url": url}])
        page = context.new_page()
        page.goto(url)
        page.wait_for_selector("#live-word:not(:empty)")  # a function to wait for is what the page's policy forbids
        page.evaluate(WATCH, watch.series)
        _ready()
        sys.stdin.buffer.read()
        seen: list[tuple[str, float]] = page.evaluate("window.zhianSeen")
        browser.close()
    return Painted("chromium", seen)


class Client:
    """The same from the stream alone: values as told, and alarms when the page that was fetched for them has them."""

    def __init__(self, watch: Watch) -> None:
        """Nothing is open yet."""
        self._watch, self._seen = watch, dict[str, float]()

    def run(self) -> None:
        """Until the stream ends, which is when the office does."""
        answer = self._get(f"/stream?series={self._watch.series}", 3600)
        _ready()
        event = ""
        try:
            for line in answer:
                name, _, rest = line.decode().strip().partition(": ")
                event = rest if name == "event" else event
                if name == "data":
                    self._take(event, msgspec.json.decode(rest))
        except (OSError, HTTPException):
            return

    def painted(self) -> Painted:
        """What came first when."""
        return Painted("stream", list(self._seen.items()))

    def _take(self, event: str, body: Any) -> None:  # Any: JSON
        if event == "values" and self._watch.series in body["values"]:
            self._note(f"{body['values'][self._watch.series][1]:.1f}")
        if event == "change" and "alarms" in body["what"]:
            for name in re.findall(r'id="(need-\d+)"', self._get("/", 30).read().decode()):
                self._note(name)

    def _note(self, name: str) -> None:
        self._seen.setdefault(name, time.time() * 1000)  # noqa: TID251  # compared with the sender's own

    def _get(self, path: str, timeout: float) -> Any:  # Any: http.client's answer
        line = HTTPConnection("127.0.0.1", self._watch.port, timeout=timeout)
        line.request("GET", path, headers={"Cookie": f"zhian={self._watch.token}", "X-Refresh": "1"})
        return line.getresponse()


def stream(watch: Watch) -> Painted:
    """Until stdin ends."""
    import threading

    client = Client(watch)
    threading.Thread(target=client.run, daemon=True).start()
    sys.stdin.buffer.read()
    return client.painted()


def _ready() -> None:
    sys.stdout.write("ready\n")
    sys.stdout.flush()


def main() -> None:
    """The process."""
    watch = msgspec.json.decode(sys.stdin.buffer.readline(), type=Watch)
    painted = chromium(watch) if here() else stream(watch)
    sys.stdout.buffer.write(msgspec.json.encode(painted) + b"\n")


if __name__ == "__main__":
    main()
