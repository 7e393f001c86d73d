"""The words of reports in Chinese and English. The dashboard has its own catalogue; a report is made without a reader.

Texts that stand in both languages only; what a figure means is said here with its standard and clause.
"""

from datetime import datetime
from typing import Literal, TypeAlias
from zoneinfo import ZoneInfo

from hub.calendar.days import DayKind
from hub.care.upkeep import MOST_DB
from hub.figures.periods import Part
from hub.reading import Label
from hub.reports.noise import Meter, NoiseReport

Language: TypeAlias = Literal["zh", "en"]
LANGUAGES: tuple[Language, ...] = ("zh", "en")

_TEXTS = {
    "title": ("噪声监测月报", "Monthly noise report"),
    "summary": ("概要", "Summary"),
    "days": ("每日", "Days"),
    "grid": ("小时表", "Hour table"),
    "hours": ("小时数据", "Hours"),
    "over": ("超标", "Exceedances"),
    "missing": ("缺测", "Missing"),
    "site": ("小区", "Community"),
    "zone": ("区域", "Zone"),
    "month": ("月份", "Month"),
    "timezone": ("时区", "Time zone"),
    "made": ("生成时间", "Made"),
    "unfinished": ("本月未结束，数据截至生成时间", "The month is not over; figures up to when this was made"),
    "standard": ("执行标准", "Standard"),
    "class": ("声环境功能区", "Functional area"),
    "day_limit": ("昼间限值", "Limit by day"),
    "night_limit": ("夜间限值", "Limit by night"),
    "sudden_limit": ("夜间突发噪声最大声级限值", "Limit of sudden noise at night"),
    "meter": ("仪器", "Instrument"),
    "profile": ("型号", "Profile"),
    "calibrated": ("校准", "Calibration"),
    "unrecorded": ("无校准记录：数据未经校准确认", "none is on record: no calibration confirms these figures"),
    "finding": (
        "{at}，声校准器 {level:.1f} dB，调整前示值 {reading:.2f} dB，偏差 {deviation:+.2f} dB，"
        "有效至 {until}；{note}；{actor}",
        "{at}: {reading:.2f} dB at {level:.1f} dB before it was set, deviation {deviation:+.2f} dB, "
        "counts until {until}; {note}; {actor}",
    ),
    "overdue": ("校准已过期", "THE CALIBRATION IS OVERDUE"),
    "far": (
        "偏差大于 {db} dB，按 GB 3096-2008 第 5.1 条此前的测量无效",
        "THE DEVIATION IS MORE THAN {db} dB: by GB 3096-2008, 5.1, what was measured before does not count",
    ),
    "stop": ("。", "."),
    "aside": ("校准时段", "While calibrating"),
    "aside_told": (
        "{length}（校准器在传声器上的读数不计入任何数据）",
        "{length}; what the meter read of the calibrator is in no figure",
    ),
    "figure": ("指标", "Figure"),
    "value": ("值 dB(A)", "dB(A)"),
    "limit": ("限值", "Limit"),
    "verdict": ("结论", "Verdict"),
    "counted": ("有效天数", "Days that count"),
    "exceeding": ("超标天数", "Days above"),
    "coverage": ("有效采集率", "Coverage"),
    "within": ("达标", "within"),
    "above": ("超标", "above"),
    "not_judged": ("不评价", "not judged"),
    "none": ("无", "None"),
    "date": ("日期", "Date"),
    "hour": ("小时", "Hour"),
    "part": ("时段", "Part"),
    "day": ("昼间", "day"),
    "night": ("夜间", "night"),
    "valid": ("有效", "Counts"),
    "yes": ("是", "yes"),
    "no": ("否", "no"),
    "start": ("开始", "From"),
    "end": ("结束", "To"),
    "length": ("时长", "Length"),
    "why": ("原因", "Why"),
    "no_why": ("无相关告警", "no alarm stood meanwhile"),
    "what": ("告警", "Alarm"),
    "source": ("来源", "Source"),
    "excess": ("超出", "Above by"),
    "highest": ("最大读数", "Highest reading"),
    "runs": ("小时等效声级超过限值的时段", "Hours whose equivalent level is above the limit"),
    "sudden": ("夜间突发噪声（GB 3096-2008 第 5.4 条）", "Sudden noise at night (GB 3096-2008, 5.4)"),
    "no_lafmax": (
        "仪器不提供 LAFmax，夜间突发噪声不评价。",
        "The instrument gives no LAFmax; sudden noise at night is not judged.",
    ),
    "alarms": ("噪声告警", "Noise alarms"),
    "gaps": ("缺测时段（1 分钟以上）", "Gaps of more than a minute"),
    "no_meter": ("该区域没有噪声监测仪。", "No instrument measures noise in this zone."),
    "nothing": ("本月没有数据。", "Nothing was measured in this month."),
    "notes": ("说明", "Notes"),
    "chart": ("每日等效声级", "Equivalent level of each day"),
    "charted": ("图中 {what}", "{what} charted"),
    "kind": ("日期类型", "Day type"),
    "workday": ("工作日", "workday"),
    "weekend": ("周末", "weekend"),
    "holiday": ("节假日", "holiday"),
    "adjusted": ("调休上班", "worked weekend"),
    "chart_key": (
        "实心：有效；空心：数据不足，不评价；红线：限值",
        "filled: counts; hollow: too little was measured, not judged; red line: limit",
    ),
    "grid_key": (
        "小时 LAeq，dB(A)。红色：超过限值；（括号）：数据不足，不评价；–：无数据",
        "LAeq of the hour, dB(A). Marked red: above the limit; (in brackets): too little was measured; –: nothing",
    ),
    "page": ("第 {n} 页", "page {n}"),
    "more": ("另有 {n} 项未列出", "{n} more are not listed"),
    "caveat": ("仪器注意事项", "Of the instrument"),
    "colon": ("：", ": "),
}

_NOTES = (
    (
        "LAeq 为能量平均（GB 3096-2008 第 3 章），从不做算术平均；按未修约的数值与限值比较，表中保留一位小数。",
        "LAeq is the mean of energy (GB 3096-2008, clause 3), never an arithmetic one. Figures are compared with the "
        "limits before they are rounded to one decimal.",
    ),
    (
        "昼间、夜间按小区设置（夜间 {night}）；夜间属于其开始的那一天。Ld、Ln 为该时段全部有效数据的等效声级，"
        "Ldn 为夜间加 10 dB 后的昼夜等效声级。",
        "Day and night as the community sets them (night {night}); a night belongs to the day on which it starts. Ld "
        "and Ln are the levels of all that was measured in the part, Ldn counts the night with 10 dB more.",
    ),
    (
        "LN 为占测量时间 N% 的累积时间内 A 声级的最小值（GB 3096-2008 第 3 章），按 0.1 dB 统计，不插值。",
        "LN is the lowest level within the loudest N % of the time (GB 3096-2008, clause 3), exact to 0.1 dB, not "
        "interpolated.",
    ),
    (
        "有效采集率（HJ 906-2017 第 3.1 条）为实测时间占应测时间的比例；小时、昼间、夜间低于 {share:.0%} 的，"
        "标出且不参与评价，该比例由小区设置。",
        "Coverage (HJ 906-2017, 3.1) is the share of the time that was measured. An hour, day or night of which less "
        "than {share:.0%} was measured is marked and not judged; this share is set by the community.",
    ),
    (
        "每个读数代表其与前一读数之间的时间；间断之后只代表通常的间隔。未剔除雨雪、雷电和风速 5 m/s 以上的时段。",
        "A reading stands for the time since the one before; after a gap for the usual spacing alone. Rain, snow, "
        "thunder and wind above 5 m/s are not taken out.",
    ),
    (
        "小区自测数据，用于物业管理；执法监测由法定机构进行。",
        "The community's own measurements, for its own use; those of an authority are made by the authority.",
    ),
)


class Words:
    """One language's words, and how figures and times are written."""

    def __init__(self, language: Language, tz: ZoneInfo) -> None:
        """Times are shown in `tz`."""
        self.language = language
        self._zh = language == "zh"
        self._tz = tz

    def __call__(self, name: str, **values: object) -> str:
        """One text."""
        zh, en = _TEXTS[name]
        return (zh if self._zh else en).format(**values)

    def say(self, label: Label) -> str:
        """A label."""
        return label.zh if self._zh else label.en

    def notes(self, report: NoiseReport) -> list[str]:
        """How the figures were made, and by which clause."""
        values = {"night": report.night, "share": report.valid_share}
        return [(zh if self._zh else en).format(**values) for zh, en in _NOTES]

    def kind(self, kind: DayKind) -> str:
        """Workday, weekend, holiday or a weekend that is worked."""
        return self(kind.value)

    def part(self, part: Part) -> str:
        """Day or night."""
        return self("day" if part is Part.DAY else "night")

    def judged(self, exceeds: bool | None) -> str:
        """Within, above, or not judged."""
        return self("not_judged" if exceeds is None else "above" if exceeds else "within")

    def wall(self, at: int) -> datetime:
        """The clock on the wall, to the second, without its zone: for Excel."""
        return datetime.fromtimestamp(at // 1000, self._tz).replace(tzinfo=None)

    def moment(self, at: int) -> str:
        """Date and time of day."""
        return f"{self.wall(at):%Y-%m-%d %H:%M:%S}"

    def length(self, ms: float) -> str:
        """Hours, minutes and seconds."""
        seconds = int(ms) // 1000
        return f"{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02}"

    def facts(self, report: NoiseReport) -> list[tuple[str, str]]:
        """What stands at the head."""
        limits = report.limits
        title = {"GB 3096-2008": "声环境质量标准", "GB 22337-2008": "社会生活环境噪声排放标准"}[limits.standard]
        return [
            (self("site"), self.say(report.site)),
            (self("zone"), self.say(report.name)),
            (self("month"), report.month),
            (self("standard"), f"{limits.standard} {title}" if self._zh else f"{limits.standard}, table 1"),
            (self("class"), f"{limits.noise_class} 类" if self._zh else f"class {limits.noise_class}"),
            (self("day_limit"), f"{limits.day_db:.0f} dB(A)"),
            (self("night_limit"), f"{limits.night_db:.0f} dB(A)"),
            (self("sudden_limit"), f"{limits.sudden_db:.0f} dB(A)"),
            (self("timezone"), report.timezone),
            (self("made"), self.moment(report.made)),
        ]

    def instrument(self, meter: Meter) -> list[tuple[str, str]]:
        """Which instrument it is."""
        return [
            (self("meter"), f"{self.say(meter.name)} ({meter.device})"),
            (self("profile"), f"{self.say(meter.title)} ({meter.profile})"),
            (self("calibrated"), self._calibrated(meter)),
            *([(self("aside"), self("aside_told", length=self.length(meter.aside_ms)))] if meter.aside_ms else []),
            (self("coverage"), f"{meter.month.coverage:.1%}"),
        ]

    def _calibrated(self, meter: Meter) -> str:
        """When, with which finding, until when that counts, and what is wrong with it."""
        found = meter.calibrated
        if found is None or found.deviation is None or found.valid_until is None:
            return self("unrecorded")
        said = self(
            "finding", at=self.moment(found.at), level=found.level, reading=found.reading, deviation=found.deviation,
            until=self.moment(found.valid_until), note=found.note, actor=found.actor,
        )  # fmt: skip
        flaws = [self("overdue")] if meter.overdue else []
        flaws += [self("far", db=MOST_DB)] if abs(found.deviation) > MOST_DB else []
        return (self("stop") + " ").join([said, *flaws])


def number(level: float | None) -> str:
    """One decimal, or a dash."""
    return "–" if level is None else f"{level:.1f}"
