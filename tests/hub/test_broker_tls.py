"""TLS at the broker that zhian runs, by a real mosquitto: who gets in, who does not, and renewed certificates."""

import asyncio
import contextlib
import socket
import ssl
import stat
import subprocess
from asyncio.subprocess import DEVNULL
from collections.abc import AsyncIterator
from pathlib import Path

import aiomqtt
import pytest

from device_profiles.door import Refusal
from device_profiles.load import profiles
from hub.authority import BACK_DAYS, CA_FILE, CA_KEY_FILE, DAYS, FIRST_MS, FOLDER, RENEW_DAYS, issued, stale
from hub.authority import told as authority_told
from hub.certificates import DAY_MS, Made, authority, issue, read
from hub.clock import Clock
from hub.processes import broker, broker_tls
from hub.processes.broker_tls import SERVER_FILE, take
from hub.reading import Label
from hub.settings.links import check_link
from hub.settings.listeners import Address, listeners
from hub.settings.site import Device, Devices, MqttBrokerLink, Site
from tests.conftest import free_port

NAME = Label(zh="门", en="gate")
NOW = Clock().now()


def a_site(plain: int, secure: int) -> Site:
    """Two gates; everything on loopback, TLS as for devices elsewhere."""
    profile = profiles()["gate/json-mqtt"]
    gates = Devices(
        Device(id=name, profile=profile, options=profile.link, name=NAME, link="mqtt") for name in ("gate-a", "gate-b")
    )
    link = MqttBrokerLink(id="mqtt", listen=f"127.0.0.1:{plain}", listen_tls=f"127.0.0.1:{secure}", devices=gates)
    return Site(id="garden", name=NAME, timezone="Asia/Shanghai", zones=(), links=(link,))


class Running:
    """A mosquitto with the prepared files."""

    def __init__(self, site: Site, data: Path) -> None:
        """Prepared, and not started."""
        self.site, self.data, self.folder, self.above = site, data, data / "broker", data / FOLDER
        self.link = broker.own(site)[0]
        self.configuration = broker.prepare(site, self.link, data)
        self.secure = listeners(self.link).secure or Address("", 0)
        self.log = data / "log"

    @contextlib.asynccontextmanager
    async def life(self) -> AsyncIterator["Running"]:
        """While it runs."""
        with self.log.open("wb") as log:
            process = await asyncio.create_subprocess_exec(
                broker.executable(), "-c", str(self.configuration), stdout=DEVNULL, stderr=log
            )
        try:
            async with asyncio.timeout(10):
                while await asyncio.to_thread(broker_tls.served, self.secure) is None:
                    await asyncio.sleep(0.02)
            yield self
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
            await process.wait()

    def client(self, user: str, password: str = "") -> aiomqtt.Client:
        """A device that trusts our authority."""
        context = ssl.create_default_context(cafile=self.above / CA_FILE)
        word = password or broker.credentials(self.data)[user]
        return aiomqtt.Client(
            "127.0.0.1", self.secure.port, username=user, password=word, identifier=f"test-{user}",
            tls_context=context,
        )  # fmt: skip

    def shown(self) -> str:
        """The certificate that the broker shows."""
        return broker_tls.served(self.secure) or ""


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[Running]:
    """The broker of `a_site`."""
    async with Running(a_site(free_port(), free_port()), tmp_path).life() as made:
        yield made


async def told(client: aiomqtt.Client, patience_s: float = 10.0) -> set[str]:
    """Topics that come until "end"."""
    topics: set[str] = set()
    async with asyncio.timeout(patience_s):
        async for message in client.messages:
            if str(message.topic) == "end":
                return topics
            topics.add(str(message.topic))
    return topics


async def test_a_device_speaks_for_itself_alone_over_tls(running: Running) -> None:
    """By our authority and its own password a device is heard on its own topics, and on no other's."""
    async with running.client(broker.HUB) as hub:
        await hub.subscribe("#", qos=1)
        for topic in ("garden/gate-a/up", "garden/gate-b/up", "garden/gate-a/do", "garden/gate-b/do"):
            async with running.client("gate-a") as gate:  # each its own: paho gives up after a refusal
                await gate.publish(topic, b"x", qos=1)
        await hub.publish("end", b"x", qos=1)
        assert await told(hub) == {"garden/gate-a/up"}
    with pytest.raises(aiomqtt.MqttError):
        async with running.client("gate-b", password=broker.credentials(running.data)["gate-a"]):
            pass


async def test_another_authority_is_refused_by_the_device(running: Running) -> None:
    """Whoever stands in for the hub with a certificate of his own is told no password; ours is trusted."""
    other = authority("garden", FIRST_MS, NOW + DAY_MS).certificate
    await asyncio.to_thread(greeted, running.secure.port, (running.above / CA_FILE).read_text())
    with pytest.raises(ssl.SSLCertVerificationError):
        await asyncio.to_thread(greeted, running.secure.port, other)


def greeted(port: int, ca: str) -> None:
    """A device's handshake, which ends before the first byte of MQTT where the authority is not the right one."""
    context = ssl.create_default_context(cadata=ca)
    with socket.create_connection(("127.0.0.1", port), timeout=10) as raw:
        context.wrap_socket(raw, server_hostname="127.0.0.1").close()


def version(port: int, most: ssl.TLSVersion) -> str | None:
    """The version that was agreed on with a client that takes no newer one than `most`."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    context.minimum_version, context.maximum_version = ssl.TLSVersion.MINIMUM_SUPPORTED, most
    with socket.create_connection(("127.0.0.1", port), timeout=10) as raw, context.wrap_socket(raw) as connection:
        return connection.version()


@pytest.mark.filterwarnings("ignore:.*TLSv1_1 is deprecated:DeprecationWarning")
async def test_older_than_1_2_is_refused(running: Running) -> None:
    """As at the page's door; the control gets in."""
    assert await asyncio.to_thread(version, running.secure.port, ssl.TLSVersion.TLSv1_2) == "TLSv1.2"
    with pytest.raises(ssl.SSLError, match="PROTOCOL_VERSION"):
        await asyncio.to_thread(version, running.secure.port, ssl.TLSVersion.TLSv1_1)


async def test_plain_mqtt_gets_no_answer_at_the_door_of_tls(running: Running) -> None:
    """A device that was set up without TLS does not come in by its port."""
    plain = aiomqtt.Client("127.0.0.1", running.secure.port, username="gate-a", password="x", timeout=3)
    with pytest.raises(aiomqtt.MqttError):
        async with plain:
            pass


def a_link(**keys: str) -> MqttBrokerLink:
    """A broker of ours."""
    return MqttBrokerLink(id="mqtt", **keys)  # type: ignore[arg-type]  # literals


def judged(link: MqttBrokerLink) -> str:
    """The refusal of the site file's door; empty: it is let through."""
    try:
        check_link(link, "link[0]", Path("site.toml"))
    except Refusal as error:
        return str(error)
    return ""


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"listen": "0.0.0.0:1883"}, "passwords and orders would cross the network readable"),
        ({"listen": "192.0.2.4:1883"}, 'listen_tls = "192.0.2.4:8883" instead; plain = "network"'),
        ({"listen": "0.0.0.0:1883", "plain": "network"}, ""),
        ({"listen_tls": "0.0.0.0:8883"}, ""),
        ({"listen_tls": "8883"}, "nobody can listen there"),
        ({"listen_tls": "0.0.0.0:1883"}, "is the port of `listen`"),
        ({"plain": "network"}, "nobody elsewhere reaches `listen`"),
        ({"ca_file": "/x"}, "is for a broker that zhian does not run"),
        ({"url": "mqtts://b", "listen_tls": "0.0.0.0:8883"}, "is for zhian's own broker"),
        ({"url": "mqtt://b", "ca_file": "/x"}, "counts with TLS only"),
        ({"url": "mqtts://b", "fingerprint": "AB:CD"}, "is no fingerprint"),
        ({"url": "mqtts://b", "fingerprint": ":".join(["AB"] * 32)}, ""),
    ],
)
def test_nobody_opens_the_network_by_mistake(keys: dict[str, str], words: str) -> None:
    """Beyond loopback there is TLS, or a line in the site file that says that there is none."""
    assert words in judged(a_link(**keys))
    assert bool(words) is bool(judged(a_link(**keys)))


def test_tls_is_there_wherever_the_broker_is_reached_from_elsewhere() -> None:
    """8883 beside a plain listener of the network; none where this machine alone is heard."""
    assert listeners(a_link()).secure is None
    assert listeners(a_link(listen="0.0.0.0:1883", plain="network")).secure == ("0.0.0.0", 8883)
    assert listeners(a_link(listen_tls="192.0.2.4:8884")) == (("127.0.0.1", 1883), ("192.0.2.4", 8884))


def test_the_configuration_has_what_the_listeners_need(tmp_path: Path) -> None:
    """TLS belongs to the second listener alone, both share the descriptors, and no private file is open to others."""
    text = broker.prepare(site := a_site(1, 2), broker.own(site)[0], tmp_path).read_text()
    plain, _, secure = text.partition("listener 2 127.0.0.1\n")
    assert "certfile" not in plain
    assert secure.splitlines()[3] == "tls_version tlsv1.2"
    most = [int(line.split()[1]) for line in text.splitlines() if line.startswith("max_connections")]
    assert len(most) == 2
    assert sum(most) <= broker.MOST_CONNECTIONS
    assert {stat.S_IMODE(file.stat().st_mode) for file in (tmp_path / "broker").iterdir()} == {0o600}


async def test_a_renewed_certificate_is_taken_up_and_nobody_is_thrown_out(running: Running) -> None:
    """Connected devices speak on, new ones are shown the new certificate, and trust it by the same authority."""
    above = Made((running.above / CA_FILE).read_text(), (running.above / CA_KEY_FILE).read_text())
    old = running.shown()
    assert not await asyncio.to_thread(broker.renew_certificate, running.site, running.data)  # the control: not yet
    names = sorted(read(old).names)
    ending = issue(above, names, NOW - 300 * DAY_MS, NOW + (RENEW_DAYS - 1) * DAY_MS)
    (running.folder / SERVER_FILE).write_text(ending.certificate + ending.key)
    async with running.client(broker.HUB) as hub, running.client("gate-a") as gate:
        await hub.subscribe("#", qos=1)
        assert await asyncio.to_thread(broker.renew_certificate, running.site, running.data)
        async with asyncio.timeout(10):
            while (now := await asyncio.to_thread(running.shown)) == old:
                await asyncio.sleep(0.02)
        assert read(now).ends > NOW + (DAYS - 2) * DAY_MS
        await gate.publish("garden/gate-a/up", b"x", qos=1)
        async with running.client("gate-b") as other:
            await other.publish("garden/gate-b/up", b"x", qos=1)
        await hub.publish("end", b"x", qos=1)
        assert await told(hub) == {"garden/gate-a/up", "garden/gate-b/up"}


async def test_what_was_not_taken_up_is_asked_for_again(running: Running) -> None:
    """Killed between the file and the signal, the next look makes the broker read it."""
    text = (running.folder / SERVER_FILE).read_text()
    (running.folder / SERVER_FILE).write_text("")
    take(running.site, running.link, running.folder, NOW)
    assert (running.folder / SERVER_FILE).read_text() != text
    assert not await asyncio.to_thread(broker_tls.is_served, running.folder, running.secure)
    assert await asyncio.to_thread(broker.renew_certificate, running.site, running.data)
    async with asyncio.timeout(10):
        while not await asyncio.to_thread(broker_tls.is_served, running.folder, running.secure):
            await asyncio.sleep(0.02)


async def test_a_look_leaves_no_line_in_the_log(running: Running) -> None:
    """The office looks every few seconds what the broker shows."""
    before = running.log.stat().st_size
    for _ in range(3):
        assert (
            await asyncio.to_thread(broker.certificate_ends, running.site, running.data) == read(running.shown()).ends
        )
    assert running.log.stat().st_size == before


def above_and_text(days: float, begins: float = -1) -> tuple[Made, str]:
    """An authority, and a broker's certificate that ends in so many days."""
    made = authority("garden", FIRST_MS - BACK_DAYS * DAY_MS, NOW + 900 * DAY_MS)
    issued = issue(made, ["localhost"], NOW + round(begins * DAY_MS), NOW + round(days * DAY_MS))
    return made, issued.certificate + issued.key


@pytest.mark.parametrize(
    ("days", "begins", "wanted", "trusted", "renewed"),
    [
        (RENEW_DAYS + 1, -1, ["localhost"], True, False),
        (RENEW_DAYS - 1, -1, ["localhost"], True, True),
        (-1, -9, ["localhost"], True, True),
        (90, -1, ["localhost", "192.0.2.4"], True, True),
        (90, 5, ["localhost"], True, True),
        (90, -1, ["localhost"], False, False),
    ],
)
def test_when_it_is_renewed(days: float, begins: float, wanted: list[str], trusted: bool, renewed: bool) -> None:
    """Two months before its end, for another address, or when it has not begun; never by a clock of 1970."""
    made, text = above_and_text(days, begins)
    assert stale(text, made.certificate, wanted, NOW if trusted else 0) is renewed


@pytest.mark.parametrize("names", [["FD00:0::1"], ["Garden.LAN"], ["0:0:0:0:0:0:0:1"]])
def test_a_new_one_is_not_stale_at_once(names: list[str]) -> None:
    """However a name is spelt: one that is replaced every hour has no fingerprint that anybody could compare."""
    made, _ = above_and_text(90)
    new = issued(made, names, NOW)
    assert not stale(new.certificate + new.key, made.certificate, names, NOW)


def test_what_ends_with_its_authority_is_left_alone() -> None:
    """In the authority's last weeks no other one would hold longer; the alarm says what to do."""
    made = authority("garden", FIRST_MS - BACK_DAYS * DAY_MS, NOW + (RENEW_DAYS - 1) * DAY_MS)
    new = issued(made, ["localhost"], NOW)
    assert read(new.certificate).ends == read(made.certificate).ends
    assert not stale(new.certificate + new.key, made.certificate, ["localhost"], NOW)


def test_what_is_damaged_or_anothers_is_renewed() -> None:
    """Nothing, half a file, another key, another authority's."""
    made, text = above_and_text(90)
    _, others = above_and_text(90)
    mixed = text.partition("-----BEGIN PRIVATE")[0] + "-----BEGIN PRIVATE" + others.partition("-----BEGIN PRIVATE")[2]
    assert all(stale(bad, made.certificate, ["localhost"], NOW) for bad in ("", text[: len(text) // 2], mixed, others))
    assert not stale(text, made.certificate, ["localhost"], NOW)


def test_the_authority_stays(tmp_path: Path) -> None:
    """Through starts and renewals; one whose key is lost is not replaced in silence, for devices trust it."""
    running = Running(a_site(1, 2), tmp_path)
    before = authority_told(running.data)
    take(running.site, running.link, running.folder, NOW + 800 * DAY_MS)
    assert authority_told(running.data) == before
    (running.above / CA_KEY_FILE).write_text("")
    with pytest.raises(Refusal, match="zhian certificate ca --new"):
        broker.prepare(running.site, running.link, tmp_path)
    assert (running.above / CA_FILE).read_text() == before.pem


def test_a_certificate_is_what_openssl_takes(tmp_path: Path) -> None:
    """An independent program verifies the chain for the address, and refuses it for another one."""
    running = Running(a_site(1, 2), tmp_path)
    command = ["openssl", "verify", "-x509_strict", "-purpose", "sslserver", "-CAfile", str(running.above / CA_FILE)]
    for address, code in (("127.0.0.1", 0), ("192.0.2.77", 2)):
        said = subprocess.run([*command, "-verify_ip", address, str(running.folder / SERVER_FILE)], capture_output=True)
        assert said.returncode == code, said.stderr
