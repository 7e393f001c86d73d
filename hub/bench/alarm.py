"""How soon an alarm is durable, and its siren ordered and confirmed, while 10,000 messages a second arrive.

Help posts are pressed one by one through a real broker; the sirens hang on a relay board that a process of its own
plays. What one evaluation of one alarm costs is measured on the rules of the demo's site.
"""

import tempfile
import time
from pathlib import Path
from string import Template
from typing import Any

import msgspec

from firmware_bridge import simulate
from hub.alarms.bind import Bound
from hub.bench.blast import Blast, connect, publish
from hub.bench.court import Court, Process, court, free_port
from hub.bench.ingest import LATENCY_RATE, QUANTITIES, drained, quantile
from hub.clock import Clock
from hub.processes.supervisor import zhian
from hub.rules.door import load_rules
from hub.settings.door import load_site

SECONDS = 20.0
METERS = 1000
PRESSES_PER_S = 25.0
SETTLE_S = 5.0
SIRENS = 8
DEMO = Path(simulate.__file__).with_name("zhongshan.toml")
_POST = '  [[link.device]]\n  id = "post-{at:04d}"\n  profile = "sos/json-mqtt"\n  zone = "lake-{zone}"\n'
_LAKE = """
[[zone]]
id = "lake-{zone}"
name = {{ zh = "湖边", en = "Lake" }}
siren = {{ device = "relay", command = "pulse_{zone}", seconds = 0.1 }}
"""
_RELAY = """
[[link]]
id = "cabinet"
kind = "modbus-tcp"
host = "127.0.0.1"
port = $relay
  [[link.device]]
  id = "relay"
  profile = "relay/waveshare-8ch"
"""
_OTHER_END = """
[site]
id = "bench"
name = { zh = "测量", en = "Bench" }
timezone = "Asia/Shanghai"
"""


class Figures(msgspec.Struct, frozen=True):
    """Milliseconds from the press to the durable alarm, and from there to the siren's confirmed sound.

    `background_per_s`: other messages meanwhile. `rule_us`: processor time of one evaluation of one alarm.
    `burst_*`: one press while `burst_messages` come as fast as the broker takes them, and the memory of hub and broker.
    """

    alarms: int
    background_per_s: float
    publish_to_flip_p50_ms: float
    publish_to_flip_p99_ms: float
    flip_to_siren_p50_ms: float
    flip_to_siren_p99_ms: float
    sirens_confirmed: int
    rule_us: float
    burst_messages: int
    burst_per_s: float
    burst_to_flip_ms: float
    burst_drained_s: float
    burst_hub_rss_mb: float
    burst_broker_rss_mb: float


def measure(seconds: float, seed: int) -> Figures:
    """`seed` changes nothing: nothing here is random."""
    posts = int(seconds * PRESSES_PER_S)
    relay = Template(_RELAY).substitute(relay=free_port())
    more = "".join(_POST.format(at=at, zone=at % SIRENS + 1) for at in range(posts + 1)) + relay
    more += "".join(_LAKE.format(zone=zone + 1) for zone in range(SIRENS))
    with tempfile.TemporaryDirectory(prefix="zhian-bench-") as name:
        board = _board(Path(name), relay)
        try:
            with court(METERS, more) as running:
                background, waits = _press(running, posts, seconds)
                sirens = _sirens(running)
                burst = _burst(running, int(LATENCY_RATE * seconds), f"post-{posts:04d}")
        finally:
            board.stop()
    return Figures(
        alarms=len(waits),
        background_per_s=round(background, 1),
        publish_to_flip_p50_ms=round(quantile(waits, 0.50), 2),
        publish_to_flip_p99_ms=round(quantile(waits, 0.99), 2),
        flip_to_siren_p50_ms=round(quantile(sirens, 0.50), 2),
        flip_to_siren_p99_ms=round(quantile(sirens, 0.99), 2),
        sirens_confirmed=len(sirens),
        rule_us=round(_rule_us(), 3),
        **burst,
    )


def _board(folder: Path, relay: str) -> Process:
    """The relay board, listening."""
    site = folder / "relay.toml"
    site.write_text(_OTHER_END + relay, encoding="utf-8")
    return Process(zhian("simulate", str(site), "--data", str(folder)), folder / "board.log")


def _press(running: Court, posts: int, seconds: float) -> tuple[float, list[float]]:
    """The rate of other messages, and ms from each press to its durable alarm."""
    blast = Blast(running.port, running.password, running.meters)
    line = connect(running.port, "presser", running.password)
    pressed: dict[str, float] = {}
    waits: list[float] = []
    seen, others, nr, began = 0, 0, 0, time.monotonic()
    while len(waits) < posts and (now := time.monotonic()) - began < seconds + SETTLE_S:
        if now >= began + others / LATENCY_RATE and now - began < seconds:
            others += len(blast.burst())
        elif nr < posts and now >= began + nr / PRESSES_PER_S:
            post, nr = f"post-{nr:04d}", nr + 1
            payload = b'{"ts":%d,"sos":"pressed"}' % Clock().now()
            pressed[f"sos/{post}"] = time.monotonic()
            line.sendall(publish(f"bench/{post}/up", payload, nr))
        else:
            time.sleep(0.0003)
        for row in running.db.execute("SELECT seq, key FROM flip WHERE seq > ? AND event = 'raised'", (seen,)):
            seen = row["seq"]
            if (left := pressed.pop(row["key"], None)) is not None:
                waits.append((time.monotonic() - left) * 1000)
    line.close()
    blast.close()
    return others / seconds, waits


def _burst(running: Court, messages: int, post: str) -> dict[str, Any]:  # Any: fields of Figures
    """Everything at once, and in the midst of it somebody presses."""
    blast = Blast(running.port, running.password, running.meters)
    line = connect(running.port, "presser", running.password)
    first, sent, began = running.durable(), 0, time.monotonic()
    while sent < messages // 2:
        sent += len(blast.burst())
    line.sendall(publish(f"bench/{post}/up", b'{"ts":%d,"sos":"pressed"}' % Clock().now(), 1))
    pressed, waited = time.monotonic(), float("inf")
    while sent < messages or (waited == float("inf") and time.monotonic() - pressed < SETTLE_S):
        if sent < messages:
            sent += len(blast.burst())
        if waited == float("inf") and running.db.execute(_RAISED, (f"sos/{post}",)).fetchone()[0]:
            waited = (time.monotonic() - pressed) * 1000
    spent = time.monotonic() - began
    memory = (running.field.rss_mb(), running.broker.rss_mb())
    drained(running, first + sent * QUANTITIES + 1)
    blast.close()
    line.close()
    return {
        "burst_messages": sent,
        "burst_per_s": round(sent / spent, 1),
        "burst_to_flip_ms": round(waited, 1),
        "burst_drained_s": round(time.monotonic() - began, 2),
        "burst_hub_rss_mb": round(max(memory[0], running.field.rss_mb()), 1),
        "burst_broker_rss_mb": round(max(memory[1], running.broker.rss_mb()), 1),
    }


_RAISED = "SELECT count(*) FROM flip WHERE key = ? AND event = 'raised'"


def _sirens(running: Court) -> list[float]:
    """Ms from each alarm to the relay board's own word that its siren sounds; alarms and orders come in one order."""
    deadline = time.monotonic() + SETTLE_S
    while time.monotonic() < deadline and running.db.execute(_OPEN_ORDERS).fetchone()[0]:
        time.sleep(0.05)
    raised = [row[0] for row in running.db.execute("SELECT at FROM flip WHERE event = 'raised' ORDER BY seq")]
    orders = running.db.execute("SELECT ended, state FROM orders WHERE kind = 'command' ORDER BY id").fetchall()
    return [
        float(order["ended"] - at) for at, order in zip(raised, orders, strict=False) if order["state"] == "confirmed"
    ]


_OPEN_ORDERS = "SELECT count(*) FROM orders WHERE ended IS NULL"


def _rule_us() -> float:
    """One evaluation of one alarm: question, filter and operator, over all alarms of the demo's site."""
    with tempfile.TemporaryDirectory(prefix="zhian-bench-") as folder:
        path = Path(folder) / "site.toml"
        text = DEMO.read_text(encoding="utf-8")
        path.write_text(Template(text).substitute(data=folder, broker=1883, relay=502), encoding="utf-8")
        site = load_site(path)
        now = Clock().now()
        alarms = list(Bound(site, load_rules(site, path), now).instances.values())
    rounds = []
    for step in range(50):
        began = time.process_time()
        for alarm in alarms:
            alarm.evaluate(now + step)
        rounds.append((time.process_time() - began) / len(alarms))
    return min(rounds) * 1e6
