"""A device is added: line, profile, options; read before it is saved; written into the site file and loaded.

Nothing but the device's own lines is written: the rest of the file stays byte for byte, and the old file is kept.
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path

import msgspec
from flask import Blueprint, abort, current_app, render_template, request
from itsdangerous import BadData, URLSafeTimedSerializer

from dashboard.access.asking import note, stale, unproved
from dashboard.access.permissions import Permission, allow
from dashboard.adding import fields, fitting, free_unit, span, table_of
from dashboard.backups import site_file
from dashboard.gather import gather
from dashboard.language.hub_words import said
from dashboard.language.i18n import gettext
from dashboard.office import me, office
from dashboard.pages.lines import find, kind_of
from device_profiles.types import ModbusLink, Profile
from hub.control import door as control
from hub.settings.site import MqttBrokerLink, SiteLink
from hub.settings.site_text import Changed, NoPlace, block, with_device, writable, write_site

bp = Blueprint("add_device", __name__, url_prefix="/lines")
PATIENCE_S = 60.0
GOOD_S = 3600  # so long a test counts


class Login(msgspec.Struct, frozen=True):
    """What is typed into an MQTT device so that our own broker lets it in."""

    host: str
    port: int
    username: str
    password: str


class Tried(msgspec.Struct, kw_only=True):
    """What the hub found (hub/control/trying.py), or why it could not look."""

    way: str = ""
    readings: dict[str, float | str] = {}
    faults: list[str] = []
    warnings: list[str] = []
    problem: str = ""
    topic: str = ""
    seconds: float = 0.0
    online: bool | None = None
    login: Login | None = None
    strangers: list[str] = []

    @property
    def passed(self) -> bool:
        """It said something that the profile can read."""
        return bool(self.readings) and not self.problem


class Draft(msgspec.Struct, frozen=True, kw_only=True):
    """The site file with the device, not written yet. `path` None: it is not known, or cannot be written."""

    path: Path | None
    old: bytes = b""
    new: bytes = b""
    problem: str = ""


@bp.get("/<name>/add")
@allow(Permission.MANAGE)
def choose(name: str) -> str:
    """Which profile?"""
    link = find(name)
    groups: dict[str, list[Profile]] = {}
    for profile_id, profile in fitting(link).items():
        groups.setdefault(profile_id.partition("/")[0], []).append(profile)
    return render_template("add_choose.html", link=link, kind=kind_of(link), groups=groups, situation=gather(office()))


@bp.get("/<name>/add/<path:profile>")
@allow(Permission.MANAGE)
def form(name: str, profile: str) -> str:
    """Its options."""
    link, known = find(name), _profile(name, profile)
    return _page(link, known, {}, [], None)


@bp.post("/<name>/add/<path:profile>")
@allow(Permission.MANAGE)
def send(name: str, profile: str) -> str:
    """Test what was filled in, or save what was tested."""
    link, known = find(name), _profile(name, profile)
    given = {key: value for key, value in request.form.items() if key not in ("csrf_token", "token", "password")}
    table, wrong = table_of(given, known, link, office().site)
    if wrong:
        return _page(link, known, given, wrong, None)
    draft = _draft(link, table)
    saving = request.form.get("deed") == "save"
    tried = Tried(problem=draft.problem or ("" if saving else _unproved_login(link, table)))
    if not tried.problem:
        tried = _try(draft, table, ask=not saving)
    if not saving or tried.problem:
        return _page(link, known, given, [], tried, table=table, draft=draft)
    return _save(link, known, given, table, draft)


def _unproved_login(link: SiteLink, table: Mapping[str, object]) -> str:
    """A test at our own broker makes a login: that wants a fresh password, and a row in the trail. Else empty."""
    if not isinstance(link, MqttBrokerLink) or link.url:
        return ""
    if problem := unproved():
        return problem
    note("device-try", me().name, f"{link.id} {table['id']}")
    return ""


def _save(link: SiteLink, profile: Profile, given: Mapping[str, str], table: Mapping[str, object], draft: Draft) -> str:
    """Written and loaded, or what is in the way of that."""
    tested = _was_tested(link, table)
    again = Tried(way="", problem="")
    if not tested and not given.get("untested"):
        again.problem = gettext("Test it first, or say that it is to be saved untested.")
    elif problem := unproved():
        again.problem = problem
    if again.problem or draft.path is None:
        return _page(link, profile, given, [], again, table=table, draft=draft)
    written = block(table, indent="").replace("\n", "; ")
    note("device-add", me().name, f"{link.id} ({'tested' if tested else 'untested'}): {written}"[:500])
    try:
        kept = write_site(draft.path, draft.old, draft.new, office().data, office().clock.now())
    except Changed:
        again.problem = gettext("The site file was changed by somebody else meanwhile. Test it again.")
    except OSError as error:
        again.problem = gettext("The site file cannot be written: %(why)s", why=said(error.strerror or str(error)))
    if again.problem:
        return _page(link, profile, given, [], again, table=table, draft=draft)
    loaded, words = _reload(draft)
    return render_template(
        "add_done.html", link=link, table=table, kept=kept, loaded=loaded, answer=words, situation=gather(office())
    )


def _reload(draft: Draft) -> tuple[str, str]:
    """yes | later (no hub runs) | no (the old file is back), and the hub's words."""
    try:
        list(control.ask(office().data, "reload", {"site": str(draft.path)}, timeout=PATIENCE_S))
    except control.NotRunning:
        return "later", ""
    except (control.Refused, OSError) as error:
        if isinstance(error, control.Refused) and error.mistake and draft.path is not None:
            write_site(draft.path, draft.new, draft.old, office().data, office().clock.now())
            return "no", error.words
        return "unknown", str(error)
    return "yes", ""


def _draft(link: SiteLink, table: Mapping[str, object]) -> Draft:
    path = site_file(office().data)
    if path is None:
        return Draft(path=None, problem=gettext("The site file that the hub runs on is not there."))
    try:
        old = path.read_bytes()
        new = with_device(old.decode(), link.id, table).encode()
    except NoPlace as error:
        what = said(str(error))
        why = gettext("The site file is written in another way (%(what)s): paste the lines by hand.", what=what)
        return Draft(path=None, problem=why)
    except (OSError, UnicodeError) as error:
        return Draft(path=None, problem=gettext("The site file cannot be read: %(why)s", why=said(str(error))))
    return Draft(path=path if writable(path) else None, old=old, new=new)


def _try(draft: Draft, table: Mapping[str, object], *, ask: bool) -> Tried:
    wanted = {"text": draft.new.decode(), "device": table["id"], "ask": ask}
    try:
        (answer,) = control.ask(office().data, "try", wanted, timeout=PATIENCE_S)
        return msgspec.convert(answer, Tried)
    except control.NotRunning:
        return Tried(problem=gettext("No hub runs: nobody can ask the device."))
    except control.Refused as error:
        return Tried(problem=said(error.words))
    except (OSError, ValueError) as error:
        return Tried(problem=gettext("The hub gave no answer: %(why)s", why=said(str(error))))


def _page(
    link: SiteLink,
    profile: Profile,
    given: Mapping[str, str],
    wrong: list[str],
    tried: Tried | None,
    *,
    table: Mapping[str, object] | None = None,
    draft: Draft | None = None,
) -> str:
    proof = _sign(link, table) if tried is not None and tried.passed and table else given.get("proof", "")
    return render_template(
        "add_form.html",
        link=link,
        profile=profile,
        fields=fields(profile, link),
        span=span,
        given=given,
        unit=free_unit(link) if isinstance(profile.link, ModbusLink) else None,
        wrong=wrong,
        tried=tried,
        tested=bool(table) and (bool(tried and tried.passed) or _was_tested(link, table or {})),
        block=block(table) if table else "",
        draft=draft,
        proof=proof,
        password=stale(),
        by_mqtt=isinstance(link, MqttBrokerLink),
        own_broker=isinstance(link, MqttBrokerLink) and not link.url,
        situation=gather(office()),
    )


def _profile(link: str, profile: str) -> Profile:
    known = fitting(find(link)).get(profile)
    if known is None:
        abort(404)
    return known


def _signer() -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(current_app.config["SECRET_KEY"], salt="device-tested")


def _digest(link: SiteLink, table: Mapping[str, object]) -> str:
    return hashlib.sha256(msgspec.json.encode([link.id, dict(table)], order="deterministic")).hexdigest()


def _sign(link: SiteLink, table: Mapping[str, object]) -> str:
    """What a form carries from its test to its saving."""
    signed = _signer().dumps(_digest(link, table))
    return signed if isinstance(signed, str) else signed.decode()


def _was_tested(link: SiteLink, table: Mapping[str, object]) -> bool:
    """Whether just this was tested lately."""
    try:
        found = _signer().loads(request.form.get("proof", ""), max_age=GOOD_S)
    except BadData:
        return False
    return bool(found == _digest(link, table))
