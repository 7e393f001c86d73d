"""`zhian device credentials` and `zhian reload` on the command line: what they print, and what they refuse in words."""

import hashlib
import json
import ssl
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from hub.__main__ import main
from hub.journal.writer import FILE, Journal
from hub.processes import broker
from hub.settings.door import load_site

Run = Callable[..., tuple[int, str, str]]
SITE = """
[site]
id = "court"
name = { zh = "小区", en = "Court" }
timezone = "Asia/Shanghai"
[[link]]
id = "mqtt"
kind = "mqtt"
$where
  [[link.device]]
  id = "gate-north"
  profile = "gate/json-mqtt"
  [[link.device]]
  id = "gate-south"
  profile = "gate/json-mqtt-signed"
[[link]]
id = "port"
kind = "serial"
port = "/dev/null"
  [[link.device]]
  id = "radar"
  profile = "water/hlk-ld2410"
"""


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs `zhian` with these arguments: exit code, standard output, standard error."""

    def ran(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["zhian", *map(str, arguments)])
        code = 0
        try:
            main()
        except SystemExit as end:
            code = int(end.code or 0)
        output = capsys.readouterr()
        return code, output.out, output.err

    return ran


@pytest.fixture
def site(tmp_path: Path) -> Callable[[str], Path]:
    """Writes a site file whose MQTT link has this line."""

    def written(where: str) -> Path:
        path = tmp_path / "site.toml"
        path.write_text(SITE.replace("$where", where), encoding="utf-8")
        return path

    return written


def test_what_an_electrician_types_in(run: Run, site: Callable[[str], Path], tmp_path: Path) -> None:
    """Host, port, TLS, user name, password, topics; the same password again, and another one with --new."""
    path = site('listen = "127.0.0.1:18830"')
    arguments = ("device", "credentials", "gate-north", path, "--data", tmp_path, "--json")
    code, out, _ = run(*arguments)
    told = json.loads(out)
    password = told.pop("password")

    assert code == 0
    assert len(password) >= 20
    notes = " ".join(told.pop("notes"))
    assert "this machine only" in notes
    assert "does not run now" in notes
    assert f"no hub has run on {tmp_path} yet" in notes
    assert told == {
        "device": "gate-north",
        "host": "127.0.0.1",
        "port": 18830,
        "tls": False,
        "ca": "",
        "username": "gate-north",
        "up": "court/gate-north/up",
        "alive": "court/gate-north/alive",
        "do": "court/gate-north/do",
    }
    assert broker.credentials(tmp_path)["gate-north"] == password
    assert json.loads(run(*arguments)[1])["password"] == password
    assert json.loads(run(*arguments, "--new")[1])["password"] != password


def test_for_people_in_two_languages(run: Run, site: Callable[[str], Path], tmp_path: Path) -> None:
    """One line a thing to type, the labels in Chinese and English."""
    path = site('listen = "127.0.0.1:18830"')
    _, out, _ = run("device", "credentials", "gate-north", path, "--data", tmp_path)
    password = broker.credentials(tmp_path)["gate-north"]
    assert [line.split() for line in out.splitlines()[:5]] == [
        ["服务器", "host", "127.0.0.1"],
        ["端口", "port", "18830"],
        ["加密", "TLS", "否", "no"],
        ["用户名", "user", "name", "gate-north"],
        ["密码", "password", password],
    ]


def test_a_device_elsewhere_comes_by_tls(run: Run, site: Callable[[str], Path], tmp_path: Path) -> None:
    """Its port, and the authority that it is to trust, whose PEM the other command prints: the same fingerprint."""
    path = site('listen_tls = "192.0.2.4:8884"')
    told = json.loads(run("device", "credentials", "gate-north", path, "--data", tmp_path, "--json")[1])
    assert (told["host"], told["port"], told["tls"]) == ("192.0.2.4", 8884, True)
    assert "zhian certificate ca" in " ".join(told["notes"])
    code, pem, aside = run("certificate", "ca", path, "--data", tmp_path)
    assert (code, pem.splitlines()[0]) == (0, "-----BEGIN CERTIFICATE-----")
    der = ssl.PEM_cert_to_DER_cert(pem)
    assert hashlib.sha256(der).hexdigest().upper() == told["ca"].replace(":", "")
    assert told["ca"] in aside
    assert "PRIVATE" not in pem + aside
    other = json.loads(run("certificate", "ca", path, "--data", tmp_path, "--new", "--json")[1])
    assert other["fingerprint"] != told["ca"]
    assert json.loads(run("certificate", "ca", path, "--data", tmp_path, "--json")[1]) == other


def test_a_home_assistant_elsewhere_comes_by_tls(run: Run, site: Callable[[str], Path], tmp_path: Path) -> None:
    """The same door as for devices, and whom it is to trust there."""
    path = site('listen_tls = "192.0.2.4:8884"')
    path.write_text(path.read_text(encoding="utf-8") + '[home_assistant]\ndevices = ["gate-north"]\n', encoding="utf-8")
    code, out, error = run("home-assistant", "credentials", path, "--data", tmp_path, "--json")
    assert code == 0, error
    told = json.loads(out)
    assert (told["host"], told["port"], told["tls"], told["username"]) == ("192.0.2.4", 8884, True, "home-assistant")
    assert "zhian certificate ca" in " ".join(told["notes"])


def test_the_page_has_its_authority_without_a_broker_that_speaks_tls(
    run: Run, site: Callable[[str], Path], tmp_path: Path
) -> None:
    """Browsers are given the same one; a new one issues a new certificate for the page at once."""
    first = run("certificate", "ca", site(""), "--data", tmp_path)
    assert (first[0], run("certificate", "ca", site(""), "--data", tmp_path)[1]) == (0, first[1])
    assert first[1] in (tmp_path / "page.crt").read_text()
    second = run("certificate", "ca", "--new", site(""), "--data", tmp_path)
    assert second[1] != first[1]
    assert second[1] in (tmp_path / "page.crt").read_text()


@pytest.mark.parametrize(
    ("where", "words"),
    [
        ('listen = "0.0.0.0:1883"\nplain = "network"', "link[0].plain = 'network': who listens on the network reads"),
        ('url = "mqtt://broker.example"', "our password crosses the network readable"),
        ('url = "mqtt://127.0.0.1"', ""),
        ('url = "mqtts://broker.example"', ""),
        ('listen_tls = "0.0.0.0:8883"', ""),
    ],
)
def test_what_crosses_the_network_readable_is_warned_of(
    run: Run, site: Callable[[str], Path], where: str, words: str
) -> None:
    """`zhian check` names the line; nothing is said of TLS, and of what stays on this machine."""
    code, out, _ = run("check", site(where))
    assert code == 0
    assert words in out
    assert ("readable" in out or "reads passwords" in out) is bool(words)


def test_another_broker_has_its_own_administrator(run: Run, site: Callable[[str], Path], tmp_path: Path) -> None:
    """Address, TLS and topics are told; no password is invented, and --new is refused."""
    path = site('url = "mqtts://broker.example"')
    arguments = ("device", "credentials", "gate-north", path, "--data", tmp_path, "--json")
    told = json.loads(run(*arguments)[1])
    assert (told["host"], told["port"], told["tls"]) == ("broker.example", 8883, True)
    assert (told["username"], told["password"]) == ("", "")
    assert "administrator of broker.example" in told["notes"][0]
    code, _, err = run(*arguments, "--new")
    assert (code, "link mqtt: url" in err) == (2, True)
    assert not (tmp_path / "broker").exists()


@pytest.mark.parametrize(
    ("device", "words"),
    [("gate-nord", 'no such device; did you mean "gate-north"?'), ("radar", "only MQTT devices have a password")],
)
def test_refusals_name_what_is_right(
    run: Run, site: Callable[[str], Path], tmp_path: Path, device: str, words: str
) -> None:
    """A device that is not there, and one that needs no password: exit 2, with the site file's name."""
    path = site('listen = "127.0.0.1:18830"')
    code, _, err = run("device", "credentials", device, path, "--data", tmp_path)
    assert code == 2
    assert str(path) in err
    assert words in err
    assert not (tmp_path / "broker").exists()


def test_another_sites_folder_is_left_alone(run: Run, site: Callable[[str], Path], tmp_path: Path) -> None:
    """A wrong --data would give this site's passwords to another site's broker."""
    path = site('listen = "127.0.0.1:18830"')
    Journal(tmp_path / FILE, load_site(path)).close()
    path.write_text(path.read_text(encoding="utf-8").replace('"court"', '"park"'), encoding="utf-8")
    code, _, err = run("device", "credentials", "gate-north", path, "--data", tmp_path)
    assert (code, "belongs to site court" in err) == (2, True)
    assert not (tmp_path / "broker").exists()


def test_reload_without_a_hub(run: Run, tmp_path: Path) -> None:
    """Nobody there to reload is the caller's mistake, and is named."""
    code, _, err = run("reload", "--data", tmp_path)
    assert code == 2
    assert "no hub runs there" in err
    assert str(tmp_path) in err


def test_a_key_is_printed_once(run: Run, site: Callable[[str], Path], tmp_path: Path) -> None:
    """64 digits that stand in a file of mode 0600; asked again it is refused, and no digit of it is said."""
    path = site("")
    arguments = ("device", "key", "gate-south", path, "--data", tmp_path)
    code, out, _ = run(*arguments, "--json")
    told = json.loads(out)
    file = tmp_path / "order-keys" / "gate-south.key"
    assert (code, told["algorithm"], file.read_text().strip()) == (0, "hmac-sha256", told["key"])
    assert file.stat().st_mode & 0o777 == 0o600
    code, out, err = run(*arguments)
    assert (code, out, "--new" in err, told["key"] in err) == (2, "", True, False)
    code, out, _ = run(*arguments, "--new")
    assert (code, file.read_text().strip() in out, told["key"] in out) == (0, True, False)


def test_no_key_for_what_verifies_none(run: Run, site: Callable[[str], Path], tmp_path: Path) -> None:
    """A key in a drawer would make believe that orders are signed."""
    code, _, err = run("device", "key", "gate-north", site(""), "--data", tmp_path)
    assert (code, "wants no signed orders" in err) == (2, True)


def test_check_warns_of_gates_that_obey_anybody(run: Run, site: Callable[[str], Path], tmp_path: Path) -> None:
    """And, where it is told the data folder, of a key that is not there or open to others."""
    path = site("")
    arguments = ("check", path, "--data", tmp_path, "--json")
    warned = json.loads(run(*arguments)[1])["warnings"]
    assert [word for word in warned if "not signed" in word and "link[0].device[0]" in word]
    assert [word for word in warned if "zhian device key gate-south" in word]
    run("device", "key", "gate-south", path, "--data", tmp_path)
    assert not [word for word in json.loads(run(*arguments)[1])["warnings"] if "gate-south" in word]


def test_check_refuses_a_named_key_that_others_may_read(run: Run, site: Callable[[str], Path], tmp_path: Path) -> None:
    """File, key and value, and what would be right; a device that signs nothing needs none."""
    path = site("")
    text = path.read_text(encoding="utf-8")
    named = 'profile = "gate/json-mqtt-signed"\n  order_key_file = "south.key"'
    path.write_text(text.replace('profile = "gate/json-mqtt-signed"', named), encoding="utf-8")
    (tmp_path / "south.key").write_text("00" * 32)
    (tmp_path / "south.key").chmod(0o644)
    code, _, err = run("check", path)
    assert (code, "link[0].device[1].order_key_file" in err, "chmod 600" in err, "0000" in err) == (
        2,
        True,
        True,
        False,
    )
    (tmp_path / "south.key").chmod(0o600)
    assert run("check", path)[0] == 0
    path.write_text(text.replace('profile = "gate/json-mqtt"', named.replace("-signed", "")), encoding="utf-8")
    code, _, err = run("check", path)
    assert (code, "wants no signed orders" in err) == (2, True)
