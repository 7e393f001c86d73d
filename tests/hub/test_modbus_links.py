"""Modbus ASCII lines and serial servers in a site file: what is understood, refused, planned and charged."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from device_profiles.door import Refusal
from device_profiles.types import ModbusLink
from firmware_bridge.wire.load import link_load, timing_of
from firmware_bridge.wire.plan import AsciiTiming, RtuTiming
from hub.commands.plan import plan_command
from hub.commands.site import check_command
from hub.settings.door import load_site
from hub.settings.site import ModbusAsciiLink, ModbusRtuOverTcpLink, Site

SITE = """
[site]
id = "garden"
name = { zh = "花园", en = "Garden" }
timezone = "Asia/Shanghai"

[[voice]]
id = "log"
kind = "log"

[[link]]
id = "old-line"
kind = "modbus-ascii"
port = "/dev/ttyS9"

  [[link.device]]
  id = "noise-a"
  profile = "noise/generic-rs485"

[[link]]
id = "far-line"
kind = "modbus-rtu-over-tcp"
host = "192.168.1.30"
port = 4001
baud = 19200

  [[link.device]]
  id = "noise-b"
  profile = "noise/generic-rs485"
"""
Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes the site file, with one thing changed."""

    def written(old: str = "", new: str = "") -> Path:
        assert old in SITE
        path = tmp_path / "site.toml"
        path.write_text(SITE.replace(old, new, 1) if old else SITE, encoding="utf-8")
        return path

    return written


def lines(site: Site) -> tuple[ModbusAsciiLink, ModbusRtuOverTcpLink]:
    """Both links."""
    old, far = site.links
    assert isinstance(old, ModbusAsciiLink)
    assert isinstance(far, ModbusRtuOverTcpLink)
    return old, far


def test_what_an_installer_may_leave_out(write: Write) -> None:
    """ASCII is 9600 7E1, as the standard has it; the serial server's speed reaches its devices."""
    old, far = lines(load_site(write()))
    assert (old.baud, old.data_bits, old.parity, old.stop_bits) == (9600, 7, "E", 1)
    assert (far.host, far.port, far.baud, far.parity, far.stop_bits) == ("192.168.1.30", 4001, 19200, "N", 1)
    options = far.devices[0].options
    assert isinstance(options, ModbusLink)
    assert options.baud == 19200


@pytest.mark.parametrize(
    ("old", "new", "key", "hint"),
    [
        ('"modbus-ascii"', '"modbus-asci"', "link[0].kind", 'did you mean "modbus-ascii"?'),
        ('"modbus-rtu-over-tcp"', '"modbus-rtu-over-udp"', "link[1].kind", '"modbus-rtu-over-tcp"'),
        ('port = "/dev/ttyS9"', 'port = "/dev/ttyS9"\ndata_bits = 9', "link[0].data_bits", "9"),
        ("port = 4001\n", "", "link[1]", "missing required field `port`"),
        ("port = 4001", "port = 70000", "link[1].port", "65535"),
        ("baud = 19200", 'baud = 19200\nparity = "M"', "link[1].parity", "M"),
        ('"noise-b"', '"noise-b"\n  baud = 9600', "link[1].device[0].baud", "belongs to the link"),
        ('"noise/generic-rs485"', '"chip/wl-134a"', "link[0].device[0].profile", "on a modbus-ascii link"),
    ],
)
def test_what_is_refused(write: Write, old: str, new: str, key: str, hint: str) -> None:
    """By file, key and value, with what would be right."""
    with pytest.raises(Refusal) as refused:
        load_site(write(old, new))
    assert refused.value.key == key
    assert hint in str(refused.value)


def test_one_server_port_is_one_link(write: Write) -> None:
    """Two links to the same host and port would take each other's answers."""
    path = write()
    second = SITE[SITE.index('[[link]]\nid = "far-line"') :].replace("far-line", "twin").replace("noise-b", "noise-c")
    path.write_text(SITE + second, encoding="utf-8")
    with pytest.raises(Refusal, match="is held by link far-line"):
        load_site(path)
    path.write_text(SITE + second.replace("4001", "4002"), encoding="utf-8")
    assert len(load_site(path).links) == 3


def test_what_they_cost(write: Write) -> None:
    """ASCII takes more than twice the wire time of RTU; RTU over TCP costs what the line behind the server costs."""
    old, far = lines(load_site(write()))
    assert timing_of(old) == AsciiTiming(9600, 7, "E", 1)
    assert timing_of(far) == RtuTiming(19200, "N", 1)
    ascii_, rtu = link_load(old).devices[0], link_load(far).devices[0]
    assert ascii_.cycle_ms == pytest.approx((17 + 15 + 3.5) * 10 / 9.6 + 20)
    assert rtu.cycle_ms == pytest.approx((8 + 7 + 7) * 10 / 19.2 + 20)


def test_the_plan_shows_them(write: Write) -> None:
    """`zhian plan` has both lines, by speed and format."""
    done = CliRunner().invoke(plan_command, [str(write()), "--json"])
    assert done.exit_code == 0
    told = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line["line"] for line in told if line["kind"] == "link"] == ["ASCII, 9600 7E1", "19200 8N1"]
    assert [line["device"] for line in told if line["kind"] == "request"] == ["noise-a", "noise-b"]


def test_check_looks_for_the_port(write: Write) -> None:
    """An ASCII line's port that is not plugged in is named; a serial server is not tried."""
    with pytest.raises(Refusal, match=r"link\[0\]\.port = '/dev/ttyS9': there is no such port"):
        CliRunner().invoke(check_command, [str(write())], catch_exceptions=False)
    master, slave = os.openpty()
    done = CliRunner().invoke(check_command, [str(write("/dev/ttyS9", os.ttyname(slave)))], catch_exceptions=False)
    os.close(master)
    os.close(slave)
    assert done.exit_code == 0
    assert "2 links, 2 devices" in done.stdout


def test_check_warns_of_a_line_without_parity(write: Write) -> None:
    """The LRC of ASCII misses what a parity bit would catch: an installer hears of it."""
    master, slave = os.openpty()
    path = write('port = "/dev/ttyS9"', f'port = "{os.ttyname(slave)}"\nparity = "N"\ndata_bits = 8')
    done = CliRunner().invoke(check_command, [str(path), "--json"], catch_exceptions=False)
    os.close(master)
    os.close(slave)
    (warning,) = json.loads(done.stdout)["warnings"]
    assert "link[0].parity = 'N'" in warning
    assert "modbus-rtu" in warning


def test_the_manual_s_example(tmp_path: Path) -> None:
    """The links that docs/modbus.md shows are a site."""
    page = (Path(__file__).parents[2] / "docs" / "modbus.md").read_text(encoding="utf-8")
    shown = page.partition("```toml\n")[2].partition("```")[0]
    path = tmp_path / "site.toml"
    path.write_text(SITE[: SITE.index("[[link]]")] + shown, encoding="utf-8")
    far, old = load_site(path).links
    assert isinstance(far, ModbusRtuOverTcpLink)
    assert isinstance(old, ModbusAsciiLink)
