"""`[history]`: a wrong one is refused with file, key, value and what would be right, before anybody is asked."""

import tomllib
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner

from device_profiles.door import Refusal
from hub.__main__ import cli
from hub.settings.door import load_site

SITE = """
[site]
id = "zhongshan"
name = { zh = "中山花园", en = "Zhongshan Garden" }
timezone = "Asia/Shanghai"

[history]
"""
GOOD = 'store = "influxdb"\nurl = "http://127.0.0.1:8086"\nbucket = "zhian"\n'


@pytest.fixture
def site(tmp_path: Path) -> Callable[[str], Path]:
    """Writes a site file with this [history]."""

    def write(history: str) -> Path:
        path = tmp_path / "site.toml"
        path.write_text(SITE + history, encoding="utf-8")
        return path

    return write


@pytest.mark.parametrize(
    "history",
    [
        "",
        'store = "duckdb"',
        GOOD,
        'store = "influxdb"\nurl = "https://influx.example:8086/"\norg = "d"\nbucket = "b"\ntoken_file = "/etc/t"',
        'store = "victoriametrics"\nurl = "http://127.0.0.1:8428"',
        'store = "victoriametrics"\nurl = "http://127.0.0.1:8428/insert"\ntoken_file = "/etc/zhian/login"',
    ],
)
def test_what_is_right_is_taken(site: Callable[[str], Path], history: str) -> None:
    """Every store with the keys that it takes; nothing is opened."""
    named = tomllib.loads(history)
    taken = msgspec.to_builtins(load_site(site(history)).history)
    assert {key: taken[key] for key in named} == named


@pytest.mark.parametrize(
    ("history", "told"),
    [
        ('store = "influx"', r"history\.store.*influxdb"),
        ('url = "http://127.0.0.1:8086"', r'history\.url.*"duckdb" has none; leave it out.*"influxdb"'),
        ('store = "influxdb"\nbucket = "b"', r"history\.url = ''.*needs it; as url = \"http"),
        ('store = "influxdb"\nurl = "http://127.0.0.1:8086"', r"history\.bucket = ''.*needs it; as bucket"),
        ('store = "victoriametrics"', r"history\.url = ''.*needs it"),
        ('store = "victoriametrics"\nurl = "http://127.0.0.1:8428"\nbucket = "b"', r"history\.bucket = 'b'.*has none"),
        (GOOD.replace("http:", "influx:"), r"history\.url = 'influx:.*no address.*http://HOST:PORT"),
        (GOOD.replace("127.0.0.1:8086", "127.0.0.1:99999"), r"history\.url.*no address"),
        (GOOD.replace("http://127.0.0.1:8086", "127.0.0.1:8086"), r"history\.url.*no address"),
        (GOOD.replace("127.0.0.1:8086", "127.0.0.1:8086/api/v2/write?org=d"), r"history\.url.*single question"),
        (GOOD + 'org = "district"\n', r"history\.token_file = ''.*wants a token; the path of a file"),
        (GOOD + 'token = "secret"\n', r"history.*token"),
    ],
)
def test_what_is_wrong_is_refused(site: Callable[[str], Path], history: str, told: str) -> None:
    """File, key, value, and what would be right."""
    with pytest.raises(Refusal, match=told) as refusal:
        load_site(site(history))
    assert "site.toml" in str(refusal.value)


def test_a_password_in_the_address_is_refused_and_not_shown(site: Callable[[str], Path]) -> None:
    """The message goes to screens and logs: it says where the password belongs, not what it is."""
    with pytest.raises(Refusal, match=r'history\.url: holds a password.*"http://127\.0\.0\.1:8086"') as refusal:
        load_site(site(GOOD.replace("127.0.0.1", "zhian:geheim@127.0.0.1")))
    assert "geheim" not in str(refusal.value)


@pytest.mark.parametrize(
    ("mode", "content", "told"),
    [
        (None, "", "No such file"),
        (0o644, "token", "chmod 600"),
        (0o600, "  \n", "is empty"),
    ],
)
def test_check_looks_at_the_token_and_asks_nobody(
    site: Callable[[str], Path], tmp_path: Path, mode: int | None, content: str, told: str
) -> None:
    """Refused with key and file. The server of the address does not exist: a right one is taken all the same."""
    token = tmp_path / "influx.token"
    path = site(f'{GOOD}org = "district"\ntoken_file = "{token}"\n')
    if mode is not None:
        token.write_text(content)
        token.chmod(mode)
    found = CliRunner().invoke(cli, ["check", str(path)])
    assert isinstance(found.exception, Refusal)
    assert f"history.token_file = '{token}'" in str(found.exception)
    assert told in str(found.exception)
    token.write_text("secret")
    token.chmod(0o600)
    assert CliRunner().invoke(cli, ["check", str(path)]).exit_code == 0
