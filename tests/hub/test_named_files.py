"""What `zhian check` says of the files that links and history name: before a start, by link and key."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from device_profiles.door import Refusal
from hub.settings.door import load_site
from hub.settings.named_files import check_files

NOW, DAY = 1_760_000_000_000, 86_400_000
SITE = """
[site]
id = "garden"
name = { zh = "花园", en = "Garden" }
timezone = "Asia/Shanghai"
[[link]]
id = "mqtt"
kind = "mqtt"
url = "mqtts://broker.example.org"
"""


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate with its key, made by OpenSSL, in force for a hundred days from today; and another key."""
    folder = tmp_path_factory.mktemp("keys")
    for name in ("mine", "other"):
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days",
             "100", "-subj", "/CN=hub", "-keyout", str(folder / f"{name}.key"), "-out", str(folder / f"{name}.pem")],
            check=True, capture_output=True,
        )  # fmt: skip
        (folder / f"{name}.key").chmod(0o600)
    return folder


@pytest.fixture
def made(keys: Path) -> int:
    """When the certificate begins, in ms since 1970: what `openssl` itself says."""
    command = ["openssl", "x509", "-in", str(keys / "mine.pem"), "-noout", "-startdate", "-dateopt", "iso_8601"]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip().partition("=")[2]
    at = subprocess.run(["date", "-d", said, "+%s"], check=True, capture_output=True, text=True).stdout
    return int(at) * 1000


Judge = Callable[..., list[str]]


@pytest.fixture
def judge(tmp_path: Path) -> Judge:
    """Checks a site with these keys of its link, at this time."""

    def check(now: int, text: str = "", **files: Path) -> list[str]:
        path = tmp_path / "site.toml"
        path.write_text(SITE + "".join(f'{key} = "{file}"\n' for key, file in files.items()) + text, encoding="utf-8")
        return check_files(load_site(path), path, now)

    return check


def test_good_files_are_let_through(judge: Judge, keys: Path, made: int, tmp_path: Path) -> None:
    """A certificate in force with its key, a CA, a password: not a word, until its last month begins."""
    word = tmp_path / "word"
    word.touch(0o600)
    word.write_text("secret", encoding="utf-8")
    files = {"ca_file": keys / "mine.pem", "certificate_file": keys / "mine.pem", "key_file": keys / "mine.key"}
    assert judge(made + 69 * DAY, password_file=word, **files) == []
    warned = judge(made + 71 * DAY, **files)
    assert ["link[0].ca_file" in warned[0], "link[0].certificate_file" in warned[1]] == [True, True]
    assert "expires on 20" in warned[0]


@pytest.mark.parametrize("key", ["ca_file", "certificate_file"])
def test_an_expired_certificate_is_refused(judge: Judge, keys: Path, made: int, key: str) -> None:
    """To the second, as OpenSSL wrote it."""
    files = {key: keys / "mine.pem"} | ({"key_file": keys / "mine.key"} if key == "certificate_file" else {})
    judge(made + 100 * DAY - 1000, **files)
    with pytest.raises(Refusal, match=rf"link\[0\]\.{key} = .*has expired"):
        judge(made + 100 * DAY, **files)


def test_another_key_is_refused(judge: Judge, keys: Path, made: int) -> None:
    """A key that does not belong to the certificate would fail at the first handshake."""
    with pytest.raises(Refusal, match=r"link\[0\]\.key_file = .*is not the key of this certificate"):
        judge(made, certificate_file=keys / "mine.pem", key_file=keys / "other.key")
    with pytest.raises(Refusal, match=r"link\[0\]\.key_file: a key without its certificate"):
        judge(made, key_file=keys / "mine.key")


@pytest.mark.parametrize("key", ["ca_file", "certificate_file", "password_file"])
def test_a_file_that_is_not_there_is_named(judge: Judge, tmp_path: Path, key: str) -> None:
    """By link, key and path."""
    with pytest.raises(Refusal, match=rf"link\[0\]\.{key} = .*gone.*No such file"):
        judge(NOW, **{key: tmp_path / "gone"})


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("", "is empty"),
        ("hello", "holds no certificate"),
        ("-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n", "holds no certificate"),
        ("-----BEGIN CERTIFICATE-----\n", "holds no certificate"),
    ],
)
def test_what_is_no_certificate_is_refused(judge: Judge, tmp_path: Path, content: str, problem: str) -> None:
    """Empty, another text, a broken one."""
    file = tmp_path / "ca.pem"
    file.write_text(content, encoding="utf-8")
    with pytest.raises(Refusal, match=rf"link\[0\]\.ca_file = .*{problem}"):
        judge(NOW, ca_file=file)


@pytest.mark.parametrize(
    ("mode", "content", "problem"), [(0o644, "x", "read or written by others"), (0o600, "", "empty")]
)
def test_a_secret_is_its_owners_alone(judge: Judge, tmp_path: Path, mode: int, content: str, problem: str) -> None:
    """Passwords, keys and the history's token: mode 0600, and not empty."""
    file = tmp_path / "secret"
    file.write_text(content, encoding="utf-8")
    file.chmod(mode)
    with pytest.raises(Refusal, match=rf"link\[0\]\.password_file = .*{problem}"):
        judge(NOW, password_file=file)
    history = f'[history]\nstore = "influxdb"\nurl = "http://127.0.0.1:1"\nbucket = "b"\ntoken_file = "{file}"\n'
    with pytest.raises(Refusal, match=rf"history\.token_file = .*{problem}"):
        judge(NOW, history)


def test_a_key_that_others_may_read_is_refused(judge: Judge, keys: Path, made: int, tmp_path: Path) -> None:
    """Also where it stands in the certificate's own file."""
    both = tmp_path / "both.pem"
    both.write_text((keys / "mine.pem").read_text() + (keys / "mine.key").read_text(), encoding="utf-8")
    both.chmod(0o644)
    with pytest.raises(Refusal, match=r"link\[0\]\.certificate_file = .*read or written by others"):
        judge(made, certificate_file=both)
    both.chmod(0o600)
    assert judge(made, certificate_file=both) == []
