"""A disk that takes nothing more: whoever is signed in sees the alarms all the same, and nobody wonders why."""

from typing import TYPE_CHECKING

import pytest
from sqlalchemy import event
from sqlalchemy.engine.interfaces import DBAPIConnection

if TYPE_CHECKING:
    from dashboard.office import Office
    from tests.dashboard.conftest import Browser, Field, StillClock


def fill(office: "Office") -> None:
    """From now on the users' database can be read, and not be written."""

    def shut(connection: DBAPIConnection, *_: object) -> None:
        connection.cursor().execute("PRAGMA query_only = ON")

    event.listen(office.users, "checkout", shut)


@pytest.mark.parametrize("page", ["/", "/devices", "/alarms", "/api/v1/alarms"])
def test_pages_are_shown(page: str, office: "Office", admin: "Browser", field: "Field", clock: "StillClock") -> None:
    """That somebody is still there cannot be written, and the page does not fail for it."""
    fill(office)
    field.all_well()
    clock.at += 60_000
    assert admin.client.get(page).status_code == 200


def test_a_login_says_why_not(office: "Office", browser: "Browser") -> None:
    """A session that cannot be kept is none; the page says what is wrong, in the reader's language."""
    fill(office)
    fields = {"name": "admin", "password": "wrong", "csrf_token": browser.token()}
    answer = browser.client.post("/login", data=fields)
    assert answer.status_code == 507
    assert "the disk is full or broken" in answer.text
    chinese = browser.client.post("/login?lang=zh", data=fields)
    assert "磁盘已满或损坏" in chinese.text
