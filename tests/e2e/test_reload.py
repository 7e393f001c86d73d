"""A running site whose file is edited: what is new is live, the rest does not notice, a wrong file changes nothing."""

import itertools
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from hub.clock import Clock
from tests.e2e.conftest import COURT, QUIET, Installation, free_port, scene, wait_for

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]

HEAD = (
    COURT
    + """[[zone]]
id = "yard"
name = { zh = "院子", en = "Yard" }
closed = "00:00-24:00"
[rule.noise-limit]
on_delay = 1.0
[rule.water-presence]
on_delay = 0.5
"""
)
LINE = """
[[link]]
id = "line"
kind = "modbus-rtu"
port = "$data/line"
  [[link.device]]
  id = "meter-old"
  profile = "noise/generic-rs485"
  unit = 3
  every = 0.5
  zone = "yard"
"""
METER_NEW = """
  [[link.device]]
  id = "meter-new"
  profile = "noise/generic-rs485"
  unit = 7
  every = 0.5
  zone = "yard"
"""
WIRE = """
[[link]]
id = "wire-$which"
kind = "serial"
port = "$data/wire-$which"
  [[link.device]]
  id = "radar-$which"
  profile = "water/hlk-ld2410"
  zone = "yard"
"""
MQTT = """
[[link]]
id = "mqtt"
kind = "mqtt"
listen = "127.0.0.1:$port_b"
"""
GATE = """
  [[link.device]]
  id = "gate-$which"
  name = { zh = "门 $which", en = "Gate $which" }
  profile = "gate/json-mqtt"
  zone = "yard"
"""
WIRE_OLD, WIRE_NEW = (WIRE.replace("$which", which) for which in ("old", "new"))
GATE_OLD, GATE_NEW = (GATE.replace("$which", which) for which in ("old", "new"))
BEFORE = HEAD + LINE + WIRE_OLD + MQTT + GATE_OLD
AFTER = HEAD + LINE + METER_NEW + WIRE_OLD + WIRE_NEW + MQTT + GATE_OLD + GATE_NEW
OLD, NEW = ("meter-old", "radar-old", "gate-old"), ("meter-new", "radar-new", "gate-new")


class Court(Installation):
    """An installation whose site file is edited while it runs."""

    @property
    def process_of_run(self) -> int:
        """The number of `zhian run` itself."""
        return self._processes[0].pid

    def write(self, text: str) -> None:
        """Another site file; $data and the port are those of the first one."""
        listen = next(line for line in self.site.read_text(encoding="utf-8").splitlines() if "listen" in line)
        text = text.replace('listen = "127.0.0.1:$port_b"', listen).replace("$data", str(self.data))
        self.site.write_text(text, encoding="utf-8")

    def plug(self, text: str, script: str = QUIET) -> None:
        """Simulated devices on the other ends of these cables, whatever the hub's own file says."""
        mine = self.site.read_text(encoding="utf-8")
        self.script.write_text(script, encoding="utf-8")
        self.write(text)
        self.start_devices()
        ports = [self.data / name for name in ("line", "wire-old", "wire-new") if f"$data/{name}" in text]
        wait_for(lambda: all(port.exists() for port in ports))
        time.sleep(0.3)  # it has read the file before it opened the ports
        self.site.write_text(mine, encoding="utf-8")

    def heard(self, *devices: str) -> bool:
        """True when all of them are well and have spoken."""
        well = {row[0] for row in self.ask("SELECT source FROM health WHERE state = 'ok' AND last_rx IS NOT NULL")}
        return well >= set(devices)

    def links(self) -> list[tuple[object, ...]]:
        """Since when each link is as it is."""
        return self.ask(
            "SELECT source, state, since FROM health WHERE kind = 'link' AND source NOT LIKE '%new' ORDER BY 1"
        )

    def sockets(self) -> set[str]:
        """The field process's sockets: a connection that is made anew has another number."""
        folder = Path(f"/proc/{self.process('field')}/fd")
        return {name for fd in folder.iterdir() if (name := str(fd.readlink())).startswith("socket:")}

    def times(self, device: str) -> list[float]:
        """When each list of readings of the device came, in seconds."""
        return sorted({float(str(line["rx"])) / 1000 for line in self.lines("readings", device, "--since", "1h")})


@pytest.fixture
def court(tmp_path: Path) -> Iterator[Court]:
    """With one device on each of three cables, all of which are read."""
    with Court(tmp_path, BEFORE, QUIET) as court:
        court.start(devices=False)
        court.plug(HEAD + LINE + METER_NEW + WIRE_OLD + MQTT + GATE_OLD, QUIET + scene("meter-old", "laeq = 81.0", 0.5))
        wait_for(lambda: court.heard(*OLD))
        yield court


def longest(times: list[float]) -> float:
    """The longest time between two."""
    return max(after - before for before, after in itertools.pairwise(times))


def test_new_devices_are_live_and_the_others_do_not_notice(
    court: Court, open_page: Callable[[Installation], Page]
) -> None:
    """One device more on a Modbus line, a serial port and MQTT: all are read, and no cable was let go of."""
    page = open_page(court)
    page.goto(f"{court.address}devices")
    expect(page.locator("main")).to_contain_text("Gate old")
    wait_for(lambda: len(court.times("meter-old")) > 8)
    links, sockets, field = court.links(), court.sockets(), court.process("field")
    court.write(AFTER)

    began = Clock().now() / 1000
    assert court.zhian("reload").stdout == "reloaded: added: meter-new, radar-new, gate-new; links added: wire-new\n"
    court.plug(HEAD + WIRE_NEW + MQTT + GATE_NEW)
    wait_for(lambda: court.heard(*OLD, *NEW))
    expect(page.locator("main")).to_contain_text("Gate new", timeout=30_000)
    time.sleep(1.0)

    assert court.process("field") == field
    assert court.links() == links
    assert sockets <= court.sockets()
    for device in ("meter-old", "radar-old"):
        times = court.times(device)
        usual = longest([at for at in times if at < began])
        assert longest([at for at in times if at > began - 1]) <= usual + 1.0, device
    opened_anew(court)


def test_a_wrong_file_and_an_edited_one(court: Court) -> None:
    """Refused with file, key, value and the right word; an alarm outlives its rule's edit, and goes with its device."""
    wait_for(lambda: court.alarms().get("noise-limit/meter-old") == "unacked")
    occurrences = "SELECT occurrence, raised, closed FROM occurrence WHERE key = 'noise-limit/meter-old'"
    raised = court.ask(occurrences)

    court.write(BEFORE.replace('"gate/json-mqtt"', '"gate/jsonmqtt"'))
    refused = court.zhian("reload", check=False)
    assert refused.returncode == 2
    for word in (str(court.site), "link[2].device[0].profile", "gate/jsonmqtt", 'did you mean "gate/json-mqtt"?'):
        assert word in refused.stderr
    hang_up(court, "not reloaded, the hub goes on with the old file", times=2)
    court.kill("field")
    wait_for(lambda: "the file as it was last accepted is in force" in court.output.read_text(encoding="utf-8"))
    known = len(court.times("meter-old"))
    wait_for(lambda: len(court.times("meter-old")) > known + 2)

    court.write(BEFORE.replace("on_delay = 1.0", "on_delay = 2.0\nplus = 3.0"))
    hang_up(court, "rules: noise-limit", times=1)
    time.sleep(1.5)
    assert court.ask(occurrences) == raised
    court.write(BEFORE.replace(LINE, ""))
    assert "removed: meter-old; links removed: line" in court.zhian("reload").stdout
    assert court.ask(occurrences) == [(1, raised[0][1], "withdrawn")]
    wait_for(lambda: court.heard("radar-old"))


def hang_up(court: Court, words: str, *, times: int) -> None:
    """SIGHUP to `zhian run`, as the service manager sends it, until its log has these words so often."""
    os.kill(court.process_of_run, signal.SIGHUP)
    wait_for(lambda: court.output.read_text(encoding="utf-8").count(words) == times)


def opened_anew(court: Court) -> None:
    """Another address of the broker, and another port of the radar: these two come back, the Modbus line never left."""
    port = free_port()
    line = [row for row in court.links() if row[0] == "line"]
    (court.data / "wire-other").symlink_to(court.data / "wire-old")
    old_port = next(text for text in court.site.read_text(encoding="utf-8").splitlines() if "listen" in text)
    court.site.write_text(
        court.site.read_text(encoding="utf-8")
        .replace(old_port, f'listen = "127.0.0.1:{port}"')
        .replace("/wire-old", "/wire-other"),
        encoding="utf-8",
    )
    assert "opened anew: wire-old, mqtt" in court.zhian("reload").stdout
    wait_for(lambda: f"mqtt is up: 127.0.0.1:{port}" in court.output.read_text(encoding="utf-8"))
    wait_for(lambda: court.heard("meter-old", "radar-old"))
    assert [row for row in court.links() if row[0] == "line"] == line
