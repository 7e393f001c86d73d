"""How many messages a second the hub makes durable and acknowledges, and how soon; sender and broker beside it.

Throughput with a bounded number of messages under way, each counted on the disk afterwards; latency at a fixed rate;
what a message costs for ever more devices; and what two other clients receive from the same broker.
"""

import asyncio
import time
from collections import deque
from typing import Any

import msgspec

from hub.bench.blast import CHUNK, Blast
from hub.bench.court import Court, court
from hub.bench.path import stages
from hub.bench.receivers import rates
from hub.clock import Clock
from hub.journal import batches

SECONDS = 60.0
DEVICES = 1000
QUANTITIES = 3
WINDOW = 12_000  # messages that may be under way: a tenth of a second of what the hub takes
LATENCY_RATE = 10_000.0
DRAIN_S = 30.0
SHORT_S = 10.0  # a run shorter than this leaves out the site of 100,000 devices, which takes half a minute to build


class Figures(msgspec.Struct, frozen=True):
    """`messages_per_s`: durable and acknowledged; `lost`, `duplicates`: counted on the disk, message by message.

    `p50_ms`, `p99_ms`: publish to durable at `latency_rate`. `*_us_per_message`: processor time; `path_us`: that of the
    hub's own code alone, by number of devices. `fsyncs_per_s`: commits, each of which is one.
    """

    devices: int
    messages: int
    messages_per_s: float
    readings_per_s: float
    lost: int
    duplicates: int
    cpu_us_per_message: float
    broker_us_per_message: float
    sender_us_per_message: float
    fsyncs_per_s: float
    rss_mb: float
    latency_rate: float
    latency_reached: float
    p50_ms: float
    p99_ms: float
    path_us: dict[str, float]
    paho_messages_per_s: float
    aiomqtt_messages_per_s: float


def measure(seconds: float, seed: int) -> Figures:
    """Takes about twice `seconds`. `seed` changes nothing: nothing here is random."""
    with court(DEVICES) as running:
        blast = Blast(running.port, running.password, running.meters)
        flood = _flood(running, blast, seconds)
        lost, duplicates = _audit(running, blast)
        reached, waits = latencies(running, blast, max(1.0, seconds / 6))
        blast.close()
    with court(DEVICES) as quiet:
        quiet.field.stop()
        others = rates(quiet, max(1.0, seconds / 12))
    now = Clock().now()
    counts = (100, 1000) if seconds < SHORT_S else (100, 1000, 10_000, 100_000)
    paths = {f"{count}": round(sum(asyncio.run(stages(count, now)).values()), 2) for count in counts}
    return Figures(
        devices=DEVICES,
        lost=lost,
        duplicates=duplicates,
        latency_rate=LATENCY_RATE,
        latency_reached=round(reached, 1),
        p50_ms=round(quantile(waits, 0.50), 2),
        p99_ms=round(quantile(waits, 0.99), 2),
        path_us=paths,
        paho_messages_per_s=round(others["paho"], 1),
        aiomqtt_messages_per_s=round(others["aiomqtt"], 1),
        **flood,
    )


def _flood(running: Court, blast: Blast, seconds: float) -> dict[str, Any]:  # Any: fields of Figures
    """Send as fast as the disk takes it, then wait until all of it is there."""
    cpu = (running.field.cpu_s(), running.broker.cpu_s(), time.process_time())
    first, commits, sent, began = running.durable(), running.batches(), 0, time.monotonic()
    while time.monotonic() - began < seconds:
        if sent - (running.durable() - first) / QUANTITIES > WINDOW:
            time.sleep(0.001)
            continue
        for _ in range(8):
            sent += len(blast.burst())
    drained(running, first + sent * QUANTITIES)
    spent = time.monotonic() - began
    done = (running.durable() - first) / QUANTITIES
    used = (running.field.cpu_s(), running.broker.cpu_s(), time.process_time())
    hub, broker, sender = (round((after - before) / done * 1e6, 2) for before, after in zip(cpu, used, strict=True))
    return {
        "messages": sent,
        "messages_per_s": round(done / spent, 1),
        "readings_per_s": round(done * QUANTITIES / spent, 1),
        "cpu_us_per_message": hub,
        "broker_us_per_message": broker,
        "sender_us_per_message": sender,
        "fsyncs_per_s": round((running.batches() - commits) / spent, 1),
        "rss_mb": round(running.field.rss_mb(), 1),
    }


def drained(running: Court, seq: int) -> None:
    """Wait until reading number `seq` is durable, or nothing comes any more."""
    last, since = running.durable(), time.monotonic()
    while (now := running.durable()) < seq and time.monotonic() - since < DRAIN_S:
        if now != last:
            last, since = now, time.monotonic()
        time.sleep(0.005)


def _audit(running: Court, blast: Blast) -> tuple[int, int]:
    """Messages that are not on the disk, and those that are there twice: by device and time stamp."""
    there = dict.fromkeys(blast.sent, 0)
    newest = dict.fromkeys(blast.sent, 0)
    twice = 0
    for row in batches.after(running.db, 0):
        if row.quantity == "laeq":
            if row.ts > newest[row.device]:
                newest[row.device] = row.ts
                there[row.device] += 1
            else:
                twice += 1
    return sum(blast.sent.values()) - sum(there.values()), twice


def latencies(running: Court, blast: Blast, seconds: float) -> tuple[float, list[float]]:
    """The rate that was kept (LATENCY_RATE was asked), and the ms from socket to commit of each message."""
    sent: dict[tuple[str, int], float] = {}
    waits: list[float] = []
    seen, began, due = running.durable(), time.monotonic(), time.monotonic()
    recent: deque[tuple[str, int]] = deque()
    count = 0
    while (now := time.monotonic()) - began < seconds or recent:
        if now - began < seconds and now >= due:
            keys = blast.burst()
            sent.update(dict.fromkeys(keys, time.monotonic()))
            recent.extend(keys)
            count += len(keys)
            due += CHUNK / LATENCY_RATE
        elif now - began > seconds + DRAIN_S:
            break
        else:
            time.sleep(0.0003)
        for row in batches.after(running.db, seen):
            seen = row.seq
            if row.quantity == "laeq" and (left := sent.pop((row.device, row.ts), None)) is not None:
                waits.append((time.monotonic() - left) * 1000)
        while recent and recent[0] not in sent:
            recent.popleft()
    return count / seconds, waits


def quantile(waits: list[float], share: float) -> float:
    """Of a list that need not be sorted."""
    return sorted(waits)[min(len(waits) - 1, int(len(waits) * share))]
