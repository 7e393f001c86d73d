"""Reports: those that are made, to take away, and a form to have one made. The making is hub.reports.maker's."""

from datetime import date

import msgspec
from flask import Blueprint, Response, abort, flash, redirect, render_template, request, send_from_directory, url_for
from werkzeug.wrappers import Response as Answer

from dashboard.access.asking import note
from dashboard.access.permissions import Permission, allow
from dashboard.gather import gather
from dashboard.language.i18n import gettext, language, lazy_gettext
from dashboard.office import me, office
from hub.calendar.schedule import parse_span
from hub.figures.periods import month_before, noise_day
from hub.reports.maker import noise_month_end
from hub.reports.noise import noise_meters
from hub.reports.shelf import FOLDER, Wanted, papers, wanted_of

bp = Blueprint("reports", __name__, url_prefix="/reports")
MONTHS = 24  # so far back the form offers; the command line takes any
FORMATS = {"xlsx": lazy_gettext("Excel workbook"), "pdf": lazy_gettext("PDF")}
LANGUAGES = {"zh": "中文", "en": "English"}
TYPES = {"xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", "pdf": "application/pdf"}


@bp.get("")
@allow(Permission.SEE)
def page() -> str:
    """What there is, what is being made, and the form."""
    site = office().site
    shelf = papers(office().data)
    return render_template(
        "reports.html",
        papers=shelf,
        unfinished={p.wanted.name for p in shelf if p.made < noise_month_end(site, p.wanted.month)},
        jobs=office().reports.jobs(),
        zones=_zones(),
        months=_months(),
        chosen={"zone": request.args.get("zone", ""), "month": request.args.get("month", _months()[1])},
        reader=language(),
        formats=FORMATS,
        languages=LANGUAGES,
        situation=gather(office()),
    )


@bp.post("")
@allow(Permission.ACKNOWLEDGE)
def make() -> Answer:
    """Have one made. The same one asked for twice is made once."""
    try:
        wanted = msgspec.convert({name: request.form.get(name, "") for name in Wanted.__struct_fields__}, Wanted)
    except msgspec.ValidationError:
        abort(400)
    if wanted.zone not in _zones() or wanted.month not in _months():
        abort(400)
    if office().reports.ask([wanted]):
        note("report", me().name, wanted.name)
    else:
        flash(gettext("Too many reports are waiting. Try again in a moment."))
    return redirect(url_for("reports.page", zone=wanted.zone, month=wanted.month, _anchor="shelf"))


@bp.get("/<name>")
@allow(Permission.SEE)
def take(name: str) -> Response:
    """One file, to keep. Only reports are ever handed out from the folder."""
    wanted = wanted_of(name)
    if wanted is None:
        abort(404)
    return send_from_directory(
        (office().data / FOLDER).absolute(), wanted.name, as_attachment=True, mimetype=TYPES[wanted.format]
    )


def _zones() -> list[str]:
    return list(dict.fromkeys(device.zone for device in noise_meters(office().site) if device.zone))


def _months() -> list[str]:
    """This month, which is not over, and those before."""
    site = office().site
    today: date = noise_day(office().clock.now(), parse_span(site.night), site.tz)
    months = [f"{today:%Y-%m}"]
    while len(months) < MONTHS:
        months.append(month_before(date.fromisoformat(f"{months[-1]}-01")))
    return months
