"""Charts of the PDF as vector drawings: a bar for each day and night with its limit; what does not count is hollow.

Days without any reading stay empty. Nothing is computed here but places on paper.
"""

from collections.abc import Sequence

from reportlab.graphics.shapes import Drawing, Line, Rect, String
from reportlab.lib.colors import Color, HexColor, white

from hub.figures.month import Figure, NoiseDay
from hub.figures.periods import Part
from hub.reports.words import Words

INK, QUIET, LINE, RED = HexColor("#1d2329"), HexColor("#606973"), HexColor("#d4d8dc"), HexColor("#b3151a")
FILL: dict[Part, Color] = {Part.DAY: HexColor("#9fb0bf"), Part.NIGHT: HexColor("#36414c")}
LEFT, BOTTOM, TOP = 30.0, 22.0, 20.0
STEP_DB = 10


def day_chart(days: Sequence[NoiseDay], part: Part, words: Words, font: str, width: float, height: float) -> Drawing:
    """The equivalent levels of the month's days or nights in points of paper."""
    figures = [day.ld if part is Part.DAY else day.ln for day in days]
    drawing = Drawing(width, height)
    limits = [figure.limit for figure in figures if figure is not None]
    low, high = _span([figure for figure in figures if figure is not None], limits)
    scale = (height - BOTTOM - TOP) / (high - low)
    held = ", ".join(f"{limit:.0f}" for limit in dict.fromkeys(limits))
    title = f"{'Ld' if part is Part.DAY else 'Ln'} {words.part(part)} dB(A), {words('limit')} {held}"
    drawing.add(String(0, height - 9, title, fontName=font, fontSize=9, fillColor=INK))
    for level in range(low, high + 1, STEP_DB):
        y = BOTTOM + (level - low) * scale
        drawing.add(Line(LEFT, y, width, y, strokeColor=LINE, strokeWidth=0.5))
        drawing.add(String(LEFT - 5, y - 3, f"{level}", fontName=font, fontSize=7, fillColor=QUIET, textAnchor="end"))
    step = (width - LEFT) / max(1, len(days))
    for number, (day, figure) in enumerate(zip(days, figures, strict=True)):
        x = LEFT + number * step
        drawing.add(_text(x + step / 2, BOTTOM - 9, f"{day.day.day}", font, QUIET))
        if figure is not None and figure.laeq is not None:
            _bar(drawing, figure, x, step, (figure.laeq - low) * scale, font)
    for number, figure in enumerate(figures):
        if figure is not None:
            x, y = LEFT + number * step, BOTTOM + (figure.limit - low) * scale
            drawing.add(Line(x, y, x + step, y, strokeColor=RED, strokeWidth=1))
    return drawing


def _span(figures: Sequence[Figure], limits: Sequence[float]) -> tuple[int, int]:
    levels = [figure.laeq for figure in figures if figure.laeq is not None] + [*limits, *([] if limits else [0.0])]
    low = int(min(levels) // STEP_DB) * STEP_DB - STEP_DB
    return max(0, low), int(max(levels) // STEP_DB + 1) * STEP_DB


def _bar(drawing: Drawing, figure: Figure, x: float, step: float, height: float, font: str) -> None:
    colour = FILL[figure.part]
    bar = Rect(x + step * 0.15, BOTTOM, step * 0.7, max(0.5, height), strokeWidth=0.7, strokeColor=colour)
    bar.fillColor = colour if figure.valid else None
    bar.strokeDashArray = None if figure.valid else [1.5, 1.5]
    drawing.add(bar)
    ink = white if figure.valid and figure.part is Part.NIGHT else INK
    drawing.add(_text(x + step / 2, BOTTOM + 3, f"{figure.laeq:.0f}", font, ink))
    if figure.exceeds:
        drawing.add(_text(x + step / 2, BOTTOM + height + 2, "▲", font, RED))


def _text(x: float, y: float, text: str, font: str, colour: Color) -> String:
    return String(x, y, text, fontName=font, fontSize=6.5, fillColor=colour, textAnchor="middle")
