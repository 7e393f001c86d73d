"""The group robots: what is sent, how it is signed, and that only their own "0" counts as said."""

import base64
import hashlib
import hmac
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote_plus

import pytest
from msgspec.structs import replace

from hub.clock import Clock
from hub.settings.site_voice import DingtalkSpec, FeishuSpec, WecomSpec
from hub.voices import Announcement, Person, Voice, VoiceError, Why, dingtalk, feishu, http
from hub.voices.dingtalk import DingtalkVoice
from hub.voices.feishu import FeishuVoice
from hub.voices.wecom import WecomVoice

if TYPE_CHECKING:
    from tests.hub.voices.conftest import Server

Keep = Callable[[str, str], str]
Make = Callable[[str], Voice]
KEY = "very-secret-key"
GUARD = Person(id="li", name="李", phone="13900139000")


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits a quarter of a minute in a test."""
    monkeypatch.setattr(http, "ANSWER_S", 0.5)


@pytest.fixture
def make(server: "Server", kept: Keep, clock: Clock) -> Make:
    """A robot of a kind, whose address leads to the server."""

    def made(kind: str) -> Voice:
        file = kept("url", server.url(f"/robot/send?access_token={KEY}"))
        secret = kept("secret", "SECabc\n")
        if kind == "wecom":
            return WecomVoice(WecomSpec(id="r", webhook_file=file, mention=("13800138000",)))
        if kind == "dingtalk":
            spec = DingtalkSpec(id="r", webhook_file=file, secret_file=secret, mention=("13800138000", "@all"))
            return DingtalkVoice(spec, clock)
        return FeishuVoice(FeishuSpec(id="r", webhook_file=file, secret_file=secret), clock)

    return made


ACCEPTED = {
    "wecom": {"errcode": 0, "errmsg": "ok"},
    "dingtalk": {"errcode": 0},
    "feishu": {"code": 0, "msg": "success"},
}


async def test_wecom_hears_text_and_whom_to_mention(make: Make, server: "Server", said: Announcement) -> None:
    """The form of developer.work.weixin.qq.com/document/path/91770."""
    server.says(ACCEPTED["wecom"])

    answer = await make("wecom").say(said)

    (heard,) = server.heard
    assert answer.detail == "code 0"
    assert heard.query == {"access_token": KEY}
    assert heard.json["msgtype"] == "text"
    assert heard.json["text"]["mentioned_mobile_list"] == ["13800138000"]
    assert "水边有人" in heard.json["text"]["content"]


async def test_dingtalk_is_signed_once_encoded(make: Make, server: "Server", said: Announcement) -> None:
    """`timestamp` and `sign` stand in the query; decoded once it is base64, which encoded twice it would not be."""
    server.says(ACCEPTED["dingtalk"])

    await make("dingtalk").say(said)

    (heard,) = server.heard
    wanted = hmac.new(b"SECabc", b"1760000000000\nSECabc", hashlib.sha256).digest()
    assert heard.query["access_token"] == KEY
    assert heard.query["timestamp"] == "1760000000000"
    assert base64.b64decode(heard.query["sign"], validate=True) == wanted
    assert heard.json["at"] == {"atMobiles": ["13800138000"], "isAtAll": True}
    assert heard.json["text"]["content"].endswith("@13800138000")


async def test_feishu_is_signed_in_its_body(make: Make, server: "Server", said: Announcement) -> None:
    """Seconds, and a key made of them and the secret, over nothing."""
    server.says(ACCEPTED["feishu"])

    await make("feishu").say(said)

    (heard,) = server.heard
    wanted = hmac.new(b"1760000000\nSECabc", b"", hashlib.sha256).digest()
    assert heard.json["timestamp"] == "1760000000"
    assert base64.b64decode(heard.json["sign"], validate=True) == wanted
    assert heard.json["msg_type"] == "text"


@pytest.mark.parametrize("kind", ["wecom", "dingtalk"])
async def test_a_person_is_mentioned_alone(make: Make, server: "Server", said: Announcement, kind: str) -> None:
    """Who is told in person is the one that the robot marks."""
    server.says(ACCEPTED[kind])

    await make(kind).say(said, GUARD)

    body = server.heard[0].json
    assert body.get("at", {}).get("atMobiles", body["text"].get("mentioned_mobile_list")) == ["13900139000"]


CODES = [
    ("wecom", {"errcode": 93000, "errmsg": "invalid webhook url"}, Why.LOCKED),
    ("wecom", {"errcode": 45009, "errmsg": "api freq out of limit"}, Why.THROTTLED),
    ("wecom", {"errcode": -1, "errmsg": "system busy"}, Why.TROUBLE),
    ("wecom", {"errcode": 40058, "errmsg": "invalid text size"}, Why.REFUSED),
    ("wecom", {"errmsg": "ok"}, Why.TROUBLE),
    ("wecom", {"errcode": "0"}, Why.TROUBLE),
    ("wecom", {"errcode": False}, Why.TROUBLE),
    ("dingtalk", {"errcode": 310000, "errmsg": "sign not match"}, Why.LOCKED),
    ("dingtalk", {"errcode": 300001, "errmsg": "token is not exist"}, Why.LOCKED),
    ("dingtalk", {"errcode": 130101, "errmsg": "send too fast, exceed 20 times per minute"}, Why.THROTTLED),
    ("dingtalk", {"errcode": 400105, "errmsg": "unsupported msgtype"}, Why.REFUSED),
    ("dingtalk", {}, Why.TROUBLE),
    ("feishu", {"code": 19021, "msg": "sign match fail or timestamp is not within one hour"}, Why.LOCKED),
    ("feishu", {"code": 19024, "msg": "Key Words Not Found"}, Why.LOCKED),
    ("feishu", {"code": 11232, "msg": "frequency limited"}, Why.THROTTLED),
    ("feishu", {"code": 9499, "msg": "too many request"}, Why.THROTTLED),
    ("feishu", {"code": 9499, "msg": "Bad Request"}, Why.REFUSED),
    ("feishu", {"msg": "success"}, Why.TROUBLE),
]


@pytest.mark.parametrize(("kind", "body", "why"), CODES)
async def test_200_with_an_error_in_its_body_is_no_success(
    make: Make, server: "Server", said: Announcement, kind: str, body: dict[str, object], why: Why
) -> None:
    """The body decides, and its code says what comes next; the maker's words are kept, the key is not."""
    server.says(body)

    with pytest.raises(VoiceError) as error:
        await make(kind).say(said)

    assert error.value.why is why
    assert (
        str(body.get("errmsg", body.get("msg", "")) if "errcode" in body or "code" in body else "")
        in error.value.detail
    )
    assert KEY not in error.value.detail


async def test_feishu_of_old_says_status_code(make: Make, server: "Server", said: Announcement) -> None:
    """Its first form of the answer means the same."""
    server.says({"StatusCode": 0, "StatusMessage": "success"})

    assert (await make("feishu").say(said)).confirmed


BAD = ["hang", "reset", "cut", "trickle", "garbage"]


@pytest.mark.parametrize("kind", sorted(ACCEPTED))
@pytest.mark.parametrize("badly", [*BAD, "html", "list", "empty", "deep"])
async def test_an_answer_that_is_none_proves_nothing(
    make: Make, server: "Server", said: Announcement, kind: str, badly: str
) -> None:
    """A portal's page, a cut line, a hanging server: trouble that may pass, and the address stays a secret."""
    bodies = {"html": b"<html>Log in</html>", "list": b"[0]", "empty": b"", "deep": b"[" * 5000}
    server.answers = [(200, {}, bodies[badly])] if badly in bodies else [badly]

    with pytest.raises(VoiceError) as error:
        await make(kind).say(said)

    assert error.value.why is Why.TROUBLE
    assert KEY not in error.value.detail


@pytest.mark.parametrize("kind", sorted(ACCEPTED))
@pytest.mark.parametrize(
    ("headers", "after_s"), [({"Retry-After": "30"}, 30.0), ({}, 0.0)], ids=["with Retry-After", "without"]
)
async def test_429_is_obeyed(
    make: Make, server: "Server", said: Announcement, kind: str, headers: dict[str, str], after_s: float
) -> None:
    """Too often is no refusal, and the server's own pause is kept."""
    server.answers = [(429, headers, b"slow down")]

    with pytest.raises(VoiceError) as error:
        await make(kind).say(said)

    assert (error.value.why, error.value.after_s) == (Why.THROTTLED, after_s)


@pytest.mark.parametrize("kind", sorted(ACCEPTED))
async def test_a_secret_that_others_may_read_is_not_used(
    make: Make, server: "Server", said: Announcement, kind: str, kept: Keep
) -> None:
    """The channel is locked until somebody mends the file; its name is told, its content never."""
    voice = make(kind)
    path = kept("url", server.url(f"/?key={KEY}"))
    _open_to_all(path)

    with pytest.raises(VoiceError, match="0644") as error:
        await voice.say(said)

    assert error.value.why is Why.LOCKED
    assert KEY not in error.value.detail
    assert server.heard == []


@pytest.mark.parametrize(("kind", "most"), [("wecom", 2048), ("dingtalk", 20_000), ("feishu", 20_000)])
async def test_a_long_text_is_cut_to_the_makers_limit(
    make: Make, server: "Server", said: Announcement, kind: str, most: int
) -> None:
    """Bytes of UTF-8 count; what and where are still there, and the end of a character is never lost."""
    server.says(ACCEPTED[kind])
    long = replace(said, response=replace(said.title, zh="派人" * 20_000), done=(replace(said.title, zh="已" * 9_000),))

    await make(kind).say(long)

    body = server.heard[0].json
    text = body["content"]["text"] if kind == "feishu" else body["text"]["content"]
    assert len(text.encode()) <= most
    assert all(word in text for word in ("P1", "水边有人", "景观湖", "湖边雷达"))


def _open_to_all(path: str) -> None:
    Path(path).chmod(0o644)


def _openssl(key: str, text: bytes) -> str:
    """HMAC-SHA256 in base64, by a program that is not ours."""
    command = ["openssl", "dgst", "-sha256", "-mac", "HMAC", "-macopt", f"hexkey:{key.encode().hex()}", "-binary"]
    return base64.b64encode(subprocess.run(command, input=text, capture_output=True, check=True).stdout).decode()


def test_the_signatures_are_the_makers() -> None:
    """The makers publish the algorithm and no result; openssl computes it from their description, independently."""
    signed = unquote_plus(dingtalk.sign("this is secret", 1_577_262_236_757))
    assert signed == _openssl("this is secret", b"1577262236757\nthis is secret")
    assert feishu.sign("demo", 1_599_360_473) == _openssl("1599360473\ndemo", b"")
