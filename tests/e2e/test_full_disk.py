"""A disk that is really full, under a whole installation: people are still called, sirens sound, and a restart starts.

The data folder is a small tmpfs of its own, so that only it fills; skips where this user may not mount one.
"""

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from hub.journal.reserve import FILE as RESERVE
from hub.journal.reserve import MB
from hub.processes.state import FILE as BOARD
from tests.e2e.conftest import LAKE, QUIET, Installation, scene, wait_for

pytestmark = pytest.mark.timeout(240)

SITE = (
    LAKE
    + """
[journal]
budget_mb = 2
reserve_mb = 8

[[link]]
id = "mqtt"
kind = "mqtt"
listen = "127.0.0.1:$port_a"
  [[link.device]]
  id = "post"
  profile = "sos/json-mqtt"
  zone = "lake"
  [[link.device]]
  id = "meter"
  profile = "noise/json-mqtt"
  zone = "lake"
"""
)
SCRIPT = QUIET + scene("radar", 'presence = "present", distance = 1.2', 2.0)


class Full(Installation):
    """An installation on a disk of 96 MB that somebody fills."""

    def fill(self) -> None:
        """Until not one byte is left."""
        with (self.data / "stuffing").open("ab", buffering=0) as file:
            for size in (MB, 4096, 1):
                with contextlib.suppress(OSError):
                    while file.write(bytes(size)):
                        pass

    def alarms_live_on_the_reserve(self) -> bool:
        """Fill it, and say whether the last part of the reserve had to be touched."""
        self.fill()
        return (self.data / RESERVE).stat().st_size < 8 * MB

    def meter(self) -> list[float]:
        """What is kept of the noise meter."""
        rows = self.ask("SELECT value FROM reading WHERE device = 'meter' AND quantity = 'laeq' ORDER BY seq")
        return [value for (value,) in rows]

    def sirens(self, rule: str) -> int:
        """Siren orders for this rule that the relay board has confirmed."""
        told = f"SELECT count(*) FROM orders WHERE actor = 'rule:{rule}' AND state = 'confirmed'"
        return int(self.ask(told)[0][0])


@pytest.fixture
def full(tmp_path: Path) -> Iterator[Full]:
    """Running, with room still."""
    installation = Full(tmp_path, SITE, SCRIPT)
    mount = ["mount", "-t", "tmpfs", "-o", "size=96m", "none", str(installation.data)]
    try:
        subprocess.run(mount, check=True, capture_output=True)
    except (subprocess.CalledProcessError, FileNotFoundError):
        pytest.skip("needs the right to mount a tmpfs")
    try:
        with installation:
            installation.start(devices=False)
            yield installation
    finally:
        subprocess.run(["umount", "--lazy", str(installation.data)], check=True)


def test_people_are_called_from_a_full_disk(full: Full) -> None:
    """SOS and water's edge sound the siren; what is ordinary waits at the broker, over a restart, and comes later."""
    wait_for(lambda: full.ask("SELECT 1 FROM health WHERE source = 'mqtt' AND state = 'up'"))
    wait_for(lambda: (full.data / RESERVE).stat().st_size >= 8 * MB)
    full.say("meter", '{"laeq": 51.0}')
    wait_for(lambda: full.meter() == [51.0])

    wait_for(full.alarms_live_on_the_reserve)
    wait_for(lambda: full.alarms().get("hub-disk-full/hub") == "unacked")
    full.say("meter", '{"laeq": 52.0}', '{"laeq": 53.0}')
    full.start_devices()
    wait_for(lambda: full.sirens("water-presence") == 1)
    full.say("post", '{"sos": "pressed"}')
    wait_for(lambda: full.sirens("sos") == 1)
    assert {full.alarms()[name] for name in ("water-presence/radar", "sos/post")} == {"unacked"}
    assert full.meter() == [51.0]
    assert full.ask("SELECT count(*) FROM reading WHERE device = 'post' AND value = 'pressed'") == [(1,)]

    full.fill()
    full.stop_hub()
    full.start(devices=False)
    wait_for(lambda: full.output.read_text().count("mqtt is up") == 2)
    full.say("post", '{"sos": "idle"}')
    wait_for(lambda: full.alarms()["sos/post"] == "latched-unacked")
    assert full.meter() == [51.0]

    (full.data / "stuffing").unlink()
    wait_for(lambda: full.meter()[:3] == [51.0, 52.0, 53.0])
    wait_for(lambda: full.alarms()["hub-disk-full/hub"] == "returned")
    assert (full.data / RESERVE).stat().st_size >= 8 * MB
    assert (full.data / BOARD).exists()
