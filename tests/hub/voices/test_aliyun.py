"""Aliyun: the published signature, what is asked for, and that a 200 with another Code than OK is no success."""

import json
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from hub.clock import Clock
from hub.settings.site_voice import CallSpec, SmsSpec
from hub.voices import Announcement, Person, VoiceError, Why, aliyun
from hub.voices.aliyun import CallVoice, SmsVoice

if TYPE_CHECKING:
    from tests.hub.voices.conftest import Server

Keep = Callable[[str, str], str]
OK = {"Code": "OK", "Message": "OK", "BizId": "9006197469364984400"}
CALLED = {"Code": "OK", "Message": "OK", "CallId": "116012854210^10281"}
GUARD = Person(id="li", name="李", phone="13900139000")


@pytest.fixture
def sms(server: "Server", kept: Keep, clock: Clock) -> SmsVoice:
    """To two numbers."""
    spec = SmsSpec(
        id="sms", access_key_file=kept("key", "LTAIkey\nverysecret\n"), template="SMS_1", sign_name="智安",
        to=("13800138000", "13700137000"), parameters={"what": "{what}", "where": "{zone} {source}", "when": "{time}"},
        endpoint=server.url(""),
    )  # fmt: skip
    return SmsVoice(spec, clock)


@pytest.fixture
def phone(server: "Server", kept: Keep, clock: Clock) -> CallVoice:
    """To two numbers."""
    spec = CallSpec(
        id="call", access_key_file=kept("key", "LTAIkey\nverysecret\n"), template="TTS_1",
        to=("13800138000", "13700137000"), parameters={"what": "{title}"}, endpoint=server.url(""),
    )  # fmt: skip
    return CallVoice(spec, clock)


def test_the_published_signature_comes_out() -> None:
    """The fixed example of help.aliyun.com/zh/sdk/product-overview/v3-request-structure-and-signature."""
    query = aliyun.query_of(
        {"RegionId": "cn-shanghai", "ImageId": "win2019_1809_x64_dtc_zh-cn_40G_alibase_20230811.vhd"}
    )
    headers = {
        "host": "ecs.cn-shanghai.aliyuncs.com",
        "x-acs-action": "RunInstances",
        "x-acs-content-sha256": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "x-acs-date": "2023-10-26T10:22:32Z",
        "x-acs-signature-nonce": "3156853299f313e23d1673dc12e1703d",
        "x-acs-version": "2014-05-26",
    }

    assert aliyun.authorization("YourAccessKeyId", "YourAccessKeySecret", query, headers) == (
        "ACS3-HMAC-SHA256 Credential=YourAccessKeyId,"
        "SignedHeaders=host;x-acs-action;x-acs-content-sha256;x-acs-date;x-acs-signature-nonce;x-acs-version,"
        "Signature=06563a9e1b43f5dfe96b81484da74bceab24a1d853912eee15083a6f0f3283c0"
    )


def test_the_query_is_encoded_as_rfc_3986_has_it() -> None:
    """A blank is %20 and never +, a tilde stays, a star does not, and names come in order."""
    assert aliyun.query_of({"b": "a b~*", "A": "水/+"}) == "A=%E6%B0%B4%2F%2B&b=a%20b~%2A"


async def test_sms_asks_once_for_all_numbers(sms: SmsVoice, server: "Server", said: Announcement) -> None:
    """The template's variables are filled and short, and what was sent carries the signature of just that."""
    server.says(OK)

    answer = await sms.say(replace(said, title=replace(said.title, zh="水" * 100)))

    (heard,) = server.heard
    filled = json.loads(heard.query["TemplateParam"])
    assert answer.detail == "OK 9006197469364984400"
    assert heard.query["PhoneNumbers"] == "13800138000,13700137000"
    assert (heard.query["SignName"], heard.query["TemplateCode"]) == ("智安", "SMS_1")
    assert heard.headers["x-acs-action"] == "SendSms"
    assert heard.headers["x-acs-date"] == "2025-10-09T08:53:20Z"
    assert filled["where"] == "景观湖 湖边雷达"
    assert all(0 < len(value) <= 35 for value in filled.values())
    signed = {name: value for name, value in heard.headers.items() if name == "host" or name.startswith("x-acs-")}
    query = heard.target.partition("?")[2]
    assert heard.headers["authorization"] == aliyun.authorization("LTAIkey", "verysecret", query, signed)


async def test_a_call_goes_to_each_number(phone: CallVoice, server: "Server", said: Announcement) -> None:
    """One request a number; who could not be called is named, masked, and the others count."""
    server.says(CALLED)
    server.answers.insert(0, (200, {}, json.dumps({"Code": "isv.MOBILE_NUMBER_ILLEGAL", "Message": "bad"}).encode()))

    answer = await phone.say(said)

    assert [heard.query["CalledNumber"] for heard in server.heard] == ["13800138000", "13700137000"]
    assert [heard.query["TtsCode"] for heard in server.heard] == ["TTS_1", "TTS_1"]
    assert "137****7000 116012854210^10281" in answer.detail
    assert "138****8000: " in answer.detail
    assert "13800138000" not in answer.detail


async def test_a_person_is_called_at_his_own_number(phone: CallVoice, server: "Server", said: Announcement) -> None:
    """And one without a number cannot be: that says nothing of the channel."""
    server.says(OK)

    await phone.say(said, GUARD)
    with pytest.raises(VoiceError, match="no telephone number") as error:
        await phone.say(said, Person(id="wang", name="王"))

    assert [heard.query["CalledNumber"] for heard in server.heard] == ["13900139000"]
    assert error.value.why is Why.UNFIT
    assert phone.keys(GUARD) == ("call:13900139000",)


@pytest.mark.parametrize(
    ("status", "code", "message", "why", "after_s"),
    [
        (200, "isv.BUSINESS_LIMIT_CONTROL", "触发分钟级流控Permits:1", Why.THROTTLED, 60.0),
        (200, "isv.BUSINESS_LIMIT_CONTROL", "触发小时级流控Permits:5", Why.THROTTLED, 3600.0),
        (200, "isv.BUSINESS_LIMIT_CONTROL", "触发天级流控Permits:40", Why.THROTTLED, 21_600.0),
        (200, "isv.AMOUNT_NOT_ENOUGH", "账户余额不足", Why.LOCKED, 0.0),
        (200, "isv.SMS_TEMPLATE_ILLEGAL", "模版不存在", Why.LOCKED, 0.0),
        (200, "isv.MOBILE_NUMBER_ILLEGAL", "号码不合法", Why.REFUSED, 0.0),
        (200, "isp.SYSTEM_ERROR", "系统错误", Why.TROUBLE, 0.0),
        (400, "SignatureDoesNotMatch", "Specified signature does not match", Why.LOCKED, 0.0),
        (404, "InvalidAccessKeyId.NotFound", "Specified access key is not found.", Why.LOCKED, 0.0),
        (400, "Throttling.User", "Request was denied due to user flow control.", Why.THROTTLED, 5.0),
        (503, "ServiceUnavailable", "later", Why.TROUBLE, 0.0),
    ],
)
async def test_the_code_decides(
    sms: SmsVoice, server: "Server", said: Announcement, status: int, code: str, message: str, why: Why, after_s: float
) -> None:
    """Whatever the status: the class of their code says what comes next, and no key stands in the words."""
    server.says({"Code": code, "Message": message, "RequestId": "1"}, status)

    with pytest.raises(VoiceError, match=code) as error:
        await sms.say(said)

    assert (error.value.why, error.value.after_s) == (why, after_s)
    assert "verysecret" not in error.value.detail


@pytest.mark.parametrize("body", [b"", b"<html>", b"{}", b'{"Code": null}'])
async def test_a_200_without_ok_proves_nothing(
    sms: SmsVoice, server: "Server", said: Announcement, body: bytes
) -> None:
    """What is not their answer is trouble, and is tried again."""
    server.answers = [(200, {}, body)]

    with pytest.raises(VoiceError) as error:
        await sms.say(said)

    assert error.value.why in (Why.TROUBLE, Why.REFUSED)


async def test_half_a_key_locks_the_channel(sms: SmsVoice, server: "Server", said: Announcement, kept: Keep) -> None:
    """The file holds an id and a secret; nothing is sent with less."""
    kept("key", "LTAIkey")

    with pytest.raises(VoiceError, match="two lines") as error:
        await sms.say(said)

    assert error.value.why is Why.LOCKED
    assert server.heard == []
