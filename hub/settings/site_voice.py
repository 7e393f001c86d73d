"""What the site file says of a voice: one frozen struct a kind of channel. Who speaks is `hub/voices`, not this.

Secrets (a robot's address, keys, passwords) stand in files of mode 0600 that these structs name; they never hold one.
"""

from typing import Annotated, Literal, TypeAlias

import msgspec
from msgspec import Meta

from hub.reading import Label

Severity: TypeAlias = Literal["P1", "P2", "P3", "P4"]
Language: TypeAlias = Literal["zh", "en"]


class Strict(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base: immutable, by keyword, and a key that we do not know is refused."""


class _Common(Strict, frozen=True, kw_only=True):
    """What every voice has. `zones` and `rules` empty: all of them. `per_minute`: instead of the maker's own limit."""

    id: str
    name: Label | None = None  # None: after its kind (hub/speaking/names.py)
    severities: tuple[Severity, ...] = ("P1", "P2", "P3", "P4")
    zones: tuple[str, ...] = ()
    rules: tuple[str, ...] = ()
    cleared: Literal["told", "not-told"] = "told"
    languages: tuple[Language, ...] = ("zh",)
    per_minute: Annotated[int, Meta(ge=1, le=10_000)] | None = None
    test: Literal["weekly", "never"] = "weekly"

    @property
    def kind(self) -> str:
        """The word of the site file."""
        return str(type(self).__struct_config__.tag)


class _Web(_Common, frozen=True, kw_only=True):
    """Spoken over HTTP. `proxy`: http://host:port, the only one ever used. `ca_file`: instead of the system's."""

    proxy: str = ""
    ca_file: str = ""


class LogSpec(_Common, frozen=True, kw_only=True, tag_field="kind", tag="log"):
    """A line in the log."""

    test: Literal["weekly", "never"] = "never"


class MqttSpec(_Common, frozen=True, kw_only=True, tag_field="kind", tag="mqtt"):
    """JSON on the site's broker."""

    topic: str = "{site}/alarm/{rule}/{source}"


class WebhookSpec(_Web, frozen=True, kw_only=True, tag_field="kind", tag="webhook"):
    """JSON by POST, signed with the receiver's secret. `url_file` instead of `url`: an address that is a key itself."""

    url: str = ""
    url_file: str = ""
    secret_file: str = ""


class WecomSpec(_Web, frozen=True, kw_only=True, tag_field="kind", tag="wecom"):
    """A group robot of WeCom (企业微信). `mention`: mobile numbers, or "@all"."""

    webhook_file: str = ""
    mention: tuple[str, ...] = ()


class DingtalkSpec(_Web, frozen=True, kw_only=True, tag_field="kind", tag="dingtalk"):
    """A group robot of DingTalk (钉钉), signed where `secret_file` is given."""

    webhook_file: str = ""
    secret_file: str = ""
    mention: tuple[str, ...] = ()


class FeishuSpec(_Web, frozen=True, kw_only=True, tag_field="kind", tag="feishu"):
    """A group robot of Feishu (飞书) or Lark, signed where `secret_file` is given."""

    webhook_file: str = ""
    secret_file: str = ""


class MailSpec(_Common, frozen=True, kw_only=True, tag_field="kind", tag="mail"):
    """Mail by SMTP. `port` 0: the usual one of `security`."""

    host: str = ""
    port: Annotated[int, Meta(ge=0, le=65535)] = 0
    security: Literal["ssl", "starttls", "none"] = "ssl"
    username: str = ""
    password_file: str = ""
    sender: str = ""
    to: tuple[str, ...] = ()
    ca_file: str = ""


class _Aliyun(_Web, frozen=True, kw_only=True):
    """`access_key_file`: two lines, the id and the secret. `parameters`: the template's variables, with blanks."""

    access_key_file: str = ""
    template: str = ""
    to: tuple[str, ...] = ()
    parameters: dict[str, str] = {}


class SmsSpec(_Aliyun, frozen=True, kw_only=True, tag_field="kind", tag="aliyun-sms"):
    """A text message by Aliyun, from a template that they approved."""

    sign_name: str = ""
    endpoint: str = "https://dysmsapi.aliyuncs.com"


class CallSpec(_Aliyun, frozen=True, kw_only=True, tag_field="kind", tag="aliyun-call"):
    """A telephone call by Aliyun that reads a template aloud. `show_number` empty: their shared numbers."""

    show_number: str = ""
    play_times: Annotated[int, Meta(ge=1, le=3)] = 2
    endpoint: str = "https://dyvmsapi.aliyuncs.com"


class DeviceSpec(_Common, frozen=True, kw_only=True, tag_field="kind", tag="device"):
    """A device of the site that sounds, lights or speaks by one of its own commands."""

    device: str = ""
    command: str = ""
    seconds: float | None = None
    cleared: Literal["told", "not-told"] = "not-told"
    test: Literal["weekly", "never"] = "never"


class AppriseSpec(_Common, frozen=True, kw_only=True, tag_field="kind", tag="apprise"):
    """Whatever else the library apprise can speak to, one of its addresses a line; what arrives there is not known."""

    urls_file: str = ""


Voice: TypeAlias = (
    LogSpec
    | MqttSpec
    | WebhookSpec
    | WecomSpec
    | DingtalkSpec
    | FeishuSpec
    | MailSpec
    | SmsSpec
    | CallSpec
    | DeviceSpec
    | AppriseSpec
)
KINDS: dict[str, type[Voice]] = {
    "log": LogSpec,
    "mqtt": MqttSpec,
    "webhook": WebhookSpec,
    "wecom": WecomSpec,
    "dingtalk": DingtalkSpec,
    "feishu": FeishuSpec,
    "mail": MailSpec,
    "aliyun-sms": SmsSpec,
    "aliyun-call": CallSpec,
    "device": DeviceSpec,
    "apprise": AppriseSpec,
}
