"""The site plan that a manager sets on the page: places by drag or by number, and a picture that is one."""

import io
import re
from typing import TYPE_CHECKING

import pytest

from dashboard.places import site_plan

if TYPE_CHECKING:
    from flask import Flask

    from dashboard.office import Office
    from tests.dashboard.conftest import Browser, Field

PNG = b"\x89PNG\r\n\x1a\n" + bytes(100)


def places(browser: "Browser") -> dict[str, str]:
    """The form's numbers as the page shows them."""
    page = browser.client.get("/plan/edit").text
    return dict(re.findall(r'name="([xy]-[\w-]+)" value="([\d.]+)"', page))


def test_a_zone_stands_where_it_was_put(browser: "Browser", office: "Office", field: "Field") -> None:
    """Kept, shown on the Now page, and written into the audit trail; the other zones stay."""
    field.all_well()
    browser.enter("manager")
    before = places(browser)
    assert browser.post("/plan/places", form="/plan/edit", **(before | {"x-lake": "0.25"})).status_code == 302
    assert places(browser) == before | {"x-lake": "0.250"}
    assert 'id="place-lake"' in browser.client.get("/").text


@pytest.mark.parametrize("wrong", ["1.5", "-0.1", "nan", "left", ""])
def test_a_place_off_the_plan_is_refused(browser: "Browser", field: "Field", wrong: str) -> None:
    """Nothing of such a form is kept."""
    field.all_well()
    browser.enter("manager")
    before = places(browser)
    assert browser.post("/plan/places", form="/plan/edit", **(before | {"x-lake": wrong})).status_code == 400
    assert places(browser) == before


def test_a_picture_is_shown_and_taken_away(browser: "Browser", field: "Field") -> None:
    """Larger than a form may be; served as what it is; gone when it is taken away."""
    field.all_well()
    browser.enter("manager")
    large = PNG + bytes(200_000)
    answer = browser.client.post(
        "/plan/picture", data={"csrf_token": browser.token("/plan/edit"), "picture": (io.BytesIO(large), "site.png")}
    )
    assert answer.status_code == 302
    served = browser.client.get("/plan")
    assert (served.data, served.mimetype) == (large, "image/png")
    assert browser.post("/plan/picture", form="/plan/edit", forget="1").status_code == 302
    assert browser.client.get("/plan").status_code == 404


def test_what_is_no_picture_is_refused(browser: "Browser", field: "Field") -> None:
    """An SVG can hold scripts, and a name says nothing."""
    field.all_well()
    browser.enter("manager")
    form = {"csrf_token": browser.token("/plan/edit"), "picture": (io.BytesIO(b"<svg onload='x'/>"), "site.png")}
    browser.client.post("/plan/picture", data=form)
    assert "That is no picture" in browser.client.get("/plan/edit").text
    assert browser.client.get("/plan").status_code == 404


def test_a_picture_has_a_largest_size(browser: "Browser", field: "Field") -> None:
    """413 before it is read whole."""
    field.all_well()
    browser.enter("manager")
    answer = browser.client.post(
        "/plan/picture",
        data=b"--x",
        content_type="multipart/form-data; boundary=x",
        environ_overrides={"CONTENT_LENGTH": "5000000"},
    )
    assert answer.status_code == 413


def test_places_outlive_the_program(app: "Flask", office: "Office") -> None:
    """They are in the office's file, and so in every backup."""
    site_plan.keep_places(office.users, {"lake": (0.1, 0.2)})
    office.users.dispose()
    assert site_plan.places(office.users) == {"lake": (0.1, 0.2)}
