"""What a chart shows, as a table that a spreadsheet opens in Chinese. The whole readings: `zhian export`."""

import csv
import io
import math
from collections.abc import Iterable, Iterator
from typing import TypeAlias

from flask import Response

from dashboard.charts.bars import Bars, Increases
from dashboard.charts.series import Series
from dashboard.charts.stretches import SEVERAL, Stretches
from dashboard.language.i18n import gettext, say
from hub.history.sheet import Cell, Sheet, safe
from hub.settings.site import Site

Shown: TypeAlias = Series | Bars | Stretches


def answer(found: Shown, site: Site) -> Response:
    """The file, with a byte order mark, for a browser to keep."""
    text = io.StringIO()
    csv.writer(text).writerows([safe(cell) for cell in row] for row in _table(found, Sheet(site, site.tz, "en")))
    name = f"{found.device}-{found.quantity}-{found.since}-{found.until}.csv"
    return Response(
        "\ufeff" + text.getvalue(),
        content_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )


def _table(found: Shown, sheet: Sheet) -> Iterable[Iterable[Cell]]:
    match found:
        case Series():
            yield [
                *_head(),
                gettext("mean"),
                gettext("lowest"),
                gettext("highest"),
                gettext("readings"),
                gettext("limit"),
            ]
            yield from (
                [*_when(ts, sheet), _cell(mean), _cell(low), _cell(high), count, _cell(limit)]
                for ts, mean, low, high, count, limit in zip(
                    found.ts, found.mean, found.min, found.max, found.count, found.limit, strict=True
                )
                if count
            )
        case Stretches():
            yield [*_head(), gettext("until"), gettext("UTC ms"), gettext("state"), gettext("seconds")]
            yield from _stretches(found, sheet)
        case _:
            what = gettext("increase") if isinstance(found, Increases) else gettext("count")
            yield [*_head(), gettext("seconds"), what]
            yield from (
                [*_when(ts, sheet), found.width // 1000, _cell(value)]
                for ts, value in zip(found.ts, found.value, strict=True)
            )


def _stretches(found: Stretches, sheet: Sheet) -> Iterator[list[Cell]]:
    for each in found.stretches:
        label = found.states.get(each.state)
        state = gettext("several") if each.state == SEVERAL else say(label) if label else each.state
        length = (each.until - each.since) / 1000
        yield [*_when(each.since, sheet), sheet.local(each.until).time, each.until, state, length]


def _head() -> list[Cell]:
    return [gettext("time (local)"), gettext("time zone"), gettext("UTC ms")]


def _when(ts: int, sheet: Sheet) -> list[Cell]:
    return [*sheet.local(ts), ts]


def _cell(value: float | None) -> Cell:
    return "" if value is None or math.isnan(value) else value
