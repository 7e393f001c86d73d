"""Fixtures of the play's tests: devices of any profile, and the demo site on free ports."""

import string
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest

from device_profiles.load import profiles
from firmware_bridge import simulate
from hub.orders.keys import key_file, make_key, read_key
from hub.reading import Label
from hub.settings.door import load_site
from hub.settings.site import Device, Site
from tests.simulate.gate_yard import Yard

if TYPE_CHECKING:
    from tests.conftest import Mosquitto

HERE = Path(simulate.__file__).parent


@pytest.fixture
def device() -> Callable[..., Device]:
    """Makes a device `<id>` of a profile that comes with Zhian."""

    def make(profile: str, name: str = "device-1", link: str = "link") -> Device:
        found = profiles()[profile]
        return Device(id=name, profile=found, options=found.link, name=Label(zh=name, en=name), link=link)

    return make


@pytest.fixture
def gate(device: Callable[..., Device]) -> Device:
    """A controller that verifies its orders."""
    return msgspec.structs.replace(device("gate/json-mqtt-signed", "gate-1"), zone="north", link="mqtt")


@pytest.fixture
def yard(tmp_path: Path, mosquitto: "Mosquitto", gate: Device) -> Yard:
    """The gate has the hub's key."""
    made = Yard(tmp_path, mosquitto, gate)
    make_key(key_file(gate, tmp_path))
    made.key = read_key(key_file(gate, tmp_path))
    return made


@pytest.fixture
def evening() -> Path:
    """The demo's script."""
    return HERE / "evening.toml"


@pytest.fixture
def demo_site(tmp_path: Path, mosquitto: "Mosquitto", unused_port: int) -> Site:
    """Zhongshan Garden with the test's broker and free ports."""
    text = string.Template((HERE / "zhongshan.toml").read_text(encoding="utf-8"))
    path = tmp_path / "site.toml"
    path.write_text(text.substitute(data=tmp_path, broker=mosquitto.port, relay=unused_port), encoding="utf-8")
    return load_site(path)
