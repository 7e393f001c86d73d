"""The monthly noise report as a workbook: real numbers and times, charts of Excel's own. XlsxWriter stands here alone.

Every text is written as text: a device called "=cmd" is a name, never a formula.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TypeAlias

import xlsxwriter
from xlsxwriter.format import Format
from xlsxwriter.workbook import Workbook
from xlsxwriter.worksheet import Worksheet

from hub.figures.month import Figure, MeterMonth, NoiseDay, Over
from hub.figures.periods import Part
from hub.reports.noise import Meter, NoiseReport
from hub.reports.words import Words

_FONT = {"font_name": "Microsoft YaHei", "font_size": 10, "valign": "vcenter"}
_DB, _SHARE, _MOMENT, _DAY = "0.0", "0.0%", "yyyy-mm-dd hh:mm:ss", "yyyy-mm-dd"
_QUIET, _RED, _LINE = "#767676", "#B3151A", "#C3C9CF"
Value: TypeAlias = str | float | int | datetime | None
Style: TypeAlias = Mapping[str, str | int]
_PLAIN: Style = {}
_CHARTED = 19  # the column of Ld as the chart has it: without the days that do not count; Ln stands beside it


def write_xlsx(report: NoiseReport, words: Words, path: Path) -> None:
    """Write the workbook. OSError when it cannot be written."""
    try:
        with xlsxwriter.Workbook(path, {"strings_to_formulas": False, "strings_to_urls": False}) as book:
            _Report(book, report, words).write()
    except xlsxwriter.exceptions.FileCreateError as error:
        raise OSError(f"{path}: {error}") from error


class _Report:
    def __init__(self, book: Workbook, report: NoiseReport, words: Words) -> None:
        self._book, self._report, self._w = book, report, words
        self._formats: dict[tuple[tuple[str, str | int], ...], Format] = {}

    def write(self) -> None:
        meters = self._report.meters
        self._summary()
        for number, meter in enumerate(meters, 1):
            suffix = f" {number}" if len(meters) > 1 else ""
            self._days(meter, f"{self._w('days')}{suffix}")
            self._grid(meter.month, f"{self._w('grid')}{suffix}")
            self._hours(meter.month, f"{self._w('hours')}{suffix}")
        self._over()
        self._missing()

    # --- sheets ----------------------------------------------------------------------------------------------

    def _summary(self) -> None:
        sheet = self._sheet(self._w("summary"), [26, 34, 12, 14, 14, 12, 14])
        sheet.write_string(0, 0, self._w("title"), self._format(bold=True, font_size=16))
        row = 2
        for name, text in self._w.facts(self._report):
            self._row(sheet, row, [name, text])
            row += 1
        if self._report.made < self._report.until:
            sheet.write_string(row, 0, self._w("unfinished"), self._format(bold=True))
            row += 1
        for meter in self._report.meters:
            row = self._meter(sheet, row + 1, meter)
        if not self._report.meters:
            sheet.write_string(row + 1, 0, self._w("no_meter"), self._format())
            row += 2
        sheet.write_string(row + 1, 0, self._w("notes"), self._format(bold=True))
        for number, note in enumerate(self._w.notes(self._report), row + 2):
            sheet.merge_range(number, 0, number, 6, "", self._format(text_wrap=True))
            sheet.write_string(number, 0, note, self._format(text_wrap=True))
            sheet.set_row(number, 32)

    def _meter(self, sheet: Worksheet, row: int, meter: Meter) -> int:
        for name, text in self._w.instrument(meter):
            self._row(sheet, row, [name, text])
            row += 1
        heads = ("figure", "value", "limit", "counted", "exceeding", "verdict", "coverage")
        self._head(sheet, row, [self._w(head) for head in heads])
        for name, over in (("Ld", meter.month.by_day), ("Ln", meter.month.by_night)):
            row += 1
            values: list[Value] = [
                name, over.level, over.limit, f"{over.valid} / {over.total}", over.exceeding, self._over_word(over),
            ]  # fmt: skip
            self._row(sheet, row, values, loud=over.exceeding > 0)
            self._cell(sheet, row, len(values), over.coverage, _SHARE)
        self._row(sheet, row + 1, ["Ldn", meter.month.ldn])
        self._cell(sheet, row + 1, len(values), meter.month.coverage, _SHARE)
        row += 2
        for caveat in meter.caveats:
            self._row(sheet, row, [self._w("caveat"), self._w.say(caveat)])
            row += 1
        return row

    def _days(self, meter: Meter, name: str) -> None:
        sheet = self._sheet(name, [12, 9, 11, 8, 9, 9, 9, 9, 9, 9, 11, 8, 9, 9, 9, 9, 9, 9, 12, 9, 9])
        levels = ["L10", "L50", "L90", "LAFmax"]
        part = [self._w("coverage"), self._w("valid"), self._w("limit"), *levels]
        self._head(sheet, 0, [self._w("date"), "Ld", *part, "Ln", *part, "Ldn", self._w("kind")])
        self._head(sheet, 0, [self._w("charted", what=name) for name in ("Ld", "Ln")], _CHARTED)
        sheet.freeze_panes(1, 1)
        for row, day in enumerate(meter.month.days, 1):
            self._cell(sheet, row, 0, datetime.combine(day.day, datetime.min.time()), _DAY)
            for column, figure in ((1, day.ld), (9, day.ln)):
                if figure is not None:
                    self._part(sheet, row, column, figure)
            self._cell(sheet, row, 17, day.ldn, _DB)
            self._cell(sheet, row, 18, self._w.kind(self._report.kinds[row - 1]))
            for column, figure in enumerate((day.ld, day.ln), _CHARTED):
                self._cell(sheet, row, column, figure.laeq if figure and figure.valid else None, _DB)
        sheet.insert_chart(len(meter.month.days) + 2, 0, self._chart(name, meter.month.days))

    def _part(self, sheet: Worksheet, row: int, column: int, figure: Figure) -> None:
        style = self._style(figure)
        self._cell(sheet, row, column, figure.laeq, _DB if figure.valid else "(0.0)", style)
        self._cell(sheet, row, column + 1, figure.coverage, _SHARE, style)
        self._cell(sheet, row, column + 2, self._w("yes" if figure.valid else "no"), "", style)
        self._cell(sheet, row, column + 3, figure.limit, _DB)
        for number, level in enumerate((figure.l10, figure.l50, figure.l90, figure.lafmax), column + 4):
            self._cell(sheet, row, number, level, _DB, {} if figure.valid else style)

    def _chart(self, name: str, days: Sequence[NoiseDay]) -> object:
        chart = self._book.add_chart({"type": "column"})
        lines = self._book.add_chart({"type": "line"})
        for title, column, colour in (("Ld", _CHARTED, "#8FA3B5"), ("Ln", _CHARTED + 1, "#36414C")):
            chart.add_series(self._series(name, title, column, len(days), {"fill": {"color": colour}, "gap": 40}))
        for part, column, dash in ((Part.DAY, 4, "solid"), (Part.NIGHT, 12, "dash")):
            title = f"{self._w('limit')} {self._w.part(part)}"
            line = {"line": {"color": _RED, "width": 1.25, "dash_type": dash}}
            lines.add_series(self._series(name, title, column, len(days), line))
        chart.combine(lines)
        chart.set_title({"name": f"{self._w('chart')} dB(A)", "name_font": {"size": 11}})
        chart.set_y_axis({"min": 20, "num_format": "0", "major_gridlines": {"visible": True, "line": {"color": _LINE}}})
        chart.set_x_axis({"num_format": "dd", "text_axis": True})
        chart.set_legend({"position": "bottom"})
        chart.show_blanks_as("gap")
        chart.set_size({"width": 1080, "height": 360})
        return chart

    def _series(self, sheet: str, title: str, column: int, rows: int, more: Mapping[str, object]) -> dict[str, object]:
        return {
            "name": title,
            "categories": [sheet, 1, 0, rows, 0],
            "values": [sheet, 1, column, rows, column],
            **more,
        }

    def _grid(self, month: MeterMonth, name: str) -> None:
        first = month.days[0].hours if month.days else []
        heads = list(dict.fromkeys(figure.hour for figure in first if figure.hour is not None))
        sheet = self._sheet(name, [12, *[6] * len(heads)])
        self._head(sheet, 0, [self._w("date"), *(f"{hour:02}" for hour in heads)])
        sheet.freeze_panes(1, 1)
        for row, day in enumerate(month.days, 1):
            self._cell(sheet, row, 0, datetime.combine(day.day, datetime.min.time()), _DAY)
            for figure in day.hours:
                if figure.hour in heads:
                    style = self._style(figure)
                    shown = _DB if figure.valid else "(0.0)"
                    self._cell(sheet, row, 1 + heads.index(figure.hour), figure.laeq, shown, style)
        sheet.write_string(len(month.days) + 2, 0, self._w("grid_key"), self._format(font_color=_QUIET))

    def _hours(self, month: MeterMonth, name: str) -> None:
        sheet = self._sheet(name, [20, 20, 8, *[9] * 6, 9, 14, 11, 8, 9, 10])
        levels = ["LAeq", "L5", "L10", "L50", "L90", "L95", "LAFmax", self._w("highest"), self._w("coverage")]
        heads = [self._w("start"), self._w("end"), self._w("part"), *levels]
        self._head(sheet, 0, [*heads, self._w("valid"), self._w("limit"), self._w("verdict")])
        sheet.freeze_panes(1, 0)
        figures = [figure for day in month.days for figure in day.hours]
        for row, figure in enumerate(figures, 1):
            style = self._style(figure)
            whole = [figure.laeq, figure.l5, figure.l10, figure.l50, figure.l90, figure.l95, figure.lafmax]
            self._cell(sheet, row, 0, self._w.wall(figure.start), _MOMENT)
            self._cell(sheet, row, 1, self._w.wall(figure.end), _MOMENT)
            self._cell(sheet, row, 2, self._w.part(figure.part))
            for column, level in enumerate([*whole, figure.highest], 3):
                self._cell(sheet, row, column, level, _DB, style)
            self._cell(sheet, row, 11, figure.coverage, _SHARE, style)
            self._cell(sheet, row, 12, self._w("yes" if figure.valid else "no"), "", style)
            self._cell(sheet, row, 13, figure.limit, _DB)
            self._cell(sheet, row, 14, self._w.judged(figure.exceeds), "", style)
        sheet.autofilter(0, 0, max(1, len(figures)), 14)

    def _over(self) -> None:
        sheet = self._sheet(self._w("over"), [26, 20, 20, 9, 12, 26, 11])
        row = 0
        for meter in self._report.meters:
            row = self._runs(sheet, row, meter)
            row = self._sudden(sheet, row + 1, meter) + 1
        sheet.write_string(row, 0, self._w("alarms"), self._format(bold=True))
        heads = ("what", "start", "end", "value", "limit", "source")
        self._head(sheet, row + 1, [self._w(head) for head in heads])
        row += 2
        for line in self._report.alarms:
            end = None if line.cleared is None else self._w.wall(line.cleared)
            title, source = self._w.say(line.title), self._w.say(line.source)
            self._row(sheet, row, [title, self._w.wall(line.raised), end, line.value, line.limit, source])
            row += 1
        self._more(sheet, row, self._report.alarm_count, len(self._report.alarms))

    def _runs(self, sheet: Worksheet, row: int, meter: Meter) -> int:
        sheet.write_string(row, 0, f"{self._w('runs')} · {self._w.say(meter.name)}", self._format(bold=True))
        heads = ("part", "start", "end", "value", "limit", "excess", "coverage")
        self._head(sheet, row + 1, [self._w(head) for head in heads])
        row += 2
        for run in meter.month.runs:
            start, end = self._w.wall(run.start), self._w.wall(run.end)
            self._row(sheet, row, [self._w.part(run.part), start, end, run.laeq, run.limit, run.laeq - run.limit])
            self._cell(sheet, row, 6, run.coverage, _SHARE)
            row += 1
        return self._more(sheet, row, len(meter.month.runs), len(meter.month.runs))

    def _sudden(self, sheet: Worksheet, row: int, meter: Meter) -> int:
        sheet.write_string(row, 0, f"{self._w('sudden')} · {self._w.say(meter.name)}", self._format(bold=True))
        found = meter.month.sudden
        if found is None:
            sheet.write_string(row + 1, 0, self._w("no_lafmax"), self._format())
            return row + 2
        row += 1
        for event in found.events:
            start, end = self._w.wall(event.start), self._w.wall(event.end)
            self._row(sheet, row, ["LAFmax", start, end, event.lafmax, event.limit, event.lafmax - event.limit])
            row += 1
        return self._more(sheet, row, found.count, len(found.events))

    def _missing(self) -> None:
        sheet = self._sheet(self._w("missing"), [26, 20, 20, 12, 40])
        row = 0
        for meter in self._report.meters:
            sheet.write_string(row, 0, f"{self._w('gaps')} · {self._w.say(meter.name)}", self._format(bold=True))
            heads = ("meter", "start", "end", "length", "why")
            self._head(sheet, row + 1, [self._w(head) for head in heads])
            row += 2
            for gap in meter.gaps:
                why = self._w("no_why") if gap.why is None else self._w.say(gap.why)
                length = self._w.length(gap.end - gap.start)
                start, end = self._w.wall(gap.start), self._w.wall(gap.end)
                self._row(sheet, row, [self._w.say(meter.name), start, end, length, why])
                row += 1
            row = self._more(sheet, row, meter.month.gap_count, len(meter.gaps)) + 1

    # --- cells -----------------------------------------------------------------------------------------------

    def _sheet(self, name: str, widths: Sequence[float]) -> Worksheet:
        sheet: Worksheet = self._book.add_worksheet(name)
        for column, width in enumerate(widths):
            sheet.set_column(column, column, width)
        sheet.set_landscape()
        sheet.set_paper(9)  # A4
        sheet.fit_to_pages(1, 0)
        sheet.set_footer(f"&L{self._w('title')} {self._report.month}&R&P / &N")
        return sheet

    def _head(self, sheet: Worksheet, row: int, texts: Sequence[str], first: int = 0) -> None:
        for column, text in enumerate(texts, first):
            sheet.write_string(row, column, text, self._format(bold=True, bg_color="#E9EBED", text_wrap=True))

    def _row(self, sheet: Worksheet, row: int, values: Iterable[Value], *, loud: bool = False) -> None:
        style: Style = {"font_color": _RED} if loud else _PLAIN
        for column, value in enumerate(values):
            shown = _MOMENT if isinstance(value, datetime) else _DB if isinstance(value, float) else ""
            self._cell(sheet, row, column, value, shown, style)

    def _cell(
        self, sheet: Worksheet, row: int, column: int, value: Value, shown: str = "", style: Style = _PLAIN
    ) -> None:
        form = self._format(**{**({"num_format": shown} if shown else {}), **style})
        if isinstance(value, str):
            sheet.write_string(row, column, value, form)
        elif isinstance(value, datetime):
            sheet.write_datetime(row, column, value, form)
        elif value is not None:
            sheet.write_number(row, column, value, form)

    def _more(self, sheet: Worksheet, row: int, count: int, listed: int) -> int:
        if count > listed or not listed:
            text = self._w("more", n=count - listed) if listed else self._w("none")
            sheet.write_string(row, 0, text, self._format(font_color=_QUIET))
            return row + 1
        return row

    def _style(self, figure: Figure) -> Style:
        if not figure.valid:
            return {"font_color": _QUIET, "italic": True}
        return {"font_color": _RED, "bold": True} if figure.exceeds else {}

    def _format(self, **style: str | int) -> Format:
        key = tuple(sorted(style.items()))
        if key not in self._formats:
            self._formats[key] = self._book.add_format({**_FONT, **style})
        return self._formats[key]

    def _over_word(self, over: Over) -> str:
        return self._w.judged(None if over.valid == 0 else over.exceeding > 0)
