"""The page as an app on the phone: its manifest, and the service worker that says so when the link is down.

No page is ever kept on the phone: what is shown without a link is one sentence, and when the hub was last heard of.
"""

from flask import Blueprint, Response, jsonify, render_template, send_from_directory, url_for

from dashboard.access.headers import FILES, asset
from dashboard.access.permissions import Permission, allow
from dashboard.language.i18n import gettext, language
from dashboard.office import office

bp = Blueprint("app", __name__)


@bp.get("/manifest.webmanifest")
@allow(Permission.OPEN)
def manifest() -> Response:
    """What a phone needs to put the page on its home screen (W3C Web Application Manifest)."""
    name = office().site.name.zh if language() == "zh" else office().site.name.en
    answer = jsonify(
        id="/",
        name=name,
        short_name=name,
        lang="zh-CN" if language() == "zh" else "en",
        start_url="/",
        scope="/",
        display="standalone",
        background_color="#14181c",
        theme_color="#14181c",
        icons=[
            {"src": asset(f"icon-{size}.png"), "sizes": f"{size}x{size}", "type": "image/png", "purpose": purpose}
            for size in (192, 512)
            for purpose in ("any", "maskable")
        ],
        shortcuts=[{"name": gettext("Alarms"), "url": url_for("alarms.page")}],
    )
    answer.mimetype = "application/manifest+json"
    return answer


@bp.get("/worker.js")
@allow(Permission.OPEN)
def worker() -> Response:
    """The service worker, from the root so that it may speak for every page."""
    return send_from_directory(FILES, "worker.js")


@bp.get("/offline")
@allow(Permission.OPEN)
def offline() -> str:
    """What the phone shows when the hub cannot be reached; it is kept there, and carries nothing of the site."""
    return render_template("offline.html")
