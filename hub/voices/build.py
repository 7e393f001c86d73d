"""From what the site file says of a voice to the voice that speaks. Opens nothing."""

from collections.abc import Mapping

from firmware_bridge.raw import Link
from hub.clock import Clock
from hub.journal.commit import Committer
from hub.settings.site import MqttBrokerLink, Siren, Site
from hub.settings.site_voice import (
    AppriseSpec,
    CallSpec,
    DeviceSpec,
    DingtalkSpec,
    FeishuSpec,
    LogSpec,
    MailSpec,
    MqttSpec,
    SmsSpec,
    WebhookSpec,
    WecomSpec,
)
from hub.settings.site_voice import Voice as Spec
from hub.voices import Voice
from hub.voices.aliyun import CallVoice, SmsVoice
from hub.voices.apprise import AppriseVoice
from hub.voices.dingtalk import DingtalkVoice
from hub.voices.feishu import FeishuVoice
from hub.voices.log import LogVoice
from hub.voices.mail import MailVoice
from hub.voices.mqtt import MqttVoice
from hub.voices.siren import DeviceVoice
from hub.voices.webhook import WebhookVoice
from hub.voices.wecom import WecomVoice


def build(spec: Spec, site: Site, links: Mapping[str, Link], committer: Committer, clock: Clock) -> Voice:
    """The voice of one `[[voice]]` table."""
    match spec:
        case DeviceSpec():
            siren = Siren(device=spec.device, command=spec.command, seconds=spec.seconds)
            return DeviceVoice(f"voice-{spec.id}", siren, site, committer, clock, spec.languages)
        case MqttSpec():
            broker = next(link.id for link in site.links if isinstance(link, MqttBrokerLink))
            return MqttVoice(links[broker], spec.topic)
        case LogSpec():
            return LogVoice()
        case AppriseSpec():
            return AppriseVoice(spec)
        case WecomSpec():
            return WecomVoice(spec)
        case _:
            return _timed(spec, clock)


def _timed(spec: WebhookSpec | DingtalkSpec | FeishuSpec | MailSpec | SmsSpec | CallSpec, clock: Clock) -> Voice:
    """Those that stamp what they say."""
    match spec:
        case WebhookSpec():
            return WebhookVoice(spec, clock)
        case DingtalkSpec():
            return DingtalkVoice(spec, clock)
        case FeishuSpec():
            return FeishuVoice(spec, clock)
        case MailSpec():
            return MailVoice(spec, clock)
        case SmsSpec():
            return SmsVoice(spec, clock)
        case CallSpec():
            return CallVoice(spec, clock)
