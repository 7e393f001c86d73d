"""A server that was away is caught up: the newest first, then calls for help, then the rest; nothing lost, or twice."""

import random
import subprocess
import sys
import uuid
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.history import lanes as lanes_module
from hub.history import shipper as shipper_module
from hub.history.influx import InfluxStore
from hub.history.lanes import Lane, Lanes
from hub.history.shipper import Shipper, is_call
from hub.history.store import StoreError
from hub.journal import batches
from hub.journal.batches import Row
from hub.reading import Reading
from tests.hub.history.conftest import JournalFile, SetClock

if TYPE_CHECKING:
    from tests.hub.history.conftest import V2Server

T = 1_760_000_000_000
ROOT = Path(__file__).parents[3]
HOUR = 3_600_000


class Server(InfluxStore):
    """A server as the shipper sees it: keeps a row that comes twice once, may be away, and may forget."""

    def __init__(self) -> None:
        """Empty, and nothing is asked of the network."""
        super().__init__("http://127.0.0.1:9", "", "zhian", "", site="zhongshan", refused=lambda *_: None)
        self.order: list[int] = []
        self.away = 0
        self.forgetful = False

    def append(self, rows: Sequence[Row], cursor: int) -> None:
        """In the order in which they came."""
        if self.away:
            self.away -= 1
            raise StoreError("away")
        self.order += [row.seq for row in rows]

    def forgot(self) -> bool:
        """Told once."""
        told, self.forgetful = self.forgetful, False
        return told


def fill(journal: JournalFile, count: int, calls: Sequence[int] = (), start: int = T) -> None:
    """Add readings one a batch; those whose number is in `calls` are calls for help."""
    with closing(journal.connect()) as db:
        db.execute("BEGIN")
        for n in range(count):
            number = batches.last_seq(db) + 1
            word, value = ("sos", "active") if number in calls else ("laeq", 50.0)
            reading = Reading(device="noise-1", quantity=word, value=value, ts=start + n * 1000, rx=start + n * 1000)
            batches.add(db, number, [reading])
        db.execute("COMMIT")


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages of ten rows, looks back of thirty."""
    monkeypatch.setattr(shipper_module, "PAGE", 10)
    monkeypatch.setattr(shipper_module, "BLOCK", 30)
    monkeypatch.setattr(lanes_module, "BLOCK", 30)


def test_sos_is_a_call_and_a_sound_level_is_none() -> None:
    """As the vocabulary says what is urgent, channels of a word included."""
    assert is_call("sos")
    assert not is_call("laeq")
    assert not is_call("no-such-word")


@pytest.mark.usefixtures("small")
def test_the_newest_go_first_then_calls_then_the_rest(journal: JournalFile, clock: SetClock) -> None:
    """Of two hundred that wait: the last page, then the calls from the newest block back, then all from the oldest."""
    fill(journal, 200, calls=(5, 60, 150, 165))
    server = Server()
    shipper = Shipper(journal.path, server, clock)
    while shipper.step():
        pass
    first = [list(range(191, 201)), [165], [150], [60], [5], list(range(1, 11))]
    flat = [seq for part in first for seq in part]
    assert server.order[:10] == first[0]
    assert [seq for seq in server.order if seq in (165, 150, 60, 5)][:4] == [165, 150, 60, 5]
    assert server.order.index(5) < server.order.index(1)
    assert set(server.order[: len(flat)]) == set(flat)
    assert sorted(set(server.order)) == list(range(1, 201))
    assert journal.cursor() == 200


@pytest.mark.usefixtures("small")
def test_what_comes_meanwhile_waits_for_nothing(journal: JournalFile, clock: SetClock) -> None:
    """With a thousand behind, a reading that comes now is stored with the next step."""
    fill(journal, 1000)
    server = Server()
    shipper = Shipper(journal.path, server, clock)
    shipper.step()
    for number in range(1001, 1006):
        fill(journal, 1)
        shipper.step()
        assert number in server.order
    assert journal.cursor() is not None
    assert int(str(journal.cursor())) < 500


@pytest.mark.usefixtures("small")
def test_a_short_wait_needs_no_lanes(journal: JournalFile, clock: SetClock) -> None:
    """Up to two pages: oldest first, each row sent once."""
    fill(journal, 20)
    server = Server()
    shipper = Shipper(journal.path, server, clock)
    while shipper.step():
        pass
    assert server.order == list(range(1, 21))


@pytest.mark.usefixtures("small")
def test_what_overtook_is_sent_again_in_its_turn_and_nothing_else(journal: JournalFile, clock: SetClock) -> None:
    """Undisturbed, a backlog costs its own rows, and the newest page and the calls in it once more."""
    fill(journal, 300, calls=(7, 8, 9))
    server = Server()
    shipper = Shipper(journal.path, server, clock)
    while shipper.step():
        pass
    assert len(server.order) == 300 + 10 + 3
    turn = [seq for at, seq in enumerate(server.order) if seq not in server.order[at + 1 :]]
    assert turn == list(range(1, 301))


@given(
    low=st.integers(0, 500), more=st.integers(0, 500), page=st.integers(1, 50), arrivals=st.lists(st.integers(0, 30))
)
def test_the_lanes_always_come_to_an_end(low: int, more: int, page: int, arrivals: list[int]) -> None:
    """Together the spans reach the end, and `low` never claims what is not stored."""
    last = low + more
    lanes, stored = Lanes.begin(low, last, page), set(range(1, low + 1))
    for steps in range(10_000):
        last += arrivals[steps] if steps < len(arrivals) else 0
        if lanes.low == last and not lanes.apart:
            break
        for span in lanes.spans(last):
            end = min(span.upto, span.after + page) if span.lane is not Lane.CALLS else span.upto
            if span.lane is Lane.REST:
                stored |= set(range(span.after + 1, end + 1))
            lanes = lanes.after(span, end)
            assert set(range(1, lanes.low + 1)) <= stored
    assert lanes.low == last
    assert stored == set(range(1, last + 1))


EVENTS = st.one_of(
    st.tuples(st.just("arrive"), st.integers(1, 60)),
    st.tuples(st.just("step"), st.integers(1, 4)),
    st.tuples(st.just("away"), st.integers(1, 3)),
    st.tuples(st.just("forgets"), st.integers(1, 50)),
    st.tuples(st.just("dies"), st.just(0)),
    st.tuples(st.just("later"), st.integers(1, 90)),
)


@settings(max_examples=40)
@given(events=st.lists(EVENTS, max_size=30))
def test_whatever_happens_every_reading_is_there_once(
    tmp_path_factory: pytest.TempPathFactory, events: list[tuple[str, int]]
) -> None:
    """Rows arrive, the server is away or forgets its newest rows, the shipper dies: in the end all are there."""
    journal, clock = JournalFile(tmp_path_factory.mktemp("lanes") / "journal.sqlite"), SetClock()
    server = Server()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shipper_module, "PAGE", 10)
        patch.setattr(lanes_module, "BLOCK", 30)
        shipper = Shipper(journal.path, server, clock)
        count = 0
        for what, n in events:
            match what:
                case "arrive":
                    fill(journal, n, calls=(count + 3,), start=clock.at)
                    count += n
                case "step":
                    _steps(shipper, n)
                case "away":
                    server.away = n
                case "forgets":
                    server.order, server.forgetful = server.order[:-n], True
                case "dies":
                    shipper = Shipper(journal.path, server, clock)
                case "later":
                    clock.at += n * 1000  # the hour of the notes is not over
        server.away = 0
        for _ in range(200):
            if not shipper.step() and journal.cursor() == count:
                break
    assert sorted(set(server.order)) == list(range(1, count + 1))
    assert (journal.cursor() or 0) == count


def _steps(shipper: Shipper, count: int) -> None:
    for _ in range(count):
        try:
            shipper.step()
        except StoreError:
            return


def test_a_day_without_the_server_on_the_wire(v2: "V2Server", tmp_path: Path, clock: SetClock) -> None:
    """Through the client library to a server that keeps points: 60,000 waited and are there once, calls first."""
    journal = JournalFile(tmp_path / "journal.sqlite")
    with closing(journal.connect()) as db:
        db.execute("BEGIN")
        for at in range(0, 60_000, 500):
            rows = [
                Reading(device="noise-1", quantity="laeq", value=50.0, ts=T + n, rx=T + n) for n in range(at, at + 499)
            ]
            call = Reading(device="post-1", quantity="sos", value="active", ts=T + at + 499, rx=T + at + 499)
            batches.add(db, at + 1, [*rows, call])
        db.execute("COMMIT")
    store = InfluxStore(v2.url, "district", "zhian", "secret", site="zhongshan", refused=lambda *_: None)
    shipper = Shipper(journal.path, store, clock)
    shipper.step()
    assert sum('text="active"' in head for head in v2.points.values()) == 120
    while shipper.step():
        pass
    assert v2.stored() == list(range(1, 60_001))
    store.close()


CHILD = """
import sys
from pathlib import Path
from hub.clock import Clock
from hub.history import lanes, shipper
from hub.history.influx import InfluxStore
shipper.PAGE = 300
lanes.BLOCK = shipper.BLOCK = 900
store = InfluxStore(sys.argv[2], "", sys.argv[3], "", site="zhongshan", refused=lambda *_: None)
carrier = shipper.Shipper(Path(sys.argv[1]), store, Clock())
carrier.step()
print("carrying", flush=True)
while carrier.step():
    pass
"""


def test_kill_9_in_the_middle_of_the_lanes(influxd: str, journal: JournalFile, clock: SetClock) -> None:
    """A carrying process is killed at any instant, four times: on a real server each row is there once at the end."""
    fill(journal, 20_000, calls=range(13, 20_000, 1300))
    database, seeded = f"zhian-{uuid.uuid4().hex}", random.Random(7)
    for _ in range(4):
        command = [sys.executable, "-c", CHILD, str(journal.path), influxd, database]
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as child:
            assert child.stdout is not None
            assert child.stdout.readline() == b"carrying\n"
            with pytest.raises(subprocess.TimeoutExpired):
                child.wait(seeded.uniform(0.02, 0.2))
            child.kill()
    store = InfluxStore(influxd, "", database, "", site="zhongshan", refused=lambda *_: None)
    assert 0 < store.count() < 20_000
    carrier = Shipper(journal.path, store, clock)
    while carrier.step():
        pass
    assert [row.seq for row in store.readings("noise-1", 0, 2 * T)] == list(range(1, 20_001))
    store.close()
