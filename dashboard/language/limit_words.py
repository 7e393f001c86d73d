"""How the numbers of rules are called and written on a page: functions of the vocabulary and the request's language.

What the numbers mean is told in docs/alarms.md; which a rule has is decided in hub/rules/limits.py.
"""

from dashboard.language.i18n import gettext, lazy_gettext
from device_profiles import vocabulary
from hub.reading import Value

LIMITS = {
    "above": lazy_gettext("Upper limit"),
    "below": lazy_gettext("Lower limit"),
    "plus": lazy_gettext("On top of the limit"),
    "deadband": lazy_gettext("Deadband"),
    "hihi": lazy_gettext("Second upper limit"),
    "lolo": lazy_gettext("Second lower limit"),
    "on_delay": lazy_gettext("Must hold before it is raised"),
    "off_delay": lazy_gettext("Must be over before it is cleared"),
    "window": lazy_gettext("Window"),
    "valid": lazy_gettext("Share of the window that must be seen"),
    "hold": lazy_gettext("An event counts for"),
    "within": lazy_gettext("Time allowed"),
    "least": lazy_gettext("Devices that must agree"),
    "use": lazy_gettext("Rule in use"),
}
_LIMIT_WORDS = {
    "noise": lazy_gettext("by noise class and hour (GB 3096)"),
    "boundary": lazy_gettext("by noise class and hour (GB 22337)"),
    "on": lazy_gettext("on"),
    "off": lazy_gettext("off"),
}
_SECONDS = {"on_delay", "off_delay", "window", "hold", "within"}


def limit_unit(key: str, name: str) -> str:
    """The unit of a rule's number; `name`: the quantity that the rule asks about."""
    if key in _SECONDS:
        return gettext("s")
    word = vocabulary.find(name) if key in ("above", "below", "plus", "deadband", "hihi", "lolo") else None
    return word.quantity.unit if word else ""


def limit_text(key: str, value: Value | None, name: str) -> str:
    """A rule's number with its unit; a word of it in the reader's language."""
    if value is None:
        return "–"
    if isinstance(value, str):
        return str(_LIMIT_WORDS.get(value, value))
    if key in _SECONDS and value >= 60 and value % 60 == 0:
        hours, minutes = f"{value / 3600:.10g}", f"{value / 60:.10g}"
        return gettext("%(h)s h", h=hours) if value % 3600 == 0 else gettext("%(m)s min", m=minutes)
    return f"{value:.10g} {limit_unit(key, name)}".strip()


def fit(text: str) -> str:
    """What the rule's other numbers demand ("hihi > 2"), the number by its name."""
    key, _, rest = text.partition(" ")
    if key not in LIMITS or rest[:1] not in ("<", ">"):
        return text
    return gettext("%(limit)s must be %(bound)s", limit=LIMITS[key], bound=rest)
