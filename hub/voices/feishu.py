"""The voice of a Feishu (飞书) or Lark group robot: text, signed with the robot's secret where it has one.

Maker's manual: open.feishu.cn/document/client-docs/bot-v3/add-custom-bot (100 messages a minute, 5 a second, 20 kB; the
full and half hours are busy: code 11232).
"""

import base64
import hashlib
import hmac

from hub.clock import Clock
from hub.settings.site_voice import FeishuSpec
from hub.speaking.budget import Limit
from hub.voices import Announcement, Person, Said, Why, robot
from hub.voices.text import compose

MOST_BYTES = 15_000
LIMITS = (Limit(100, 60.0), Limit(5, 1.0))
CODES = robot.Codes(
    throttled=frozenset({11232, 11233, 11247, 99991400}),
    locked=frozenset({19001, 19005, 19007, 19021, 19022, 19024, 19036}),
    busy=frozenset({2200, 11200, 11201, 190001, 99991663}),
    pause_s=20.0,
)
_BAD_REQUEST = 9499  # of two meanings: a body that it cannot read, and "too many request"


def sign(secret: str, timestamp_s: int) -> str:
    """The `sign` of the body: HMAC-SHA256 with key "<s>\\n<secret>" of nothing, in base64."""
    return base64.b64encode(hmac.new(f"{timestamp_s}\n{secret}".encode(), b"", hashlib.sha256).digest()).decode()


class FeishuVoice:
    """Posts to the robot whose address stands in `webhook_file`."""

    def __init__(self, spec: FeishuSpec, clock: Clock) -> None:
        """Address and secret are read at each use; the clock stamps the signature (an hour's error is refused)."""
        self._spec, self._clock = spec, clock
        self.limits = robot.limits(spec, *LIMITS)

    def keys(self, person: Person | None) -> tuple[str, ...]:
        """The robot's."""
        return (robot.fingerprint("feishu", self._spec.webhook_file),)

    async def say(self, announcement: Announcement, person: Person | None = None) -> Said:
        """Accepted when `code` (`StatusCode` of old) is 0."""
        url = robot.secret(self._spec.webhook_file)
        text = compose(announcement, self._spec.languages, MOST_BYTES)
        message: dict[str, object] = {"msg_type": "text", "content": {"text": text}}
        if self._spec.secret_file:
            now = self._clock.now() // 1000
            message |= {"timestamp": str(now), "sign": sign(robot.secret(self._spec.secret_file), now)}
        return _read(await robot.ask(url, message, robot.route(self._spec)), robot.host(url))


def _read(body: robot.Body, shown: str) -> Said:
    code, words = body.get("code", body.get("StatusCode")), body.get("msg", body.get("StatusMessage"))
    if code == _BAD_REQUEST and "too many" in str(words).lower():
        raise robot.refuse(shown, code, words, Why.THROTTLED, CODES.pause_s)
    return CODES.judge(shown, code, words)
