"""From a device on a real cable to the alarm in the rendered page: one test for each transport."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.conftest import COURT, QUIET, Installation, scene, wait_for

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]

SITE = (
    COURT
    + """
[[zone]]
id = "yard"
name = { zh = "院子", en = "Yard" }
closed = "00:00-24:00"

[[link]]
id = "line"
kind = "modbus-rtu"
port = "$data/line"
  [[link.device]]
  id = "meter-line"
  name = { zh = "线上噪声计", en = "Meter on the line" }
  profile = "noise/generic-rs485"
  zone = "yard"

[[link]]
id = "net"
kind = "modbus-tcp"
host = "127.0.0.1"
port = $port_a
  [[link.device]]
  id = "meter-net"
  name = { zh = "网上噪声计", en = "Meter on the network" }
  profile = "noise/generic-rs485"
  zone = "yard"

[[link]]
id = "wire"
kind = "serial"
port = "$data/wire"
  [[link.device]]
  id = "radar-wire"
  name = { zh = "串口雷达", en = "Radar on the wire" }
  profile = "water/hlk-ld2410"
  zone = "yard"

[[link]]
id = "mqtt"
kind = "mqtt"
listen = "127.0.0.1:$port_b"
  [[link.device]]
  id = "gate-mqtt"
  name = { zh = "消息门", en = "Gate by message" }
  profile = "gate/json-mqtt"
  zone = "yard"

[rule.noise-limit]
on_delay = 1.0
[rule.gate-held]
on_delay = 1.0
[rule.water-presence]
on_delay = 0.5
"""
)

SCRIPT = QUIET + "".join(
    scene(device, change, 6.0)
    for device, change in {
        "meter-line": "laeq = 81.0",
        "meter-net": "laeq = 83.0",
        "radar-wire": 'presence = "present", distance = 1.2',
        "gate-mqtt": 'gate = "open"',
    }.items()
)


@pytest.fixture(scope="module")
def court(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """A site with one device on each transport, all of which worry six seconds after they were plugged in."""
    with Installation(tmp_path_factory.mktemp("court"), SITE, SCRIPT) as installation:
        installation.start()
        yield installation


@pytest.mark.parametrize(
    ("transport", "rule", "device", "name"),
    [
        ("modbus-rtu on a pty", "noise-limit", "meter-line", "Meter on the line"),
        ("modbus-tcp", "noise-limit", "meter-net", "Meter on the network"),
        ("serial on a pty", "water-presence", "radar-wire", "Radar on the wire"),
        ("mqtt", "gate-held", "gate-mqtt", "Gate by message"),
    ],
)
def test_alarm_reaches_the_page(
    court: Installation,
    open_page: Callable[[Installation], Page],
    transport: str,
    rule: str,
    device: str,
    name: str,
) -> None:
    """What a simulated device says on its cable is an alarm on the page, which nobody had to reload."""
    page = open_page(court)

    wait_for(lambda: court.alarms().get(f"{rule}/{device}") == "unacked", 60)
    expect(page.locator("main"), transport).to_contain_text(name, timeout=60_000)
    latest = court.lines("readings", device)[-1]
    assert latest["device"] == device
    assert latest["quality"] == "good"


def test_ctrl_c_leaves_nothing(tmp_path: Path) -> None:
    """After Ctrl-C no process of the installation is left."""
    names = ("field", "office", "mosquitto", "simulate")
    with Installation(tmp_path, SITE, SCRIPT) as installation:
        installation.start()
        wait_for(lambda: all(installation.process(name) for name in names))
        running = [installation.process(name) for name in names]

    assert [number for number in running if Path(f"/proc/{number}").exists()] == []
