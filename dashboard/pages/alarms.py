"""Alarms: the list with its filters, and one alarm's timeline. What people do to an alarm is in `acts.py`."""

from typing import Any

import msgspec
from flask import Blueprint, abort, render_template, request

from dashboard.access.permissions import Permission, allow
from dashboard.gather import called, first_outs, gather, sirens
from dashboard.journal_view import Happening
from dashboard.language.i18n import lazy_gettext
from dashboard.live.together import together
from dashboard.office import office
from dashboard.pages.incidents import of_alarm
from dashboard.pages.limits import known, origin_of
from dashboard.situation import deeds
from hub.duty.handover import STATES
from hub.outcome import OrderState
from hub.rules.door import MAX_SHELF_S

bp = Blueprint("alarms", __name__, url_prefix="/alarms")
PAGE = 50
LONGEST_COMMENT = 2000
_HIDDEN = "SELECT key, occurrence FROM alarm WHERE"
_SHELVED = (
    f"(o.key, o.occurrence) IN ({_HIDDEN} shelved_until IS NOT NULL AND suppressed = '[]' AND NOT out_of_service)"
)
_SUPPRESSED = f"(o.key, o.occurrence) IN ({_HIDDEN} suppressed <> '[]' AND NOT out_of_service)"
_OUT = f"(o.key, o.occurrence) IN ({_HIDDEN} out_of_service)"
CONDITIONS = {
    "open": "o.closed = ''",
    "live": f"o.closed = '' AND NOT ({_SHELVED} OR {_SUPPRESSED} OR {_OUT})",
    "closed": "o.closed <> ''",
    "shelved": f"o.closed = '' AND {_SHELVED}",
    "suppressed": f"o.closed = '' AND {_SUPPRESSED}",
    "out-of-service": f"o.closed = '' AND {_OUT}",
}
VIEWS = {
    "live": lazy_gettext("Live"),
    "closed": lazy_gettext("Past"),
    "shelved": lazy_gettext("Muted"),
    "suppressed": lazy_gettext("Suppressed"),
    "out-of-service": lazy_gettext("Out of service"),
}


class Filters(msgspec.Struct, frozen=True, kw_only=True):
    """What the list is to show. Empty: everything."""

    state: str = ""  # one of VIEWS, "open" or "closed"
    severity: str = ""
    zone: str = ""
    rule: str = ""
    text: str = ""
    page: int = 1

    @classmethod
    def from_request(cls) -> "Filters":
        """From the address; a page number that is none is the first."""
        wanted = {name: request.args.get(name, "")[:100] for name in ("state", "severity", "zone", "rule", "text")}
        return cls(**wanted, page=max(1, request.args.get("page", 1, type=int)))

    @property
    def query(self) -> dict[str, str]:
        """As arguments of an address, without the page."""
        fields = {name: value for name, value in msgspec.structs.asdict(self).items() if name != "page"}
        return {name: value for name, value in fields.items() if value}


@bp.get("")
@allow(Permission.SEE)
@together
def page() -> str:
    """The list, newest first, in one of five views, each with its count."""
    filters = Filters.from_request()
    where, parameters = condition(filters)
    total = office().view.count(where, parameters)
    found = office().view.happenings(where, parameters, limit=PAGE, offset=(filters.page - 1) * PAGE)
    return render_template(
        "alarms.html",
        filters=filters,
        views=_views(filters),
        happenings=found,
        firsts=first_outs(office(), found),
        total=total,
        pages=max(1, -(-total // PAGE)),
        known_rules=[row[0] for row in office().view.rows("SELECT DISTINCT rule FROM occurrence ORDER BY rule")],
        situation=gather(office()),
    )


@bp.get("/<int:number>")
@allow(Permission.SEE)
@together
def one(number: int) -> str:
    """One occurrence: what happened, what was done, and by whom."""
    happening = find(number)
    view = office().view
    told, situation = view.told(happening.key, happening.occurrence), gather(office())
    mine = [order for order in view.orders_about(happening.key) if order.occurrence == happening.occurrence]
    return render_template(
        "alarm.html",
        happening=happening,
        group=first_outs(office(), [happening]).get(happening.id),
        title=office().words.rule(happening.rule),
        response=office().words.response(happening.rule),
        timeline=view.words(happening.key, happening.occurrence),
        told=told,
        deeds=deeds(
            office().site,
            office().words,
            happening,
            told,
            sirens(office(), told),
            situation.mutes,
            called(office(), told),
        ),
        says_value=("raised", "reactivated", "worsened", "eased", "counted"),
        incident=of_alarm(happening.key) if not happening.closed else None,
        incident_states=STATES,
        origin=origin_of(happening.rule, happening.zone) if happening.limit is not None else None,
        tunable=known(happening.rule),
        waiting=[order for order in reversed(mine) if order.state is not OrderState.DONE],
        before=view.happenings("o.key = ? AND o.id < ?", (happening.key, happening.id), limit=5),
        is_device=happening.source in office().site.devices(),
        longest=LONGEST_COMMENT,
        resettable=happening.state == "latched-acked"
        or (happening.state == "acked" and office().words.settles(happening.rule)),
        mutable=MAX_SHELF_S.get(happening.severity, 0) > 0,
        situation=situation,
    )


def find(number: int) -> Happening:
    """The occurrence, or 404."""
    found = office().view.happenings("o.id = ?", (number,), limit=1)
    if not found:
        abort(404)
    return found[0]


def condition(filters: Filters) -> tuple[str, list[Any]]:  # Any: what SQLite takes
    """The filters as an SQL condition on `o` and its parameters."""
    parts, parameters = ["1"], list[Any]()
    if filters.state in CONDITIONS:
        parts.append(CONDITIONS[filters.state])
    for column in ("severity", "zone", "rule"):
        if value := getattr(filters, column):
            parts.append(f"o.{column} = ?")
            parameters.append(value)
    if filters.text:
        _add_text(filters.text, parts, parameters)
    return " AND ".join(parts), parameters


def _views(filters: Filters) -> list[tuple[str, Any, int]]:  # Any: flask_babel's lazy string
    """Each view's name and how many alarms it has under the other filters."""
    found = []
    for state, name in VIEWS.items():
        where, parameters = condition(msgspec.structs.replace(filters, state=state))
        found.append((state, name, office().view.count(where, parameters)))
    return found


def _add_text(text: str, parts: list[str], parameters: list[Any]) -> None:
    """Text is looked for in the names that the page shows (both languages), in ids, and in what people wrote."""
    site, words, wanted = office().site, office().words, text.casefold()
    known = {row[0] for row in office().view.rows("SELECT DISTINCT rule FROM occurrence")}
    named = {
        "rule": [rule for rule in known if _speaks(words.rule(rule).zh, words.rule(rule).en, rule, wanted)],
        "source": [d.id for d in site.devices().values() if _speaks(d.name.zh, d.name.en, d.id, wanted)],
        "zone": [z.id for z in site.zones if _speaks(z.name.zh, z.name.en, z.id, wanted)],
    }
    like = "%" + text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "%"
    either = [
        "EXISTS (SELECT 1 FROM flip f WHERE f.key = o.key AND f.occurrence = o.occurrence"
        " AND f.note LIKE ? ESCAPE '\\')",
        "o.acked_by LIKE ? ESCAPE '\\'",
    ]
    parameters += [like, like]
    for column, ids in named.items():
        if ids:
            either.append(f"o.{column} IN ({', '.join('?' * len(ids))})")
            parameters += ids
    parts.append(f"({' OR '.join(either)})")


def _speaks(zh: str, en: str, name: str, wanted: str) -> bool:
    return wanted in zh.casefold() or wanted in en.casefold() or wanted in name
