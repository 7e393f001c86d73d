"""How incidents and shifts are called on a page, and which step of an incident comes next. No page logic, no rows."""

from dashboard.language.i18n import lazy_gettext
from hub.duty.handover import STATES
from hub.duty.incident import Event, State

__all__ = ["BOARD", "EVENTS", "LEADS", "LOG", "NEXT", "STATES", "WANTS"]

BOARD = (State.NEW, State.CLASSIFIED, State.DISPATCHED, State.WORKING, State.DONE, State.ASSESSED)
NEXT = {
    State.NEW: Event.CLASSIFY,
    State.CLASSIFIED: Event.DISPATCH,
    State.DISPATCHED: Event.ACCEPT,
    State.WORKING: Event.FEEDBACK,
    State.DONE: Event.PASS,
    State.ASSESSED: Event.ARCHIVE,
    State.DEFERRED: Event.RESUME,
}
LEADS = frozenset({Event.PASS, Event.REWORK, Event.DEFER, Event.RESUME, Event.ARCHIVE, Event.VOID})  # a manager's
EVENTS = {
    Event.CLASSIFY: lazy_gettext("Classify"),
    Event.DISPATCH: lazy_gettext("Dispatch"),
    Event.ACCEPT: lazy_gettext("I am dealing with it"),
    Event.RETURN: lazy_gettext("Give it back"),
    Event.FEEDBACK: lazy_gettext("It is dealt with"),
    Event.PASS: lazy_gettext("Assess: well done"),
    Event.REWORK: lazy_gettext("Do it again"),
    Event.DEFER: lazy_gettext("Put off"),
    Event.RESUME: lazy_gettext("Resume"),
    Event.ARCHIVE: lazy_gettext("Archive"),
    Event.VOID: lazy_gettext("There is no such matter"),
    Event.NOTE: lazy_gettext("Add a note"),
}
WANTS = {  # what the words of a step are about; a step that stands here is not taken without them
    Event.CLASSIFY: lazy_gettext("What kind of matter is it?"),
    Event.RETURN: lazy_gettext("Why?"),
    Event.FEEDBACK: lazy_gettext("What was found, and what was done?"),
    Event.REWORK: lazy_gettext("What is missing?"),
    Event.DEFER: lazy_gettext("Why can it not be done before?"),
    Event.VOID: lazy_gettext("Why?"),
    Event.NOTE: lazy_gettext("Note"),
}
LOG = {
    "opened": lazy_gettext("Opened"),
    Event.CLASSIFY: lazy_gettext("Classified"),
    Event.DISPATCH: lazy_gettext("Dispatched"),
    Event.ACCEPT: lazy_gettext("Accepted"),
    Event.RETURN: lazy_gettext("Given back"),
    Event.FEEDBACK: lazy_gettext("Fed back"),
    Event.PASS: lazy_gettext("Assessed: well done"),
    Event.REWORK: lazy_gettext("To be done again"),
    Event.DEFER: lazy_gettext("Put off"),
    Event.RESUME: lazy_gettext("Resumed"),
    Event.ARCHIVE: lazy_gettext("Archived"),
    Event.VOID: lazy_gettext("Void: there is no such matter"),
    Event.NOTE: lazy_gettext("Note"),
    Event.LIMIT: lazy_gettext("Time is over: supervision rises"),
    Event.CLEARED: lazy_gettext("The alarm's condition is over"),
    Event.AGAIN: lazy_gettext("The alarm came again"),
}
