"""What a VictoriaMetrics server is asked, by its own API: every sample of a span, and a few figures in MetricsQL.

A reading lies there as three series: `<quantity>_value`, `_seq` and `_rx`. A row that was sent twice is there twice, so
nothing is averaged or counted by the server.
"""

import math
from collections.abc import Iterable, Iterator
from itertools import pairwise
from statistics import median

import msgspec

from hub.history.marks import MARKS, Mark
from hub.history.server import Server, words_of
from hub.history.store import Bucket, Sample, by_energy
from hub.history.verdict import unavailable
from hub.journal.batches import Row
from hub.reading import UNMEASURED

_MEASURED = f'quality!~"{"|".join(sorted(UNMEASURED))}"'
PAGE_MS = 7 * 24 * 3_600_000  # a series of ten seconds has 60,000 samples in it
EARLY_S = 315_532_800
FAR_MS = 4_102_444_800_000  # the year 2100: our clock may be ahead of the server's
ANY = ".+"
NUMBERS = '__name__=~".+_seq"'


class _Line(msgspec.Struct):
    metric: dict[str, str]
    values: list[float]
    timestamps: list[int]


class _Point(msgspec.Struct):
    metric: dict[str, str]
    value: tuple[float, str]


class _Vector(msgspec.Struct):
    result: list[_Point] = []


class _Told(msgspec.Struct):
    data: _Vector = msgspec.field(default_factory=_Vector)


class _Names(msgspec.Struct):
    data: list[str] = []


_names = msgspec.json.Decoder(_Names)
_lines = msgspec.json.Decoder(_Line)
_told = msgspec.json.Decoder(_Told)


class Reader:
    """Questions to one server about one site. Every method raises StoreError when it cannot answer."""

    def __init__(self, server: Server, site: str) -> None:
        """Nothing is asked yet."""
        self._server, self._site = server, site

    def samples(self, device: str, quantity: str, since_ms: int, until_ms: int) -> Iterator[list[Sample]]:
        """Every number but replayed old ones, once, oldest first, a week at a time."""
        match = self._match(f"{quantity}_value", f"device={_quoted(device)},{_MEASURED}")
        for begin in range(since_ms, until_ms, PAGE_MS):
            found = self._export(match, begin, min(until_ms, begin + PAGE_MS))
            page = {(ts, value) for line in found for ts, value in zip(line.timestamps, line.values, strict=True)}
            if page:
                yield sorted(page)

    def rows(self, device: str, since_ms: int, until_ms: int, quantity: str = "") -> Iterator[Row]:
        """Every number as it was sent, once, oldest first."""
        names = f'__name__=~"({quantity or ANY})_(value|seq|rx)"'
        match = self._match("", f"{names},device={_quoted(device)}")
        for begin in range(since_ms, until_ms, PAGE_MS):
            found = self._export(match, begin, min(until_ms, begin + PAGE_MS))
            yield from sorted(_rows(device, found), key=lambda row: (row.ts, row.seq))

    def last(self, device: str, quantity: str, before_ms: int) -> Sample | None:
        """The newest number before an instant, replayed old ones left out."""
        match = self._match(f"{quantity}_value", f"device={_quoted(device)},{_MEASURED}")
        at = self._figure(f"max(tlast_over_time({match}{_back(before_ms)}))", before_ms - 1)
        if at is None:
            return None
        ts = round(at * 1000)
        found = [(ts, value) for line in self._export(match, ts, ts + 1) for value in line.values]
        return found[-1] if found else None

    def devices(self) -> list[str]:
        """Every device of which numbers are there."""
        fields = {"match[]": self._match("", NUMBERS), "start": _seconds(EARLY_S * 1000), "end": _seconds(FAR_MS)}
        answer = self._server.send("GET", "/api/v1/label/device/values", fields)
        try:
            if answer.status == 200:
                return _names.decode(answer.data).data
        except (msgspec.MsgspecError, UnicodeDecodeError):
            pass
        raise unavailable(self._server.url, answer.status, words_of(answer), answer.headers.get("Retry-After"))

    def latest_ts(self) -> int | None:
        """The newest `ts`."""
        at = self._figure(f"max(tlast_over_time({self._match('', NUMBERS)}{_back(FAR_MS)}))")
        return None if at is None else round(at * 1000)

    def count(self) -> int:
        """How many readings are there, each counted once by its number."""
        found = self._figure(f"sum(distinct_over_time({self._match('', NUMBERS)}{_back(FAR_MS)}))")
        return int(found or 0)

    def mark(self, since_ms: int) -> Mark | None:
        """The newest mark from an instant on."""
        if since_ms == 0:
            at = self._figure(f"max(tlast_over_time({self._match(f'{MARKS}_cursor', '')}{_back(FAR_MS)}))")
            since_ms = 0 if at is None else round(at * 1000)
        found: dict[int, dict[str, int]] = {}
        names = {f"{MARKS}_cursor": "seq", f"{MARKS}_boot": "boot"}
        for line in self._export(self._match("", f'__name__=~"{MARKS}_.+"'), since_ms, FAR_MS) if since_ms else []:
            for ts, value in zip(line.timestamps, line.values, strict=True):
                found.setdefault(ts, {"boot": 0})[names[line.metric["__name__"]]] = int(value)
        whole = [Mark(at=ts, **fields) for ts, fields in found.items() if "seq" in fields]
        return max(whole, key=lambda mark: mark.at, default=None)

    def _match(self, name: str, more: str) -> str:
        return f"{name}{{site={_quoted(self._site)}{',' if more else ''}{more}}}"

    def _export(self, match: str, since_ms: int, until_ms: int) -> list[_Line]:
        span = {"start": _seconds(since_ms), "end": _seconds(until_ms - 1)}
        answer = self._server.send("GET", "/api/v1/export", {"match[]": match, **span, "reduce_mem_usage": "1"})
        try:
            if answer.status == 200:
                return [_lines.decode(line) for line in answer.data.splitlines() if line]
        except (msgspec.MsgspecError, UnicodeDecodeError):
            pass
        raise unavailable(self._server.url, answer.status, words_of(answer), answer.headers.get("Retry-After"))

    def _figure(self, question: str, at_ms: int = FAR_MS) -> float | None:
        """One number; None where there is no data. `nocache`: else what is 30 s old at most is left out."""
        fields = {"query": question, "nocache": "1", "time": _seconds(at_ms)}
        answer = self._server.send("GET", "/api/v1/query", fields)
        try:
            if answer.status == 200:
                found = _told.decode(answer.data).data.result
                return float(found[0].value[1]) if found else None
        except (msgspec.MsgspecError, UnicodeDecodeError, ValueError):
            pass
        raise unavailable(self._server.url, answer.status, words_of(answer), answer.headers.get("Retry-After"))


def buckets(samples: Iterable[Sample], quantity: str, since_ms: int, width: int) -> list[Bucket]:
    """Samples, oldest first, as buckets of `width` ms counted from `since_ms`; sound levels averaged by energy."""
    slots: dict[int, list[float]] = {}
    for ts, value in samples:
        slots.setdefault((ts - since_ms) // width, []).append(value)
    mean = _energy_mean if by_energy(quantity) else _mean
    return [
        Bucket(
            since_ms + slot * width, min(found), min(max(mean(found), min(found)), max(found)), max(found), len(found)
        )
        for slot, found in sorted(slots.items())
    ]


def cadence(samples: list[Sample], otherwise: float) -> float:
    """The median time in ms between two readings."""
    gaps = [b[0] - a[0] for a, b in pairwise(samples)]
    return float(median(gaps)) if gaps else otherwise


def _mean(values: list[float]) -> float:
    return math.fsum(values) / len(values)


def _energy_mean(values: list[float]) -> float:
    return 10 * math.log10(math.fsum(10 ** (value / 10) for value in values) / len(values))


def _rows(device: str, lines: Iterable[_Line]) -> Iterator[Row]:
    """Value, number and receipt of the same series and instant, put together; what is there twice comes once."""
    fields: dict[tuple[str, str, int], dict[str, dict[float, None]]] = {}
    for line in lines:
        quantity, _, field = line.metric["__name__"].rpartition("_")
        quality = line.metric.get("quality", "good")
        for ts, value in zip(line.timestamps, line.values, strict=True):
            fields.setdefault((quantity, quality, ts), {}).setdefault(field, {})[value] = None
    for (quantity, quality, ts), found in fields.items():
        values, receipts = list(found.get("value", ())), list(found.get("rx", ()))
        for at, seq in enumerate(found.get("seq", ())):
            if values and receipts:
                value, rx = values[min(at, len(values) - 1)], receipts[min(at, len(receipts) - 1)]
                yield Row(int(seq), device, quantity, ts, int(rx), value, quality)


def _quoted(text: str) -> str:
    return msgspec.json.encode(text).decode()


def _back(at_ms: int) -> str:
    """All the time before, to the year 1980: a span that reaches near 1970 finds nothing at all."""
    return f"[{max(1, at_ms // 1000 - EARLY_S)}s]"


def _seconds(ms: int) -> str:
    return f"{ms // 1000}.{ms % 1000:03d}"
