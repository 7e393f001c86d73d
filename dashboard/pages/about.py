"""About: which versions run here, under which licences, how the page proves itself, and the backups.

A backup holds every secret of the installation: an administrator gives his password anew for it.
"""

import importlib.metadata
import os
import re
import shutil
import time
from pathlib import Path

import msgspec
from flask import Blueprint, abort, current_app, flash, redirect, render_template, send_file, url_for
from flask import Response as FlaskResponse
from werkzeug.wrappers import Response

from dashboard.access.asking import note, stale, unproved
from dashboard.access.permissions import Permission, allow
from dashboard.backups import Backups
from dashboard.gather import gather
from dashboard.language.i18n import gettext
from dashboard.language.kept_words import size
from dashboard.office import me, office
from hub import authority, sbom
from hub.processes.state import read_board

bp = Blueprint("about", __name__, url_prefix="/about")
_BACKUPS = "zhian-backups"


class Disk(msgspec.Struct, frozen=True):
    """Bytes: of the data folder, and of the disk that it is on."""

    folder: int
    free: int
    total: int


@bp.get("")
@allow(Permission.REVIEW)
def page() -> str:
    """All of it."""
    listed = sbom.parts()
    return render_template(
        "about.html",
        version=importlib.metadata.version("zhian"),
        versions=_versions(listed),
        vendored=sbom.vendored(),
        parts=[part for part in listed if part.purl.startswith("pkg:pypi/")],
        certificate=_certificate(),
        authority=_authority(),
        uptime=_uptime(),
        disk=_disk(office().data),
        backups=backups(),
        sealing=bool(office().site.backup.passphrase_file),
        proof=stale(),
        size=size,
        situation=gather(office()),
    )


@bp.get("/sbom.json")
@allow(Permission.REVIEW)
def bill() -> FlaskResponse:
    """The bill of materials, for downloading."""
    answer = FlaskResponse(sbom.written(), mimetype="application/vnd.cyclonedx+json")
    answer.headers["Content-Disposition"] = "attachment; filename=zhian-sbom.cdx.json"
    return answer


@bp.get("/authority.crt")
@allow(Permission.SEE)
def ca() -> FlaskResponse:
    """What a telephone is given once, so that it knows this page whatever certificate it has later. No secret."""
    above = _authority()
    if above is None:
        abort(404)
    answer = FlaskResponse(above.pem, mimetype="application/x-x509-ca-cert")
    answer.headers["Content-Disposition"] = f"attachment; filename=zhian-{office().site.id}.crt"
    return answer


@bp.post("/backup")
@allow(Permission.ADMINISTER)
def make() -> Response:
    """Begin a backup; the page tells how it goes."""
    if problem := unproved():
        flash(problem)
    else:
        note("backup", me().name)
        if not backups().make(office().site, office().clock.now()):
            flash(gettext("One is being made already."))
    return redirect(url_for("about.page", _anchor="backups"))


@bp.post("/backup/<name>/check")
@allow(Permission.ADMINISTER)
def check(name: str) -> Response:
    """Read an archive again, every hash of it."""
    if backups().path(name) is None:
        abort(404)
    if problem := unproved():
        flash(problem)
    else:
        note("backup-check", me().name, name)
        if not backups().check(name, office().site, office().clock.now()):
            flash(gettext("One is being made already."))
    return redirect(url_for("about.page", _anchor="backups"))


@bp.post("/backup/<name>/download")
@allow(Permission.ADMINISTER)
def download(name: str) -> Response:
    """The archive itself."""
    path = backups().path(name)
    if path is None:
        abort(404)
    if problem := unproved():
        flash(problem)
        return redirect(url_for("about.page", _anchor="backups"))
    note("backup-download", me().name, name)
    return send_file(path, mimetype="application/octet-stream", as_attachment=True, download_name=name)


def backups() -> Backups:
    """The one of the running application."""
    kept: Backups = current_app.extensions.setdefault(_BACKUPS, Backups(office().data))
    return kept


def _versions(listed: list[sbom.Part]) -> list[tuple[str, str]]:
    """Of what a person asks for first."""
    duckdb = next((part for part in listed if part.name.lower() == "duckdb"), None)
    return [(part.name, part.version) for part in sbom.programs()] + ([("DuckDB", duckdb.version)] if duckdb else [])


def _authority() -> authority.Told | None:
    """The site's own, where the page's certificate is by it and it can be read."""
    pair = office().watchman.pair
    try:
        return authority.told(office().data) if pair is not None and pair.own else None
    except (OSError, ValueError):
        return None


def _certificate() -> dict[str, object] | None:
    """Fingerprint, end and whose it is; None where the office does not speak TLS itself."""
    pair = office().watchman.pair
    if pair is None:
        return None
    try:
        return {"fingerprint": pair.fingerprint, "ends": pair.ends, "own": pair.own}
    except (OSError, ValueError):
        return {"fingerprint": "", "ends": None, "own": pair.own}


def _uptime() -> list[tuple[str, int]]:
    """Since when each process runs, and the machine, as ms of the past."""
    now = time.monotonic()
    found = [(gettext("This machine"), int(_machine_s() * 1000))]
    board = read_board(office().data, os.getppid())
    for name, process in sorted(board.processes.items()) if board else ():
        if process.state == "up":
            found.append((process_name(name), int((now - process.since) * 1000)))
    return found


def process_name(name: str) -> str:
    """One of the supervisor's processes."""
    known = {
        "field": gettext("Hub (field process)"),
        "office": gettext("This page (office process)"),
        "devices": gettext("Simulated devices"),
    }
    return known.get(name, gettext("Broker") if re.match("broker|mosquitto", name) else name)


def _machine_s() -> float:
    try:
        return float(Path("/proc/uptime").read_text(encoding="ascii").split()[0])
    except (OSError, ValueError, IndexError):
        return 0.0


def _disk(data: Path) -> Disk:
    """A file that goes while it is counted counts nothing."""
    total = 0
    for folder, _, names in os.walk(data):
        for name in names:
            try:
                total += (Path(folder) / name).lstat().st_blocks * 512  # a sparse file takes less than its length
            except OSError:
                continue
    disk = shutil.disk_usage(data)
    return Disk(total, disk.free, disk.used + disk.free)
