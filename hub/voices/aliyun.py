"""The voices of Aliyun: text messages (SendSms) and calls that read a template aloud (SingleCallByTts).

Signed by "V3", ACS3-HMAC-SHA256: help.aliyun.com/zh/sdk/product-overview/v3-request-structure-and-signature. The truth
is in the body: `Code` other than OK is a refusal, also under HTTP 200.
"""

import hashlib
import hmac
import secrets
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from urllib.parse import quote

import msgspec

from hub.clock import Clock
from hub.settings.site_voice import CallSpec, SmsSpec
from hub.speaking.budget import Limit
from hub.voices import Announcement, Person, Said, VoiceError, Why, robot
from hub.voices.http import judge, post
from hub.voices.text import blanks

SMS_LIMITS = (Limit(50, 86_400.0),)  # notices, a day for one template and number
CALL_LIMITS = (Limit(1, 60.0), Limit(5, 3_600.0), Limit(20, 86_400.0))  # for one called number
MOST_CHARS = 35  # of one variable of a template
_EMPTY = hashlib.sha256(b"").hexdigest()
_PAUSES = {"天级": 21_600.0, "小时级": 3_600.0, "分钟级": 60.0}
_LOCKED = (
    "InvalidAccessKey", "SignatureDoesNotMatch", "IncompleteSignature", "Forbidden", "NoPermission", "IllegalTimestamp",
    "InvalidTimeStamp", "isv.ACCOUNT", "isv.OUT_OF_SERVICE", "isv.AMOUNT_NOT_ENOUGH", "isv.PRODUCT_UN", "isv.RAM_",
    "isv.SMS_SIGNATURE", "isv.SMS_TEMPLATE", "isv.SMS_SIGN", "isv.TTS_TEMPLATE", "isv.INVALID_TEMPLATE",
)  # fmt: skip
_BUSY = ("isp.", "ServiceUnavailable", "InternalError", "SignatureNonceUsed")


def encode(text: str) -> str:
    """Percent-encoded as RFC 3986 has it: everything but letters, digits and -_.~"""
    return quote(text, safe="-_.~")


def query_of(parameters: Mapping[str, str]) -> str:
    """The canonical query: names in order, names and values percent-encoded."""
    return "&".join(f"{encode(name)}={encode(value)}" for name, value in sorted(parameters.items()))


def authorization(key: str, secret: str, query: str, headers: Mapping[str, str]) -> str:
    """The Authorization header of POST / with an empty body; `headers` are the signed ones, in lower case."""
    names = ";".join(sorted(headers))
    lines = "".join(f"{name}:{headers[name].strip()}\n" for name in sorted(headers))
    canonical = f"POST\n/\n{query}\n{lines}\n{names}\n{_EMPTY}"
    text = f"ACS3-HMAC-SHA256\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    signature = hmac.new(secret.encode(), text.encode(), hashlib.sha256).hexdigest()
    return f"ACS3-HMAC-SHA256 Credential={key},SignedHeaders={names},Signature={signature}"


class _Aliyun:
    """What both have in common: keys, the signed request, the answer."""

    def __init__(self, spec: SmsSpec | CallSpec, clock: Clock, action: str, version: str) -> None:
        self._common, self._clock, self._action, self._version = spec, clock, action, version

    def numbers(self, person: Person | None) -> tuple[str, ...]:
        """Whom to reach; a person without a number cannot be reached like this."""
        found = self._common.to if person is None else (person.phone,) if person.phone else ()
        if not found:
            who = f"{person.name} has no telephone number" if person else "the voice's table names nobody in `to`"
            raise VoiceError(who, Why.UNFIT)
        return found

    def parameters(self, announcement: Announcement) -> str:
        """The template's variables as JSON."""
        tongue = self._common.languages[0]
        words = blanks(announcement, tongue, MOST_CHARS)
        filled = {name: text.format(**words)[:MOST_CHARS] for name, text in self._common.parameters.items()}
        return msgspec.json.encode(filled).decode()

    async def call(self, parameters: Mapping[str, str]) -> str:
        """Send it; the request's id. Raises VoiceError."""
        key, secret = self._pair()
        query, shown = query_of(parameters), robot.host(self._common.endpoint)
        headers = self._headers(shown)
        headers["Authorization"] = authorization(key, secret, query, headers)
        url = f"{self._common.endpoint.rstrip('/')}/?{query}"
        answer = await post(url, b"", headers, robot.route(self._common), shown)
        body = robot.parse(answer, shown) if answer.body.lstrip()[:1] == b"{" else {}
        if body.get("Code", "OK") != "OK":
            raise refusal(shown, str(body["Code"]), str(body.get("Message", "")))
        judge(answer, shown)
        if body.get("Code") != "OK":
            raise VoiceError(f"{shown}: HTTP {answer.status} with an answer that is none of its own")
        return str(body.get("BizId") or body.get("CallId") or body.get("RequestId") or "")

    def _pair(self) -> tuple[str, str]:
        lines = robot.secret(self._common.access_key_file).split()
        if len(lines) != 2:
            raise VoiceError(f"{self._common.access_key_file}: not two lines, access key id and secret", Why.LOCKED)
        return lines[0], lines[1]

    def _headers(self, host: str) -> dict[str, str]:
        stamp = datetime.fromtimestamp(self._clock.now() / 1000, UTC)
        return {
            "host": host,
            "x-acs-action": self._action,
            "x-acs-content-sha256": _EMPTY,
            "x-acs-date": f"{stamp:%Y-%m-%dT%H:%M:%SZ}",
            "x-acs-signature-nonce": secrets.token_hex(16),
            "x-acs-version": self._version,
        }


class SmsVoice(_Aliyun):
    """One request for all numbers."""

    def __init__(self, spec: SmsSpec, clock: Clock) -> None:
        """Keys are read at each use."""
        super().__init__(spec, clock, "SendSms", "2017-05-25")
        self._spec = spec
        self.limits = robot.limits(spec, *SMS_LIMITS)

    def keys(self, person: Person | None) -> tuple[str, ...]:
        """Each number, with the template."""
        return _keys(lambda: [f"sms:{self._spec.template}:{number}" for number in self.numbers(person)])

    async def say(self, announcement: Announcement, person: Person | None = None) -> Said:
        """Accepted when `Code` is OK; whether the carrier delivered it is not asked."""
        sent = await self.call(
            {
                "PhoneNumbers": ",".join(self.numbers(person)),
                "SignName": self._spec.sign_name,
                "TemplateCode": self._spec.template,
                "TemplateParam": self.parameters(announcement),
                "OutId": announcement.id,
            }
        )
        return Said(f"OK {sent}")


class CallVoice(_Aliyun):
    """One request a number."""

    def __init__(self, spec: CallSpec, clock: Clock) -> None:
        """Keys are read at each use."""
        super().__init__(spec, clock, "SingleCallByTts", "2017-05-25")
        self._spec = spec
        self.limits = robot.limits(spec, *CALL_LIMITS)

    def keys(self, person: Person | None) -> tuple[str, ...]:
        """Each called number."""
        return _keys(lambda: [f"call:{number}" for number in self.numbers(person)])

    async def say(self, announcement: Announcement, person: Person | None = None) -> Said:
        """Said when one call at least was taken; who could not be called is named. Who picked up is not known."""
        reached, missed = list[str](), list[VoiceError]()
        for number in self.numbers(person):
            try:
                reached.append(f"{_masked(number)} {await self._dial(number, announcement)}")
            except VoiceError as error:
                missed.append(VoiceError(f"{_masked(number)}: {error.detail}", error.why, after_s=error.after_s))
        if not reached:
            raise missed[0]
        return Said("; ".join(["OK " + ", ".join(reached), *(error.detail for error in missed)]))

    async def _dial(self, number: str, announcement: Announcement) -> str:
        asked = {
            "CalledNumber": number,
            "TtsCode": self._spec.template,
            "TtsParam": self.parameters(announcement),
            "PlayTimes": str(self._spec.play_times),
            "OutId": announcement.id[:15],
        }
        if self._spec.show_number:
            asked["CalledShowNumber"] = self._spec.show_number
        return await self.call(asked)


def refusal(shown: str, code: str, message: str) -> VoiceError:
    """What a code of theirs means for the next try."""
    if code.startswith("Throttling") or "LIMIT_CONTROL" in code or code == "isv.DAY_LIMIT_CONTROL":
        pause = next((pause for word, pause in _PAUSES.items() if word in message), 60.0)
        return robot.refuse(shown, code, message, Why.THROTTLED, 5.0 if code.startswith("Throttling") else pause)
    why = Why.LOCKED if code.startswith(_LOCKED) else Why.TROUBLE if code.startswith(_BUSY) else Why.REFUSED
    return robot.refuse(shown, code, message, why)


def _keys(numbers: Callable[[], list[str]]) -> tuple[str, ...]:
    try:
        return tuple(numbers())
    except VoiceError:
        return ()  # there is nobody to be called; `say` tells it


def _masked(number: str) -> str:
    """A telephone number as logs and pages may show it."""
    return f"{number[:3]}****{number[-4:]}" if len(number) >= 8 else "****"
