"""Which Modbus reads bring all fields of a profile in the least time on the line, as an exact optimum per table.

Pure. What stands between two fields is read only where the profile calls it readable, and a forbidden address never.
When to ask is the bus's business, how full the line becomes is `load`'s.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import TypeAlias

import msgspec

from device_profiles.types import BIT_TABLES, TABLES, ModbusProfile, RegisterField, Table
from firmware_bridge.wire.modbus import MAX_BITS, READ_FUNCTION, Request, ascii_time_ms, bus_time_ms

_END = 0x10000  # one after the last address
_NS_PER_MS = 1_000_000
_TIE = 1_000_000  # more than the addresses of all reads of a table: of equally quick plans, the one that reads less


class RtuTiming(msgspec.Struct, frozen=True):
    """What a request costs on an RS-485 line: both frames at this speed and format, two silences, the latency."""

    baud: int = 9600
    parity: str = "N"
    stop_bits: int = 1

    def ms(self, request: Request, latency: float) -> float:
        """How long the request holds the line, in ms; `latency` of the device in s."""
        return bus_time_ms(request, self.baud, self.parity, self.stop_bits, 1000 * latency)

    def __str__(self) -> str:
        """As an installer writes it."""
        return f"{self.baud} 8{self.parity}{self.stop_bits}"


class AsciiTiming(msgspec.Struct, frozen=True):
    """What a request costs on a Modbus ASCII line: twice the characters of RTU and more, at this speed and format."""

    baud: int = 9600
    data_bits: int = 7
    parity: str = "E"
    stop_bits: int = 1

    def ms(self, request: Request, latency: float) -> float:
        """How long the request holds the line, in ms; `latency` of the device in s."""
        return ascii_time_ms(request, self.baud, self.parity, self.stop_bits, self.data_bits, 1000 * latency)

    def __str__(self) -> str:
        """As an installer writes it."""
        return f"ASCII, {self.baud} {self.data_bits}{self.parity}{self.stop_bits}"


class TcpTiming(msgspec.Struct, frozen=True):
    """What a request costs on Modbus TCP: the device's latency, whatever its length, so the fewest requests win."""

    def ms(self, request: Request, latency: float) -> float:
        """How long the connection waits for it, in ms; `latency` in s."""
        return 1000 * latency

    def __str__(self) -> str:
        """As an installer writes it."""
        return "TCP"


Timing: TypeAlias = RtuTiming | AsciiTiming | TcpTiming


def plan(
    profile: ModbusProfile, unit: int, timing: Timing | None = None, latency: float | None = None
) -> tuple[Request, ...]:
    """The reads of least time that bring every field, by function and address. ValueError: there are none.

    `timing` is the line's and `latency` (s) the device's, by default as the profile's own [link] says.
    """
    timing = timing or own_timing(profile)
    latency = profile.link.latency if latency is None else latency
    return tuple(
        request
        for table in TABLES
        if any(field.table == table for field in profile.reading.values())
        for request in _Table(profile, unit, table).cheapest(timing, latency)
    )


def one_by_one(profile: ModbusProfile, unit: int) -> tuple[Request, ...]:
    """A read for each field by itself, in the order of the profile: what a plan is compared with, never sent."""
    return tuple(_alone(profile, unit, field) for field in profile.reading.values())


def own_timing(profile: ModbusProfile) -> RtuTiming:
    """The line settings that the profile's [link] gives."""
    return RtuTiming(profile.link.baud, profile.link.parity, profile.link.stop_bits)


def span(field: RegisterField) -> tuple[int, int]:
    """The field's first address and the one after its last: registers, or bits in a coil or discrete table."""
    return field.addresses.start, field.addresses.stop


class _Table:
    """The fields of one table of one unit, and what a read of it may be."""

    def __init__(self, profile: ModbusProfile, unit: int, table: Table) -> None:
        bits = table in BIT_TABLES
        self._unit, self._function = unit, READ_FUNCTION[table]
        self._least, self._most = (1, MAX_BITS) if bits else (profile.min_registers, profile.max_registers)
        self._readable = profile.gaps == "readable"
        self._forbidden = profile.forbidden.addresses(table)
        self._once = profile.read_to_clear.addresses(table)
        self._spans = _outermost(span(field) for field in profile.reading.values() if field.table == table)

    def cheapest(self, timing: Timing, latency: float) -> Iterator[Request]:
        """Dynamic programme over the sorted spans: best[n] = price of the cheapest reads of the first n.

        A read of spans i to n-1 costs the more the longer it is, and no span holds another: so some optimum cuts the
        sorted spans into runs, and trying each last run of each beginning finds it, in n x (spans of one read) steps.
        """
        self._check()
        spans, price = self._spans, self._prices(timing, latency)
        best: list[int | None] = [0]
        cut = [0]
        for after in range(1, len(spans) + 1):
            found: tuple[int, int] | None = None
            for first in self._firsts(after):
                before = best[first]
                if before is None:
                    continue
                cost = before + price[spans[after - 1][1] - spans[first][0]]
                if found is None or cost < found[0]:
                    found = cost, first
            best.append(found[0] if found else None)
            cut.append(found[1] if found else 0)
        if best[-1] is None:
            reached = max(after for after, cost in enumerate(best) if cost is not None)
            raise ValueError(f"the field at address {spans[reached][0]} fits no read: forbidden, read_to_clear, limits")
        return reversed([self.request(spans[first][0], spans[after - 1][1]) for first, after in _runs(cut)])

    def request(self, start: int, end: int) -> Request:
        """The read of [start, end), made as long as the device answers at least."""
        window = self._window(start, end)
        if window is None:
            raise ValueError(f"a read of {self._least} at address {start} touches what is forbidden or read to clear")
        return Request(self._unit, self._function, window[0], count=window[1])

    def _check(self) -> None:
        for start, end in self._spans:
            if end - start > self._most:
                raise ValueError(f"the field at address {start} is longer than one read of {self._most}")
            if end > _END:
                raise ValueError(f"the field at address {start} ends after address {_END - 1}")
            if not self._forbidden.isdisjoint(range(start, end)):
                raise ValueError(f"the field at address {start} is forbidden")

    def _prices(self, timing: Timing, latency: float) -> list[int]:
        """By length of a run: ns on the line, and behind them the addresses. Whole numbers, so that equal is equal."""
        longest = min(self._most, self._spans[-1][1] - self._spans[0][0])
        counts = [max(length, self._least) for length in range(longest + 1)]
        questions = (Request(self._unit, self._function, 0, count=count) for count in counts)
        return [round(timing.ms(ask, latency) * _NS_PER_MS) * _TIE + ask.count for ask in questions]

    def _firsts(self, after: int) -> Iterator[int]:
        """The spans with which a read that ends with span `after` - 1 may begin, from the last one back."""
        spans, end = self._spans, self._spans[after - 1][1]
        if after < len(spans) and self._tied(after):
            return
        joined = True  # no unknown gap so far
        for first in range(after - 1, -1, -1):
            start = spans[first][0]
            if first + 1 < after and spans[first][1] < spans[first + 1][0]:
                if not self._harmless(range(spans[first][1], spans[first + 1][0])):
                    return
                joined = joined and self._readable
            if end - start > self._most or not (joined or end - start <= self._least):
                return
            if end - start >= self._least or self._window(start, end):
                yield first

    def _tied(self, at: int) -> bool:
        """Spans `at` - 1 and `at` share an address that one read only may touch."""
        return bool(self._once) and not self._once.isdisjoint(range(self._spans[at][0], self._spans[at - 1][1]))

    def _window(self, start: int, end: int) -> tuple[int, int] | None:
        """First address and count of the read of [start, end); what fills it up to the least is neither no-go."""
        count = max(end - start, self._least)
        for first in range(min(start, _END - count), max(end - count, 0) - 1, -1):
            if self._harmless([*range(first, start), *range(end, first + count)]):
                return first, count
        return None

    def _harmless(self, filler: Sequence[int]) -> bool:
        """These addresses, which nobody wants, may be read along."""
        return self._forbidden.isdisjoint(filler) and self._once.isdisjoint(filler)


def _alone(profile: ModbusProfile, unit: int, field: RegisterField) -> Request:
    start, end = span(field)
    count = max(end - start, 1 if field.table in BIT_TABLES else profile.min_registers)
    return Request(unit, READ_FUNCTION[field.table], min(start, _END - count), count=count)


def _outermost(spans: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """The spans that lie in no other one, sorted: starts rise, and so do ends."""
    kept: list[tuple[int, int]] = []
    for start, end in sorted(spans, key=lambda each: (each[0], -each[1])):
        if not kept or end > kept[-1][1]:
            kept.append((start, end))
    return kept


def _runs(cut: list[int]) -> Iterator[tuple[int, int]]:
    """The runs of an optimum, the last one first, as (first span, span after the last)."""
    after = len(cut) - 1
    while after:
        yield cut[after], after
        after = cut[after]
