"""The office: what people see. `create_app` makes the Flask application; `asgi.py` serves it with its live stream.

It reads the journal, puts orders in, and keeps users of its own. It touches no cable and decides no alarm.
"""

import os
import secrets
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path
from typing import Any

from flask import Flask, Request, current_app, g, render_template, request
from sqlalchemy.exc import DBAPIError
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response

from dashboard import duty_book, machine, menu, rulebook
from dashboard.access import forms, headers, permissions
from dashboard.access.setup import Setup
from dashboard.access.users import open_office
from dashboard.access.vault import Vault
from dashboard.access.watchman import Watchman
from dashboard.api import bp as api
from dashboard.api import problem
from dashboard.api.refusals import refusal
from dashboard.gather import glance
from dashboard.journal_view import FILE, JournalUnreadable, JournalView, OrderDesk
from dashboard.language import audit_words, hub_words, i18n, limit_words, place_words, reasons, words
from dashboard.language.i18n import gettext
from dashboard.language.words import RuleText, Words
from dashboard.live import by_script, together
from dashboard.office import EXTENSION, HistoryReader, Office, office
from dashboard.pages import PAGES, briefing, dog_files, mutes, service
from dashboard.places.dog_csv import MOST_BYTES as MOST_FILE
from dashboard.places.plan import drawing
from hub.clock import Clock
from hub.reports.maker import Maker
from hub.rules.door import load_rules
from hub.settings.site import Site

MOST_BYTES = 64 * 1024  # of a request: the longest thing anybody sends is a comment
KEY_FILE = "office.key"

__all__ = ["create_app"]


class Asked(Request):
    """A request. One address takes a whole file; everywhere else a comment is the longest thing."""

    def __init__(self, environ: dict[str, Any], populate_request: bool = True, shallow: bool = False) -> None:
        """As Flask's own."""
        super().__init__(environ, populate_request, shallow)
        if self.path == dog_files.UPLOAD:
            self.max_content_length = MOST_FILE + MOST_BYTES


def create_app(
    site: Site,
    data: Path,
    clock: Clock,
    *,
    history: HistoryReader,
    secure_cookies: bool = False,
    hsts: bool | None = None,
    rules: Iterable[RuleText] | None = None,
) -> Flask:
    """The application for a site and its data folder. `rules`: by default those that come with Zhian.

    `secure_cookies`: the page is reached by TLS only; cookies then carry `__Host-` and Secure.
    `hsts` (as `secure_cookies`): browsers are told to stay with TLS; they then forgive no unknown certificate.
    """
    app = Flask("dashboard", static_folder=None)
    app.config.update(
        SECRET_KEY=_key(data),
        SESSION_COOKIE_NAME="__Host-zhian-form" if secure_cookies else "zhian-form",
        SESSION_COOKIE_SECURE=secure_cookies,
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Strict",
        PERMANENT_SESSION_LIFETIME=timedelta(hours=12),
        WTF_CSRF_TIME_LIMIT=None,  # a duty page stays open all night; the token dies with the session
        MAX_CONTENT_LENGTH=MOST_BYTES,
        MAX_FORM_MEMORY_SIZE=MOST_BYTES,
        MAX_FORM_PARTS=50,
    )
    known = load_rules(site, Path("site.toml")) if rules is None else rules
    app.extensions[EXTENSION] = _parts(site, data, clock, history, known, secure=secure_cookies)
    i18n.init(app, secure=secure_cookies)
    permissions.init(app)
    by_script.init(app)
    headers.init(app, hsts=secure_cookies if hsts is None else hsts)
    for page in (*PAGES, api):
        app.register_blueprint(page)
    app.extensions[forms.EXTENSION] = forms.Forms(app)
    app.extensions["csrf"].exempt(briefing.bp)  # the signature in its address is its form token
    _say_errors(app)
    _furnish(app)
    return app


def _parts(
    site: Site, data: Path, clock: Clock, history: HistoryReader, rules: Iterable[RuleText], *, secure: bool
) -> Office:
    engine, names = open_office(data), Words(site, {rule.id: rule for rule in rules})
    return Office(
        site=site,
        data=data,
        clock=clock,
        words=names,
        drawing=drawing(site),
        view=JournalView(data / FILE),
        desk=OrderDesk(data / FILE),
        history=history,
        reports=Maker(site, data, clock, history, names.rule),
        users=engine,
        setup=Setup(engine),
        vault=Vault(_key(data)),
        watchman=Watchman(engine, data, clock),
        secure=secure,
    )


def _say_errors(app: Flask) -> None:
    """Errors as a page in the reader's language, or as JSON for the API."""

    app.register_error_handler(problem.Problem, lambda error: error.response())

    @app.errorhandler(HTTPException)
    def http_error(error: HTTPException) -> tuple[Response | str, int]:
        code = error.code or 500
        if request.path.startswith("/api/"):
            return refusal(error), code
        situation = glance(office()) if getattr(g, "signed", None) else None
        return render_template("error.html", code=code, message=_in_words(code), situation=situation), code

    @app.errorhandler(JournalUnreadable)
    def no_journal(error: JournalUnreadable) -> tuple[Response | str, int]:
        current_app.logger.warning("journal: %s", error)
        if request.path.startswith("/api/"):
            return problem.response(problem.body(503, "the hub's journal cannot be read")), 503
        message = gettext(
            "The hub's journal cannot be read. Nothing on this page is watched. See whether the hub runs."
        )
        return render_template("error.html", code=503, message=message), 503

    @app.errorhandler(DBAPIError)
    def no_room(error: DBAPIError) -> tuple[Response | str, int]:
        current_app.logger.warning("users: %s", error.orig)
        if request.path.startswith("/api/"):
            return problem.response(problem.body(507, "nothing can be stored: the disk is full or broken")), 507
        message = gettext("Nothing can be stored now: the disk is full or broken. Tell the administrator at once.")
        return render_template("error.html", code=507, message=message), 507


def _in_words(code: int) -> str:
    known = {
        400: gettext("This form is too old or did not come from this page. Go back and try again."),
        403: gettext("Your role may not do this.")
        if not office().setup.needed()
        else gettext("This installation has no administrator yet. Its console shows a token for the page /setup."),
        404: gettext("There is no such page."),
        413: gettext("That is too long."),
        429: gettext("Too many tries. Wait a moment."),
    }
    return known.get(code, gettext("That did not work."))


def _furnish(app: Flask) -> None:
    """What every template may use, and the rules that some show."""
    app.request_class = Asked
    rulebook.init(app)
    duty_book.init(app)
    said = (words.quantity, words.unit, words.decimals, words.figure, words.value_text, words.duration)
    for function in (*said, reasons.note, reasons.trouble, hub_words.said):
        app.jinja_env.globals[function.__name__] = function
    app.jinja_env.globals.update(
        severities=words.SEVERITIES,
        states=words.STATES,
        events=words.EVENTS,
        roles=words.ROLES,
        faults_in_words=reasons.FAULTS,
        order_kinds=words.ORDER_KINDS,
        limit_names=limit_words.LIMITS,
        fit=limit_words.fit,
        limit_text=limit_words.limit_text,
        limit_unit=limit_words.limit_unit,
        why_unwatched=words.UNWATCHED,
        outcome=words.outcome,
        **place_words.for_templates(),
        service_name=service.name_of,
        menu=menu.entries,
        menu_groups=menu.GROUPS,
        shown_here=menu.shown_here,
        audit_event=audit_words.audit_event,
        field_process=machine.field_process,
        ended_lately=machine.ended_lately,
        thinned=machine.thinned,
        once=together.once,
        form_token=together.form_token,
    )

    @app.context_processor
    def common() -> dict[str, object]:
        return {
            "site": office().site,
            "words": office().words,
            "clock_now": office().clock.now(),
            "clock_speed": office().clock.speed,
            "signed": getattr(g, "signed", None),
            "zone_mutes": mutes.banner(),
            "out_of_service": service.banner(),
        }


def _key(data: Path) -> bytes:
    """The key that signs form tokens: made once for an installation, readable by its owner alone."""
    data.mkdir(parents=True, exist_ok=True)
    path = data / KEY_FILE
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return path.read_bytes()
    with os.fdopen(handle, "wb") as file:
        file.write(secrets.token_bytes(32))
    return path.read_bytes()
