"""Who looks again is answered without Flask, in the same words and headers, and nobody is whom Flask would refuse."""

import http.client
import re
import threading
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest
from flask import Flask

from dashboard.access.forms import EXTENSION, Forms
from dashboard.live import together

if TYPE_CHECKING:
    from dashboard.office import Office
    from tests.dashboard.conftest import Browser, Field, Running

Answer = tuple[int, dict[str, str], str]


class Screen:
    """A signed-in reader with an open stream, as a page's script is."""

    def __init__(self, running: "Running", browser: "Browser", name: str) -> None:
        """The stream speaks, and the office knows the session from then on."""
        self._port = running.port
        self.cookies = {"zhian": browser.enter(name)}
        self._line = http.client.HTTPConnection("127.0.0.1", running.port, timeout=20)
        self._line.request("GET", "/stream", headers=self._headers())
        self._stream = self._line.getresponse()
        assert self._stream.readline() == b"event: beat\n"

    def get(self, path: str = "/", *, again: bool = True, **more: str) -> Answer:
        """Status, headers and text."""
        line = http.client.HTTPConnection("127.0.0.1", self._port, timeout=20)
        line.request("GET", path, headers={**self._headers(), **({"X-Refresh": "1"} if again else {}), **more})
        answer = line.getresponse()
        headers = {name.lower(): value for name, value in answer.getheaders()}
        if given := re.match("(zhian-form)=([^;]+)", headers.get("set-cookie", "")):
            self.cookies[given[1]] = given[2]
        text = answer.read().decode()
        line.close()
        return answer.status, headers, text

    def close(self) -> None:
        """Hang up."""
        self._stream.close()
        self._line.close()

    def _headers(self) -> dict[str, str]:
        told = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        return {"Cookie": told, "Accept-Language": "en"}


@pytest.fixture
def guard(running: "Running", browser: "Browser", field: "Field", office: "Office") -> Iterator[Screen]:
    """A guard before the Now page with an alarm on it, and the page made."""
    field.all_well()
    field.alarm("gate-held", "gate-east")
    screen = Screen(running, browser, "guard")

    def settled() -> bool:
        """Nothing is told any more, and the page was made after it."""
        news = office.shared._news
        screen.get(again=False)
        time.sleep(0.25)
        return news == office.shared._news and _known(office, screen)

    _until(settled)
    yield screen
    screen.close()


@pytest.fixture
def no_flask(guard: Screen, running: "Running", monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """What is asked of Flask from now on is refused (418), and noted; what was made stays good however slow we are."""
    assert guard.cookies
    monkeypatch.setattr(together, "YOUNG_S", 3600.0)
    asked = threading.Event()

    async def refuse(_scope: Any, _receive: Any, send: Any) -> None:  # Any: ASGI's own loose types
        asked.set()
        await send({"type": "http.response.start", "status": 418, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    monkeypatch.setattr(running.asgi, "_pages", refuse)
    monkeypatch.setattr(running.asgi, "_looks", refuse)
    return asked


def test_the_same_page_with_the_same_headers(guard: Screen, request: pytest.FixtureRequest) -> None:
    """Byte for byte but for the order tokens; the form token is the reader's own."""
    by_flask = guard.get(again=False)
    request.getfixturevalue("no_flask")
    status, headers, text = guard.get()
    assert status == 200
    assert _lasting(headers) == _lasting(by_flask[1])
    assert _without_orders(text) == _without_orders(by_flask[2])
    assert _orders(text)
    assert not _orders(text) & _orders(by_flask[2])


def test_who_is_refused_by_flask_gets_nothing(guard: Screen, no_flask: threading.Event) -> None:
    """No session, a forged one, a form cookie that nobody signed, a program's token, another language: all go there."""
    assert guard.get()[0] == 200
    assert not no_flask.is_set()
    cookies = dict(guard.cookies)
    for changed in ({"zhian": ""}, {"zhian": "forged"}, {"zhian-form": cookies["zhian-form"][:-2] + "xx"}):
        guard.cookies = {**cookies, **changed}
        assert guard.get()[0] == 418, changed
    guard.cookies = cookies
    assert guard.get(Authorization="Bearer zhian_x")[0] == 418
    assert guard.get("/?lang=zh")[0] == 418
    assert guard.get("/account")[0] == 418
    assert guard.get(again=False)[0] == 418
    assert guard.get()[0] == 200


def test_a_viewer_does_not_get_the_guards_page(
    guard: Screen, running: "Running", app: Flask, office: "Office", no_flask: threading.Event
) -> None:
    """What was made for one role is not given to another."""
    from tests.dashboard.conftest import Browser

    viewer = Screen(running, Browser(app), "viewer")
    _until(lambda: _known(office, viewer))
    assert viewer.get()[0] == 418
    assert guard.get()[0] == 200
    viewer.close()


def test_a_session_that_has_ended_sees_nothing_more(guard: Screen, office: "Office") -> None:
    """Within a second, though the page lies ready."""
    assert guard.get()[0] == 200
    with office.users.begin() as db:
        db.exec_driver_sql("UPDATE session SET ended = seen")
    begun = time.monotonic()
    _until(lambda: guard.get()[0] == 401)
    assert time.monotonic() - begun < 3.0  # 0.75 s on a quiet machine
    assert guard.get()[0] == 401


def test_what_was_told_is_on_the_page_of_all_who_wait(guard: Screen, field: "Field", office: "Office") -> None:
    """A page is made anew after news, by one of those who wait."""
    number = field.alarm("gate-forced", "gate-east", severity="P1")
    office.shared.news()
    texts = list[str]()
    readers = [threading.Thread(target=lambda: texts.append(guard.get()[2])) for _ in range(12)]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join()
    assert len(texts) == 12
    assert all(f'id="need-{number}"' in text for text in texts)


def test_form_tokens_are_those_of_the_forms_library(app: Flask, browser: "Browser") -> None:
    """What is signed here is taken there; a cookie with a message in it is left to Flask."""
    browser.enter("guard")
    forms: Forms = app.extensions[EXTENSION]
    browser.client.get("/account")
    cookie = browser.client.get_cookie(forms.cookie)
    assert cookie is not None
    token = forms.token(cookie.value, 0.0)
    assert token is not None
    assert forms.token(cookie.value, 1.0) is token
    assert browser.client.post("/logout", data={"csrf_token": token}).status_code == 302
    assert browser.client.post("/logout", data={"csrf_token": token[:-1]}).status_code == 400
    assert forms.token(cookie.value[:-1], 0.0) is None
    with browser.client.session_transaction() as session:
        session["_flashes"] = [("message", "x")]
    changed = browser.client.get_cookie(forms.cookie)
    assert changed is not None
    assert forms.token(changed.value, 0.0) is None


def _known(office: "Office", screen: Screen) -> bool:
    return office.present.signed(screen.cookies["zhian"], time.monotonic()) is not None


def _until(so: Any) -> None:  # Any: a question
    give_up = time.monotonic() + 10
    while not so():
        assert time.monotonic() < give_up
        time.sleep(0.02)


def _lasting(headers: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name not in ("date", "content-length", "set-cookie")}


def _orders(text: str) -> set[str]:
    return set(re.findall(r'name="token" value="([^"]+)"', text))


def _without_orders(text: str) -> str:
    return re.sub(r'name="token" value="[^"]+"', "", text)
