"""A running site whose broker is to be reached from elsewhere: TLS comes and is renewed by a reload of its file."""

import ssl
from collections.abc import Iterator
from pathlib import Path

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from hub.certificates import read
from hub.processes import broker, broker_tls
from hub.settings.listeners import address
from tests.e2e.conftest import COURT, Installation, wait_for

pytestmark = pytest.mark.timeout(180)
SITE = (
    COURT
    + """
[page]
names = ["old.example"]
[[zone]]
id = "yard"
name = { zh = "院子", en = "Yard" }
[[link]]
id = "mqtt"
kind = "mqtt"
listen = "127.0.0.1:$port_a"
#listen_tls = "127.0.0.1:$port_b"
  [[link.device]]
  id = "gate-1"
  profile = "gate/json-mqtt"
  zone = "yard"
"""
)


@pytest.fixture
def court(tmp_path: Path) -> Iterator[Installation]:
    """The hub without simulated devices; its broker is for this machine alone."""
    with Installation(tmp_path, SITE, "round = 3600.0\n") as made:
        made.start(devices=False)
        yield made


def edit(court: Installation, old: str, new: str) -> None:
    """The site file, and a reload."""
    text = court.site.read_text(encoding="utf-8")
    assert old in text
    court.site.write_text(text.replace(old, new), encoding="utf-8")
    court.zhian("reload", str(court.site))


def heard(court: Installation, state: str) -> bool:
    """Whether the journal has this word of the gate."""
    return bool(court.ask(f"SELECT 1 FROM reading WHERE device = 'gate-1' AND value = '{state}'"))


def test_tls_by_a_reload(court: Installation) -> None:
    """Switched on, a device trusts what `zhian certificate ca` prints; renewed, it is not thrown out."""
    text = court.site.read_text(encoding="utf-8")
    secure = address(text.partition('#listen_tls = "')[2].partition('"')[0])
    wait_for(lambda: court.ask("SELECT 1 FROM health WHERE source = 'mqtt' AND state = 'up'"))
    assert broker_tls.served(secure) is None
    edit(court, "#listen_tls", "listen_tls")
    wait_for(lambda: broker_tls.served(secure) is not None)
    gate = mqtt.Client(CallbackAPIVersion.VERSION2, client_id="gate-1")
    gate.username_pw_set("gate-1", broker.credentials(court.data)["gate-1"])
    ca = court.zhian("certificate", "ca", str(court.site)).stdout
    gate.tls_set_context(ssl.create_default_context(cadata=ca))
    gate.connect(*secure)
    gate.loop_start()
    try:
        gate.publish("court/gate-1/up", '{"gate": "open"}', qos=1).wait_for_publish(10)
        wait_for(lambda: heard(court, "open"))
        process = court.process("mosquitto")
        edit(court, "old.example", "new.example")
        wait_for(lambda: "new.example" in read(broker_tls.served(secure) or "").names)
        gate.publish("court/gate-1/up", '{"gate": "closed"}', qos=1).wait_for_publish(10)
        wait_for(lambda: heard(court, "closed"))
        assert court.process("mosquitto") == process
        assert gate.is_connected()
    finally:
        gate.disconnect()
        gate.loop_stop()
