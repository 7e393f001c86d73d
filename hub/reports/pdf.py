"""The monthly noise report as a document for people: A4, charts as vectors, every hour in one table for each meter.

ReportLab stands here, in `drawing.py` and in `fonts.py`. Names are written as they are: its little markup is escaped.
"""

from collections.abc import Sequence
from html import escape
from pathlib import Path

from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import CondPageBreak, Flowable, Paragraph, SimpleDocTemplate, Spacer, Table, TableStyle

from hub.figures.month import Figure, MeterMonth, Over
from hub.figures.periods import Part
from hub.reports.drawing import INK, LINE, QUIET, RED, day_chart
from hub.reports.fonts import Font, chinese_font
from hub.reports.noise import Meter, NoiseReport
from hub.reports.words import Words, number

MARGIN = 14 * mm
WIDTH = A4[0] - 2 * MARGIN
MOST_LINES = 60  # of a table; the workbook has all of them


def write_pdf(report: NoiseReport, words: Words, path: Path) -> None:
    """Write the document. OSError when it cannot be written."""
    _Report(report, words, chinese_font()).write(path)


class _Report:
    def __init__(self, report: NoiseReport, words: Words, font: Font) -> None:
        self._report, self._w, self._font = report, words, font.name
        self._text = self._style(9, 13)
        self._small = self._style(7.5, 11, textColor=QUIET)
        self._heading = self._style(11.5, 16, spaceBefore=8, spaceAfter=3)

    def write(self, path: Path) -> None:
        w, report = self._w, self._report
        story: list[Flowable] = [self._paragraph(w("title"), self._style(18, 24, spaceAfter=4))]
        story.append(self._facts(w.facts(report)))
        if report.made < report.until:
            story.append(self._paragraph(w("unfinished"), self._text))
        for meter in report.meters:
            story += self._meter(meter)
        if not report.meters:
            story.append(self._paragraph(w("no_meter"), self._text))
        story += [*self._alarms(), CondPageBreak(45 * mm), self._paragraph(w("notes"), self._heading)]
        story += [self._paragraph(f"{n}. {note}", self._small) for n, note in enumerate(w.notes(report), 1)]
        title = f"{w('title')} {w.say(report.name)} {report.month}"
        with path.open("wb") as file:
            document = SimpleDocTemplate(
                file, pagesize=A4, leftMargin=MARGIN, rightMargin=MARGIN, topMargin=MARGIN, bottomMargin=16 * mm,
                title=title, author=w.say(report.site), lang="zh-CN" if w.language == "zh" else "en",
            )  # fmt: skip
            document.build(story, onFirstPage=self._foot, onLaterPages=self._foot)

    # --- one meter -------------------------------------------------------------------------------------------

    def _meter(self, meter: Meter) -> list[Flowable]:
        w, month = self._w, meter.month
        story: list[Flowable] = [CondPageBreak(80 * mm), self._paragraph(w.say(meter.name), self._heading)]
        story.append(self._facts(w.instrument(meter)))
        story += [self._paragraph(f"{w('caveat')}{w('colon')}{w.say(caveat)}", self._small) for caveat in meter.caveats]
        if not month.coverage:
            return [*story, self._paragraph(w("nothing"), self._text)]
        story += [Spacer(0, 4), self._verdicts(month), Spacer(0, 8)]
        for part in Part:
            if any((day.ld if part is Part.DAY else day.ln) is not None for day in month.days):
                story.append(day_chart(month.days, part, w, self._font, WIDTH, 42 * mm))
        story.append(self._paragraph(w("chart_key"), self._small))
        story += [CondPageBreak(90 * mm), self._paragraph(w("days"), self._heading), self._days(month)]
        story += [CondPageBreak(90 * mm), self._paragraph(w("grid"), self._heading), self._grid(month)]
        story.append(self._paragraph(w("grid_key"), self._small))
        return [*story, *self._runs(month), *self._sudden(month), *self._gaps(meter)]

    def _verdicts(self, month: MeterMonth) -> Flowable:
        w = self._w
        heads = [w(name) for name in ("figure", "value", "coverage", "limit", "counted", "exceeding", "verdict")]
        rows = [self._over("Ld", month.by_day), self._over("Ln", month.by_night)]
        return self._table([heads, *rows, ["Ldn", number(month.ldn), f"{month.coverage:.1%}", "", "", "", ""]])

    def _over(self, name: str, over: Over) -> list[str]:
        word = self._w.judged(None if over.valid == 0 else over.exceeding > 0)
        return [
            name,
            number(over.level),
            f"{over.coverage:.1%}",
            f"{over.limit:.0f}",
            f"{over.valid} / {over.total}",
            str(over.exceeding),
            word,
        ]

    def _days(self, month: MeterMonth) -> Flowable:
        w = self._w
        part = [w("coverage"), "L10", "L50", "L90", "LAFmax", w("verdict")]
        rows = [[w("date"), "Ld", *part, "Ln", *part, "Ldn"]]
        loud: list[tuple[int, int]] = []
        for row, day in enumerate(month.days, 1):
            cells = [f"{day.day:%m-%d}"]
            for column, figure in ((1, day.ld), (8, day.ln)):
                cells += self._part(figure)
                if figure is not None and figure.exceeds:
                    loud.append((column, row))
            rows.append([*cells, number(day.ldn)])
        part_mm = [11, 14.5, *[10.5] * 3, 12, 14]
        widths = [each * mm for each in (11, *part_mm, *part_mm)]
        return self._table(rows, size=6, loud=loud, widths=[*widths, WIDTH - sum(widths)], parts=(1, 8, 15))

    def _part(self, figure: Figure | None) -> list[str]:
        if figure is None:
            return ["–"] * 7
        levels = [number(level) for level in (figure.l10, figure.l50, figure.l90, figure.lafmax)]
        return [_shown(figure), f"{figure.coverage:.0%}", *levels, self._w.judged(figure.exceeds)]

    def _grid(self, month: MeterMonth) -> Flowable:
        hours = list(
            dict.fromkeys(figure.hour for day in month.days for figure in day.hours if figure.hour is not None)
        )
        rows = [[self._w("date"), *(f"{hour:02}" for hour in hours), self._w("coverage")]]
        loud: list[tuple[int, int]] = []
        for row, day in enumerate(month.days, 1):
            figures = {figure.hour: figure for figure in day.hours}
            rows.append(
                [f"{day.day:%m-%d}", *(_shown(figures.get(hour)) for hour in hours), f"{_share(day.hours):.0%}"]
            )
            loud += [
                (1 + hours.index(hour), row) for hour, each in figures.items() if hour is not None and each.exceeds
            ]
        step = (WIDTH - 22 * mm) / max(1, len(hours))
        return self._table(rows, size=5.6, loud=loud, widths=[10 * mm, *[step] * len(hours), 12 * mm])

    def _runs(self, month: MeterMonth) -> list[Flowable]:
        w = self._w
        heads = [w(name) for name in ("part", "start", "end", "value", "coverage", "limit", "excess")]
        rows = [
            [w.part(run.part), w.moment(run.start), w.moment(run.end), number(run.laeq), f"{run.coverage:.0%}",
             f"{run.limit:.0f}",
             f"+{run.laeq - run.limit:.1f}"]
            for run in month.runs
        ]  # fmt: skip
        return self._listed(w("runs"), heads, rows, len(rows))

    def _sudden(self, month: MeterMonth) -> list[Flowable]:
        w, found = self._w, month.sudden
        if found is None:
            return [self._paragraph(w("sudden"), self._heading), self._paragraph(w("no_lafmax"), self._text)]
        heads = [w("start"), w("end"), "LAFmax dB(A)", w("limit"), w("excess")]
        rows = [
            [w.moment(event.start), w.moment(event.end), number(event.lafmax), f"{event.limit:.0f}",
             f"+{event.lafmax - event.limit:.1f}"]
            for event in found.events
        ]  # fmt: skip
        return self._listed(w("sudden"), heads, rows, found.count)

    def _gaps(self, meter: Meter) -> list[Flowable]:
        w = self._w
        heads = [w(name) for name in ("start", "end", "length", "why")]
        rows = [
            [w.moment(gap.start), w.moment(gap.end), w.length(gap.end - gap.start),
             w("no_why") if gap.why is None else w.say(gap.why)]
            for gap in meter.gaps
        ]  # fmt: skip
        return self._listed(w("gaps"), heads, rows, meter.month.gap_count)

    def _alarms(self) -> list[Flowable]:
        w, report = self._w, self._report
        heads = [w(name) for name in ("what", "source", "start", "end", "value", "limit")]
        rows = [
            [w.say(line.title), w.say(line.source), w.moment(line.raised),
             "–" if line.cleared is None else w.moment(line.cleared), number(line.value), number(line.limit)]
            for line in report.alarms
        ]  # fmt: skip
        return self._listed(w("alarms"), heads, rows, report.alarm_count)

    # --- parts -----------------------------------------------------------------------------------------------

    def _listed(self, title: str, heads: list[str], rows: Sequence[list[str]], count: int) -> list[Flowable]:
        story: list[Flowable] = [CondPageBreak(30 * mm), self._paragraph(title, self._heading)]
        if not rows:
            return [*story, self._paragraph(self._w("none"), self._text)]
        story.append(self._table([heads, *rows[:MOST_LINES]]))
        if count > min(len(rows), MOST_LINES):
            more = self._w("more", n=count - min(len(rows), MOST_LINES))
            story.append(self._paragraph(more, self._small))
        return story

    def _facts(self, facts: Sequence[tuple[str, str]]) -> Flowable:
        rows = [[self._paragraph(name, self._small), self._paragraph(text, self._text)] for name, text in facts]
        table = Table(rows, colWidths=[46 * mm, WIDTH - 46 * mm], hAlign="LEFT")
        table.setStyle(TableStyle([("VALIGN", (0, 0), (-1, -1), "MIDDLE"), *_padding(1.2)]))
        return table

    def _table(
        self,
        rows: list[list[str]],
        *,
        size: float = 8,
        loud: Sequence[tuple[int, int]] = (),
        widths: list[float] | None = None,
        parts: Sequence[int] = (),
    ) -> Flowable:
        long = {(column, row) for row, cells in enumerate(rows) for column, text in enumerate(cells) if len(text) > 24}
        shown = [
            [
                self._paragraph(text, self._style(size, size + 3)) if (c, r) in long else text
                for c, text in enumerate(row)
            ]
            for r, row in enumerate(rows)
        ]
        table = Table(shown, colWidths=widths, repeatRows=1, hAlign="LEFT")
        style: list[tuple[object, ...]] = [
            ("FONT", (0, 0), (-1, -1), self._font, size, size + 2.4),
            ("TEXTCOLOR", (0, 0), (-1, -1), INK),
            ("TEXTCOLOR", (0, 0), (-1, 0), QUIET),
            ("LINEBELOW", (0, 0), (-1, -1), 0.3, LINE),
            ("VALIGN", (0, 0), (-1, -1), "MIDDLE"),
            *_padding(1.1, 3 if widths is None else 1.5),
        ]
        style += [("LINEBEFORE", (column, 0), (column, -1), 0.6, LINE) for column in parts]
        for column, row in loud:
            style += [("TEXTCOLOR", (column, row), (column, row), RED), ("BOX", (column, row), (column, row), 0.5, RED)]
        table.setStyle(TableStyle(style))
        return table

    def _style(self, size: float, leading: float, **more: object) -> ParagraphStyle:
        chinese = {"wordWrap": "CJK"} if self._w.language == "zh" else {}
        return ParagraphStyle("text", fontName=self._font, fontSize=size, leading=leading, **chinese, **more)

    def _paragraph(self, text: str, style: ParagraphStyle) -> Flowable:
        return Paragraph(escape(text), style)

    def _foot(self, canvas: Canvas, document: SimpleDocTemplate) -> None:
        canvas.setFont(self._font, 7.5)
        canvas.setFillColor(QUIET)
        w = self._w
        text = f"{w.say(self._report.site)} / {w.say(self._report.name)} / {w('title')} {self._report.month}"
        canvas.drawString(MARGIN, 9 * mm, text)
        canvas.drawRightString(A4[0] - MARGIN, 9 * mm, w("page", n=document.page))


def _shown(figure: Figure | None) -> str:
    if figure is None or figure.laeq is None:
        return "–"
    return number(figure.laeq) if figure.valid else f"({figure.laeq:.0f})"


def _share(hours: Sequence[Figure]) -> float:
    """Of a day's hours together."""
    return sum(hour.coverage * (hour.end - hour.start) for hour in hours) / sum(hour.end - hour.start for hour in hours)


def _padding(vertical: float, sideways: float = 1.5) -> list[tuple[object, ...]]:
    sides = (
        ("LEFTPADDING", sideways),
        ("RIGHTPADDING", sideways),
        ("TOPPADDING", vertical),
        ("BOTTOMPADDING", vertical),
    )
    return [(name, (0, 0), (-1, -1), points) for name, points in sides]
