"""The first start: nothing answers but one page, one token makes one administrator, no password comes with the box."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from flask import Flask

from dashboard import create_app
from dashboard.access.permissions import BEFORE_SETUP
from dashboard.access.setup import GOOD_S, Setup, is_near
from dashboard.access.users import add_user, list_users, open_office
from dashboard.office import EXTENSION, Office
from tests.dashboard.test_security import path_of, rules

if TYPE_CHECKING:
    from collections.abc import Callable

    from hub.settings.site import Site
    from tests.dashboard.conftest import Browser, Field, ListHistory, StillClock

FIELDS = {"name": "wei", "password": "a lake at night", "again": "a lake at night"}


class Ticking:
    """Seconds that pass when a test says so."""

    now = 0.0

    def __call__(self) -> float:
        """Now."""
        return self.now


@pytest.fixture
def fresh(tmp_path: Path, site: "Site", clock: "StillClock", field: "Field", history: "ListHistory") -> Iterator[Flask]:
    """An installation in which nobody can sign in yet."""
    made = create_app(site, tmp_path, clock, history=history)
    yield made
    found: Office = made.extensions[EXTENSION]
    found.close()


@pytest.fixture
def office(fresh: Flask) -> Office:
    """Its parts."""
    found: Office = fresh.extensions[EXTENSION]
    return found


@pytest.fixture
def visitor(fresh: Flask, new_browser: "Callable[[Flask], Browser]") -> "Browser":
    """Somebody at the door."""
    return new_browser(fresh)


def give(visitor: "Browser", token: str, **more: str) -> Any:  # Any: werkzeug's test response
    """Fill in the form of the first start."""
    fields = {**FIELDS, **more, "setup": token, "csrf_token": visitor.token("/setup")}
    return visitor.client.post("/setup", data=fields)


def test_nothing_else_answers(fresh: Flask, visitor: "Browser", field: "Field") -> None:
    """Every route is 403 to everybody, the login and /healthz too; so is what does not exist."""
    field.all_well()
    assert {"setup.page", "setup.make", "files.static"} == BEFORE_SETUP
    token = visitor.token("/setup")
    for rule, method in rules(fresh):
        if rule.endpoint in BEFORE_SETUP:
            continue
        form = {"csrf_token": token} if method == "POST" else None
        assert visitor.client.open(path_of(rule), method=method, data=form).status_code == 403, rule
    assert visitor.client.get("/nowhere").status_code == 403
    assert visitor.client.get("/setup").status_code == 200


def test_the_token_makes_one_administrator_and_is_used_up(office: Office, visitor: "Browser", field: "Field") -> None:
    """It signs in at once; the page is gone after it, and so is the token."""
    field.all_well()
    token = office.setup.issue()
    assert len(token.replace("-", "")) == 32  # 128 bits
    answer = give(visitor, token)
    assert (answer.status_code, answer.headers["Location"]) == (302, "/")
    assert visitor.client.get("/account").status_code == 200
    assert list_users(office.data) == [("wei", "admin")]
    assert visitor.client.get("/setup").status_code == 404
    assert not office.setup.fits(token)


@pytest.mark.parametrize("token", ["", "0" * 32, "not a token", "湖"])
def test_another_token_makes_nobody(token: str, office: Office, visitor: "Browser") -> None:
    """Wrong ones are refused, and delayed as wrong passwords are."""
    office.setup.issue()
    assert give(visitor, token).status_code == 403
    for _ in range(2):
        give(visitor, token)
    assert give(visitor, office.setup.issue()).status_code == 429
    assert list_users(office.data) == []


@pytest.mark.parametrize("fields", [{"password": "short", "again": "short"}, {"again": "differs"}, {"name": "a b"}])
def test_a_mistake_does_not_use_the_token_up(fields: dict[str, str], office: Office, visitor: "Browser") -> None:
    """The form may be sent again."""
    token = office.setup.issue()
    assert give(visitor, token, **fields).status_code == 400
    assert give(visitor, token).status_code == 302


def test_a_token_is_good_for_half_an_hour(office: Office) -> None:
    """By a clock that nobody sets; a new one makes the old one worthless."""
    ticking = Ticking()
    setup = Setup(office.users, ticking)
    assert setup.expired()
    first = setup.issue()
    second = setup.issue()
    assert (setup.fits(first), setup.fits(second), setup.fits(second.upper())) == (False, True, True)
    ticking.now = GOOD_S
    assert (setup.fits(second), setup.expired()) == (False, True)


@pytest.mark.parametrize("address", ["8.8.8.8", "2001:4860:4860::8888", "100.64.0.1", ""])
def test_only_from_here(address: str, office: Office, visitor: "Browser") -> None:
    """Nobody on the internet makes the first administrator, also not with the token."""
    assert not is_near(address)
    fields = {**FIELDS, "setup": office.setup.issue(), "csrf_token": visitor.token("/setup")}
    answer = visitor.client.post("/setup", data=fields, environ_base={"REMOTE_ADDR": address})
    assert answer.status_code == 403
    assert list_users(office.data) == []


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "192.168.1.4", "10.1.2.3", "fd00::1", "::ffff:172.16.0.1"])
def test_the_own_network_is_near(address: str) -> None:
    """This machine, and what no router of the internet forwards."""
    assert is_near(address)


@pytest.mark.parametrize("header", ["X-Forwarded-For", "Forwarded", "X-Real-IP"])
def test_not_through_a_proxy_that_nobody_named(header: str, office: Office, visitor: "Browser") -> None:
    """Behind one, everybody on the internet would seem to be near."""
    assert visitor.client.get("/setup", headers={header: "8.8.8.8"}).status_code == 403


def test_a_user_made_on_the_console_ends_it(office: Office, visitor: "Browser") -> None:
    """`zhian user add` is the other way in."""
    assert office.setup.needed()
    password = add_user(office.data, "li", "admin")
    assert visitor.client.get("/setup").status_code == 404
    assert visitor.sign_in("li", password) == 302


def test_no_password_is_made_by_a_start(tmp_path: Path) -> None:
    """A fresh file has no user at all."""
    open_office(tmp_path).dispose()
    assert list_users(tmp_path) == []
