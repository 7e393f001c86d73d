"""Steps as a table for people: what its columns are called, and one step as their cells. Pure; writes no file.

A cell that is empty is not known, or means nothing for such a quantity; it is never nought.
"""

from collections.abc import Sequence

from device_profiles import vocabulary
from hub.history.sheet import TIMES, Cell, Layout, Sheet
from hub.history.steps import Stepped, within
from hub.reading import Label

COLUMNS: dict[str, Label] = {
    "time": Label(zh="开始（当地）", en="from (local)"),
    "zone": Label(zh="时区", en="time zone"),
    "ts": Label(zh="开始（UTC 毫秒）", en="from, UTC ms"),
    "until": Label(zh="结束（UTC 毫秒）", en="until, UTC ms"),
    "area": Label(zh="区域", en="area"),
    "device": Label(zh="设备编号", en="device"),
    "name": Label(zh="设备名称", en="device name"),
    "quantity": Label(zh="量代号", en="quantity"),
    "what": Label(zh="量", en="quantity name"),
    "unit": Label(zh="单位", en="unit"),
    "low": Label(zh="最小值", en="lowest"),
    "mean": Label(zh="平均值（声级按能量）", en="mean (sound levels by energy)"),
    "high": Label(zh="最大值", en="highest"),
    "count": Label(zh="读数或事件个数", en="readings or events"),
    "increase": Label(zh="增量", en="increase"),
    "in_gaps": Label(zh="无数据期间的增量", en="increase while nothing was heard"),
    "resets": Label(zh="重新计数或换表次数", en="begun anew or another meter"),
    "word": Label(zh="状态或事件代号", en="state or event"),
    "words": Label(zh="状态或事件", en="state or event in words"),
    "seconds": Label(zh="持续（秒）", en="seconds"),
    "coverage": Label(zh="有数据的时间占比", en="share of the time with data"),
    "thinned": Label(zh="曾因存储不足而稀疏", en="thinned, as the disk was nearly full"),
}
_YES = Label(zh="是", en="yes")


_STEPS = Layout(
    names=list(COLUMNS),
    types=dict.fromkeys(("ts", "until", "count", "resets"), "BIGINT")
    | dict.fromkeys(("low", "mean", "high", "increase", "in_gaps", "seconds", "coverage"), "DOUBLE"),
    casts=TIMES | {"thinned": "thinned IS NOT NULL AS thinned"},
    split=lambda cells: cells,
)


class StepSheet:
    """The cells of one site's steps in the language of `sheet`. `thinned`: spans in which readings were given up."""

    layout = _STEPS

    def __init__(self, sheet: Sheet, thinned: Sequence[tuple[int, int]]) -> None:
        """Spans in ms since 1970, half open."""
        self._sheet, self._thinned = sheet, thinned

    def header(self) -> list[str]:
        """What the columns are called."""
        return [self._sheet.said(label) for label in COLUMNS.values()]

    def cells(self, row: Stepped) -> list[Cell | None]:
        """One step, a cell a column."""
        device, quantity, step = row
        local, (area, name) = self._sheet.local(step.since), self._sheet.place(device)
        what, unit, words = self._sheet.quantity(quantity, step.word)
        found = vocabulary.find(quantity)
        places = found.quantity.decimals + 1 if found else 3
        figures = (step.low, step.mean, step.high, step.count, step.increase, step.in_gaps, step.resets)
        return [
            local.time, local.zone, step.since, step.until, area, device, name, quantity, what, unit,
            *(None if figure is None else round(figure, places) for figure in figures), step.word or None,
            words or None, step.seconds, round(step.coverage, 4),
            self._sheet.said(_YES) if within(self._thinned, step) else None,
        ]  # fmt: skip
