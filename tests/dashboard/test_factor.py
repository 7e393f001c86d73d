"""The second factor: each code once, never an older one, recovery codes once, and no way around it."""

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

import msgspec
import pyotp
import pytest
from flask import Flask

from dashboard import create_app
from dashboard.access import factor
from dashboard.access.permissions import BEFORE_FACTOR, Permission
from dashboard.access.sessions import HALF_MS
from dashboard.office import EXTENSION, Office
from hub.settings.site_web import SecondFactor, Web
from tests.dashboard.test_security import path_of, permission_of, rules

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from hub.settings.site import Site
    from tests.dashboard.conftest import Browser, Field, ListHistory, StillClock

STEP_MS = 30_000


class Phone:
    """An authenticator app."""

    def __init__(self, secret: str, clock: "StillClock") -> None:
        """That has scanned this."""
        self._totp, self._clock = pyotp.TOTP(secret), clock

    def code(self, later: int = 0) -> str:
        """What it shows now, or so many steps later."""
        return self._totp.at(self._clock.at // 1000 + 30 * later)


def number_of(name: str) -> int:
    """The user's number in the tests' office."""
    return ["viewer", "guard", "manager", "auditor", "admin"].index(name) + 1


@pytest.fixture
def phone(office: Office, clock: "StillClock") -> Phone:
    """The manager's, set up a while ago."""
    offered = factor.offer(number_of("manager"), clock.at)
    made = Phone(offered.secret, clock)
    assert factor.enrol(office.users, office.vault, offered, made.code(), clock.at)
    clock.at += 10 * STEP_MS
    return made


def give(browser: "Browser", code: str) -> int:
    """The second page of the login; the answer's status."""
    form = {"code": code, "csrf_token": browser.token("/login/code")}
    return int(browser.client.post("/login/code", data=form).status_code)


def inside(browser: "Browser") -> bool:
    """Whether the account page opens."""
    return bool(browser.client.get("/account").status_code == 200)


def test_the_password_is_half_of_it(browser: "Browser", phone: Phone) -> None:
    """Nothing opens before the code; then everything does, with another token."""
    assert browser.sign_in("manager") == 302
    half = browser.client.get_cookie("zhian")
    assert not inside(browser)
    assert browser.client.get("/api/v1/alarms").status_code == 401
    assert give(browser, phone.code()) == 302
    assert inside(browser)
    whole = browser.client.get_cookie("zhian")
    assert half is not None
    assert whole is not None
    assert half.value != whole.value
    browser.client.set_cookie("zhian", half.value)
    assert not inside(browser)


def test_the_password_twice_is_still_half_of_it(browser: "Browser", phone: Phone) -> None:
    """Nobody gets in by giving the first half again."""
    for _ in range(2):
        assert browser.sign_in("manager") == 302
        assert not inside(browser)


def test_the_same_code_twice(browser: "Browser", phone: Phone) -> None:
    """RFC 6238 5.2: one code is one sign-in."""
    code = phone.code()
    browser.sign_in("manager")
    assert give(browser, code) == 302
    browser.post("/logout")
    browser.sign_in("manager")
    assert give(browser, code) == 401
    assert not inside(browser)
    assert give(browser, phone.code(1)) == 302


def test_an_older_code_after_a_newer_one(office: Office, phone: Phone, clock: "StillClock") -> None:
    """Somebody who looked over a shoulder has nothing."""
    user = number_of("manager")
    assert factor.accept(office.users, office.vault, user, phone.code(1), clock.at) == "code"
    assert factor.accept(office.users, office.vault, user, phone.code(0), clock.at) == ""
    assert factor.accept(office.users, office.vault, user, phone.code(-1), clock.at) == ""


def test_a_clock_that_is_set_back_opens_nothing(office: Office, phone: Phone, clock: "StillClock") -> None:
    """Codes that were good an hour ago were used or not; they are not good again."""
    user = number_of("manager")
    assert factor.accept(office.users, office.vault, user, phone.code(), clock.at) == "code"
    clock.at -= 3_600_000
    for later in (-1, 0, 1):
        assert factor.accept(office.users, office.vault, user, phone.code(later), clock.at) == ""


@pytest.mark.parametrize(("later", "kind"), [(-2, ""), (-1, "code"), (0, "code"), (1, "code"), (2, "")])
def test_a_phones_clock_may_be_half_a_minute_off(
    later: int, kind: str, office: Office, phone: Phone, clock: "StillClock"
) -> None:
    """And no more."""
    assert factor.accept(office.users, office.vault, number_of("manager"), phone.code(later), clock.at) == kind


@pytest.mark.parametrize("code", ["", "12345", "1234567", "１２３４５６", "abcdef", "000000\x00"])
def test_what_is_no_code(code: str, office: Office, phone: Phone, clock: "StillClock") -> None:
    """Refused without an error."""
    assert factor.accept(office.users, office.vault, number_of("manager"), code, clock.at) == ""


def test_guessing_codes_is_slow(browser: "Browser", phone: Phone) -> None:
    """As with passwords: the right code within the delay is refused too."""
    browser.sign_in("manager")
    assert [give(browser, "000000") for _ in range(3)] == [401] * 3
    assert give(browser, phone.code()) == 401


def test_half_a_session_lasts_five_minutes(browser: "Browser", phone: Phone, clock: "StillClock") -> None:
    """Then the password is asked for again."""
    browser.sign_in("manager")
    clock.at += HALF_MS + 1
    assert browser.client.get("/login/code").headers["Location"] == "/login"


def enrol(browser: "Browser", clock: "StillClock") -> tuple[Phone, list[str]]:
    """As a person does it on the page: the phone, and the recovery codes."""
    page = browser.client.get("/account/factor").text
    secret = re.search(r'class="secret"[^>]*>([A-Z2-7 ]+)<', page)
    offered = re.search(r'name="offer" value="([^"]+)"', page)
    assert secret is not None
    assert offered is not None
    phone = Phone(secret[1].replace(" ", ""), clock)
    answer = browser.post("/account/factor", form="/account/factor", offer=offered[1], code=phone.code())
    return phone, re.findall(r"<li>([a-z0-9]{5}-[a-z0-9]{5})</li>", answer.text)


def test_setting_it_up_on_the_page(admin: "Browser", clock: "StillClock", office: Office) -> None:
    """Picture, first code, ten recovery codes shown once; each recovery code signs in one time."""
    phone, codes = enrol(admin, clock)
    assert len(set(codes)) == factor.RECOVERY_CODES
    assert inside(admin)  # the session that set it up stays
    assert codes[0] not in admin.client.get("/account/factor").text
    for code, status in ((codes[0], 302), (codes[0], 401), (codes[1].upper().replace("-", " "), 302)):
        admin.post("/logout")
        admin.sign_in("admin")
        assert give(admin, code) == status, code
        clock.at += 60_000
        if status == 401:
            assert give(admin, phone.code()) == 302
    assert factor.codes_left(office.users, number_of("admin")) == 8


def test_other_sessions_end_when_it_is_set_up(
    app: Flask, admin: "Browser", clock: "StillClock", new_browser: "Callable[[Flask], Browser]"
) -> None:
    """Whoever is in with the password alone is out."""
    other = new_browser(app)
    other.enter("admin")
    enrol(admin, clock)
    assert not inside(other)
    assert inside(admin)


def test_neither_secret_nor_code_is_stored_in_plain(admin: "Browser", clock: "StillClock", office: Office) -> None:
    """A copy of the database alone signs nobody in."""
    page = admin.client.get("/account/factor").text
    _, codes = enrol(admin, clock)
    secret = re.search(r'class="secret"[^>]*>([A-Z2-7 ]+)<', page)
    assert secret is not None
    raw = b"".join(path.read_bytes() for path in office.data.glob("office.sqlite*"))
    assert codes[0].encode() not in raw
    assert codes[0].replace("-", "").encode() not in raw
    assert secret[1].replace(" ", "").encode() not in raw


def test_an_offer_is_for_one_person_and_a_quarter_of_an_hour(office: Office, clock: "StillClock") -> None:
    """A picture that somebody left open is worth nothing."""
    offered = factor.offer(1, clock.at)
    late = clock.at + factor.GOOD_MS
    code = pyotp.TOTP(offered.secret).at(late // 1000)
    assert factor.enrol(office.users, office.vault, offered, code, late) is None
    assert office.vault.open("nonsense", factor.Offer) is None


def test_somebody_elses_offer_sets_nothing_up(admin: "Browser", clock: "StillClock", office: Office) -> None:
    """The form names whose picture it was, and nobody can change that."""
    offered = factor.offer(number_of("guard"), clock.at)
    code = Phone(offered.secret, clock).code()
    answer = admin.post("/account/factor", form="/account/factor", offer=office.vault.seal(offered), code=code)
    assert answer.status_code == 400
    assert factor.codes_left(office.users, number_of("guard")) == 0


def test_it_needs_a_fresh_password(admin: "Browser", clock: "StillClock") -> None:
    """ASVS 7.5.1: a session that somebody left open cannot change how the owner signs in."""
    clock.at += 6 * 60_000
    assert "password" in admin.client.get("/account/factor").text
    _, codes = enrol(admin, clock)
    assert codes == []


def test_taking_it_away_needs_a_code(app: Flask, browser: "Browser", phone: Phone, office: Office) -> None:
    """The password alone does not; with a code the sign-in is as before."""
    browser.sign_in("manager")
    give(browser, phone.code())
    browser.post("/account/factor/off", code="000000")
    assert "code of your phone" in browser.client.get("/account").text
    browser.post("/account/factor/off", code=phone.code(1))
    assert "password alone" in browser.client.get("/account").text
    assert factor.codes_left(office.users, number_of("manager")) == 0


def test_the_picture_is_an_image_without_style(app: Flask) -> None:
    """The policy forbids inline style; the picture says what the phone must know."""
    offered = factor.offer(1, 0)
    uri = offered.uri("lin", "中山花园")
    assert uri.startswith("otpauth://totp/")
    assert "secret=" + offered.secret in uri
    picture = factor.picture(uri)
    assert picture.startswith("<svg")
    assert "style" not in picture
    assert "script" not in picture


@pytest.fixture
def strict(app: Flask, tmp_path: "Path", site: "Site", clock: "StillClock", history: "ListHistory") -> Iterator[Flask]:
    """The same office, whose site file asks managers for a second factor."""
    asking = msgspec.structs.replace(site, web=Web(second_factor=SecondFactor.MANAGERS))
    made = create_app(asking, tmp_path, clock, history=history)
    yield made
    found: Office = made.extensions[EXTENSION]
    found.close()


@pytest.mark.parametrize("role", ["viewer", "guard", "manager", "auditor", "admin"])
def test_a_site_may_ask_for_it(
    role: str, strict: Flask, field: "Field", new_browser: "Callable[[Flask], Browser]"
) -> None:
    """Managers, auditors and administrators open nothing but the page that sets it up; the others open everything."""
    field.all_well()
    browser = new_browser(strict)
    browser.enter(role)
    for rule, method in rules(strict):
        if method != "GET" or rule.endpoint in BEFORE_FACTOR or permission_of(strict, rule) is Permission.OPEN:
            continue
        answer = browser.client.get(path_of(rule))
        owes = role not in ("viewer", "guard") and answer.status_code != 403
        assert (answer.headers.get("Location") == "/account/factor") is owes, rule
    token = browser.token("/account/factor")
    asked = browser.client.post("/alarms/1/ack", data={"csrf_token": token}).status_code
    assert asked == (404 if role == "guard" else 403)


def test_who_has_set_it_up_goes_on(
    strict: Flask, clock: "StillClock", field: "Field", new_browser: "Callable[[Flask], Browser]"
) -> None:
    """At once."""
    field.all_well()
    browser = new_browser(strict)
    browser.enter("manager")
    enrol(browser, clock)
    assert browser.client.get("/devices").status_code == 200
