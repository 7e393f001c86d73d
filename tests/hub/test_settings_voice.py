"""`[[voice]]` tables: each kind has its own keys, and what could not speak at the first alarm is named beforehand."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from device_profiles.door import Refusal
from hub.commands.site import check_command
from hub.settings.door import load_site
from hub.settings.site_voice import KINDS
from hub.settings.voices import check_secrets

SITE = """
[site]
id = "garden"
name = { zh = "中山花园", en = "Zhongshan Garden" }
timezone = "Asia/Shanghai"
page = "https://garden.example/"

[[zone]]
id = "lake"
name = { zh = "湖", en = "Lake" }

[[link]]
id = "line"
kind = "modbus-tcp"
host = "127.0.0.1"
  [[link.device]]
  id = "board"
  profile = "relay/waveshare-8ch"

[[link]]
id = "mqtt"
kind = "mqtt"

"""
GOOD = {
    "log": "",
    "mqtt": 'topic = "{site}/{rule}"',
    "webhook": 'url = "https://example.org/alarm"\nsecret_file = "secret"\nproxy = "http://10.0.0.1:3128"',
    "wecom": 'webhook_file = "secret"\nmention = ["13800138000"]',
    "dingtalk": 'webhook_file = "secret"\nsecret_file = "secret"\nlanguages = ["zh", "en"]',
    "feishu": 'webhook_file = "secret"\nzones = ["lake"]\ncleared = "not-told"',
    "mail": (
        'host = "smtp.example.org"\nsender = "a@example.org"\nto = ["b@example.org"]\n'
        'username = "a"\npassword_file = "secret"'
    ),
    "aliyun-sms": (
        'access_key_file = "secret"\ntemplate = "SMS_1"\nsign_name = "智安"\nto = ["13800138000"]\n'
        'parameters = { what = "{what}" }'
    ),
    "aliyun-call": 'access_key_file = "secret"\ntemplate = "TTS_1"\nparameters = { what = "{what}" }\nper_minute = 1',
    "device": 'device = "board"\ncommand = "pulse_1"\nseconds = 5.0\nrules = ["gate-held"]',
    "apprise": 'urls_file = "secret"',
}


def write(folder: Path, kind: str, lines: str) -> Path:
    """A site with one voice."""
    path = folder / "site.toml"
    path.write_text(f'{SITE}[[voice]]\nid = "v"\nkind = "{kind}"\n{lines}\n', encoding="utf-8")
    secret = folder / "secret"
    secret.touch(0o600)
    secret.write_text("s3cret", encoding="utf-8")
    return path


def test_every_kind_has_a_good_example() -> None:
    """None is forgotten here."""
    assert set(GOOD) == set(KINDS)


@pytest.mark.parametrize("kind", sorted(GOOD))
def test_a_good_voice_passes_check(tmp_path: Path, kind: str) -> None:
    """`zhian check` reads the secrets beside the site file, and says nothing against them."""
    path = write(tmp_path, kind, GOOD[kind])

    (voice,) = load_site(path).voices
    done = CliRunner().invoke(check_command, [str(path)], catch_exceptions=False)

    assert voice.kind == kind
    assert getattr(voice, "secret_file", "") in ("", str(tmp_path / "secret"))
    assert done.exit_code == 0
    assert "1 voices" in done.output


BAD = [
    ("wecom", "", "voice[0].webhook_file", "mode 0600"),
    ("wecom", 'webhook = "https://qyapi"', "voice[0].webhook", 'did you mean "webhook_file"?'),
    ("wechat", "", "voice[0].kind", "wecom"),
    ("dingtalk", 'secret_file = "secret"', "voice[0].webhook_file", "robot's address"),
    ("feishu", 'webhook_file = "secret"\nmention = ["1"]', "voice[0].mention", "no such key"),
    ("mail", 'host = "x"\nsender = "a@b"\nto = ["nobody"]', "voice[0].to", "alarm@example.org"),
    ("mail", 'sender = "a@b"\nto = ["a@b"]', "voice[0].host", "smtp.example.org"),
    ("mail", 'host = "x"\nsender = "a@b"\nto = ["a@b"]\nusername = "a"', "voice[0].password_file", "both, or none"),
    ("mail", 'host = "x"\nsender = "a@b"\nto = ["a@b"]\npassword = "p"', "voice[0].password", "password_file"),
    ("mail", 'host = "x"\nsender = "a@b"\nto = []', "voice[0].to", "at least one"),
    ("aliyun-sms", GOOD["aliyun-sms"].replace("{what}", "{when}"), "voice[0].parameters.what", "{time}"),
    ("aliyun-sms", GOOD["aliyun-sms"].replace("13800138000", "138-00"), "voice[0].to", "13800138000"),
    ("aliyun-sms", 'access_key_file = "secret"', "voice[0].template", "SMS_123456789"),
    ("aliyun-call", GOOD["aliyun-call"] + "\nplay_times = 9", "voice[0].play_times", "3"),
    ("device", 'device = "bord"\ncommand = "pulse_1"', "voice[0].device", 'did you mean "board"?'),
    ("device", 'device = "board"\ncommand = "puls_1"', "voice[0].command", "pulse_1"),
    ("device", 'device = "board"\ncommand = "pulse_1"\nseconds = 9999.0', "voice[0].seconds", "3276.7"),
    ("device", 'device = "board"\ncommand = "on_1"\nseconds = 1.0', "voice[0].seconds", "leave it out"),
    ("webhook", 'url = "https://a/"\nurl_file = "secret"', "voice[0].url_file", "`url` or `url_file`"),
    ("webhook", 'url = "https://a/"\nproxy = "socks5://a"', "voice[0].proxy", "http://10.0.0.1:3128"),
    ("log", 'zones = ["lak"]', "voice[0].zones", 'did you mean "lake"?'),
    ("log", "languages = []", "voice[0].languages", '["zh", "en"]'),
    ("log", 'languages = ["de"]', "voice[0].languages[0]", ""),
    ("log", "severities = []", "voice[0].severities", "P1"),
    ("log", "cleared = false", "voice[0].cleared", ""),
    ("log", "per_minute = 0", "voice[0].per_minute", "1"),
]


@pytest.mark.parametrize(("kind", "lines", "key", "right"), BAD, ids=[f"{row[0]} {row[2]}" for row in BAD])
def test_a_bad_voice_is_named(tmp_path: Path, kind: str, lines: str, key: str, right: str) -> None:
    """File, key, and what would be right."""
    with pytest.raises(Refusal) as refused:
        load_site(write(tmp_path, kind, lines))

    assert refused.value.key == key
    assert right in str(refused.value)


def test_a_rule_that_is_none_is_named_by_check(tmp_path: Path) -> None:
    """The rules are known when the packs are read."""
    path = write(tmp_path, "log", 'rules = ["gate-hold"]')

    with pytest.raises(Refusal, match=r"voice\[0\]\.rules.*gate-held"):
        CliRunner().invoke(check_command, [str(path)], catch_exceptions=False)


@pytest.mark.parametrize(("mode", "word"), [(0o644, "chmod 600"), (None, "mode 0600")])
def test_check_looks_into_the_files(tmp_path: Path, mode: int | None, word: str) -> None:
    """A secret that others may read, or that is not there, is found before the first alarm."""
    path = write(tmp_path, "wecom", GOOD["wecom"])
    if mode is None:
        (tmp_path / "secret").unlink()
    else:
        (tmp_path / "secret").chmod(mode)

    with pytest.raises(Refusal, match=word) as refused:
        check_secrets(load_site(path), path)

    assert refused.value.key == "voice[0].webhook_file"
