"""Which pages there are, in the order of the menu: the first four stand on every screen, the wide ones on a desktop.

Everything stands on the page "More", in groups. An entry that the reader's role may not open is not shown.
"""

from typing import Any

import msgspec

from dashboard.access.permissions import Permission, may
from dashboard.language.i18n import lazy_gettext


class Entry(msgspec.Struct, frozen=True):
    """One page: its endpoint, its name in the reader's language, who may open it, and from which width it shows."""

    endpoint: str
    text: Any  # Any: flask_babel's lazy string, a text once it is shown
    permission: Permission = Permission.SEE
    shown: str = "more"  # "always", "wide" (desktop), "more" (on the page "More" alone)
    group: int = 3  # of GROUPS

    @property
    def blueprint(self) -> str:
        """The page it belongs to: its blueprint's name."""
        return self.endpoint.partition(".")[0]


GROUPS = (lazy_gettext("On site"), lazy_gettext("Work"), lazy_gettext("Set up"), lazy_gettext("System"))
MENU = (
    Entry("now.page", lazy_gettext("Now"), shown="always", group=0),
    Entry("alarms.page", lazy_gettext("Alarms"), shown="always", group=0),
    Entry("gates.page", lazy_gettext("Gates"), shown="always", group=0),
    Entry("noise.page", lazy_gettext("Noise"), shown="always", group=0),
    Entry("water.page", lazy_gettext("Water edge"), shown="wide", group=0),
    Entry("dogs.page", lazy_gettext("Dogs"), group=0),
    Entry("incidents.page", lazy_gettext("Incidents"), shown="wide", group=1),
    Entry("duty.page", lazy_gettext("Duty"), group=1),
    Entry("devices.page", lazy_gettext("Devices"), shown="wide", group=0),
    Entry("alarm_health.page", lazy_gettext("Alarm health")),
    Entry("limits.page", lazy_gettext("Limits"), Permission.REVIEW, group=2),
    Entry("mutes.page", lazy_gettext("Mute a zone"), group=1),
    Entry("reports.page", lazy_gettext("Reports"), group=1),
    Entry("plan.edit", lazy_gettext("Site plan"), Permission.MANAGE, group=2),
    Entry("users.page", lazy_gettext("Users and roles"), Permission.AUDIT, group=2),
    Entry("audit.page", lazy_gettext("Audit"), Permission.AUDIT),
    Entry("service.page", lazy_gettext("Out of service"), group=1),
    Entry("settings.page", lazy_gettext("Settings"), Permission.REVIEW, group=2),
    Entry("about.page", lazy_gettext("About"), Permission.REVIEW),
    Entry("history.page", lazy_gettext("History store")),
    Entry("auth.account", lazy_gettext("Account")),
)


def entries() -> list[Entry]:
    """What the reader may open, in order."""
    return [entry for entry in MENU if may(entry.permission)]


def shown_here(blueprint: str | None) -> str:
    """From which width the menu shows the page that this blueprint's pages belong to: "more" if it is none of it."""
    return next((entry.shown for entry in MENU if entry.blueprint == blueprint), "more")
