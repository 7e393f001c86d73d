"""What many ask for at once is made once, is never older than the asking, and carries nothing of another reader."""

import re
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from dashboard.access.users import create_user
from dashboard.live.changes import Change, Listener, tell_all
from dashboard.live.shared import Shared
from dashboard.live.together import _FORM, _NAME, _ONCE

if TYPE_CHECKING:
    from flask import Flask

    from dashboard.office import Office
    from tests.dashboard.conftest import Browser, Field


def test_those_who_wait_share_the_next_making() -> None:
    """Who asked while one was being made gets another, and all who did get the same."""
    shared, made = Shared(), list[int]()
    begun, go = threading.Event(), threading.Event()

    def make() -> int:
        made.append(len(made))
        begun.set()
        go.wait(10)
        return made[-1]

    with ThreadPoolExecutor(6) as pool:
        first = pool.submit(shared.get, "page", shared.ticket(), make)
        assert begun.wait(10)
        late = [pool.submit(shared.get, "page", shared.ticket(), make) for _ in range(5)]
        go.set()
        assert first.result(10) == 0
        assert {each.result(10) for each in late} == {1}
    assert made == [0, 1]


def test_nobody_gets_what_was_begun_before() -> None:
    """A second asking is a second making, unless a young one will do that was begun after the last news."""
    shared, made = Shared(), list[int]()

    def make() -> int:
        made.append(0)
        return len(made)

    assert shared.get("page", shared.ticket(), make, now_s=100.0) == 1
    assert shared.get("page", shared.ticket(), make, now_s=100.0) == 2
    assert shared.get("page", shared.ticket(), make, now_s=100.9, young_s=1.0) == 2
    assert shared.get("page", shared.ticket(), make, now_s=101.1, young_s=1.0) == 3
    shared.news()
    assert shared.made("page", shared.ticket(), 101.1, 1.0) is None
    assert shared.get("page", shared.ticket(), make, now_s=101.1, young_s=1.0) == 4
    assert shared.made("page", shared.ticket(), 101.2, 1.0) == 4
    assert shared.made("page", shared.ticket(), 101.2, 0.0) is None


def test_a_failed_making_is_nobody_elses() -> None:
    """The error goes to who made it; the next tries anew. What is kept is bounded."""
    shared = Shared(most=3)
    with pytest.raises(ZeroDivisionError):
        shared.get("page", shared.ticket(), lambda: 1 // 0)
    assert shared.get("page", shared.ticket(), lambda: 5) == 5
    for number in range(20):
        shared.get(number, shared.ticket(), lambda: 1)
    assert len(shared) == 3


def test_a_shared_page_is_each_readers_own(app: "Flask", browser: "Browser", office: "Office", field: "Field") -> None:
    """Two guards at once: one making, and each has their own name and form tokens, no two order tokens alike."""
    field.all_well()
    field.alarm("gate-held", "gate-east")
    field.alarm("gate-forced", "gate-east", severity="P1")
    create_user(office.users, "second.guard", "guard", None, office.clock.now())
    pages = {}
    for name in ("guard", "second.guard"):
        reader = type(browser)(app)
        reader.enter(name)
        pages[name] = reader.client.get("/", headers={"X-Refresh": "quiet"}).text
    assert len([key for key in office.shared._kept if isinstance(key, tuple)]) == 1
    assert '"who">second.guard ·' in pages["second.guard"]
    assert '"who">guard ·' in pages["guard"]
    assert not any(mark in page for page in pages.values() for mark in (_NAME, _FORM, _ONCE))
    forms, orders = (
        {name: set(re.findall(rf'name="{each}" value="([^"]+)"', page)) for name, page in pages.items()}
        for each in ("csrf_token", "token")
    )
    assert forms["guard"]
    assert not forms["guard"] & forms["second.guard"]
    assert len(orders["guard"] | orders["second.guard"]) == 2 * pages["guard"].count('name="token"')


def test_roles_and_languages_have_pages_of_their_own(app: "Flask", browser: "Browser", field: "Field") -> None:
    """A viewer never gets the page that was made for a guard, nor English who asked for Chinese."""
    field.all_well()
    field.alarm("gate-held", "gate-east")
    guard, viewer = browser, type(browser)(app)
    guard.enter("guard")
    viewer.enter("viewer")
    again = {"X-Refresh": "quiet"}
    assert "I have seen it" in guard.client.get("/", headers=again).text
    assert "I have seen it" not in viewer.client.get("/", headers=again).text
    chinese = guard.client.get("/", headers={**again, "Accept-Language": "zh"}).text
    assert 'lang="zh-CN"' in chinese
    assert "I have seen it" not in chinese


def test_a_page_shows_what_happened_before_it_was_asked_for(admin: "Browser", field: "Field") -> None:
    """The row that was written a moment ago stands on the page of who opens it; who looks again is told of it first."""
    field.all_well()
    again = {"X-Refresh": "1"}
    assert "need-" not in admin.client.get("/", headers=again).text
    number = field.alarm("gate-held", "gate-east")
    assert "need-" not in admin.client.get("/", headers=again).text
    assert f'id="need-{number}"' in admin.client.get("/").text
    assert f'id="need-{number}"' in admin.client.get("/", headers=again).text


@pytest.mark.parametrize("how", ["told", "done"])
def test_who_looks_again_sees_what_was_told_or_done(
    how: str, admin: "Browser", field: "Field", office: "Office"
) -> None:
    """After a change that the stream tells of, and after anything that somebody sent from a page."""
    field.all_well()
    again = {"X-Refresh": "1"}
    assert "need-" not in admin.client.get("/", headers=again).text
    number = field.alarm("gate-held", "gate-east")
    if how == "told":
        office.shared.news()
    else:
        admin.post("/account/password", old="wrong", new="x", again="y")
    assert f'id="need-{number}"' in admin.client.get("/", headers=again).text


def test_nothing_on_a_page_is_older_than_the_page(admin: "Browser", field: "Field", office: "Office") -> None:
    """The situation that was begun before somebody asked is not put on a page that is begun after."""
    field.all_well()
    early = office.shared.ticket()
    assert "thing needs somebody" not in admin.client.get("/").text
    field.alarm("gate-held", "gate-east")
    scope = {"zhian.asked": early}  # came in long ago, and its making begins only now
    assert "1 thing needs somebody" in admin.client.get("/alarms", environ_overrides={"asgi.scope": scope}).text


def test_one_change_is_put_into_bytes_once() -> None:
    """Pages with the same series are told the same object; others only of their own series."""
    change = Change(now=1, what=frozenset({"alarms"}), values={"a/x": (1, 2.0), "b/x": (1, 3.0)})
    pages = [Listener("s", frozenset({"a/x"})) for _ in range(3)] + [Listener("s", frozenset({"b/x"}))]
    assert tell_all(pages, change) == pages
    news = [page._news for page in pages]
    assert news[0] is news[1] is news[2]
    assert news[0] is not None
    assert news[0].wire is news[0].wire
    assert news[0].values == {"a/x": (1, 2.0)}
    assert news[3] is not None
    assert news[3].values == {"b/x": (1, 3.0)}
