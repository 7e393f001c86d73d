"""The headers that every response carries, errors and files included, and the files themselves."""

import hashlib
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

from flask import Blueprint, Flask, Response, abort, request, send_from_directory, url_for

from dashboard.access.permissions import Permission, allow
from dashboard.office import office

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; font-src 'self'; "
    "manifest-src 'self'; worker-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
ALWAYS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}
HSTS = "max-age=31536000"
EVERY = "zhian.headers"  # those of this application
FILES = Path(__file__).parents[1] / "static"
bp = Blueprint("files", __name__)


@bp.get("/static/<path:name>")
@allow(Permission.OPEN)
def static(name: str) -> Response:
    """A style sheet, script or picture. Its address carries its digest, so that it may be kept for a year."""
    return send_from_directory(FILES, name, max_age=31_536_000 if request.args.get("v") else 0)


@bp.get("/favicon.ico")
@allow(Permission.OPEN)
def icon() -> Response:
    """For browsers that ask without reading the page."""
    return send_from_directory(FILES, "icon.svg")


@bp.get("/.well-known/security.txt")
@allow(Permission.OPEN)
def security_txt() -> Response:
    """Whom to tell of a hole in this installation (RFC 9116), where the site file names somebody."""
    contact = office().site.web.contact
    if not contact:
        abort(404)
    until = datetime.fromtimestamp(office().clock.now() / 1000, UTC) + timedelta(days=180)
    lines = [f"Contact: {contact}", f"Expires: {until:%Y-%m-%dT%H:%M:%SZ}", "Preferred-Languages: zh, en"]
    return Response("\n".join(lines) + "\n", mimetype="text/plain")


@cache
def digest(name: str) -> str:
    """Changes when the file does."""
    return hashlib.sha256((FILES / name).read_bytes()).hexdigest()[:12]


def asset(name: str) -> str:
    """The address of a file of `static/`."""
    return url_for("files.static", name=name, v=digest(name))


def of_pages(app: Flask) -> list[tuple[bytes, bytes]]:
    """Those of a page, as ASGI wants them."""
    own = {"Content-Type": "text/html; charset=utf-8", "Cache-Control": "no-store", "Vary": "Cookie"}
    return [(name.lower().encode(), value.encode()) for name, value in {**app.extensions[EVERY], **own}.items()]


def init(app: Flask, *, hsts: bool) -> None:
    """Put the headers on."""
    app.register_blueprint(bp)
    app.jinja_env.globals["asset"] = asset
    every = app.extensions[EVERY] = {**ALWAYS, **({"Strict-Transport-Security": HSTS} if hsts else {})}

    @app.after_request
    def put_on(response: Response) -> Response:
        for name, value in every.items():
            response.headers[name] = value
        if request.endpoint != "files.static" or response.status_code >= 400:
            response.headers["Cache-Control"] = "no-store"
        return response
