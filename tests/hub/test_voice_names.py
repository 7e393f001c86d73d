"""What people call a voice."""

from pathlib import Path

import pytest

from hub.journal import writer as journal
from hub.reading import Label
from hub.settings.door import load_site
from hub.settings.site_voice import KINDS
from hub.speaking.names import KIND_NAMES, SIREN, voice_name

SITE = """
[site]
id = "yard"
name = { zh = "小区", en = "Yard" }
timezone = "Asia/Shanghai"

[[voice]]
id = "file"
kind = "log"

[[voice]]
id = "first"
kind = "webhook"
url = "http://127.0.0.1:9/a"

[[voice]]
id = "second"
kind = "webhook"
url = "http://127.0.0.1:9/b"

[[voice]]
id = "third"
kind = "webhook"
name = { zh = "物业平台", en = "Manager's platform" }
url = "http://127.0.0.1:9/c"
"""


@pytest.mark.parametrize(
    ("voice", "zh", "en"),
    [
        ("file", "运行日志", "log"),
        ("first", "网络推送（first）", "webhook (first)"),
        ("second", "网络推送（second）", "webhook (second)"),
        ("third", "物业平台", "Manager's platform"),
        ("siren", "声光报警器", "siren"),
        ("gone", "gone", "gone"),
    ],
)
def test_a_voice_is_called_by_its_name(tmp_path: Path, voice: str, zh: str, en: str) -> None:
    """Its own name, else its kind; the id only where two of a kind would be called the same, or nothing is known."""
    (tmp_path / "site.toml").write_text(SITE)
    assert voice_name(load_site(tmp_path / "site.toml"), voice) == Label(zh=zh, en=en)


def test_every_kind_has_a_name() -> None:
    """A new kind of voice does not appear by its id."""
    assert KIND_NAMES.keys() == KINDS.keys()
    assert SIREN == journal.SIREN
