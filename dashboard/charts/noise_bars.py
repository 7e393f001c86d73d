"""Bars of the newest days and nights as places on a drawing: server-side SVG, which needs no script.

Geometry only. A part that does not count, or is not over, is hollow; a part without any reading is a hatched stub.
"""

from collections.abc import Callable, Sequence
from datetime import date
from typing import Literal, TypeAlias

import msgspec

from hub.figures.month import Figure, NoiseDay
from hub.figures.periods import Part

WIDTH, HEIGHT = 376, 212
LEFT, RIGHT, TOP, BOTTOM = 30, 4, 22, 34
BAR = 17
STEP_DB = 10
STUB = 6
Place: TypeAlias = Callable[[float], float]
Look: TypeAlias = Literal["counts", "hollow", "nothing"]


class Bar(msgspec.Struct, frozen=True, kw_only=True):
    """Ld or Ln of one day. `y` and `height` in drawing units; `limit_y` is where its limit is drawn."""

    part: Part
    look: Look
    over: bool
    x: float
    y: float
    height: float
    limit_y: float
    text: str


class Column(msgspec.Struct, frozen=True):
    """One day: where its date stands, and its bars."""

    day: date
    x: float
    bars: list[Bar]


class Bars(msgspec.Struct, frozen=True):
    """A drawing of some days. `ticks`: level in dB and where it is."""

    columns: list[Column]
    ticks: list[tuple[int, float]]
    bottom: float


def bars(days: Sequence[NoiseDay]) -> Bars:
    """The drawing of these days, oldest first."""
    figures = [figure for day in days for figure in (day.ld, day.ln) if figure is not None]
    low, high = _span(figures)
    scale = (HEIGHT - TOP - BOTTOM) / (high - low)

    def y(level: float) -> float:
        return round(HEIGHT - BOTTOM - (level - low) * scale, 1)

    step = (WIDTH - LEFT - RIGHT) / max(1, len(days))
    columns = [
        Column(day.day, round(LEFT + (number + 0.5) * step, 1), _bars(day, LEFT + (number + 0.5) * step, y))
        for number, day in enumerate(days)
    ]
    return Bars(columns, [(level, y(level)) for level in range(low, high + 1, STEP_DB)], HEIGHT - BOTTOM)


def _bars(day: NoiseDay, middle: float, y: Place) -> list[Bar]:
    both = [figure for figure in (day.ld, day.ln) if figure is not None]
    first = middle - BAR * len(both) / 2
    return [_bar(figure, round(first + number * BAR, 1), y) for number, figure in enumerate(both)]


def _bar(figure: Figure, x: float, y: Place) -> Bar:
    bottom = HEIGHT - BOTTOM
    top = bottom - STUB if figure.laeq is None else min(y(figure.laeq), bottom - 1)
    return Bar(
        part=figure.part,
        look="nothing" if figure.laeq is None else "counts" if figure.valid else "hollow",
        over=figure.exceeds is True,
        x=x,
        y=top,
        height=round(bottom - top, 1),
        limit_y=y(figure.limit),
        text="" if figure.laeq is None else f"{figure.laeq:.0f}",
    )


def _span(figures: Sequence[Figure]) -> tuple[int, int]:
    levels = [figure.laeq for figure in figures if figure.laeq is not None] + [each.limit for each in figures]
    if not levels:
        return 30, 70
    low, high = int(min(levels) // STEP_DB) * STEP_DB, (int(max(levels) // STEP_DB) + 1) * STEP_DB
    return max(0, low - STEP_DB), high
