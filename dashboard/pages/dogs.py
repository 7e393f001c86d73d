"""Dogs: the register, one dog, lost and found, and where dogs were read lately. Import and export are in dog_files.py.

What the register says is the hub's (lists of the journal), by orders; whose dog it is stays in the office.
"""

from collections.abc import Iterable
from datetime import date, datetime

from flask import Blueprint, abort, flash, render_template, request, url_for
from sqlalchemy.orm import Session
from werkzeug.utils import redirect
from werkzeug.wrappers import Response

from dashboard.access.asking import note
from dashboard.access.permissions import Permission, allow, may
from dashboard.gather import gather
from dashboard.language.i18n import gettext, say
from dashboard.office import me, office
from dashboard.ordering import put_all_from_form
from dashboard.places import owners
from dashboard.places.dog_csv import LONGEST_NAME, as_date, check_phone, check_text
from dashboard.places.dogs import LONGEST_NOTE, Change, Dog, Seen, edits, register, removal, sightings
from dashboard.places.owners import Owner
from dashboard.places.traces import kept_ms, traces
from device_profiles.iso11784 import parse_any, remark, understand
from hub.devices.kennel import LOST
from hub.outcome import OrderState
from hub.reading import Label

bp = Blueprint("dogs", __name__, url_prefix="/dogs")
EXPIRES_MS = 24 * 3600 * 1000
MOST = 2000  # readings a reader that are looked through
LISTED = 50
DAY_MS = 86_400_000


@bp.get("")
@allow(Permission.SEE)
def page() -> str:
    """The register; a chip in any spelling, a note, or (for who may see owners) an owner is found."""
    lists, wanted, show = all_lists(), request.args.get("q", "").strip()[:60], request.args.get("show", "")
    dogs, people = register(lists), _owners()
    found = [dog for dog in dogs.values() if _fits(dog, people, wanted) and _shown(dog, show)]
    seen, whole = _seen(dogs)
    chip = understand(wanted) if wanted else ""
    return render_template(
        "dogs.html",
        dogs=sorted(found, key=lambda dog: (not dog.lost, dog.vaccination(today()) != "overdue", dog.note)),
        owners=people,
        total=len(dogs),
        wanted=wanted,
        show=show,
        today=today(),
        seen=[each for each in seen if each.chip in dogs][:LISTED],
        strangers=[each for each in seen if each.chip not in dogs][:LISTED],
        whole=whole,
        notes={chip: dog.note for chip, dog in dogs.items()},
        unknown=chip if isinstance(chip, str) and chip and chip not in dogs else "",
        waiting=_waiting(),
        situation=gather(office()),
    )


@bp.get("/new")
@allow(Permission.MANAGE)
def new() -> str:
    """An empty form; `chip` of the address is filled in."""
    return _form(Dog(chip=parse_any(request.args.get("chip", "")) or ""), Owner(""), fresh=True)


@bp.get("/<chip>")
@allow(Permission.SEE)
def one(chip: str) -> str:
    """One dog: what the register says, and by place where it was read last."""
    dog = _find(chip)
    seen, whole = _seen({chip: dog}, chip)
    return render_template(
        "dog.html",
        dog=dog,
        odd=remark(chip),
        owner=_owners().get(chip),
        today=today(),
        seen=seen,
        whole=whole,
        longest=LONGEST_NOTE,
        waiting=_waiting(),
        situation=gather(office()),
    )


@bp.get("/<chip>/edit")
@allow(Permission.MANAGE)
def ask(chip: str) -> str:
    """What shall the register say?"""
    return _form(_find(chip), _owners().get(chip, Owner("")), fresh=False)


@bp.post("")
@allow(Permission.MANAGE)
def save() -> Response | tuple[str, int]:
    """Put a dog in, or change what is said of it."""
    typed = {name: request.form.get(name, "").strip() for name in ("chip", "note", "until", "owner", "phone")}
    chip, until = understand(typed["chip"][:80]), as_date(typed["until"]) if typed["until"] else ""
    owner = Owner(typed["owner"], typed["phone"])
    wrong = [chip] if isinstance(chip, Label) else []
    if until is None:
        wrong.append(Label(zh="应为日期，如 2026-05-01", en="should be a day, as 2026-05-01"))
    checks = (
        check_text(typed["note"], LONGEST_NOTE),
        check_text(owner.name, LONGEST_NAME),
        check_phone(owner.phone),
    )
    wrong += [why for why in checks if why]
    dog = Dog(chip=chip if isinstance(chip, str) else typed["chip"], note=typed["note"], until=until or "")
    if wrong or isinstance(chip, Label):
        return _form(dog, owner, fresh=request.form.get("fresh") == "yes", wrong=wrong), 400
    lists = all_lists()
    if request.form.get("fresh") == "yes" and chip in lists["dogs"]:
        flash(gettext("This dog is in the register already."))
        return redirect(url_for("dogs.one", chip=chip))
    note("dog", me().name, chip)
    with Session(office().users) as db, db.begin():
        owners.put_all(db, [(chip, owner)])
        order(edits(dog, lists, today()))
    return redirect(url_for("dogs.one", chip=chip))


@bp.post("/<chip>/lost")
@allow(Permission.MANAGE)
def lost(chip: str) -> Response:
    """Wherever it is read from now on, somebody is told."""
    _find(chip)
    where = " ".join(request.form.get("text", "").split())[:LONGEST_NOTE]
    note("dog-lost", me().name, chip)
    order([Change("list-add", LOST, f"{chip} {where}".strip())])
    return redirect(url_for("dogs.one", chip=chip))


@bp.post("/<chip>/found")
@allow(Permission.MANAGE)
def found(chip: str) -> Response:
    """It is back."""
    _find(chip)
    note("dog-found", me().name, chip)
    order([Change("list-remove", LOST, chip)])
    return redirect(url_for("dogs.one", chip=chip))


@bp.post("/<chip>/remove")
@allow(Permission.MANAGE)
def remove(chip: str) -> Response:
    """Off the register and all lists, with its owner."""
    _find(chip)
    note("dog-removed", me().name, chip)
    with Session(office().users) as db, db.begin():
        owners.put(db, chip, None)
        db.flush()
        order(removal(chip, all_lists()))
    return redirect(url_for("dogs.page"))


def all_lists() -> dict[str, dict[str, str]]:
    """The hub's lists: name -> entry -> note."""
    lists: dict[str, dict[str, str]] = {"dogs": {}}
    for row in office().view.rows("SELECT list, id, note FROM entry"):
        lists.setdefault(row[0], {})[row[1]] = row[2]
    return lists


def order(changes: Iterable[Change]) -> None:
    """All of them, in one transaction."""
    put_all_from_form([(change.kind, change.list, change.text) for change in changes], EXPIRES_MS)


def today() -> date:
    """On the site's wall clock."""
    return datetime.fromtimestamp(office().clock.now() / 1000, office().site.tz).date()


def _owners() -> dict[str, Owner]:
    """Nobody's for who may not see them."""
    return owners.owners(office().users) if may(Permission.MANAGE) else {}


def _find(chip: str) -> Dog:
    dog = register(all_lists()).get(chip)
    if dog is None:
        abort(404)
    return dog


def _form(dog: Dog, owner: Owner, *, fresh: bool, wrong: Iterable[Label] = ()) -> str:
    return render_template(
        "dog_edit.html",
        dog=dog,
        owner=owner,
        fresh=fresh,
        wrong=[say(why) for why in wrong],
        longest=LONGEST_NOTE,
        longest_name=LONGEST_NAME,
        situation=gather(office()),
    )


def _fits(dog: Dog, people: dict[str, Owner], wanted: str) -> bool:
    if not wanted:
        return True
    owner, text = people.get(dog.chip, Owner("")), wanted.casefold()
    digits = wanted.replace(" ", "").replace(".", "")
    return (
        parse_any(wanted) == dog.chip
        or (digits.isdigit() and len(digits) >= 4 and digits in dog.chip)
        or any(text in said.casefold() for said in (dog.note, owner.name, owner.phone) if said)
    )


def _shown(dog: Dog, show: str) -> bool:
    if show == "lost":
        return dog.lost
    return show != "due" or dog.vaccination(today()) in ("overdue", "soon")


def _seen(dogs: dict[str, Dog], chip: str = "") -> tuple[list[Seen], bool]:
    """By place, newest first, of as long as they are kept; and whether the history answered."""
    readers = {device.id: device for device in office().site.devices().values() if "chip" in device.profile.reading}
    read = traces(office(), readers, "chip", office().clock.now() - kept_ms(office().site), MOST)
    events = [(readers[name].zone, trace) for name, each in read.items() for trace in each.found]
    events.sort(key=lambda event: event[1].ts, reverse=True)
    wanted = [event for event in events if not chip or event[1].value == chip]
    return sightings(wanted, [dog.chip for dog in dogs.values() if dog.lost]), all(e.whole for e in read.values())


def _waiting() -> int:
    """Changes that the hub has not taken yet."""
    since = office().clock.now() - DAY_MS
    orders = office().view.orders_since(["list-add", "list-remove"], since)
    return sum(each.state is OrderState.REQUESTED for each in orders)
