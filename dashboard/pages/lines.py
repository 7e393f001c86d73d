"""One line: is it up, how full is it, what went wrong on it lately, and what crosses it just now.

How full it is and what crosses it the running hub tells through its own door; the rest stands in the journal.
"""

from collections import Counter
from typing import Any

import msgspec
from flask import Blueprint, abort, current_app, flash, redirect, render_template, url_for
from werkzeug.wrappers import Response

from dashboard.access.asking import note
from dashboard.access.permissions import Permission, allow
from dashboard.gather import gather
from dashboard.language.i18n import gettext
from dashboard.language.option_words import LINK_KINDS
from dashboard.live.watching import LONGEST_S, Watching
from dashboard.office import me, office
from hub.control import door as control
from hub.settings.site import SiteLink

bp = Blueprint("lines", __name__, url_prefix="/lines")
_WATCHING = "zhian-watching"
PATIENCE_S = 2.0
DAY_MS = 86_400_000
MOST_GAPS = 20


class Load(msgspec.Struct, frozen=True, kw_only=True):
    """How full a Modbus line is, as `zhian plan` reckons: 1 = full. `paces`: device -> (every, in truth every) in s."""

    link: str
    load: float
    cycle_ms: float
    paces: dict[str, tuple[float, float]] = {}


class Gap(msgspec.Struct, frozen=True):
    """A time in which the line was down. Instants in ms; `until` None: it still is."""

    since: int
    until: int | None


@bp.get("/<name>")
@allow(Permission.SEE)
def one(name: str) -> str:
    """One line."""
    link, view, now = find(name), office().view, office().clock.now()
    health = view.health()
    loads = {load.link: load for load in loads_now()}
    return render_template(
        "line.html",
        link=link,
        kind=kind_of(link),
        health=health,
        load=loads.get(link.id),
        faults=_faults([link.id, *(device.id for device in link.devices)], now),
        gaps=_gaps(link.id, now),
        missing=view.counts("SELECT device, missing FROM sequence WHERE missing > 0"),
        watch=watching().find(link.id),
        longest=LONGEST_S,
        situation=gather(office()),
    )


@bp.post("/<name>/watch")
@allow(Permission.MANAGE)
def watch(name: str) -> Response:
    """Have the hub tell for a minute what crosses the line."""
    link = find(name)
    note("watch", me().name, link.id)
    if not watching().begin(link.id, office().clock.now()):
        flash(gettext("Others are watching three lines already. Wait a minute."))
    return redirect(url_for("lines.one", name=link.id, _anchor="frames"))


def find(name: str) -> SiteLink:
    """The link, or 404."""
    link = next((each for each in office().site.links if each.id == name), None)
    if link is None:
        abort(404)
    return link


def kind_of(link: SiteLink) -> str:
    """Its kind in words."""
    tag = str(type(link).__struct_config__.tag)
    return str(LINK_KINDS.get(tag, tag))


def loads_now() -> list[Load]:
    """Of every Modbus line, from the running hub; none while it does not answer."""
    try:
        return [msgspec.convert(said, Load) for said in control.ask(office().data, "loads", timeout=PATIENCE_S)]
    except (control.NotRunning, control.Refused, OSError, msgspec.MsgspecError):
        return []


def watching() -> Watching:
    """The looks of the running application."""
    kept: Watching = current_app.extensions.setdefault(_WATCHING, Watching(office().data))
    return kept


def _faults(sources: list[str], now: int) -> list[dict[str, Any]]:  # Any: a row of a table for the template
    """Of the last 24 h, by kind, the most frequent first."""
    marks = ", ".join("?" * len(sources))
    sql = f"SELECT source, kind, count, minute FROM fault WHERE minute >= ? AND source IN ({marks})"  # noqa: S608
    counts: Counter[str] = Counter()
    by: dict[str, Counter[str]] = {}
    last: dict[str, int] = {}
    for row in office().view.rows(sql, ((now - DAY_MS) // 60_000, *sources)):
        counts[row["kind"]] += row["count"]
        by.setdefault(row["kind"], Counter())[row["source"]] += row["count"]
        last[row["kind"]] = max(last.get(row["kind"], 0), row["minute"] * 60_000)
    return [
        {"kind": kind, "count": count, "last": last[kind], "most": by[kind].most_common(3)}
        for kind, count in counts.most_common()
    ]


def _gaps(link: str, now: int) -> list[Gap]:
    """When the line was down in the last 24 h, the newest first: what its own alarm says."""
    sql = (
        "SELECT raised, cleared FROM occurrence WHERE rule = 'link-down' AND source = ? AND coalesce(cleared, ?) >= ? "
        "ORDER BY raised DESC LIMIT ?"
    )
    return [Gap(row[0], row[1]) for row in office().view.rows(sql, (link, now, now - DAY_MS, MOST_GAPS))]
