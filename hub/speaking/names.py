"""What people call a voice: its own name in the site file, else what it is; the id only to tell two of a kind apart.

Pure functions of the site. Ids stay what journal, log and command line go by.
"""

from collections.abc import Mapping

from hub.reading import Label
from hub.settings.site import Site
from hub.settings.site_voice import DeviceSpec, Voice

SIREN = "siren"  # as hub.journal.writer, which a page may not load; a test holds them together

KIND_NAMES: Mapping[str, Label] = {
    "log": Label(zh="运行日志", en="log"),
    "mqtt": Label(zh="MQTT 消息", en="MQTT messages"),
    "webhook": Label(zh="网络推送", en="webhook"),
    "wecom": Label(zh="企业微信群机器人", en="WeCom group robot"),
    "dingtalk": Label(zh="钉钉群机器人", en="DingTalk group robot"),
    "feishu": Label(zh="飞书群机器人", en="Feishu group robot"),
    "mail": Label(zh="电子邮件", en="e-mail"),
    "aliyun-sms": Label(zh="短信", en="text message"),
    "aliyun-call": Label(zh="电话语音", en="telephone call"),
    "device": Label(zh="现场设备", en="device on the site"),
    "apprise": Label(zh="其他渠道（apprise）", en="other channel (apprise)"),
}


def voice_name(site: Site, voice: str) -> Label:
    """The name of a voice by its id; of one that is not there any more, the id."""
    if voice == SIREN:  # the zones' own: no [[voice]]
        return Label(zh="声光报警器", en="siren")
    found = next((each for each in site.voices if each.id == voice), None)
    if found is None:
        return Label(zh=voice, en=voice)
    if found.name is not None:
        return found.name
    name = _by_kind(site, found)
    alike = [each for each in site.voices if each.name is None and _by_kind(site, each) == name]
    return name if len(alike) == 1 else Label(zh=f"{name.zh}（{voice}）", en=f"{name.en} ({voice})")


def _by_kind(site: Site, voice: Voice) -> Label:
    device = site.devices().get(voice.device) if isinstance(voice, DeviceSpec) else None
    return device.name if device is not None else KIND_NAMES[voice.kind]
