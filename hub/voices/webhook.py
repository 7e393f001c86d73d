"""The voice that posts the announcement as JSON over HTTP, signed with the receiver's secret.

`Zhian-Event` is the announcement's id: who has seen it drops the repeat. `Zhian-Timestamp` is seconds since 1970, and
`Zhian-Signature` is "sha256=" and the HMAC-SHA256 of "<timestamp>.<body>" in hex.
"""

import hashlib
import hmac

import msgspec

from hub.clock import Clock
from hub.settings.site_voice import WebhookSpec
from hub.voices import Announcement, Person, Said, robot
from hub.voices.http import judge, post


def signature(secret: str, timestamp_s: int, body: bytes) -> str:
    """What the receiver computes again, before it believes a word."""
    return "sha256=" + hmac.new(secret.encode(), f"{timestamp_s}.".encode() + body, hashlib.sha256).hexdigest()


class WebhookVoice:
    """POSTs to `url`. Accepted on a 2xx answer: what a body of somebody else's means is not known here."""

    def __init__(self, spec: WebhookSpec, clock: Clock) -> None:
        """The secret is read from its file at each use, so that it can be changed without a restart."""
        self._spec, self._clock = spec, clock
        self.limits = robot.limits(spec)

    def keys(self, person: Person | None) -> tuple[str, ...]:
        """The receiver's address."""
        return (f"webhook:{self._spec.url}" if self._spec.url else robot.fingerprint("webhook", self._spec.url_file),)

    async def say(self, announcement: Announcement, person: Person | None = None) -> Said:
        """An unsigned announcement is never sent where a signed one was wanted."""
        body = msgspec.json.encode(announcement)
        now = self._clock.now() // 1000
        headers = {
            "Content-Type": "application/json",
            "Zhian-Event": announcement.id,
            "Zhian-Timestamp": str(now),
        }
        if person is not None:
            headers["Zhian-Person"] = person.id
        if self._spec.secret_file:
            headers["Zhian-Signature"] = signature(robot.secret(self._spec.secret_file), now, body)
        url = self._spec.url or robot.secret(self._spec.url_file)
        shown = _shown(url) if self._spec.url else robot.host(url)
        answer = await post(url, body, headers, robot.route(self._spec), shown)
        judge(answer, shown)
        return Said(f"HTTP {answer.status}")


def _shown(url: str) -> str:
    """The address without what may be a key: user, password and query."""
    scheme, slashes, rest = url.partition("?")[0].partition("://")
    return f"{scheme}{slashes}{rest.rpartition('@')[2]}"
