"""The site plan: its picture, and the page on which a manager drags the zones to their places."""

import io
from pathlib import Path

from flask import Blueprint, Response, abort, flash, redirect, render_template, request, send_file, url_for
from werkzeug.wrappers import Response as AnyResponse

from dashboard.access.asking import note
from dashboard.access.permissions import Permission, allow
from dashboard.gather import gather
from dashboard.language.i18n import gettext
from dashboard.office import Office, me, office
from dashboard.places import site_plan
from dashboard.places.plan import HEIGHT, WIDTH, anchor, spot
from dashboard.places.site_plan import NoPicture

bp = Blueprint("plan", __name__, url_prefix="/plan")
PICTURES = {".svg", ".png", ".jpg", ".jpeg", ".webp"}
PLACES = 3  # decimals: half a unit of the drawing


@bp.url_value_preprocessor
def make_room(endpoint: str | None, _values: object) -> None:
    """A picture may be larger than a form. Before anything reads the request."""
    if endpoint == "plan.give":
        request.max_content_length = site_plan.LARGEST + 64 * 1024


def backdrop(desk: Office) -> dict[str, object]:
    """What `plan.html` draws with: the plain drawing, or the picture's address."""
    given = site_plan.picture_at(desk.users)
    own = given is not None or bool(desk.site.plan)
    return {
        "drawing": None if own else desk.drawing,
        "picture": url_for("plan.picture", v=given or 0) if own else "",
        "spot": spot,
        "anchor": anchor,
        "width": WIDTH,
        "height": HEIGHT,
    }


@bp.get("")
@allow(Permission.SEE)
def picture() -> Response:
    """The site's own picture: given on the page, else named by the site file (relative to it, or absolute)."""
    if (given := site_plan.picture(office().users)) is not None:
        return send_file(io.BytesIO(given[0]), mimetype=given[1])
    path = office().data / Path(office().site.plan)
    if not office().site.plan or path.suffix.lower() not in PICTURES or not path.is_file():
        abort(404)
    return send_file(path.resolve())


@bp.get("/edit")
@allow(Permission.MANAGE)
def edit() -> str:
    """Drag the zones to their places, or type where they are; another picture."""
    situation = gather(office())
    return render_template(
        "plan_edit.html",
        situation=situation,
        given=site_plan.picture_at(office().users),
        largest=site_plan.LARGEST // (1024 * 1024),
        **backdrop(office()),
    )


@bp.post("/places")
@allow(Permission.MANAGE)
def move() -> AnyResponse:
    """Keep where the zones stand."""
    wanted = {}
    for zone in office().site.zones:
        x, y = (request.form.get(f"{axis}-{zone.id}", type=float) for axis in "xy")
        if x is None or y is None or not (0 <= x <= 1 and 0 <= y <= 1):
            abort(400)
        wanted[zone.id] = (round(x, PLACES), round(y, PLACES))
    note("plan-places", me().name, ", ".join(f"{zone} {x} {y}" for zone, (x, y) in wanted.items()))
    site_plan.keep_places(office().users, wanted)
    flash(gettext("The places are kept."))
    return redirect(url_for("plan.edit"))


@bp.post("/picture")
@allow(Permission.MANAGE)
def give() -> AnyResponse:
    """Take another picture, or go back to the one before."""
    given = b""
    if file := request.files.get("picture"):
        given = file.read(site_plan.LARGEST + 1)
        file.close()  # it may lie in a temporary file
    if request.form.get("forget"):
        note("plan-picture", me().name, "forgotten")
        site_plan.forget_picture(office().users)
    elif len(given) > site_plan.LARGEST:
        abort(413)
    else:
        try:
            site_plan.kind_of(given)
        except NoPicture:
            flash(gettext("That is no picture: PNG, JPEG and WebP are taken."))
            return redirect(url_for("plan.edit"))
        note("plan-picture", me().name, f"{len(given)} bytes")
        site_plan.keep_picture(office().users, given, office().clock.now())
        flash(gettext("The picture is kept."))
    return redirect(url_for("plan.edit"))
