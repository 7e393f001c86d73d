"""Dogs from a file and into one: a file is first checked, then shown, and imported only when its manager says so.

All or nothing: owners and orders go in by one step each, and a file with one mistake changes nothing.
"""

import hashlib
from contextlib import closing

from flask import Blueprint, abort, flash, render_template, request, url_for
from sqlalchemy.orm import Session
from werkzeug.datastructures import FileStorage
from werkzeug.utils import redirect
from werkzeug.wrappers import Response

from dashboard.access.asking import note
from dashboard.access.permissions import Permission, allow
from dashboard.gather import gather
from dashboard.language.i18n import gettext, language
from dashboard.office import me, office
from dashboard.pages.dogs import all_lists, order, today
from dashboard.places import owners
from dashboard.places.dog_csv import HEADERS, MOST_BYTES, MOST_ROWS, Line, Mistake, Read, decode, read, write
from dashboard.places.dogs import Dog, edits, register
from dashboard.places.owners import Owner
from hub.reading import Label

bp = Blueprint("dog_files", __name__, url_prefix="/dogs")
UPLOAD = "/dogs/import"  # the one address that takes more than a form


@bp.get("/export.csv")
@allow(Permission.MANAGE)
def export() -> Response:
    """The whole register with its owners, for a spreadsheet."""
    note("dogs-export", me().name)
    text = write(register(all_lists()).values(), owners.owners(office().users), language())
    found = {"Content-Disposition": 'attachment; filename="dogs.csv"'}
    return Response(text, content_type="text/csv; charset=utf-8", headers=found)


@bp.get("/import")
@allow(Permission.MANAGE)
def ask() -> str:
    """Which file?"""
    return _page(None)


@bp.post("/import")
@allow(Permission.MANAGE)
def check() -> str | tuple[str, int]:
    """A dry run: what the file would change, or what is wrong with it. Nothing is imported."""
    file = request.files.get("file")
    if file is None or not file.filename:
        flash(gettext("Choose a file."))
        return _page(None), 400
    text = _text(file)
    found = read(text) if text is not None else _unreadable()
    digest = hashlib.sha256((text or "").encode()).hexdigest()
    if not found.mistakes and text is not None:
        owners.keep_draft(office().users, me().name, digest, text, office().clock.now())
    return _page(found, name=file.filename[:80], digest=digest)


@bp.post("/import/do")
@allow(Permission.MANAGE)
def do() -> Response:
    """Import what was checked. The same file twice changes nothing the second time."""
    digest = request.form.get("digest", "")[:64]
    text = owners.draft(office().users, me().name, digest, office().clock.now())
    if text is None:
        flash(gettext("The file was not checked within the last hour. Check it again."))
        return redirect(url_for("dog_files.ask"))
    lines = read(text).lines
    if not lines:
        abort(400)
    lists, people = all_lists(), owners.owners(office().users)
    dogs = register(lists)
    changes = [change for line in lines for change in edits(_dog(line, dogs), lists, today())]
    note("dogs-import", me().name, f"{len(lines)} dogs, {len(changes)} changes, sha256 {digest[:16]}")
    with Session(office().users) as db, db.begin():
        owners.put_all(db, [(line.chip, _owner(line, people)) for line in lines if line.owner or line.phone])
        owners.drop_draft(db, me().name)
        order(changes)
    flash(gettext("%(n)s dogs imported.", n=len(lines)))
    return redirect(url_for("dogs.page"))


def _text(file: FileStorage) -> str | None:
    with closing(file):
        raw = file.stream.read(MOST_BYTES + 1)
    return decode(raw) if len(raw) <= MOST_BYTES else None


def _unreadable() -> Read:
    wrong = Label(
        zh="应为 UTF-8 或 GBK 的 CSV 文件，最大 1 MB", en="should be a CSV file in UTF-8 or GBK of 1 MB at most"
    )
    return Read(mistakes=[Mistake(1, "", "", wrong)])


def _page(found: Read | None, *, name: str = "", digest: str = "") -> str:
    lists = all_lists()
    known = register(lists)
    fresh = [line for line in found.lines if line.chip not in lists["dogs"]] if found else []
    changed = [
        line for line in found.lines if line not in fresh and edits(_dog(line, known), lists, today())
    ] if found else []  # fmt: skip
    return render_template(
        "dog_import.html",
        found=found,
        fresh=fresh,
        changed=changed,
        name=name,
        digest=digest,
        headers=HEADERS.values(),
        most=MOST_ROWS,
        situation=gather(office()),
    )


def _dog(line: Line, dogs: dict[str, Dog]) -> Dog:
    """What the register will say: the file's words, and where it says nothing what is known."""
    known = dogs.get(line.chip, Dog(chip=line.chip))
    return Dog(
        chip=line.chip,
        note=known.note if line.note is None else line.note,
        until=known.until if line.until is None else line.until,
    )


def _owner(line: Line, known: dict[str, Owner]) -> Owner:
    was = known.get(line.chip, Owner(""))
    return Owner(line.owner or was.name, line.phone or was.phone)
