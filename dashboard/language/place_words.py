"""Words of the pages about places: gates, water edges and dogs. As words.py; no page logic."""

from dashboard.language.i18n import gettext, lazy_gettext
from dashboard.places.dogs import grouped
from hub.calendar.days import DayKind
from hub.calendar.schedule import windows_of
from hub.settings.site import DayHours, Windows

VERDICTS = {
    "real": lazy_gettext("It was real"),
    "harmless": lazy_gettext("Somebody, but no danger"),
    "animal": lazy_gettext("False alarm: an animal"),
    "weather": lazy_gettext("False alarm: wind, rain, waves, leaves"),
    "fault": lazy_gettext("False alarm: the device erred"),
    "test": lazy_gettext("A test"),
}
DRILLS = {
    "running": lazy_gettext("running"),
    "passed": lazy_gettext("passed"),
    "failed": lazy_gettext("failed"),
    "ended": lazy_gettext("ended by a person"),
}
SIRENS = {
    "short": lazy_gettext("The siren sounds two seconds"),
    "withheld": lazy_gettext("The siren stays silent"),
}
VACCINATIONS = {
    "overdue": lazy_gettext("vaccination overdue"),
    "soon": lazy_gettext("vaccination due soon"),
    "good": lazy_gettext("vaccinated"),
    "unknown": lazy_gettext("vaccination not known"),
}
DIRECTIONS = {"in": lazy_gettext("in"), "out": lazy_gettext("out")}
DAYS = {
    DayKind.WORKDAY: lazy_gettext("Workdays"),
    DayKind.WEEKEND: lazy_gettext("Weekends"),
    DayKind.HOLIDAY: lazy_gettext("Holidays"),
    DayKind.ADJUSTED: lazy_gettext("Weekends that are worked"),
}


def for_templates() -> dict[str, object]:
    """What templates call these words."""
    return {
        "verdicts": VERDICTS,
        "verdict_text": verdict,
        "drills": DRILLS,
        "sirens": SIRENS,
        "directions": DIRECTIONS,
        "closed_hours": closed_hours,
        "vaccinations": VACCINATIONS,
        "grouped": grouped,
    }


def closed_hours(hours: str | DayHours) -> list[tuple[str, str]]:
    """(kind of day, spans) of a zone's closed hours; one entry where every day is the same, none without hours."""
    if not isinstance(hours, DayHours):
        return [(gettext("Every day"), _spans(hours))] if hours else []
    given = {
        DayKind.WORKDAY: hours.workday,
        DayKind.WEEKEND: hours.weekend,
        DayKind.HOLIDAY: hours.holiday,
        DayKind.ADJUSTED: hours.adjusted,
    }
    return [(str(DAYS[kind]), _spans(spans)) for kind, spans in given.items() if spans is not None]


def verdict(note: str) -> str:
    """What an alarm turned out to be, as its flip's note has it ("animal a duck"), in the reader's language."""
    word, _, more = note.partition(" ")
    said = str(VERDICTS.get(word, word))
    return gettext("%(what)s (%(more)s)", what=said, more=more) if more else said


def _spans(spans: Windows) -> str:
    found = [f"{_clock(window.first)}–{_clock(window.last)}" for window in windows_of(spans)]
    return gettext(", ").join(found) or gettext("not closed")


def _clock(minute: int) -> str:
    return f"{minute // 60:02d}:{minute % 60:02d}"
