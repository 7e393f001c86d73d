"""How fast pages answer and how soon a change is on a screen, with 10,000 readings a second and 500 viewers.

A real broker, field and office process; viewers and a Chromium in processes of their own. Every viewer does what the
page's script does: it listens to the stream and fetches its page again when that says that something changed.
"""

import gzip
import socket
import statistics
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import IO, TypeVar, cast

import msgspec
from sqlalchemy import select
from sqlalchemy.orm import Session

from dashboard.access import sessions
from dashboard.access.headers import FILES
from dashboard.access.tables import User
from dashboard.access.users import create_user, open_office
from hub.bench import screen, viewers
from hub.bench.blast import Blast, connect, publish
from hub.bench.court import Court, Process, court
from hub.bench.ingest import QUANTITIES, quantile
from hub.clock import Clock
from hub.processes.supervisor import zhian

T = TypeVar("T")
SECONDS = 30.0
SHORT_S = 10.0  # a run shorter than this has a tenth of the viewers: opening five hundred streams takes longer than it
VIEWERS = 500
STREAMS_A_SESSION = 4
METERS = 40
READINGS_PER_S = 10_000.0
ASKS_PER_S = 10.0
PROBES_PER_S = 3.0
PRESSES_PER_S = 0.2
LAST_S = 2.0  # so long a probe may take to be on the screen
START_S = 60.0
PROBE = "probe"
SERIES = f"{PROBE}/laeq"
# The Now page is what stays open; the others are looked at.
OPEN = ["/", "/", "/", "/alarms", f"/devices/{PROBE}"]
ASKED = ["/", "/alarms", "/devices", f"/devices/{PROBE}", "/noise", "/gates"]
_PROBE = f'  [[link.device]]\n  id = "{PROBE}"\n  profile = "noise/json-mqtt"\n  zone = "yard"\n'
_POST = '  [[link.device]]\n  id = "post-{at:04d}"\n  profile = "sos/json-mqtt"\n  zone = "yard"\n'


class Figures(msgspec.Struct, frozen=True):
    """Milliseconds; `first_byte_*`: pages asked for at a steady rate, from when they were due; by page their p95.

    `refresh_*`: the viewers' own fetches, which come all at once after an alarm. `wire_to_screen_*`: from the write to
    the broker's socket to the painted frame (`screen` = chromium), values and alarms together and each alone. Memory
    and processor time are the office's; `script_kb`: all scripts together, compressed.
    """

    viewers: int
    readings_per_s: float
    pages: int
    first_byte_p50_ms: float
    first_byte_p95_ms: float
    first_byte_p95_by_page: dict[str, float]
    refreshes: int
    refresh_p50_ms: float
    refresh_p95_ms: float
    refused: int
    viewers_lost: int
    screen: str
    changes: int
    changes_unseen: int
    wire_to_screen_p50_ms: float
    wire_to_screen_p95_ms: float
    value_p95_ms: float
    alarm_p95_ms: float
    heard_mb: float
    rss_mb: float
    rss_before_mb: float
    cpu_share: float
    script_kb: float


class Part:
    """A process of the bench that takes a task, says `ready`, and tells what it saw when it is asked to end."""

    def __init__(self, module: str, task: msgspec.Struct) -> None:
        """Started, and its task given."""
        command = [sys.executable, "-m", module]
        self._child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self._in, self._out = cast("IO[bytes]", self._child.stdin), cast("IO[bytes]", self._child.stdout)
        self._in.write(msgspec.json.encode(task) + b"\n")
        self._in.flush()

    def ready(self) -> "Part":
        """Wait for it. Raises RuntimeError when it has ended instead."""
        if self._out.readline() != b"ready\n":
            raise RuntimeError("a part of the bench did not start")
        return self

    def end(self, kind: type[T]) -> T:
        """What it saw."""
        told = self._child.communicate(timeout=START_S)[0]
        return msgspec.json.decode(told, type=kind)

    def stop(self) -> None:
        """Whatever it does."""
        self._child.kill()
        self._child.communicate()


class Sender:
    """Meters at a steady rate, a probe whose value is another one each time, and help posts; in a thread of its own."""

    def __init__(self, running: Court, posts: int, seconds: float) -> None:
        """Starts to send the meters."""
        self._running, self._posts, self._seconds = running, posts, seconds
        self.probed: dict[str, float] = {}  # text of the figure, or the post's alarm: ms since 1970 when it was sent
        self.rate = 0.0
        self._go, self._end = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def probe(self) -> None:
        """Probe for `seconds`, from now."""
        self._go.set()
        self._end.wait()

    def stop(self) -> None:
        """No more."""
        self._seconds = 0.0
        self._go.set()
        self._thread.join()

    def _run(self) -> None:
        blast = Blast(self._running.port, self._running.password, self._running.meters)
        line = connect(self._running.port, "prober", self._running.password)
        sent, began, go = 0, time.monotonic(), 0.0
        values = presses = 0
        while not go or time.monotonic() - go < self._seconds:
            now = time.monotonic()
            go = go or (now if self._go.is_set() else 0.0)
            if now >= began + sent * QUANTITIES / READINGS_PER_S:
                sent += len(blast.burst())
            elif go and now >= go + values / PROBES_PER_S:
                self._note(f"{40 + values % 1000 / 10:.1f}", line, PROBE, b'"laeq":%.1f' % (40 + values % 1000 / 10))
                values += 1
            elif go and presses < self._posts and now >= go + presses / PRESSES_PER_S:
                name = f"post-{presses:04d}"
                self._note(name, line, name, b'"sos":"pressed"')
                presses += 1
            else:
                time.sleep(0.001)
        self.rate = sent * QUANTITIES / (time.monotonic() - began)
        line.close()
        blast.close()
        self._end.set()

    def _note(self, name: str, line: socket.socket, device: str, said: bytes) -> None:
        payload = b'{"ts":%d,%s}' % (Clock().now(), said)
        self.probed[name] = time.time() * 1000  # noqa: TID251  # compared with the browser's own
        line.sendall(publish(f"bench/{device}/up", payload, len(self.probed) % 60_000 + 1))


def measure(seconds: float, seed: int) -> Figures:
    """Takes about half a minute longer than `seconds`. `seed`: when each viewer looks again of its own accord."""
    people = VIEWERS if seconds >= SHORT_S else VIEWERS // 10
    posts = max(1, int(seconds * PRESSES_PER_S))
    more = _PROBE + "".join(_POST.format(at=at) for at in range(posts))
    with court(METERS, more) as running:
        tokens = _sign_in(running, people // STREAMS_A_SESSION + 1)
        with socket.create_server(("127.0.0.1", 0), backlog=1024) as listener:
            office, port = _office(running, listener), listener.getsockname()[1]
            try:
                _answers(port)
                return _measured(running, office, Sender(running, posts, seconds), port, tokens, people, seed)
            finally:
                office.stop()


def _measured(
    running: Court, office: Process, sender: Sender, port: int, tokens: list[str], people: int, seed: int
) -> Figures:
    before = office.rss_mb()
    named = ",".join([SERIES, *(f"{name}/laeq" for name in running.meters)])
    looking = viewers.Task(port=port, tokens=tokens, pages=OPEN, series=named, viewers=people - 1, slow=1, seed=seed)
    asking = viewers.Task(port=port, tokens=tokens[:1], pages=ASKED, asks_per_s=ASKS_PER_S)
    parts: list[Part] = []
    try:
        parts.append(Part("hub.bench.screen", screen.Watch(port, tokens[-1], SERIES)).ready())
        parts.append(Part("hub.bench.viewers", looking).ready())
        parts.append(Part("hub.bench.viewers", asking).ready())
        cpu, began = office.cpu_s(), time.monotonic()
        sender.probe()
        share = (office.cpu_s() - cpu) / (time.monotonic() - began)
        time.sleep(LAST_S)
        memory = office.rss_mb()
        asked, looked = parts[2].end(viewers.Seen), parts[1].end(viewers.Seen)
        painted = parts[0].end(screen.Painted)
    finally:
        sender.stop()
        for part in parts:
            part.stop()
    waits = _waits(running, sender.probed, painted)
    return _figures(people, sender, asked, looked, painted, waits, (before, memory, share))


def _figures(
    people: int,
    sender: Sender,
    asked: viewers.Seen,
    looked: viewers.Seen,
    painted: screen.Painted,
    waits: dict[str, float],
    office: tuple[float, float, float],
) -> Figures:
    pages, again = [ms for _, ms in asked.asked], [ms for _, ms in looked.refreshed]
    alarms = [ms for name, ms in waits.items() if name.startswith("post-")]
    values = [ms for name, ms in waits.items() if not name.startswith("post-")]
    by_page = {page: [ms for of, ms in asked.asked if of == page] for page in dict.fromkeys(ASKED)}
    return Figures(
        viewers=people,
        readings_per_s=round(sender.rate, 1),
        pages=len(pages),
        first_byte_p50_ms=round(statistics.median(pages), 1),
        first_byte_p95_ms=round(quantile(pages, 0.95), 1),
        first_byte_p95_by_page={page: round(quantile(some, 0.95), 1) for page, some in by_page.items() if some},
        refreshes=len(again),
        refresh_p50_ms=round(quantile(again, 0.50), 1) if again else 0.0,
        refresh_p95_ms=round(quantile(again, 0.95), 1) if again else 0.0,
        refused=asked.refused + looked.refused,
        viewers_lost=looked.lost,
        screen=painted.by,
        changes=len(sender.probed),
        changes_unseen=len(sender.probed) - len(waits),
        wire_to_screen_p50_ms=round(quantile(list(waits.values()), 0.50), 1),
        wire_to_screen_p95_ms=round(quantile(list(waits.values()), 0.95), 1),
        value_p95_ms=round(quantile(values, 0.95), 1) if values else 0.0,
        alarm_p95_ms=round(quantile(alarms, 0.95), 1) if alarms else 0.0,
        heard_mb=looked.heard_mb,
        rss_before_mb=round(office[0], 1),
        rss_mb=round(office[1], 1),
        cpu_share=round(office[2], 2),
        script_kb=round(script_kb(), 1),
    )


def _waits(running: Court, probed: dict[str, float], painted: screen.Painted) -> dict[str, float]:
    """Ms from the wire to the screen of each change that was seen; an alarm's card carries its occurrence's number.

    Values are put together under way: one that was never painted was seen when a later one was.
    """
    rows = running.db.execute("SELECT id, source FROM occurrence WHERE rule = 'sos' ORDER BY id DESC")
    cards = {f"need-{row['id']}": row["source"] for row in rows}
    seen = {cards.get(name, name): at for name, at in painted.seen}
    soonest = float("inf")
    for name in reversed([name for name in probed if not name.startswith("post-")]):
        soonest = min(soonest, seen.get(name, soonest))
        if soonest < float("inf"):
            seen[name] = soonest
    return {name: seen[name] - at for name, at in probed.items() if name in seen}


def _sign_in(running: Court, count: int) -> list[str]:
    """Sessions of one guard who is on many screens."""
    engine, now = open_office(running.data), Clock().now()
    try:
        create_user(engine, "guard", "guard", None, now)
        with Session(engine, expire_on_commit=False) as db:
            user = db.scalars(select(User)).one()
        return [sessions.begin(engine, user, "127.0.0.1", now) for _ in range(count)]
    finally:
        engine.dispose()


def _office(running: Court, listener: socket.socket) -> Process:
    """The office process behind the listening socket; plain HTTP, since nothing here leaves the machine."""
    words = ("office", str(running.path), "--data", str(running.data), "--listener", str(listener.fileno()))
    return Process(zhian(*words, "--way", "plain"), running.data.parent / "office.log", keep=(listener.fileno(),))


def _answers(port: int) -> None:
    """Wait until the office does. Raises TimeoutError."""
    with socket.create_connection(("127.0.0.1", port), timeout=START_S) as line:
        line.sendall(viewers.request("/login", "", "close"))
        if not line.recv(1):
            raise TimeoutError("the office did not start")


def script_kb() -> float:
    """All scripts that a browser may load, each compressed with gzip's default, in kB of 1,000 bytes."""
    return sum(len(gzip.compress(path.read_bytes())) for path in Path(FILES).rglob("*.js")) / 1000
