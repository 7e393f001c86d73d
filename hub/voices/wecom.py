"""The voice of a WeCom (企业微信) group robot: text, with the numbers that are to look up.

Maker's manual: developer.work.weixin.qq.com/document/path/91770 (20 messages a minute, 2,048 bytes of text) and /90313
(codes).
"""

from hub.settings.site_voice import WecomSpec
from hub.speaking.budget import Limit
from hub.voices import Announcement, Person, Said, robot
from hub.voices.text import compose

MOST_BYTES = 2048
LIMIT = Limit(20, 60.0)
CODES = robot.Codes(
    throttled=frozenset({45009, 45033, 45047}),
    locked=frozenset({93000, 93004, 93008, 40001, 40013, 40014, 42001, 41001, 48002, 60020, 301002}),
    busy=frozenset({-1}),
    pause_s=60.0,
)


class WecomVoice:
    """Posts to the robot whose address stands in `webhook_file`."""

    def __init__(self, spec: WecomSpec) -> None:
        """The address is read at each use, so that it can be changed without a restart."""
        self._spec = spec
        self.limits = robot.limits(spec, LIMIT)

    def keys(self, person: Person | None) -> tuple[str, ...]:
        """The robot's."""
        return (robot.fingerprint("wecom", self._spec.webhook_file),)

    async def say(self, announcement: Announcement, person: Person | None = None) -> Said:
        """Accepted when `errcode` is 0."""
        content = compose(announcement, self._spec.languages, MOST_BYTES)
        text = {"content": content, "mentioned_mobile_list": robot.phones(self._spec.mention, person)}
        url = robot.secret(self._spec.webhook_file)
        body = await robot.ask(url, {"msgtype": "text", "text": text}, robot.route(self._spec))
        return CODES.judge(robot.host(url), body.get("errcode"), body.get("errmsg"))
