"""What is InfluxDB's own: bad points stand alone, a mad server takes nothing away, a replay overwrites.

The 1.x server is real; the v2 write endpoint is a small HTTP server that keeps what the client library really sends.
"""

import gzip
import threading
import urllib.parse
import uuid
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.batches import Row
from hub.history.influx import InfluxStore
from hub.history.lines import Unspeakable, line
from hub.history.store import StoreError

MakeRow = Callable[..., Row]
T = 1_760_000_000_000


class Refusals(list[tuple[int, str]]):
    """Collects what a store refused: seq and the server's words."""

    def __call__(self, row: Row, words: str) -> None:
        """One row."""
        self.append((row.seq, words))


@pytest.fixture
def refused() -> Refusals:
    """Empty."""
    return Refusals()


@pytest.fixture
def influx(influxd: str, refused: Refusals) -> Iterator[InfluxStore]:
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
    influx: InfluxStore, refused: Refusals, row: MakeRow, wrong: set[int]
) -> None:
    """A type conflict of single points refuses the batch: they alone are quarantined, in the server's words."""
    influx._post([f'rssi,device=other value="written by another program" {T * 1_000_000}'])
    rows = [row(n, -70.0, quantity="rssi" if n in wrong else "laeq") for n in range(1, 301)]
    influx.append(rows, 300)
    assert {seq for seq, _ in refused} == wrong
    assert all("conflict" in words for _, words in refused)
    assert {found.seq for found in influx.readings("noise-1", T, T + 900_000)} == set(range(1, 301)) - wrong


def test_what_cannot_be_written_is_told_and_skipped(influx: InfluxStore, refused: Refusals, row: MakeRow) -> None:
    """A row that has no line never reaches the server, and never stops its neighbours."""
    influx.append([row(1), row(2, float("nan")), row(3, device="noise\n1"), row(4, ts=2**62), row(5)], 5)
    assert [seq for seq, _ in refused] == [2, 3, 4]
    assert influx.count() == 2


def test_a_database_that_vanished_is_made_again(influx: InfluxStore, influxd: str, row: MakeRow) -> None:
    """404 is no verdict on the rows: the next attempt looks at the server anew, and stores them."""
    influx.append([row(1)], 1)
    influx._ask(f'DROP DATABASE "{influx._bucket}"', method="POST")
    with pytest.raises(StoreError, match="404"):
        influx.append([row(2)], 2)
    influx.append([row(2)], 2)
    assert influx.count() == 1


def test_a_server_that_is_down_is_a_store_error(refused: Refusals, row: MakeRow) -> None:
    """Nothing is refused when nobody answers; the text names the server."""
    store = InfluxStore("http://127.0.0.1:9", "", "zhian", "", site="zhongshan", refused=refused)
    with pytest.raises(StoreError, match=r"127\.0\.0\.1:9: does not answer"):
        store.append([row(1)], 1)
    with pytest.raises(StoreError, match="does not answer"):
        store.count()
    assert refused == []
    store.close()


class Sent:
    """One write as the v2 server got it."""

    def __init__(self, path: str, headers: dict[str, str], body: bytes) -> None:
        """Unpacks what was sent."""
        parts = urllib.parse.urlsplit(path)
        self.path = parts.path
        self.query = dict(urllib.parse.parse_qsl(parts.query))
        self.token = headers.get("Authorization", "")
        self.zipped = headers.get("Content-Encoding") == "gzip"
        self.lines = (gzip.decompress(body) if self.zipped else body).decode().split("\n")


class V2:
    """A v2 server's write endpoint: `judge` says status and words for each write."""

    def __init__(self) -> None:
        """Accepts everything until told otherwise."""
        self.sent: list[Sent] = []
        self.judge: Callable[[list[str]], tuple[int, str]] = lambda _: (204, "")
        owner = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._answer(204, "")

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                sent = Sent(self.path, dict(self.headers), body)
                owner.sent.append(sent)
                self._answer(*owner.judge(sent.lines))

            def _answer(self, status: int, words: str) -> None:
                body = f'{{"code": "said", "message": "{words}"}}'.encode() if words else b""
                self.send_response(status)
                self.send_header("X-Influxdb-Version", "v2.7.1")
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Quiet."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def close(self) -> None:
        """Stop."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def v2() -> Iterator[V2]:
    """On a free port."""
    server = V2()
    yield server
    server.close()


@pytest.fixture
def modern(v2: V2, refused: Refusals) -> Iterator[InfluxStore]:
    """A store on the v2 server."""
    store = InfluxStore(v2.url, "district", "zhian", "secret-token", site="zhongshan", refused=refused)
    yield store
    store.close()


def test_a_v2_server_gets_one_zipped_request_a_batch(v2: V2, modern: InfluxStore, row: MakeRow) -> None:
    """Organisation, bucket, token and nanoseconds are said; the library's own batching is off."""
    rows = [row(n) for n in range(1, 501)]
    modern.append(rows, 500)
    (sent,) = v2.sent
    assert sent.path == "/api/v2/write"
    assert sent.query == {"org": "district", "bucket": "zhian", "precision": "ns"}
    assert (sent.token, sent.zipped) == ("Token secret-token", True)
    assert sent.lines == [line(one, "zhongshan") for one in rows]


def test_a_v2_server_that_refuses_a_point_gets_the_others(
    v2: V2, modern: InfluxStore, refused: Refusals, row: MakeRow
) -> None:
    """400 is halved down to the point, as on 1.x."""
    v2.judge = lambda lines: (400, "wrong type") if any("seq=77i" in one for one in lines) else (204, "")
    modern.append([row(n) for n in range(1, 101)], 100)
    assert [seq for seq, _ in refused] == [77]
    assert "wrong type" in refused[0][1]


@pytest.mark.parametrize("status", [400, 413, 422])
def test_a_server_that_refuses_everything_takes_nothing_away(
    v2: V2, modern: InfluxStore, refused: Refusals, row: MakeRow, status: int
) -> None:
    """When even a plain point is rejected the server is wrong: no row is given up, and it is tried again later."""
    v2.judge = lambda _: (status, "go away")
    with pytest.raises(StoreError, match="takes no points at all"):
        modern.append([row(n) for n in range(1, 101)], 100)
    assert refused == []
    assert len(v2.sent) == 2


@pytest.mark.parametrize("status", [401, 403, 404, 429, 500, 503])
def test_any_other_answer_is_tried_again_later(
    v2: V2, modern: InfluxStore, refused: Refusals, row: MakeRow, status: int
) -> None:
    """No verdict on the points: StoreError with status and words, one request, nothing refused."""
    v2.judge = lambda _: (status, "not now")
    with pytest.raises(StoreError, match=f"{status}: not now"):
        modern.append([row(1)], 1)
    assert refused == []
    assert len(v2.sent) == 1


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
