"""Users and roles: every change wants a fresh password, is noted, and counts from the next request on."""

import re
from typing import TYPE_CHECKING, Any

import pytest
from flask import Flask

from dashboard.access.clients import PREFIX
from dashboard.access.people import LINK_MS
from dashboard.access.roles import GRANTS, SCOPES, Permission, Role
from dashboard.access.sessions import PROOF_MS
from tests.dashboard.conftest import PASSWORD
from tests.dashboard.test_factor import number_of
from tests.dashboard.test_security import path_of, permission_of, rules

if TYPE_CHECKING:
    from collections.abc import Callable

    from dashboard.office import Office
    from tests.dashboard.conftest import Browser, Field, StillClock

GUARD = number_of("guard")
CHANGES: list[tuple[str, dict[str, str]]] = [
    ("/users", {"name": "li", "role": "guard"}),
    (f"/users/{GUARD}/role", {"role": "manager"}),
    (f"/users/{GUARD}/active", {"active": "no"}),
    (f"/users/{GUARD}/sessions", {}),
    (f"/users/{GUARD}/factor", {}),
    (f"/users/{GUARD}/link", {}),
    ("/users/clients", {"name": "meter", "scope": "read"}),
    ("/users/clients/1/end", {}),
]


@pytest.fixture
def guard(app: Flask, new_browser: "Callable[[Flask], Browser]") -> "Browser":
    """Signed in as the guard."""
    made = new_browser(app)
    made.enter("guard")
    return made


def secret(answer: Any) -> str:  # Any: werkzeug's test response
    """What the page shows once."""
    found = re.search(r'class="secret" value="([^"]+)"', answer.text)
    assert found is not None
    return found[1]


def events(office: "Office") -> list[tuple[str, str, str]]:
    """Actor, event and detail of all rows of the audit trail."""
    with office.users.begin() as db:
        return [tuple(row) for row in db.exec_driver_sql("SELECT actor, event, detail FROM audit ORDER BY id")]


@pytest.mark.parametrize(("path", "form"), CHANGES)
def test_every_change_wants_a_fresh_password(
    path: str, form: dict[str, str], admin: "Browser", clock: "StillClock", office: "Office"
) -> None:
    """Five minutes after the login nothing changes without it, and with a wrong one; with it, it does, and is noted."""
    clock.at += PROOF_MS + 1
    before = len(events(office))
    for given in ({}, {"password": "wrong"}):
        assert admin.post(path, form="/users", **form, **given).status_code == 403
    assert [event for _, event, _ in events(office)[before:]] == ["login-failed"]
    assert admin.post(path, form="/users", **form, password=PASSWORD).status_code in (200, 302)
    actor, event, _ = events(office)[-1]
    assert actor == "admin"
    assert event.startswith(("user-", "client-"))


def test_a_new_user_comes_by_a_link_that_works_once(
    app: Flask, admin: "Browser", new_browser: "Callable[[Flask], Browser]", field: "Field"
) -> None:
    """Nobody knows a password of somebody else's; the link is worth nothing after it."""
    field.all_well()
    link = secret(admin.post("/users", name="li", role="guard")).removeprefix("http://localhost")
    li = new_browser(app)
    assert li.post(link, form=link, password="night watch", again="night watsh").status_code == 400
    assert li.post(link, form=link, password="li", again="li").status_code == 400
    assert li.post(link, form=link, password="night watch", again="night watch").status_code == 302
    assert li.client.get(link).status_code == 404
    assert li.sign_in("li", "night watch") == 302
    assert li.client.get("/devices").status_code == 200
    assert "li" in admin.client.get("/users").text


def test_a_link_is_good_for_a_day(admin: "Browser", browser: "Browser", clock: "StillClock") -> None:
    """And a newer one makes an older one worthless."""
    first = secret(admin.post(f"/users/{GUARD}/link", form="/users")).removeprefix("http://localhost")
    second = secret(admin.post(f"/users/{GUARD}/link", form="/users")).removeprefix("http://localhost")
    assert first != second
    assert [browser.client.get(link).status_code for link in (first, second)] == [404, 200]
    clock.at += LINK_MS
    assert browser.client.get(second).status_code == 404


def test_a_link_ends_all_sessions_and_leaves_the_second_factor(
    admin: "Browser", guard: "Browser", browser: "Browser", clock: "StillClock", office: "Office"
) -> None:
    """ASVS 6.4.3: whoever reads the guard's mail does not get round the phone."""
    with office.users.begin() as db:
        db.exec_driver_sql("UPDATE user SET factor = 'x' WHERE name = 'guard'")
    link = secret(admin.post(f"/users/{GUARD}/link", form="/users")).removeprefix("http://localhost")
    browser.post(link, form=link, password="night watch", again="night watch")
    assert guard.client.get("/account").status_code == 302
    browser.sign_in("guard", "night watch")
    assert browser.client.get("/account").status_code == 302
    assert browser.client.get("/login/code").status_code == 200


def test_disabled_at_once_and_enabled_again(admin: "Browser", guard: "Browser", browser: "Browser") -> None:
    """The open session ends, the password is worth nothing; enabled, it is again."""
    admin.post(f"/users/{GUARD}/active", form="/users", active="no")
    assert guard.client.get("/account").status_code == 302
    assert browser.sign_in("guard") == 401
    admin.post(f"/users/{GUARD}/active", form="/users", active="yes")
    assert guard.client.get("/account").status_code == 302  # the old session stays ended
    assert guard.sign_in("guard") == 302


def test_another_role_counts_from_the_next_request_on(admin: "Browser", guard: "Browser", field: "Field") -> None:
    """Without signing in again."""
    field.all_well()
    assert guard.client.get("/audit").status_code == 403
    admin.post(f"/users/{GUARD}/role", form="/users", role="auditor")
    assert guard.client.get("/audit").status_code == 200
    assert guard.post("/alarms/1/ack").status_code == 403


def test_the_last_administrator_stays(admin: "Browser", office: "Office") -> None:
    """Nobody could undo it; with a second one it goes."""
    me = number_of("admin")
    assert admin.post(f"/users/{me}/active", form="/users", active="no").status_code == 400
    page = admin.post(f"/users/{me}/role", form="/users", role="guard")
    assert "last administrator" in admin.client.get(page.headers["Location"]).text
    admin.post(f"/users/{GUARD}/role", form="/users", role="admin")
    admin.post(f"/users/{me}/role", form="/users", role="guard")
    assert admin.client.get("/users").status_code == 403


def test_sessions_are_ended_by_the_administrator(admin: "Browser", guard: "Browser") -> None:
    """All of them, at once."""
    admin.post(f"/users/{GUARD}/sessions", form="/users")
    assert guard.client.get("/account").status_code == 302


def test_ones_own_sessions(app: Flask, guard: "Browser", new_browser: "Callable[[Flask], Browser]") -> None:
    """One by one, or all of them, this one too; nobody else's."""
    second, other = new_browser(app), new_browser(app)
    second.enter("guard")
    other.enter("viewer")
    numbers = re.findall(r'name="number" value="(\w+)"', guard.client.get("/account").text)
    assert len(numbers) == 1
    other.post("/account/sessions", number=numbers[0])
    assert second.client.get("/account").status_code == 200
    guard.post("/account/sessions", number=numbers[0])
    assert second.client.get("/account").status_code == 302
    assert guard.client.get("/account").status_code == 200
    guard.post("/account/sessions")
    assert guard.client.get("/account").status_code == 302
    assert other.client.get("/account").status_code == 200


@pytest.mark.parametrize("form", [{"name": "a b", "role": "guard"}, {"name": "guard", "role": "guard"}, {"name": "x"}])
def test_users_that_cannot_be(form: dict[str, str], admin: "Browser") -> None:
    """Said on the page."""
    answer = admin.post("/users", **form)
    assert answer.status_code == 400
    assert "Not added" in answer.text


def test_an_auditor_sees_and_changes_nothing(
    app: Flask, new_browser: "Callable[[Flask], Browser]", field: "Field", office: "Office"
) -> None:
    """Users, one user, the trail: without a single form that changes something but one's own account."""
    field.all_well()
    auditor = new_browser(app)
    auditor.enter("auditor")
    for path in ("/users", f"/users/{GUARD}", "/audit", "/limits"):
        page = auditor.client.get(path)
        assert page.status_code == 200
        assert 'method="post"' not in page.text, path
    token = auditor.token("/account")
    for rule, method in rules(app):
        if method == "GET" or permission_of(app, rule) not in {Permission.ADMINISTER, Permission.MANAGE}:
            continue
        assert auditor.client.open(path_of(rule), method=method, data={"csrf_token": token}).status_code == 403, rule


def bearer(app: Flask, token: str) -> Any:  # Any: the JSON of its answers has no type
    """A program that sends this token and nothing else."""
    client: Any = app.test_client()
    client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {token}"
    return client


def test_a_programs_token(app: Flask, admin: "Browser", field: "Field", office: "Office", clock: "StillClock") -> None:
    """Shown once, good for the API alone, seen when it was used, and worth nothing when it was taken back."""
    field.all_well()
    token = secret(admin.post("/users/clients", form="/users", name="meter", scope="read"))
    assert token.startswith(PREFIX)
    assert token not in admin.client.get("/users").text
    assert b"".join(path.read_bytes() for path in office.data.glob("office.sqlite*")).find(token.encode()) < 0
    program = bearer(app, token)
    assert program.get("/api/v1/alarms").status_code == 200
    assert "last used" in admin.client.get("/users").text
    assert program.get("/devices").status_code == 302  # no page
    admin.post("/users/clients/1/end", form="/users")
    assert program.get("/api/v1/alarms").status_code == 401


@pytest.mark.parametrize("token", ["", "nonsense", PREFIX + "x" * 43])
def test_a_wrong_token_is_nobody(token: str, app: Flask, admin: "Browser", field: "Field") -> None:
    """Also beside a good cookie: a program never acts as the person whose browser it is in."""
    field.all_well()
    assert bearer(app, token).get("/api/v1/alarms").status_code == 401
    assert admin.client.get("/api/v1/alarms", headers={"Authorization": f"Bearer {token}"}).status_code == 401


@pytest.mark.parametrize("scope", SCOPES)
def test_what_a_scope_allows(scope: str, app: Flask, admin: "Browser", field: "Field") -> None:
    """Every route of the API by every scope; and none of them reaches users and settings."""
    field.all_well()
    field.alarm("gate-held", "gate-east")
    program = bearer(app, secret(admin.post("/users/clients", form="/users", name="meter", scope=scope)))
    assert Permission.ADMINISTER not in SCOPES[scope]
    assert SCOPES[scope] - {Permission.UNATTENDED} <= GRANTS[Role.ADMIN]
    for rule, method in rules(app):
        if not rule.rule.startswith("/api/"):
            continue
        status = program.open(path_of(rule), method=method).status_code
        assert (status in (401, 403)) is (permission_of(app, rule) not in SCOPES[scope]), (rule, status)


def test_a_program_needs_no_form_token_and_a_browser_does(app: Flask, admin: "Browser", field: "Field") -> None:
    """What no browser sends by itself cannot be forged across sites."""
    field.all_well()

    @app.post("/api/v1/try")
    def try_it() -> str:
        return "done"

    try_it.permission = Permission.SEE  # type: ignore[attr-defined]  # as `allow` marks it
    program = bearer(app, secret(admin.post("/users/clients", form="/users", name="meter", scope="read")))
    assert program.post("/api/v1/try").text == "done"
    assert admin.client.post("/api/v1/try").status_code == 400


def test_names_of_users_and_programs_are_text(admin: "Browser") -> None:
    """And what is no name is refused before it is stored."""
    for path, more in (("/users", {"role": "guard"}), ("/users/clients", {"scope": "read"})):
        answer = admin.post(path, form="/users", name="<script>", **more)
        assert answer.status_code == 400
        assert "<script>alert" not in answer.text
