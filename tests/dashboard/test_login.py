"""Signing in: cookies, sessions that end, and how patient the login is with wrong passwords."""

import re
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from dashboard import create_app
from dashboard.access.roles import ROLES
from dashboard.access.sessions import IDLE_MS, MOST_MS, delay_ms, digest_of, end_all
from dashboard.access.users import add_user, list_users, renew_login, set_password
from device_profiles.door import Refusal
from tests.dashboard.conftest import PASSWORD

if TYPE_CHECKING:
    from collections.abc import Callable

    from flask import Flask

    from dashboard.office import Office
    from hub.settings.site import Site
    from tests.dashboard.conftest import Browser, Field, ListHistory, StillClock


def test_cookies(app: "Flask", browser: "Browser") -> None:
    """The session's cookie is HttpOnly, SameSite=Strict, random, and kept only as a digest."""
    assert browser.sign_in("admin") == 302
    cookie = browser.client.get_cookie("zhian")
    assert cookie is not None
    assert (cookie.http_only, cookie.same_site, cookie.secure) == (True, "Strict", False)
    assert len(cookie.value) >= 43
    raw = (Path(app.extensions["zhian"].data) / "office.sqlite-wal").read_bytes()
    assert cookie.value.encode() not in raw
    assert digest_of(cookie.value).encode() in raw


def test_one_page_waits_for_the_disk_and_not_each(
    app: "Flask",
    new_browser: "Callable[[Flask], Browser]",
    field: "Field",
    clock: "StillClock",
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """That somebody is there is written by one request; what they open meanwhile comes, however long that takes."""
    field.all_well()
    first, second = new_browser(app), new_browser(app)
    second.client.set_cookie("zhian", first.enter("guard"))
    writing, written = threading.Event(), threading.Event()

    def slow_disk(*_: object) -> None:
        writing.set()
        assert written.wait(30)

    monkeypatch.setattr("dashboard.access.sessions.keep", slow_disk)
    clock.at += 60_000
    with ThreadPoolExecutor(2) as threads:
        waits = threads.submit(first.client.get, "/")
        try:
            assert writing.wait(30)
            assert threads.submit(second.client.get, "/").result(20).status_code == 200
            assert not waits.done()
        finally:
            written.set()
        assert waits.result(20).status_code == 200


def test_secure_cookies(tmp_path: Path, site: "Site", clock: "StillClock", history: "ListHistory") -> None:
    """Behind TLS the cookies carry __Host- and Secure, and browsers are told to stay with TLS."""
    made = create_app(site, tmp_path, clock, history=history, secure_cookies=True)
    add_user(tmp_path, "admin", "admin", PASSWORD)
    client = made.test_client()
    page = client.get("/login", base_url="https://localhost")
    found = re.search(r'name="csrf_token" value="([^"]+)"', page.text)
    assert found is not None
    form = {"name": "admin", "password": PASSWORD, "csrf_token": found[1]}
    headers = {"Referer": "https://localhost/login"}
    answer = client.post("/login", data=form, base_url="https://localhost", headers=headers)
    made.extensions["zhian"].close()
    cookies = answer.headers.getlist("Set-Cookie")
    assert any(re.match(r"__Host-zhian=.*Secure; HttpOnly; Path=/; SameSite=Strict", cookie) for cookie in cookies)
    assert "max-age" in answer.headers["Strict-Transport-Security"]


def test_a_login_makes_a_new_session(app: "Flask", admin: "Browser") -> None:
    """A token from before the login is worth nothing after it, and two logins are two sessions."""
    first = admin.client.get_cookie("zhian")
    admin.client.set_cookie("zhian", "planted-by-somebody")
    assert admin.client.get("/account").status_code == 302
    admin.sign_in("admin")
    second = admin.client.get_cookie("zhian")
    assert first is not None
    assert second is not None
    assert second.value not in (first.value, "planted-by-somebody")


def test_a_session_ends_when_idle_and_after_twelve_hours(admin: "Browser", clock: "StillClock", field: "Field") -> None:
    """Thirty idle minutes, or twelve hours however busy."""
    clock.at += IDLE_MS - 1
    assert admin.client.get("/account").status_code == 200
    clock.at += IDLE_MS + 1
    assert admin.client.get("/account").status_code == 302
    admin.sign_in("admin")
    for _ in range(MOST_MS // (IDLE_MS // 2)):
        assert admin.client.get("/account").status_code == 200
        clock.at += IDLE_MS // 2
    assert admin.client.get("/account").status_code == 302


def test_a_page_that_refreshes_itself_is_not_a_person(admin: "Browser", clock: "StillClock", field: "Field") -> None:
    """The script's own requests do not keep a manager's session awake."""
    field.all_well()
    clock.at += IDLE_MS - 1
    assert admin.client.get("/account", headers={"X-Refresh": "1"}).status_code == 200
    clock.at += 2
    assert admin.client.get("/account", headers={"X-Refresh": "1"}).status_code == 401


def test_coming_and_going_is_audited(browser: "Browser", office: "Office") -> None:
    """Each login, failed login, delay and logout is a row, with the name that was tried."""
    for password in ("wrong", "wrong", "wrong", PASSWORD):
        browser.sign_in("guard", password)
    browser.sign_in("admin", address="10.0.0.1")
    browser.post("/logout")
    with office.users.begin() as db:
        rows = db.exec_driver_sql("SELECT actor, event FROM audit ORDER BY id").all()
    assert [tuple(row) for row in rows] == [
        *[("guard", "login-failed")] * 3,
        ("guard", "login-delayed"),
        ("admin", "login"),
        ("admin", "logout"),
    ]


def test_logout_ends_the_session_on_the_server(admin: "Browser") -> None:
    """A copied cookie is dead after the logout."""
    stolen = admin.client.get_cookie("zhian")
    assert stolen is not None
    assert admin.post("/logout").status_code == 302
    admin.client.set_cookie("zhian", stolen.value)
    assert admin.client.get("/account").status_code == 302


def test_a_new_password_ends_all_sessions(admin: "Browser", office: "Office") -> None:
    """From the command line or from the page: whoever is in must sign in again."""
    set_password(office.data, "admin", "another good one")
    assert admin.client.get("/account").status_code == 302
    assert admin.sign_in("admin") == 401


def test_changing_ones_own_password(admin: "Browser", clock: "StillClock") -> None:
    """Needs the old one; the new one must be long enough and typed twice alike."""
    change = "/account/password"
    admin.post(change, old=PASSWORD, new="new password", again="newpassword")
    admin.post(change, old=PASSWORD, new="short", again="short")
    admin.post(change, old="wrong", new="new password", again="new password")
    assert admin.client.get("/account").status_code == 200
    admin.post(change, old=PASSWORD, new="new password", again="new password")
    assert admin.client.get("/account").status_code == 302
    assert admin.sign_in("admin", "new password") == 302


def test_delays_grow_and_end(browser: "Browser", clock: "StillClock") -> None:
    """Three tries are free, then each failure doubles the wait; afterwards the right password gets in."""
    assert [delay_ms(n, 60_000) for n in (0, 2, 3, 4, 5, 60)] == [0, 0, 1000, 2000, 4000, 60_000]
    for _ in range(3):
        assert browser.sign_in("guard", "wrong") == 401
    assert browser.sign_in("guard") == 429
    clock.at += 1000
    assert browser.sign_in("guard", "wrong") == 401
    clock.at += 1999
    assert browser.sign_in("guard") == 429
    clock.at += 1
    assert browser.sign_in("guard") == 302


def test_delays_survive_a_restart(
    browser: "Browser",
    app: "Flask",
    site: "Site",
    clock: "StillClock",
    history: "ListHistory",
    new_browser: "Callable[[Flask], Browser]",
) -> None:
    """They are kept in the database, so that a crash does not give new tries."""
    for _ in range(3):
        browser.sign_in("guard", "wrong")
    again = create_app(site, app.extensions["zhian"].data, clock, history=history)
    assert new_browser(again).sign_in("guard") == 429
    again.extensions["zhian"].close()


def test_delays_by_name_and_by_address(browser: "Browser", clock: "StillClock") -> None:
    """One name from many addresses waits, and many names from one address too; nobody else does."""
    for host in range(3):
        assert browser.sign_in("guard", "wrong", address=f"10.0.0.{host}") == 401
    assert browser.sign_in("guard", address="10.0.0.9") == 429
    for name in ("viewer", "manager", "nobody"):
        assert browser.sign_in(name, "wrong", address="10.0.1.1") == 401
    assert browser.sign_in("admin", address="10.0.1.1") == 429
    assert browser.sign_in("admin", address="10.0.1.2") == 302


def test_a_forged_address_does_not_help(browser: "Browser") -> None:
    """X-Forwarded-For is nobody's word."""
    for n in range(4):
        browser.client.environ_base["HTTP_X_FORWARDED_FOR"] = f"1.2.3.{n}"
        status = browser.sign_in(f"name-{n}", "wrong")
    assert status == 429


def test_unknown_names_look_like_known_ones(browser: "Browser") -> None:
    """Same status, same words: the login tells nobody who exists."""
    form = {"csrf_token": browser.token(), "password": "wrong"}
    known = browser.client.post("/login", data={**form, "name": "guard"})
    unknown = browser.client.post("/login", data={**form, "name": "nobody"})
    assert known.status_code == unknown.status_code == 401
    assert re.sub(r'value="[^"]*"', "", known.text) == re.sub(r'value="[^"]*"', "", unknown.text)


@pytest.mark.parametrize("goal", ["//evil.example", "https://evil.example/", "/\\evil.example", "javascript:alert(1)"])
def test_the_login_leads_to_our_own_pages(goal: str, browser: "Browser") -> None:
    """`next` never leads to another host."""
    form = {"name": "admin", "password": PASSWORD, "csrf_token": browser.token(), "next": goal}
    assert browser.client.post("/login", data=form).headers["Location"] == "/"


def test_a_disabled_user_is_out_at_once(admin: "Browser", office: "Office") -> None:
    """The session of a user who is no longer active is worth nothing, nor is the password."""
    with office.users.begin() as db:
        db.exec_driver_sql("UPDATE user SET active = 0 WHERE name = 'admin'")
    assert admin.client.get("/account").status_code == 302
    assert admin.sign_in("admin") == 401


def test_a_role_that_was_taken_away_is_gone_at_once(admin: "Browser", office: "Office", field: "Field") -> None:
    """The role is asked for with every request, never remembered in the cookie."""
    field.all_well()
    with office.users.begin() as db:
        db.exec_driver_sql("UPDATE user SET role = 'viewer' WHERE name = 'admin'")
    assert admin.client.get("/devices/gate-north/do/open").status_code == 403


def test_a_demo_makes_its_login_anew(tmp_path: Path, clock: "StillClock") -> None:
    """One administrator with a random password, another one at each start; nothing else makes a login by itself."""
    password = renew_login(tmp_path, clock)
    assert len(password) >= 16
    assert list_users(tmp_path) == [("admin", "admin")]
    assert renew_login(tmp_path, clock) != password


@pytest.mark.parametrize(
    ("name", "role", "password"),
    [
        ("a b", "guard", None),
        ("", "guard", None),
        ("li", "boss", None),
        ("li", "guard", "short"),
        ("lilililili", "guard", "LiLiLiLiLi"),
    ],
)
def test_users_that_cannot_be(name: str, role: str, password: str | None, tmp_path: Path) -> None:
    """Names, roles and passwords that make no sense are refused with what would be right."""
    with pytest.raises(Refusal):
        add_user(tmp_path, name, role, password)


def test_no_user_twice(tmp_path: Path) -> None:
    """A name is one person; without a password a random one is made."""
    assert len(add_user(tmp_path, "li", "guard")) >= 16
    with pytest.raises(Refusal, match="already"):
        add_user(tmp_path, "li", "viewer")
    with pytest.raises(Refusal, match='did you mean "li"'):
        set_password(tmp_path, "lii")


def test_all_sessions_of_a_user_end(admin: "Browser", office: "Office", clock: "StillClock") -> None:
    """One call ends them all."""
    end_all(office.users, ROLES.index("admin") + 1, clock.at)
    assert admin.client.get("/account").status_code == 302
