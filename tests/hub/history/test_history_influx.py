"""What is InfluxDB's own: who it is, what is sent, bad points that stand alone, a replay that overwrites.

The 1.x server is real; the v2 server is one on loopback that keeps what the client library really sends.
"""

import urllib.parse
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.history.influx import InfluxStore
from hub.history.lines import Unspeakable, line
from hub.history.store import StoreError
from hub.history.verdict import PAUSE_S, Unavailable
from hub.journal.batches import Row

if TYPE_CHECKING:
    from hub.bench.servers import Daemon
    from tests.hub.history.conftest import Refusals, V2Server

MakeRow = Callable[..., Row]
T = 1_760_000_000_000


@pytest.fixture
def influx(influxd: str, refused: "Refusals") -> Iterator[InfluxStore]:
    """A database of its own on the real server."""
    store = InfluxStore(influxd, "", f"zhian-{uuid.uuid4().hex}", "", site="zhongshan", refused=refused)
    yield store
    store.close()


def test_a_replay_overwrites_itself(influx: InfluxStore, row: MakeRow) -> None:
    """The same rows sent twice are there once: the cursor may fall back without doubling anything."""
    rows = [row(n, "granted", quantity="passage", ts=T + n // 3) for n in range(1, 50)]
    influx.append(rows, 49)
    influx.append(rows, 49)
    assert influx.count() == 49
    assert list(influx.readings("noise-1", T, T + 1000)) == rows


@pytest.mark.parametrize("wrong", [{1}, {137}, {64, 65, 300}])
def test_bad_points_are_set_apart_and_the_rest_is_stored(
    influx: InfluxStore, refused: "Refusals", row: MakeRow, wrong: set[int]
) -> None:
    """A type conflict of single points refuses the batch: they alone are quarantined, in the server's words."""
    influx._server.post([f'rssi,device=other value="written by another program" {T * 1_000_000}'])
    rows = [row(n, -70.0, quantity="rssi" if n in wrong else "laeq") for n in range(1, 301)]
    influx.append(rows, 300)
    assert {seq for seq, _ in refused} == wrong
    assert all("conflict" in words for _, words in refused)
    assert {found.seq for found in influx.readings("noise-1", T, T + 900_000)} == set(range(1, 301)) - wrong


def test_what_cannot_be_written_is_told_and_skipped(influx: InfluxStore, refused: "Refusals", row: MakeRow) -> None:
    """A row that has no line never reaches the server, and never stops its neighbours."""
    influx.append([row(1), row(2, float("nan")), row(3, device="noise\n1"), row(4, ts=2**62), row(5)], 5)
    assert [seq for seq, _ in refused] == [2, 3, 4]
    assert influx.count() == 2


def test_a_database_that_vanished_is_made_again(influx: InfluxStore, influxd: str, row: MakeRow) -> None:
    """404 is no verdict on the rows: the next attempt looks at the server anew, and stores them."""
    influx.append([row(1)], 1)
    influx._ask(f'DROP DATABASE "{influx._server.bucket}"', method="POST")
    with pytest.raises(StoreError, match="404"):
        influx.append([row(2)], 2)
    influx.append([row(2)], 2)
    assert influx.count() == 1


def test_a_server_that_is_down_is_a_store_error(refused: "Refusals", row: MakeRow) -> None:
    """Nothing is refused when nobody answers; the text names the server."""
    store = InfluxStore("http://127.0.0.1:9", "", "zhian", "", site="zhongshan", refused=refused)
    with pytest.raises(StoreError, match=r"127\.0\.0\.1:9: does not answer"):
        store.append([row(1)], 1)
    with pytest.raises(StoreError, match="does not answer"):
        store.count()
    assert refused == []
    store.close()


@pytest.fixture
def modern(v2: "V2Server", refused: "Refusals") -> Iterator[InfluxStore]:
    """A store on the v2 server."""
    store = InfluxStore(v2.url, "district", "zhian", "secret-token", site="zhongshan", refused=refused)
    yield store
    store.close()


def test_a_v2_server_gets_one_zipped_request_a_batch(v2: "V2Server", modern: InfluxStore, row: MakeRow) -> None:
    """Organisation, bucket, token and nanoseconds are said; the library's own batching is off; the mark goes along."""
    rows = [row(n) for n in range(1, 501)]
    modern.append(rows, 500)
    (sent,) = v2.sent
    assert sent.path == "/api/v2/write"
    assert sent.query == {"org": "district", "bucket": "zhian", "precision": "ns"}
    assert (sent.token, sent.zipped) == ("Token secret-token", True)
    assert sent.lines[:-1] == [line(one, "zhongshan") for one in rows]
    assert sent.lines[-1].startswith("zhian_cursor,site=zhongshan cursor=500i,")


def test_a_login_goes_as_basic(v2: "V2Server", refused: "Refusals", row: MakeRow) -> None:
    """user:password is the login of a 1.x server, and of a 2.x server's compatible API."""
    store = InfluxStore(v2.url, "district", "zhian", "zhian:secret", site="zhongshan", refused=refused)
    store.append([row(1)], 1)
    assert v2.sent[0].token == "Basic emhpYW46c2VjcmV0"
    store.close()


def test_a_server_that_is_no_influxdb_gets_nothing(v2: "V2Server", modern: InfluxStore, row: MakeRow) -> None:
    """VictoriaMetrics would take the lines and keep 0 for each text: not a word is sent to it by mistake."""
    v2.version = ""
    with pytest.raises(StoreError, match=r'history\.store = "victoriametrics"'):
        modern.append([row(1, "granted", quantity="passage")], 1)
    assert v2.sent == []


def test_a_real_victoriametrics_is_no_influxdb(victoria: str, refused: "Refusals", row: MakeRow) -> None:
    """The same with the real one."""
    store = InfluxStore(victoria, "district", "zhian", "", site="zhongshan", refused=refused)
    with pytest.raises(StoreError, match=r'history\.store = "victoriametrics"'):
        store.append([row(1)], 1)
    store.close()


def test_a_1x_server_with_passwords_wants_the_right_one(
    influx_with: Callable[[str], "Daemon"], refused: "Refusals", row: MakeRow
) -> None:
    """Wrong password: told what to check, nothing refused. The right one: written and read."""
    server = influx_with("auth-enabled = true\n")
    create = urllib.parse.quote("CREATE USER zhian WITH PASSWORD 'secret' WITH ALL PRIVILEGES")
    urllib.request.urlopen(f"{server.url}/query?q={create}", data=b"", timeout=10).close()
    wrong = InfluxStore(server.url, "", "zhian", "zhian:wrong", site="zhongshan", refused=refused)
    with pytest.raises(Unavailable, match=r"401: .*check history\.token_file") as told:
        wrong.append([row(1)], 1)
    assert told.value.pause_s == PAUSE_S
    right = InfluxStore(server.url, "", "zhian", "zhian:secret", site="zhongshan", refused=refused)
    right.append([row(1)], 1)
    assert (right.count(), right.forgot()) == (1, True)
    wrong.close()
    right.close()
    assert refused == []


@given(device=st.text(min_size=1), quantity=st.text(min_size=1), value=st.floats() | st.text(), detail=st.text())
def test_a_line_is_one_line_or_refused(device: str, quantity: str, value: float | str, detail: str) -> None:
    """No device, quantity, value or detail can end a line, begin another one, or open a comment."""
    row = Row(1, device, quantity, T, T, value, "good", detail)
    try:
        text = line(row, "zhongshan")
    except Unspeakable:
        return
    outside = text.replace("\\\\", "").replace('\\"', "").split('"')[::2]  # what stands outside of quoted texts
    if '"' not in device + quantity:
        assert not any("\n" in part or "\r" in part for part in outside)
    assert not text.startswith("#")
    assert text.endswith(f" {T * 1_000_000 + 1}")


def test_two_rows_of_one_millisecond_have_two_times(row: MakeRow) -> None:
    """ts in nanoseconds plus the sequence number, which never reaches the next millisecond."""
    first, second = line(row(7, ts=T), "s"), line(row(1_000_008, ts=T), "s")
    assert first.endswith(f" {T * 1_000_000 + 7}")
    assert second.endswith(f" {T * 1_000_000 + 8}")
