"""The HTTP side of a history server: one synchronous request a batch, InfluxQL questions, who it is and since when.

Every wait has an end, no redirect is followed, nothing is repeated by itself: the client's own batching loses data
silently. What an answer means stands in `verdict`.
"""

import gzip
import re
import threading
import zlib
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any
from urllib.parse import urlencode

import msgspec
import urllib3
from influxdb_client.client.exceptions import InfluxDBError
from influxdb_client.client.influxdb_client import InfluxDBClient
from influxdb_client.client.write_api import SYNCHRONOUS
from influxdb_client.domain.write_precision import WritePrecision

from hub.history.delivery import Answer
from hub.history.lines import identifier
from hub.history.store import StoreError
from hub.history.verdict import Unavailable, Verdict, judge, unavailable

TIMEOUT_S = 10.0
_NS: Any = WritePrecision.NS  # Any: the library declares its own constants as plain texts
_STARTED = re.compile(rb"^process_start_time_seconds\s+(\S+)", re.MULTILINE)


class Kind(StrEnum):
    """What is spoken: 1.x by /write, 2.x and 3.x by /api/v2/write, both asked by /query; VictoriaMetrics by its own."""

    ONE = "influxdb-1"
    TWO = "influxdb-2"
    VICTORIA = "victoriametrics"


class Series(msgspec.Struct):
    """One series of an InfluxQL answer."""

    name: str = ""
    columns: list[str] = []
    values: list[list[Any]] = []  # Any: numbers, texts and nulls, as the columns say


class _Result(msgspec.Struct):
    series: list[Series] = []
    error: str = ""


class _Told(msgspec.Struct):
    results: list[_Result] = []
    error: str = ""


class _Ping(msgspec.Struct):
    process_id: str = ""


class Server:
    """One server with its database. `token` is "user:password" for a 1.x server that wants one."""

    def __init__(self, url: str, org: str, bucket: str, token: str, kind: Kind | None = None) -> None:
        """Nothing is asked yet: the server may be down. Without `kind` the server itself is asked, once it answers."""
        self.url, self.bucket, self._org = url.rstrip("/"), bucket, org
        headers = _authorization(token)
        self._http = urllib3.PoolManager(timeout=TIMEOUT_S, retries=False, headers=headers, maxsize=4)
        self._client = InfluxDBClient(self.url, token=token, org=org, enable_gzip=True, timeout=int(TIMEOUT_S * 1000))
        if ":" in token or not token:  # the library would send `Token user:password`, or an empty one
            self._client.api_client.default_headers.pop("Authorization", None)
            self._client.api_client.default_headers.update(headers)
        self._writer = self._client.write_api(write_options=SYNCHRONOUS)
        self._knowing = threading.Lock()
        self._told, self._kind = kind, kind

    def post(self, lines: Sequence[str]) -> Answer:
        """One request with these lines. Raises Unavailable for every verdict that is not about them."""
        body = "\n".join(lines).encode()
        if self.kind() is Kind.ONE:
            return self._post_v1(body)
        try:
            self._writer.write(self.bucket, self._org, body, write_precision=_NS)
        except InfluxDBError as error:
            status = error.response.status if error.response else 0
            return self._answer(status, _text(error.message), error.retry_after)
        except urllib3.exceptions.HTTPError as error:
            raise self._silent(error) from error
        return Answer(Verdict.STORED)

    def ask(self, question: str, method: str = "GET") -> list[Series]:
        """An InfluxQL question's series. Raises StoreError."""
        self.kind()
        answer = self.send(method, "/query", {"db": self.bucket, "epoch": "ns", "q": question})
        try:
            told = msgspec.json.decode(answer.data, type=_Told)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise unavailable(self.url, answer.status, words_of(answer), _after(answer)) from error
        errors = [result.error for result in told.results if result.error]
        if answer.status >= 300 or told.error or errors:
            raise unavailable(self.url, answer.status, told.error or " ".join(errors), _after(answer))
        return [series for result in told.results for series in result.series]

    def kind(self) -> Kind:
        """What it speaks, asked once and after each trouble anew; a 1.x server is told to make the database."""
        with self._knowing:
            if self._kind is None:
                self._kind = self._look()
            return self._kind

    def started(self) -> str:
        """A word that changes when the server is started anew; empty where it tells none."""
        answer = self.send("GET", "/metrics", {})
        if answer.status == 200 and (found := _STARTED.search(answer.data)):
            return found[1].decode("ascii", "replace")
        answer = self.send("GET", "/ping", {})
        try:
            return msgspec.json.decode(answer.data, type=_Ping).process_id
        except (msgspec.MsgspecError, UnicodeDecodeError):
            return ""

    def send(
        self,
        method: str,
        path: str,
        fields: Mapping[str, str],
        body: bytes = b"",
        more: Mapping[str, str] | None = None,
    ) -> urllib3.BaseHTTPResponse:
        """One request, whole answer, whatever its status. Raises Unavailable when none comes in time."""
        url = f"{self.url}{path}?{urlencode(fields)}"
        headers = {**self._http.headers, **(more or {})}
        try:
            return self._http.request(method, url, body=body or None, headers=headers, redirect=False)
        except urllib3.exceptions.HTTPError as error:
            raise self._silent(error) from error

    def delete(self, measurement: str, where: Mapping[str, str], until: str) -> None:
        """The 2.x way to delete: one measurement's points with these tags, before `until` (RFC 3339). StoreError."""
        tags = "".join(f' AND {tag}="{text}"' for tag, text in where.items())
        body = {"start": "1970-01-01T00:00:00Z", "stop": until, "predicate": f'_measurement="{measurement}"{tags}'}
        fields = {"org": self._org, "bucket": self.bucket}
        json = {"Content-Type": "application/json"}
        answer = self.send("POST", "/api/v2/delete", fields, msgspec.json.encode(body), json)
        if answer.status >= 300:
            raise StoreError(f"{self.url}: cannot delete: {answer.status}: {words_of(answer)}")

    def close(self) -> None:
        """Close the connections."""
        self._client.close()  # type: ignore[no-untyped-call]  # the library is partly typed
        self._http.clear()

    def _post_v1(self, body: bytes) -> Answer:
        packed, more = gzip.compress(body, 1), {"Content-Encoding": "gzip"}
        answer = self.send("POST", "/write", {"db": self.bucket, "precision": "ns"}, packed, more)
        return self._answer(answer.status, words_of(answer), _after(answer))

    def _answer(self, status: int, words: str, retry_after: str | None) -> Answer:
        verdict = judge(status)
        if verdict in (Verdict.STORED, Verdict.POINT, Verdict.SIZE):
            return Answer(verdict, f"{status}: {words}" if words else "")
        self._kind = self._told  # it may be another server now, or one that lost its database: look again
        raise unavailable(self.url, status, words, retry_after)

    def _silent(self, error: Exception) -> Unavailable:
        self._kind = self._told
        return Unavailable(f"{self.url}: does not answer: {error}")

    def _look(self) -> Kind:
        answer = self.send("GET", "/ping", {})
        if answer.status >= 300:
            raise unavailable(self.url, answer.status, words_of(answer), _after(answer))
        version = answer.headers.get("X-Influxdb-Version", "").lstrip("v")
        if not version or "X-Server-Hostname" in answer.headers:
            # VictoriaMetrics takes the same lines, but keeps 0 where a text stood: never by mistake.
            right = 'not an InfluxDB; VictoriaMetrics wants history.store = "victoriametrics"'
            raise unavailable(self.url, 405, right)
        if not version.startswith(("0.", "1.")):
            return Kind.TWO
        made = self.send("POST", "/query", {"q": f"CREATE DATABASE {identifier(self.bucket)}"})
        if made.status >= 300:
            raise unavailable(self.url, made.status, words_of(made), _after(made))
        return Kind.ONE


def number_of(word: str) -> int:
    """A text as a number that fits into a float: for a server that keeps numbers only."""
    return zlib.crc32(word.encode())


def words_of(answer: urllib3.BaseHTTPResponse) -> str:
    """What the server said, short."""
    return _text(answer.data)


def _text(said: object) -> str:
    text = said.decode("utf-8", "replace") if isinstance(said, bytes) else str(said)
    return text.strip()[:500]


def _after(answer: urllib3.BaseHTTPResponse) -> str | None:
    return answer.headers.get("Retry-After")


def _authorization(token: str) -> dict[str, str]:
    if ":" in token:
        return dict(urllib3.make_headers(basic_auth=token))
    return {"Authorization": f"Token {token}"} if token else {}
