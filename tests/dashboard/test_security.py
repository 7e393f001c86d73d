"""The door: who may ask for what, with which headers, and with which form token."""

import re
import stat
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import msgspec
import pytest
from werkzeug.routing import Rule

from dashboard import MOST_BYTES, create_app
from dashboard.access.headers import POLICY
from dashboard.access.permissions import Permission
from dashboard.access.roles import CHANGES, GRANTS, Role
from dashboard.access.users import add_user
from hub.settings.site_web import Web

if TYPE_CHECKING:
    from collections.abc import Callable

    from flask import Flask

    from dashboard.office import Office
    from hub.settings.site import Site
    from tests.dashboard.conftest import Browser, Field, ListHistory, StillClock

VALUES = {"name": "gate-north", "command": "open", "number": "1", "token": "1.1.p1.1.x"}
VALUES |= {"chip": "156000000000101", "rule": "noise-limit", "key": "above", "zone": "square"}
VALUES |= {"voice": "log", "profile": "noise/generic-rs485"}
METHODS = {"GET", "POST", "PUT", "PATCH", "DELETE"}
OPEN = {
    "app.manifest",
    "app.worker",
    "app.offline",
    "auth.login",
    "auth.sign_in",
    "auth.give_code",
    "files.static",
    "files.icon",
    "health.healthz",
    "health.metrics",
}
LEAVING = {"auth.sign_in", "auth.logout", "auth.password", "auth.end_sessions"}
SETUP = {"setup.page", "setup.make"}  # there is no such page once there is a user
OPEN |= SETUP
ELSEWHERE = {
    "files.security_txt": 404,  # the site names nobody
    "auth.code": 302,
    "reset.page": 404,
    "reset.change": 404,
    "auth.give_code": 302,
}  # for those without the half of it
OPEN |= set(ELSEWHERE)
SIGNED = {"briefing.page", "briefing.ack", "briefing.accept"}  # the signature in the address is login and form token
OPEN |= SIGNED
ORDERS = {"acknowledge_alarm", "comment_alarm", "reset_alarm", "shelve_alarm", "unshelve_alarm", "command_device"}
PASSWORD = "correct horse battery"


def path_of(rule: Rule) -> str:
    """An address that the rule fits."""
    name = "app.css" if rule.endpoint == "files.static" else VALUES["name"]
    if rule.endpoint.startswith(("lines.", "add_device.")):
        name = "rs485-yard"
    return re.sub(r"<(?:\w+:)?(\w+)>", lambda found: {**VALUES, "name": name}[found[1]], rule.rule)


def rules(app: "Flask") -> list[tuple[Rule, str]]:
    """Every route with each of its methods."""
    return [(rule, method) for rule in app.url_map.iter_rules() for method in METHODS & (rule.methods or set())]


def permission_of(app: "Flask", rule: Rule) -> Permission:
    """What the route's view declares."""
    view: Any = app.view_functions[rule.endpoint]  # Any: the mark is an attribute of a function
    return Permission(view.permission)


CHANGING = {
    "auth.logout",
    "auth.password",
    "acts.ack",
    "acts.comment",
    "acts.reset",
    "acts.mute",
    "acts.unmute",
    "acts.verdict",
    "devices.do",
    "limits.change",
    "mutes.mute",
    "plan.move",
    "plan.give",
    "mutes.end",
    "reports.make",
    "water.begin",
    "water.end",
    "dogs.save",
    "dogs.lost",
    "dogs.found",
    "dogs.remove",
    "dog_files.check",
    "dog_files.do",
    "auth.end_sessions",
    "factor.enrol",
    "factor.off",
    "users.add",
    "users.role",
    "users.active",
    "users.end_sessions",
    "users.reset_factor",
    "users.new_link",
    "users.add_client",
    "users.end_client",
    "service.out",
    "upkeep.begin",
    "upkeep.finish",
    "upkeep.stop",
    "upkeep.exchange",
    "service.back",
    "settings.test",
    "calendar.change",
    "about.make",
    "about.check",
    "about.download",
    "lines.watch",
    "add_device.send",
    "incidents.work",
    "incidents.lead",
    "duty.stand_in",
    "duty.take_over",
}


def test_every_route_declares_a_permission(app: "Flask") -> None:
    """And only these few need nobody in particular."""
    declared = {rule.endpoint: permission_of(app, rule) for rule, _ in rules(app)}
    assert {endpoint for endpoint, needs in declared.items() if needs is Permission.OPEN} == OPEN
    change = {rule.endpoint for rule, method in rules(app) if method != "GET"} - OPEN
    assert change - {f"api.{name}" for name in ORDERS} == CHANGING


def test_a_view_that_says_nothing_is_shut(app: "Flask", new_browser: "Callable[[Flask], Browser]") -> None:
    """Deny by default: forgetting the mark shuts the page, also to the administrator."""
    app.add_url_rule("/forgotten", "forgotten", lambda: "secret")
    browser = new_browser(app)
    assert browser.client.get("/forgotten").status_code == 403
    browser.sign_in("admin")
    assert browser.client.get("/forgotten").status_code == 403


@pytest.mark.parametrize("role", [None, *Role])
def test_every_route_by_every_role(role: Role | None, app: "Flask", browser: "Browser", field: "Field") -> None:
    """Nobody is sent to sign in, a role that is too low gets 403, and all others get in."""
    field.all_well()
    field.alarm("gate-held", "gate-east")
    if role is not None:
        assert browser.sign_in(role.value) == 302
    token = browser.token("/login")
    # Sign out last: what comes after it would be asked by nobody.
    for rule, method in sorted(rules(app), key=lambda pair: pair[0].endpoint in LEAVING):
        needs = permission_of(app, rule)
        if rule.endpoint in LEAVING:
            continue
        form = {"csrf_token": token} if method == "POST" else None
        status = browser.client.open(path_of(rule), method=method, data=form).status_code
        if needs is Permission.OPEN:
            assert status == ELSEWHERE.get(
                rule.endpoint, 403 if rule.endpoint in SIGNED else 404 if rule.endpoint in SETUP else 200
            ), (
                rule,
                status,
            )
        elif role is None:
            assert status == (401 if rule.rule.startswith("/api/") else 302), (rule, status)
        elif needs not in GRANTS[role]:
            assert status == 403, (rule, role)
        else:
            assert status in (200, 302, 400, 404), (rule, status)


def test_the_table_of_roles(app: "Flask") -> None:
    """Every role has its row; an auditor sees all there is and changes nothing; users are the administrator's alone."""
    assert set(GRANTS) == set(Role)
    assert set().union(*GRANTS.values()) | {Permission.OPEN, Permission.UNATTENDED} == set(Permission)
    assert not GRANTS[Role.AUDITOR] & CHANGES
    assert GRANTS[Role.AUDITOR] == set(Permission) - CHANGES - {Permission.OPEN}
    assert [role for role in Role if Permission.ADMINISTER in GRANTS[role]] == [Role.ADMIN]
    for rule, method in rules(app):  # what changes something needs more than a look
        if method != "GET" and permission_of(app, rule) not in CHANGES | {Permission.OPEN}:
            assert rule.endpoint.startswith(("auth.", "factor.")), rule  # one's own account


def test_every_form_needs_its_token(app: "Flask", admin: "Browser", browser: "Browser") -> None:
    """Everything that is not a GET is refused without the CSRF token, signed in or not."""
    for rule, method in rules(app):
        if method == "GET":
            continue
        for asking in (admin, browser):
            refused = 403 if rule.endpoint in SIGNED else 400
            if rule.rule.startswith("/api/") and asking is browser:
                refused = 401  # a program is told first that it is nobody
            assert asking.client.open(path_of(rule), method=method).status_code == refused, rule
    assert admin.client.get("/account").status_code == 200


def test_headers_on_every_answer(app: "Flask", admin: "Browser", browser: "Browser", field: "Field") -> None:
    """Pages, JSON, files, redirections and errors carry the same headers."""
    field.all_well()
    paths = [path_of(rule) for rule, method in rules(app) if method == "GET"] + ["/nowhere", "/static/../users.py"]
    for asking in (admin, browser):
        for path in paths:
            headers = asking.client.get(path).headers
            assert headers["Content-Security-Policy"] == POLICY, path
            assert headers["X-Content-Type-Options"] == "nosniff"
            assert headers["Referrer-Policy"] == "same-origin"
            assert headers["X-Frame-Options"] == "DENY"
            if path != "/static/app.css":
                assert headers["Cache-Control"] == "no-store", path
    assert "default-src 'none'" in POLICY
    assert "unsafe" not in POLICY


def test_denied_requests_are_audited(browser: "Browser", office: "Office", field: "Field") -> None:
    """Who tried what, with line breaks taken out."""
    browser.sign_in("viewer")
    browser.client.get("/devices/gate-north/do/open%0Aforged")
    with office.users.begin() as db:
        row = db.exec_driver_sql("SELECT actor, event, detail FROM audit ORDER BY id DESC LIMIT 1").one()
    assert tuple(row) == ("viewer", "denied", "GET /devices/gate-north/do/open forged")


def test_too_much_is_refused(admin: "Browser", field: "Field") -> None:
    """A form of a megabyte is 413, not memory."""
    field.all_well()
    number = field.alarm("gate-held", "gate-east")
    answer = admin.client.post(f"/alarms/{number}/comment", data={"text": "x" * 1_000_000})
    assert answer.status_code == 413


def test_files_are_private(office: "Office", app: "Flask") -> None:
    """The office database and the key are readable by their owner alone."""
    for name in ("office.sqlite", "office.key"):
        assert stat.S_IMODE((office.data / name).stat().st_mode) == 0o600


def test_security_txt(site: "Site", tmp_path: Path, clock: "StillClock", history: "ListHistory") -> None:
    """RFC 9116, where the site file names a contact."""
    told = msgspec.structs.replace(site, web=Web(contact="mailto:security@garden.example"))
    add_user(tmp_path, "admin", "admin", "a lake at night")
    made = create_app(told, tmp_path, clock, history=history)
    text = made.test_client().get("/.well-known/security.txt").text
    made.extensions["zhian"].close()
    assert "Contact: mailto:security@garden.example\n" in text
    assert "Expires: 2026-04-07T" in text


def test_every_answer_is_counted_in_bytes(app: "Flask", admin: "Browser") -> None:
    """A form without a length, in pieces, is cut off at the same limit."""
    form = {"csrf_token": admin.token("/account"), "text": "x" * (MOST_BYTES + 1)}
    body = urlencode(form).encode()
    answer = admin.client.post(
        "/mutes",
        input_stream=BytesIO(body),
        content_type="application/x-www-form-urlencoded",
        environ_overrides={"wsgi.input_terminated": True},
    )
    assert answer.status_code == 413
