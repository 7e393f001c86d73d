"""History in InfluxDB: written in line protocol (v2 API, or /write for 1.x servers), asked in InfluxQL over /query.

One synchronous request a batch: the client's own batching loses data silently. The cursor stays in the journal: the
same row sent twice overwrites itself. A point that the server will never take goes to `refused`, the rest is stored.
"""

import gzip
import heapq
import threading
from collections.abc import Collection, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, TypeAlias
from urllib.parse import urlencode

import msgspec
import urllib3
from influxdb_client.client.exceptions import InfluxDBError
from influxdb_client.client.influxdb_client import InfluxDBClient
from influxdb_client.client.write_api import SYNCHRONOUS
from influxdb_client.domain.write_precision import WritePrecision

from hub.batches import Batch, Damaged, Row, sound
from hub.history.cadence import covered
from hub.history.lines import NS, Unspeakable, identifier, line, literal
from hub.history.store import Bucket, Figure, Grain, Refused, Said, Sample, StoreError, bucket_width, by_energy

TIMEOUT_S = 10.0
PAGE = 5_000  # rows a question: several questions are open at once while a device's quantities are merged
PROBE = "zhian_probe"
_NS: Any = WritePrecision.NS  # Any: the library declares its own constants as plain texts

_Points: TypeAlias = list[tuple[Row, str]]


class _Series(msgspec.Struct):
    name: str = ""
    columns: list[str] = []
    values: list[list[Any]] = []  # Any: numbers, texts and nulls, as the columns say


class _Result(msgspec.Struct):
    series: list[_Series] = []
    error: str = ""


class _Answer(msgspec.Struct):
    results: list[_Result] = []
    error: str = ""


class _Rejected(Exception):
    """The server says that these points are wrong (400, 422) or too many (413)."""


class InfluxStore:
    """A HistoryStore on an InfluxDB server. `token` is "user:password" for a 1.x server that wants one."""

    def __init__(self, url: str, org: str, bucket: str, token: str, *, site: str, refused: Refused) -> None:
        """Nothing is asked yet: the server may be down."""
        self._url, self._org, self._bucket, self._site, self._refused = url.rstrip("/"), org, bucket, site, refused
        headers = _authorization(token)
        self._http = urllib3.PoolManager(timeout=TIMEOUT_S, retries=False, headers=headers, maxsize=4)
        self._client = InfluxDBClient(self._url, token=token, org=org, enable_gzip=True, timeout=int(TIMEOUT_S * 1000))
        self._writer = self._client.write_api(write_options=SYNCHRONOUS)
        self._knowing = threading.Lock()
        self._generation = 0

    def cursor(self) -> None:
        """Not held here."""

    def rewind(self, seq: int) -> None:
        """Nothing to do: the journal's note is the only cursor."""

    def append(self, rows: Sequence[Row], cursor: int) -> None:
        """Every row stored, or told to `refused`. Raises StoreError when the server takes nothing now."""
        points: _Points = []
        for row in rows:
            try:
                points.append((row, line(row, self._site)))
            except Unspeakable as error:
                self._refused(row, str(error))
        if points:
            self._deliver(points, doubted=False)

    def add(self, rows: Sequence[Row]) -> None:
        """As HistoryStore says."""
        self.append(rows, 0)

    def append_batches(self, batches: Sequence[Batch], after: int) -> list[Damaged]:
        """As HistoryStore says."""
        rows, bad = sound(batches, after)
        self.append(rows, batches[-1].last)
        return bad

    def series(self, device: str, quantity: str, since_ms: int, until_ms: int, points: int) -> list[Bucket]:
        """As HistoryStore says."""
        return self._buckets(device, quantity, since_ms, until_ms, bucket_width(since_ms, until_ms, points))

    def figures(self, device: str, quantity: str, since_ms: int, until_ms: int, step_ms: int) -> list[Figure]:
        """As HistoryStore says, from every reading: nothing coarser is kept here."""
        begin, end = -(-since_ms // step_ms) * step_ms, -(-until_ms // step_ms) * step_ms
        where = f"{self._where(device, begin, end)} AND quality <> 'retained'"
        gaps = f"SELECT elapsed(value, 1ms) AS gap FROM {identifier(quantity)} WHERE {where}"  # noqa: S608  # quoted
        found = self._ask(f"SELECT median(gap) FROM ({gaps})")  # noqa: S608  # made above
        cadence = next((float(values[1]) for series in found for values in series.values), float(step_ms))
        return covered(self._buckets(device, quantity, begin, end, step_ms), step_ms, cadence)

    def _buckets(self, device: str, quantity: str, since_ms: int, until_ms: int, width: int) -> list[Bucket]:
        where = f"{self._where(device, since_ms, until_ms)} AND quality <> 'retained'"
        source, mean = f"{identifier(quantity)} WHERE {where}", "mean(value)"
        if by_energy(quantity):
            span = f"time >= {since_ms * NS} AND time < {until_ms * NS}"
            source = f"(SELECT value, pow(10, value / 10) AS energy FROM {source}) WHERE {span}"  # noqa: S608  # quoted above
            mean = "10 * log10(mean(energy))"
        found = self._ask(
            f"SELECT min(value), {mean}, max(value), count(value) FROM {source} "  # noqa: S608  # quoted by `identifier`
            f"GROUP BY time({width}ms, {since_ms % width}ms) fill(none)"
        )
        return [_bucket(values) for series in found for values in series.values]

    def samples(self, device: str, quantity: str, since_ms: int, until_ms: int) -> Iterator[list[Sample]]:
        """As HistoryStore says."""
        for page in self._field("value", device, quantity, since_ms, until_ms):
            yield [(at, float(value)) for at, value in page]

    def states(self, device: str, quantity: str, since_ms: int, until_ms: int) -> Iterator[list[Said]]:
        """As HistoryStore says."""
        for page in self._field("text", device, quantity, since_ms, until_ms):
            yield [(at, str(value)) for at, value in page]

    def last_before(self, device: str, quantity: str, before_ms: int) -> Sample | Said | None:
        """As HistoryStore says."""
        where = f"{self._where(device, 0, before_ms)} AND quality <> 'retained'"
        found = self._ask(f"SELECT value, text FROM {identifier(quantity)} WHERE {where} ORDER BY time DESC LIMIT 1")  # noqa: S608
        for time_ns, number, text in (values for series in found for values in series.values):
            return (int(time_ns) // NS, float(number)) if text is None else (int(time_ns) // NS, str(text))
        return None

    def _field(
        self, field: str, device: str, quantity: str, since_ms: int, until_ms: int
    ) -> Iterator[list[tuple[int, Any]]]:  # Any: a number or a text, as the field
        after = since_ms * NS - 1
        while True:
            where = f"{self._where(device, since_ms, until_ms)} AND time > {after} AND quality <> 'retained'"
            found = self._ask(f"SELECT {field} FROM {identifier(quantity)} WHERE {where} ORDER BY time LIMIT {PAGE}")  # noqa: S608
            page = [values for series in found for values in series.values]
            if page:
                yield [(int(time_ns) // NS, value) for time_ns, value in page]
            if len(page) < PAGE:
                return
            after = int(page[-1][0])

    def events(self, device: str, quantity: str, since_ms: int, until_ms: int, limit: int) -> list[Row]:
        """As HistoryStore says."""
        where = self._where(device, since_ms, until_ms)
        found = self._ask(f"SELECT * FROM {identifier(quantity)} WHERE {where} ORDER BY time DESC LIMIT {int(limit)}")  # noqa: S608
        return [row for series in found for row in _rows(series)]

    def readings(self, device: str, since_ms: int, until_ms: int) -> Iterator[Row]:
        """As HistoryStore says."""
        found = self._ask(f"SHOW MEASUREMENTS WHERE device = {literal(device)} AND site = {literal(self._site)}")
        names = [str(values[0]) for series in found for values in series.values]
        pages = [self._pages(name, device, since_ms, until_ms) for name in names]
        return heapq.merge(*pages, key=lambda row: (row.ts, row.seq))

    def devices(self) -> list[str]:
        """As HistoryStore says."""
        found = self._ask(f"SHOW TAG VALUES WITH KEY = device WHERE site = {literal(self._site)}")
        return sorted({str(values[1]) for series in found for values in series.values})

    def latest_ts(self) -> int | None:
        """As HistoryStore says."""
        found = self._ask(f"SELECT last(seq) FROM /.*/ WHERE site = {literal(self._site)}")  # noqa: S608  # quoted
        return max((int(series.values[0][0]) // NS for series in found), default=None)

    def count(self) -> int:
        """As HistoryStore says."""
        found = self._ask(f"SELECT count(seq) FROM /.*/ WHERE site = {literal(self._site)}")  # noqa: S608  # quoted
        return sum(int(series.values[0][1]) for series in found)

    def forget(self, quantities: Collection[str], before_ms: int, grain: Grain = Grain.RAW) -> int:
        """Delete on the server, which drops the bytes when it next compacts. No grain but readings is kept here."""
        gone = 0
        if grain is not Grain.RAW:
            return gone
        for quantity in sorted(quantities):
            where = f"site = {literal(self._site)} AND time < {before_ms * NS}"
            found = self._ask(f"SELECT count(seq) FROM {identifier(quantity)} WHERE {where}")  # noqa: S608  # quoted
            count = sum(int(series.values[0][1]) for series in found)
            if count:
                self._delete(quantity, where, before_ms)
            gone += count
        return gone

    def close(self) -> None:
        """Close the connections."""
        self._client.close()  # type: ignore[no-untyped-call]  # the library is partly typed
        self._http.clear()

    def _deliver(self, points: _Points, *, doubted: bool) -> None:
        """Store all of them; halve what is rejected until the wrong ones stand alone."""
        try:
            self._post([text for _, text in points])
        except _Rejected as error:
            if not doubted:
                self._prove_sane(str(error))
            if len(points) == 1:
                self._refused(points[0][0], str(error))
                return
            half = len(points) // 2
            self._deliver(points[:half], doubted=True)
            self._deliver(points[half:], doubted=True)

    def _prove_sane(self, words: str) -> None:
        """A server that rejects even a plain point is wrong, not our rows: none of them may be given up for it."""
        try:
            self._post([f"{PROBE},site=probe value=1 0"])
        except _Rejected as error:
            raise StoreError(f"{self._url}: takes no points at all: {words}") from error

    def _post(self, lines: list[str]) -> None:
        """One request. Raises _Rejected or StoreError."""
        body = "\n".join(lines).encode()
        if self._major() == 1:
            self._post_v1(body)
            return
        try:
            self._writer.write(self._bucket, self._org, body, write_precision=_NS)
        except InfluxDBError as error:
            raise self._judged(error.response.status if error.response else 0, str(error.message)) from error
        except urllib3.exceptions.HTTPError as error:
            raise StoreError(f"{self._url}: does not answer: {error}") from error

    def _post_v1(self, body: bytes) -> None:
        answer = self._send(
            "POST",
            "/write",
            {"db": self._bucket, "precision": "ns"},
            gzip.compress(body, 3),
            {"Content-Encoding": "gzip"},
        )
        if answer.status >= 300:
            raise self._judged(answer.status, _words(answer))

    def _judged(self, status: int, words: str) -> Exception:
        if status in (400, 413, 422):
            return _Rejected(words)
        self._generation = 0  # a 404 or 5xx may mean another server, or one that lost its database: look again
        return StoreError(f"{self._url}: {status}: {words}")

    def _major(self) -> int:
        """The server's generation, 1 or more; a 1.x server is told to make the database."""
        with self._knowing:
            if self._generation == 0:
                answer = self._send("GET", "/ping", {})
                if answer.status >= 300:
                    raise StoreError(f"{self._url}: {answer.status}: {_words(answer)}")
                told = answer.headers.get("X-Influxdb-Version", "2").lstrip("v").split(".")[0]
                generation = int(told) if told.isdigit() else 2
                if generation == 1:
                    self._send("POST", "/query", {"q": f"CREATE DATABASE {identifier(self._bucket)}"})
                self._generation = generation
            return self._generation

    def _ask(self, question: str, method: str = "GET") -> list[_Series]:
        self._major()
        answer = self._send(method, "/query", {"db": self._bucket, "epoch": "ns", "q": question})
        try:
            told = msgspec.json.decode(answer.data, type=_Answer)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise StoreError(f"{self._url}: {answer.status}: {_words(answer)}") from error
        errors = [result.error for result in told.results if result.error]
        if answer.status >= 300 or told.error or errors:
            raise StoreError(f"{self._url}: {answer.status}: {told.error or ' '.join(errors)}")
        return [series for result in told.results for series in result.series]

    def _send(
        self, method: str, path: str, fields: dict[str, str], body: bytes = b"", headers: dict[str, str] | None = None
    ) -> urllib3.BaseHTTPResponse:
        url = f"{self._url}{path}?{urlencode(fields)}"
        try:
            return self._http.request(method, url, body=body or None, headers={**self._http.headers, **(headers or {})})
        except urllib3.exceptions.HTTPError as error:
            raise StoreError(f"{self._url}: does not answer: {error}") from error

    def _delete(self, quantity: str, where: str, before_ms: int) -> None:
        if self._major() == 1:
            self._ask(f"DELETE FROM {identifier(quantity)} WHERE {where}", method="POST")  # noqa: S608  # quoted
            return
        until = datetime.fromtimestamp(before_ms / 1000, UTC)
        predicate = f'_measurement="{quantity}" AND site="{self._site}"'
        try:
            self._client.delete_api().delete(
                datetime(1970, 1, 1, tzinfo=UTC), until, predicate, self._bucket, self._org
            )
        except (InfluxDBError, urllib3.exceptions.HTTPError) as error:
            raise StoreError(f"{self._url}: cannot delete: {error}") from error

    def _where(self, device: str, since_ms: int, until_ms: int) -> str:
        names = f"device = {literal(device)} AND site = {literal(self._site)}"
        return f"{names} AND time >= {since_ms * NS} AND time < {until_ms * NS}"

    def _pages(self, quantity: str, device: str, since_ms: int, until_ms: int) -> Iterator[Row]:
        after = since_ms * NS - 1
        while True:
            where = f"{self._where(device, since_ms, until_ms)} AND time > {after}"
            found = self._ask(f"SELECT * FROM {identifier(quantity)} WHERE {where} ORDER BY time LIMIT {PAGE}")  # noqa: S608
            for series in found:
                yield from _rows(series)
            if sum(len(series.values) for series in found) < PAGE:
                return
            after = int(found[-1].values[-1][0])


def _authorization(token: str) -> dict[str, str]:
    if ":" in token:
        return dict(urllib3.make_headers(basic_auth=token))
    return {"Authorization": f"Token {token}"} if token else {}


def _words(answer: urllib3.BaseHTTPResponse) -> str:
    return answer.data.decode("utf-8", "replace").strip()[:500]


def _bucket(values: list[Any]) -> Bucket:  # Any: as the question's columns say
    time_ns, low, mean, high, count = values
    return Bucket(int(time_ns) // NS, float(low), min(max(low, mean), high), float(high), int(count))


def _rows(series: _Series) -> Iterator[Row]:
    for values in series.values:
        found = dict(zip(series.columns, values, strict=True))
        value = found.get("value")
        yield Row(
            seq=found["seq"],
            device=found["device"],
            quantity=series.name,
            ts=found["time"] // NS,
            rx=found["rx"],
            value=found["text"] if value is None else float(value),
            quality=found["quality"],
            detail=found.get("detail"),
        )
