"""A site with an ASCII line and a serial server is played, and the hub's own links read it."""

import asyncio
import contextlib
from pathlib import Path

from firmware_bridge.links.modbus_bus import ModbusBus
from firmware_bridge.raw import Arrival, Registers
from firmware_bridge.simulate.community import play
from firmware_bridge.simulate.script import Script
from hub.clock import Clock
from hub.settings.door import load_site
from hub.settings.site import MqttBrokerLink, SerialPortLink

SITE = """
[site]
id = "garden"
name = {{ zh = "花园", en = "Garden" }}
timezone = "Asia/Shanghai"

[[link]]
id = "old-line"
kind = "modbus-ascii"
port = "{folder}/old-line"

  [[link.device]]
  id = "noise-a"
  profile = "noise/generic-rs485"
  every = 0.2

[[link]]
id = "far-line"
kind = "modbus-rtu-over-tcp"
host = "127.0.0.1"
port = {port}

  [[link.device]]
  id = "relay"
  profile = "relay/waveshare-8ch"
  every = 0.2
"""


async def test_both_kinds_are_played(tmp_path: Path, unused_port: int) -> None:
    """Each device of both links is heard within seconds."""
    path = tmp_path / "site.toml"
    path.write_text(SITE.format(folder=tmp_path, port=unused_port), encoding="utf-8")
    site = load_site(path)
    playing = asyncio.create_task(play(site, Script(round=60.0), Clock(), credentials={}, broker=("", 0)))
    heard: set[str] = set()
    try:
        async with asyncio.timeout(20):
            for link in site.links:
                assert not isinstance(link, MqttBrokerLink | SerialPortLink)
                async with ModbusBus(link, Clock()) as bus:
                    async for batch in bus:
                        heard |= {
                            each.device for each in batch if isinstance(each, Arrival) and type(each.raw) is Registers
                        }
                        if heard & {device.id for device in link.devices}:
                            break
    finally:
        playing.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await playing
    assert heard == {"noise-a", "relay"}
