"""What htmx asks: a form that was taken is answered in a word, who is signed out is told so, and pages stay pages."""

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.dashboard.conftest import Browser, Field

HTMX = {"HX-Request": "true"}


@pytest.fixture
def number(field: "Field") -> int:
    """An alarm that nobody has seen."""
    field.all_well()
    return field.alarm("gate-held", "gate-east")


def sent(browser: "Browser", number: int, headers: dict[str, str], **fields: str) -> Any:  # Any: werkzeug's response
    """A comment on the alarm."""
    form = {"csrf_token": browser.token("/account"), "text": "on my way", **fields}
    return browser.client.post(f"/alarms/{number}/comment", data=form, headers=headers)


def test_a_form_by_script_is_answered_in_a_word(admin: "Browser", field: "Field", number: int) -> None:
    """204 and no way to a page; the order is put in all the same."""
    answer = sent(admin, number, HTMX)
    assert (answer.status_code, answer.data, answer.headers.get("Location")) == (204, b"", None)
    assert [order["text"] for order in field.orders()] == ["on my way"]


def test_a_plain_form_leads_to_its_page(admin: "Browser", number: int) -> None:
    """Without script the browser has to go somewhere."""
    answer = sent(admin, number, {})
    assert (answer.status_code, answer.headers["Location"]) == (302, f"/alarms/{number}")


def test_a_refusal_stays_one(admin: "Browser", field: "Field", number: int) -> None:
    """The wrong form token, and a role that may not: their own answers, and no order."""
    assert sent(admin, number, HTMX, csrf_token="wrong").status_code == 400
    token = admin.token("/account")
    admin.enter("auditor")
    form = {"csrf_token": token, "text": "x"}
    assert admin.client.post(f"/alarms/{number}/comment", data=form, headers=HTMX).status_code == 403
    assert field.orders() == []


def test_who_is_signed_out_is_told(admin: "Browser", field: "Field", number: int) -> None:
    """401, where a browser is led to the sign-in: a page that stays open must not take that for its answer."""
    token = admin.token("/account")
    admin.client.delete_cookie("zhian")
    for headers, status in ((HTMX, 401), ({}, 302)):
        form = {"csrf_token": token, "text": "x"}
        assert admin.client.post(f"/alarms/{number}/comment", data=form, headers=headers).status_code == status
        assert admin.client.get("/alarms?text=x", headers=headers).status_code == status
    assert field.orders() == []


def test_a_page_is_a_page(admin: "Browser", number: int) -> None:
    """Filters by script get the whole page: htmx takes its parts out, and a shared answer fits everybody."""
    plain, by_script = (admin.client.get("/alarms?text=gate", headers=headers) for headers in ({}, HTMX))
    assert plain.status_code == by_script.status_code == 200
    assert f'id="row-{number}"' in by_script.text
    assert by_script.text.count("<html") == 1


def test_the_form_token_comes_with_the_sign_in(browser: "Browser", number: int) -> None:
    """One for the session, before any page: two first pages at once would each bring another, and one would fail."""
    assert browser.sign_in("guard") == 302
    pages = [browser.client.get(path) for path in (f"/alarms/{number}", "/account")]
    assert not any(value.startswith("zhian-form=") for page in pages for value in page.headers.getlist("Set-Cookie"))
