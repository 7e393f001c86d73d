"""What the three group robots have in common: an address that is a secret, JSON both ways, the truth in the body.

They answer HTTP 200 to nearly everything. A body without their own "0" is no success, whatever the status says.
"""

import hashlib
from collections.abc import Mapping
from typing import Any, Protocol
from urllib.parse import urlsplit

import msgspec

from hub.settings.secret import SecretError, read_secret
from hub.speaking.budget import Limit
from hub.voices import Person, Said, VoiceError, Why
from hub.voices.http import Answer, Route, judge, post

Body = dict[str, Any]  # Any: JSON, of which each robot reads the two fields that it knows


class WebSpec(Protocol):
    """What of a voice's table is needed to get out."""

    @property
    def proxy(self) -> str: ...
    @property
    def ca_file(self) -> str: ...
    @property
    def per_minute(self) -> int | None: ...


def route(spec: WebSpec) -> Route:
    """How this voice gets out."""
    return Route(spec.proxy, spec.ca_file)


def limits(spec: WebSpec, *makers: Limit) -> tuple[Limit, ...]:
    """The maker's limits, or the site's own a minute."""
    return makers if spec.per_minute is None else (Limit(spec.per_minute, 60.0),)


def secret(file: str) -> str:
    """What stands in the file; without it nothing gets through until somebody mends it."""
    try:
        return read_secret(file)
    except SecretError as error:
        raise VoiceError(str(error), Why.LOCKED) from None


def fingerprint(kind: str, file: str) -> str:
    """A name for the credential in a file that does not tell it."""
    try:
        return f"{kind}:{hashlib.sha256(read_secret(file).encode()).hexdigest()[:16]}"
    except SecretError:
        return f"{kind}:{file}"


def phones(mention: tuple[str, ...], person: Person | None) -> list[str]:
    """Who is to look up: the person that is told, or whom the table names."""
    return [person.phone] if person is not None and person.phone else list(mention)


async def ask(url: str, payload: Mapping[str, object], way: Route) -> Body:
    """POST the JSON; the answer's JSON object. The address is named by its host alone: the rest of it is a secret."""
    shown = host(url)
    headers = {"Content-Type": "application/json; charset=utf-8"}
    return read(await post(url, msgspec.json.encode(payload), headers, way, shown), shown)


def read(answer: Answer, shown: str) -> Body:
    """The JSON object of a 2xx answer. Raises VoiceError."""
    judge(answer, shown)
    return parse(answer, shown)


def parse(answer: Answer, shown: str) -> Body:
    """The JSON object of any answer; one that is none proves nothing."""
    try:
        return msgspec.json.decode(answer.body, type=Body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise VoiceError(f"{shown}: HTTP {answer.status} with an answer that is none of its own") from None


class Codes(msgspec.Struct, frozen=True, kw_only=True):
    """What a robot's codes mean. Any other than 0 and these refuses the message for good."""

    throttled: frozenset[int]
    locked: frozenset[int]
    busy: frozenset[int]
    pause_s: float

    def judge(self, shown: str, code: object, words: object) -> Said:
        """Said when the code is 0; raises VoiceError of its class. Anything but a whole number proves nothing."""
        if isinstance(code, bool) or not isinstance(code, int):
            raise VoiceError(f"{shown}: an answer without its code")
        if code == 0:
            return Said("code 0")
        if code in self.throttled:
            raise refuse(shown, code, words, Why.THROTTLED, self.pause_s)
        why = Why.LOCKED if code in self.locked else Why.TROUBLE if code in self.busy else Why.REFUSED
        raise refuse(shown, code, words, why)


def refuse(shown: str, code: object, words: object, why: Why, after_s: float = 0.0) -> VoiceError:
    """The error that a robot's own code stands for; its words are cut, and cannot run over lines."""
    said = " ".join(str(words or "").split())[:200]
    return VoiceError(f"{shown}: {code} {said}".rstrip(), why, after_s=after_s)


def host(url: str) -> str:
    """Where an address leads, without its path and query."""
    try:
        return urlsplit(url).netloc.rpartition("@")[2] or "the address"
    except ValueError:
        return "the address"
