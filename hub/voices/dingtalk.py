"""The voice of a DingTalk (钉钉) group robot: text, signed with the robot's secret where it has one.

Maker's manual: open.dingtalk.com, "自定义机器人安全设置" and "自定义机器人发送群消息" (20 messages a minute, then
blocked for 10 minutes; 20,000 bytes).
"""

import base64
import hashlib
import hmac
from urllib.parse import quote_plus

from hub.clock import Clock
from hub.settings.site_voice import DingtalkSpec
from hub.speaking.budget import Limit
from hub.voices import Announcement, Person, Said, robot
from hub.voices.text import compose

MOST_BYTES = 18_000
LIMIT = Limit(20, 60.0)
CODES = robot.Codes(
    throttled=frozenset({130101, 130102, 410100, 430103}),
    locked=frozenset({310000, 300001, 300005, 400013, 400101, 400102, 400002, 40014, 40001}),
    busy=frozenset({-1}),
    pause_s=60.0,
)


def sign(secret: str, timestamp_ms: int) -> str:
    """The `sign` of the URL, percent-encoded once: HMAC-SHA256 with key `secret` of "<ms>\\n<secret>", in base64."""
    text = f"{timestamp_ms}\n{secret}".encode()
    return quote_plus(base64.b64encode(hmac.new(secret.encode(), text, hashlib.sha256).digest()))


class DingtalkVoice:
    """Posts to the robot whose address stands in `webhook_file`."""

    def __init__(self, spec: DingtalkSpec, clock: Clock) -> None:
        """Address and secret are read at each use; the clock stamps the signature (an hour's error is refused)."""
        self._spec, self._clock = spec, clock
        self.limits = robot.limits(spec, LIMIT)

    def keys(self, person: Person | None) -> tuple[str, ...]:
        """The robot's."""
        return (robot.fingerprint("dingtalk", self._spec.webhook_file),)

    async def say(self, announcement: Announcement, person: Person | None = None) -> Said:
        """Accepted when `errcode` is 0."""
        url = robot.secret(self._spec.webhook_file)
        shown = robot.host(url)
        if self._spec.secret_file:
            now = self._clock.now()
            url += f"{'&' if '?' in url else '?'}timestamp={now}&sign={sign(robot.secret(self._spec.secret_file), now)}"
        body = await robot.ask(url, self._message(announcement, person), robot.route(self._spec))
        return CODES.judge(shown, body.get("errcode"), body.get("errmsg"))

    def _message(self, announcement: Announcement, person: Person | None) -> dict[str, object]:
        numbers = robot.phones(self._spec.mention, person)
        everybody = "@all" in numbers
        names = [number for number in numbers if number != "@all"]
        marks = "".join(f" @{name}" for name in names)  # DingTalk marks only whom the text names, too
        text = compose(announcement, self._spec.languages, MOST_BYTES - len(marks)) + marks
        return {"msgtype": "text", "text": {"content": text}, "at": {"atMobiles": names, "isAtAll": everybody}}
