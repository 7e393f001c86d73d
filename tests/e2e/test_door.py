"""The door of a real installation: its first start by TLS and token, no secret in any output, and a forged trail told.

A browser by hand (urllib), for Chromium would have to be told to trust the certificate.
"""

import hashlib
import http.cookiejar
import json
import re
import sqlite3
import ssl
import subprocess
import sys
import tarfile
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.e2e.conftest import COURT, QUIET, Installation, wait_for

SITE = (
    COURT
    + """
[[zone]]
id = "lake"
name = { zh = "景观湖", en = "Lake" }

[[link]]
id = "broker"
kind = "mqtt"
listen = "127.0.0.1:$port_a"

  [[link.device]]
  id = "gate-north"
  profile = "gate/json-mqtt"
  zone = "lake"

  [[link.device]]
  id = "gate-south"
  profile = "gate/json-mqtt-signed"
  zone = "lake"

[[voice]]
id = "group"
kind = "wecom"
webhook_file = "robot.url"

[[voice]]
id = "post"
kind = "mail"
host = "127.0.0.1"
port = 1
security = "none"
sender = "a@court.example"
to = ["b@court.example"]

[[voice]]
id = "hook"
kind = "webhook"
url = "http://127.0.0.1:1/x"
secret_file = "hook.secret"
"""
)
ROBOT, HOOK, PASSWORD = "canary-robot-7c1f", "canary-hook-93d2", "canary-password-5e0a"
COMMANDS = [
    ["check", "$site"],
    ["rules", "list", "$site"],
    ["voice", "list", "$site"],
    ["voice", "test", "$site"],
    ["user", "list"],
    ["audit", "verify"],
    ["certificate", "show", "$site"],
    ["alarms"],
    ["quarantine"],
    ["mutes"],
]


class Court(Installation):
    """An installation that nobody has set up yet, by TLS."""

    def begin(self) -> None:
        """As `zhian run` without options does."""
        self._start("run", "--port", "0")
        wait_for(lambda: "first start: open" in self.said())

    def said(self) -> str:
        """All that the processes printed and logged."""
        return self.output.read_text(encoding="utf-8")

    def found(self, pattern: str) -> str:
        """What stands there in what was printed."""
        match = re.search(pattern, self.said())
        assert match is not None, pattern
        return match[1]


class Visitor:
    """A browser that trusts this installation's certificate, as a person does who has compared the fingerprint."""

    def __init__(self, court: Court) -> None:
        """No cookies yet."""
        self.base = court.found(r"dashboard at (https://\S+)/").replace("127.0.0.1", "localhost")
        self.cookies = http.cookiejar.CookieJar()
        context = ssl.create_default_context(cafile=str(court.data / "authority" / "ca.crt"))
        self._opener = urllib.request.build_opener(
            urllib.request.HTTPSHandler(context=context), urllib.request.HTTPCookieProcessor(self.cookies)
        )
        self._opener.addheaders = [("Referer", self.base + "/"), ("Accept-Language", "en")]

    def open(self, path: str, **form: str) -> tuple[int, str, str]:
        """Status, headers and text of a page, or of a form that was sent."""
        data = urllib.parse.urlencode(form).encode() if form else None
        try:
            with self._opener.open(self.base + path, data, timeout=20) as answer:
                return answer.status, str(answer.headers), answer.read().decode("utf-8", "replace")
        except urllib.error.HTTPError as error:
            with error:
                return error.code, str(error.headers), error.read().decode("utf-8", "replace")

    def send(self, path: str, page: str, **form: str) -> tuple[int, str, str]:
        """A form as it stands on `page`."""
        token = re.search(r'name="csrf_token" value="([^"]+)"', self.open(page)[2])
        assert token is not None
        return self.open(path, **form, csrf_token=token[1])


@pytest.fixture(scope="module")
def court(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Court]:
    """Running, with its secrets in files."""
    folder = tmp_path_factory.mktemp("court")
    made = Court(folder, SITE, QUIET)
    secrets = {"robot.url": f"http://127.0.0.1:1/cgi-bin/webhook/send?key={ROBOT}", "hook.secret": HOOK}
    for name, text in secrets.items():
        (folder / name).touch(0o600)
        (folder / name).write_text(text)
    with made:
        made.begin()
        yield made


@pytest.fixture(scope="module")
def admin(court: Court) -> Visitor:
    """The first administrator, as the first start makes one."""
    visitor = Visitor(court)
    token = court.found(r"token \(told this once\): (\S+)")
    assert visitor.open("/")[0] == 403
    assert visitor.open("/healthz")[0] == 403
    fields = {"setup": token, "name": "wei", "password": PASSWORD, "again": PASSWORD}
    status, _, text = visitor.send("/setup", "/setup", **fields)
    assert (status, "wei" in text) == (200, True)
    return visitor


def test_the_first_start(court: Court, admin: Visitor) -> None:
    """The fingerprint on the console is the certificate's; the token made one administrator, and makes no other."""
    port = int(admin.base.rpartition(":")[2])
    shown = ssl.PEM_cert_to_DER_cert(ssl.get_server_certificate(("127.0.0.1", port)))
    digest = hashlib.sha256(shown).hexdigest().upper()
    assert court.found(r"SHA-256 (\S+)").replace(":", "") == digest
    assert admin.open("/setup")[0] == 404
    assert {cookie.name: cookie.secure for cookie in admin.cookies}["__Host-zhian"]
    assert "Strict-Transport-Security" not in admin.open("/")[1]  # a certificate that nobody vouches for


def test_plain_is_for_this_machine_alone(court: Court, tmp_path: Path) -> None:
    """Passwords never go over a network that anybody may read."""
    command = ["run", str(court.site), "--plain", "--host", "0.0.0.0", "--data", str(tmp_path)]
    done = subprocess.run([sys.executable, "-m", "hub", *command], capture_output=True, text=True, check=False)
    assert (done.returncode, "--plain" in done.stderr) == (2, True)


def test_no_secret_in_any_output(court: Court, admin: Visitor, tmp_path: Path) -> None:
    """Pages, API, files, logs, commands, databases, backup: no voice's secret, no password, no token of a session."""
    session = next(cookie.value for cookie in admin.cookies if cookie.name == "__Host-zhian") or ""
    made = admin.send("/users/clients", "/account", name="meter", scope="read")[2]
    token = re.search(r'value="(zhian_[^"]+)"', made)
    assert token is not None
    admin.send("/login", "/login", name=PASSWORD, password="x")  # typed into the wrong field
    said = ["\n".join(court.zhian(*parts, check=False).stdout for parts in commands(court))]
    paths = ["/", "/alarms", "/devices", "/devices/gate-north", "/limits", "/mutes", "/users", "/users/1", "/more"]
    paths += ["/account", "/audit", "/api/v1/now", "/api/v1/devices", "/api/v1/alarms", "/healthz", "/metrics", "/none"]
    for path in paths:
        _, headers, text = admin.open(path)
        said.append(headers.replace(session, "", 1) if "Set-Cookie" in headers else headers)
        said.append(text)
    said.append(court.said())
    archive = tmp_path / "backup.tar.gz"
    court.zhian("backup", str(archive))
    with tarfile.open(archive) as packed:
        files = [packed.extractfile(member) for member in packed.getmembers() if member.isfile()]
        said += [file.read().decode("latin-1") for file in files if file is not None]
    said += [path.read_bytes().decode("latin-1") for path in court.data.glob("*.sqlite*")]
    everything = "\n".join(said)
    assert "gate-north" in everything  # the control: there is something in it
    canaries = {"robot": ROBOT, "hook": HOOK, "session": session, "client": token[1], "password": PASSWORD}
    for name, canary in canaries.items():
        assert canary not in everything, name


def test_no_order_key_in_any_output(court: Court, admin: Visitor) -> None:
    """Told once, by the command that makes it: not by commands, pages, API, log or database, also when it signs."""
    made = court.zhian("device", "key", "gate-south", str(court.site), "--json").stdout
    key = json.loads(made)["key"]
    refused = court.zhian("device", "key", "gate-south", str(court.site), check=False)
    ordered = court.zhian("order", "gate-south", "open", "--reason", "try", check=False)  # nobody listens there
    assert "nobody listens" in ordered.stdout  # it was signed, and left
    said = [refused.stdout, refused.stderr, ordered.stdout, ordered.stderr, court.said()]
    said += [court.zhian(*parts, check=False).stdout for parts in commands(court)]
    said += [admin.open(path)[2] for path in ("/gates", "/devices/gate-south", "/audit", "/api/v1/devices", "/metrics")]
    said += [path.read_bytes().decode("latin-1") for path in court.data.glob("*.sqlite*")]
    everything = "\n".join(said)
    assert "gate-south" in everything  # the control
    assert key not in everything
    assert (court.data / "order-keys" / "gate-south.key").stat().st_mode & 0o777 == 0o600


def commands(court: Court) -> list[list[str]]:
    """What an installer types, on this site."""
    return [[part.replace("$site", str(court.site)) for part in parts] for parts in COMMANDS]


def test_a_forged_trail_becomes_an_alarm(court: Court, admin: Visitor) -> None:
    """The office finds out, the hub makes an alarm of it, and the command names the row."""
    with closing(sqlite3.connect(court.data / "office.sqlite")) as db:
        db.execute("DROP TRIGGER audit_no_update")
        db.execute("UPDATE audit SET actor = 'nobody' WHERE id = 1")
        db.commit()
    court.kill("office")
    wait_for(lambda: court.alarms().get("audit-wrong/hub") == "unacked", 60)
    done = court.zhian("audit", "verify", check=False)
    assert (done.returncode, done.stdout.startswith("row 1 is wrong")) == (1, True)
