"""Whom the hub takes for the broker: a pinned fingerprint, an authority, or both; a real mosquitto at the other end."""

from __future__ import annotations

import hashlib
import ssl
from typing import TYPE_CHECKING

import pytest
import uvloop

from firmware_bridge.links.mqtt_session import MqttSession
from firmware_bridge.links.mqtt_tls import tls_context
from hub.certificates import Made, authority, issue
from hub.clock import Clock
from hub.reading import LinkChange, LinkState
from hub.settings.site import MqttBrokerLink

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import Mosquitto
    from tests.links.conftest import Opener, Reader

DAY_MS = 86_400_000
NOW = Clock().now()


def fingerprint(pem: str) -> str:
    """As openssl prints it."""
    digest = hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem)).hexdigest().upper()
    return ":".join(digest[at : at + 2] for at in range(0, 64, 2))


@pytest.fixture
def above(tmp_path: Path) -> Made:
    """An authority, in `ca.crt`."""
    made = authority("garden", NOW - DAY_MS, NOW + DAY_MS)
    (tmp_path / "ca.crt").write_text(made.certificate)
    return made


@pytest.fixture
def shown(mosquitto: Mosquitto, above: Made, tmp_path: Path) -> str:
    """The certificate of a broker that speaks TLS; it names another host than the one we connect to."""
    made = issue(above, ["broker.example"], NOW - DAY_MS, NOW + DAY_MS)
    (tmp_path / "server.pem").write_text(made.certificate + made.key)
    mosquitto.stop()
    mosquitto.settings += [f"certfile {tmp_path / 'server.pem'}", f"keyfile {tmp_path / 'server.pem'}"]
    mosquitto.start()
    return made.certificate


@pytest.mark.parametrize("form", [str, str.lower, lambda text: text.replace(":", "")])
async def test_a_pinned_broker_needs_nobody_to_vouch_for_it(
    mosquitto: Mosquitto, shown: str, open_session: Opener, read: type[Reader], form: type[str]
) -> None:
    """Its fingerprint is enough, however it is written."""
    link = MqttBrokerLink(id="mqtt", fingerprint=form(fingerprint(shown)))
    session = await open_session(mosquitto.url.replace("mqtt:", "mqtts:"), link=link)
    assert "connected" in (await read.state(session, LinkState.UP)).detail


async def test_another_fingerprint_is_told_nothing(
    mosquitto: Mosquitto, shown: str, open_session: Opener, read: type[Reader]
) -> None:
    """The link says which one it saw, and the broker has heard no CONNECT."""
    link = MqttBrokerLink(id="mqtt", fingerprint="00" * 32)
    session = await open_session(mosquitto.url.replace("mqtt:", "mqtts:"), link=link)
    detail = (await read.state(session, LinkState.DOWN)).detail
    assert fingerprint(shown).replace(":", "").lower() in detail
    assert "not good" in detail
    assert "New client connected" not in mosquitto.log().rpartition("running")[2]


async def test_a_pin_beside_an_authority_takes_nothing_from_it(
    mosquitto: Mosquitto, shown: str, open_session: Opener, read: type[Reader], tmp_path: Path
) -> None:
    """With both, the name counts as well: the right certificate of another host is refused."""
    link = MqttBrokerLink(id="mqtt", fingerprint=fingerprint(shown), ca_file=str(tmp_path / "ca.crt"))
    session = await open_session(mosquitto.url.replace("mqtt:", "mqtts:"), link=link)
    assert "not good" in (await read.state(session, LinkState.DOWN)).detail


@pytest.mark.parametrize(("pin", "state"), [("", LinkState.UP), ("00" * 32, LinkState.DOWN)])
def test_a_pin_counts_in_uvloop_too(mosquitto: Mosquitto, shown: str, pin: str, state: LinkState) -> None:
    """The hub's own loop has a TLS of its own."""

    async def first() -> LinkState:
        link = MqttBrokerLink(id="mqtt", fingerprint=pin or fingerprint(shown))
        url = mosquitto.url.replace("mqtt:", "mqtts:")
        async with MqttSession(link, [], "garden", Clock(), url=url, client_id="hub") as session:
            async for news in session:
                for change in (item for item in news if isinstance(item, LinkChange)):
                    return change.state
        raise AssertionError

    assert uvloop.run(first()) is state


def test_older_than_1_2_is_not_spoken() -> None:
    """Also with a pin."""
    for link in (MqttBrokerLink(id="mqtt"), MqttBrokerLink(id="mqtt", fingerprint="00" * 32)):
        assert tls_context(link).minimum_version is ssl.TLSVersion.TLSv1_2
