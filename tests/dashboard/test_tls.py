"""TLS: a certificate of its own or the site's, 1.2 at least, taken up when it is replaced."""

import asyncio
import socket
import ssl
import stat
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest

from dashboard.access.tls import Pair, Tls, make_own, names_of, pair_of
from dashboard.asgi import asgi_app, serve
from device_profiles.door import Refusal
from hub import authority
from hub.authority import DAYS, FIRST_MS, RENEW_DAYS
from hub.certificates import Made, issue
from hub.settings.door import load_site
from hub.settings.site_web import Web

if TYPE_CHECKING:
    from flask import Flask

    from hub.settings.site import Site
    from tests.dashboard.conftest import StillClock

DAY_MS = 86_400_000


@pytest.fixture
def pair(tmp_path: Path, site: "Site") -> Pair:
    """A certificate of its own that holds today."""
    return pair_of(site, tmp_path, real_ms())


class Server:
    """Answers every connection with its certificate, until it is stopped."""

    def __init__(self, tls: Tls) -> None:
        """Listens."""
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._context = tls.context
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def stop(self) -> None:
        """No more."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join(10)
        self._listener.close()

    def _run(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            try:
                self._context.wrap_socket(connection, server_side=True).close()
            except OSError:
                connection.close()


@pytest.fixture
def server(pair: Pair) -> Iterator[tuple[Server, Tls]]:
    """The own certificate at work."""
    tls = Tls(pair)
    made = Server(tls)
    yield made, tls
    made.stop()


def seen(port: int, most: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3) -> tuple[bytes, str]:
    """The certificate that a client is shown, and the version."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    context.maximum_version = most
    with (
        socket.create_connection(("127.0.0.1", port), timeout=10) as raw,
        context.wrap_socket(raw) as connection,
    ):
        return connection.getpeercert(binary_form=True) or b"", connection.version() or ""


def test_a_first_start_makes_a_certificate(pair: Pair, site: "Site", tmp_path: Path) -> None:
    """For the names of this machine; the key is the owner's alone, and both stay at the next start."""
    assert pair.own
    assert stat.S_IMODE(pair.key.stat().st_mode) == 0o600
    before = pair.certificate.read_bytes()
    assert pair_of(site, tmp_path, 0).certificate.read_bytes() == before
    assert {"localhost", "127.0.0.1", "::1"} < set(names_of(site))
    assert len(pair.fingerprint) == 32 * 3 - 1


def test_two_installations_have_two_keys(tmp_path: Path, site: "Site") -> None:
    """No key comes with the box."""
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    keys = {pair_of(site, tmp_path / name, 0).key.read_bytes() for name in ("a", "b")}
    assert len(keys) == 2


def test_a_client_that_trusts_it_is_content(server: tuple[Server, Tls]) -> None:
    """Name, dates and purpose are as clients want them; another name is refused."""
    made, tls = server
    context = ssl.create_default_context(cafile=str(tls.pair.certificate))
    with socket.create_connection(("127.0.0.1", made.port), timeout=10) as raw:
        context.wrap_socket(raw, server_hostname="localhost").close()
    with (
        socket.create_connection(("127.0.0.1", made.port), timeout=10) as raw,
        pytest.raises(ssl.SSLCertVerificationError, match="mismatch"),
    ):
        context.wrap_socket(raw, server_hostname="elsewhere.example")


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion")
def test_older_than_1_2_is_refused(server: tuple[Server, Tls]) -> None:
    """1.3 and 1.2 get in, 1.1 does not."""
    made, _ = server
    assert seen(made.port)[1] == "TLSv1.3"
    assert seen(made.port, ssl.TLSVersion.TLSv1_2)[1] == "TLSv1.2"
    with pytest.raises(ssl.SSLError):
        seen(made.port, ssl.TLSVersion.TLSv1_1)


def test_a_replaced_certificate_is_taken_up(server: tuple[Server, Tls], tmp_path: Path) -> None:
    """By the next connection, without a restart; one that does not fit its key changes nothing."""
    made, tls = server
    first, _ = seen(made.port)
    assert not tls.look()
    key = tls.pair.key.read_bytes()
    make_own(tls.pair, above(tmp_path), ["localhost"], FIRST_MS)
    assert tls.look()
    second, _ = seen(made.port)
    assert second != first
    tls.pair.key.write_bytes(key)
    assert not tls.look()
    assert seen(made.port)[0] == second


def test_how_long_it_holds(tmp_path: Path) -> None:
    """A year and a month: less than browsers take at most."""
    pair = Pair(tmp_path / "c", tmp_path / "k", own=True)
    make_own(pair, above(tmp_path), ["localhost"], FIRST_MS + DAY_MS)
    assert pair.ends == FIRST_MS + (DAYS + 1) * DAY_MS


def test_it_renews_itself_and_who_trusts_the_authority_is_content(
    server: tuple[Server, Tls], site: "Site", tmp_path: Path
) -> None:
    """Two months before its end there is another one, by the same authority; the running page takes it up."""
    made, tls = server
    trusting = ssl.create_default_context(cafile=str(tmp_path / authority.FOLDER / authority.CA_FILE))
    before, now = tls.pair.ends, real_ms()
    pair_of(site, tmp_path, before - (RENEW_DAYS + 1) * DAY_MS)
    assert not tls.look()
    ending = issue(above(tmp_path), names_of(site), now - 300 * DAY_MS, now + (RENEW_DAYS - 1) * DAY_MS)
    tls.pair.key.write_text(ending.key)
    tls.pair.certificate.write_text(ending.certificate)
    old = tls.pair.fingerprint
    pair_of(site, tmp_path, now)
    assert tls.look()
    assert tls.pair.fingerprint != old
    with socket.create_connection(("127.0.0.1", made.port), timeout=10) as raw:
        trusting.wrap_socket(raw, server_hostname="localhost").close()


@pytest.mark.parametrize("lost", ["page.key", "page.crt"])
def test_half_a_certificate_is_made_anew(lost: str, pair: Pair, site: "Site", tmp_path: Path) -> None:
    """Killed between its two files, or one of them gone: the next start has a pair that fits."""
    (tmp_path / lost).unlink()
    Tls(pair_of(site, tmp_path, real_ms()))
    assert pair.certificate.exists()


def test_a_damaged_authority_shuts_no_page(pair: Pair, site: "Site", tmp_path: Path) -> None:
    """The certificate that there is goes on; without one the refusal says what to do."""
    (tmp_path / authority.FOLDER / authority.CA_KEY_FILE).write_text("")
    before = pair.fingerprint
    assert pair_of(site, tmp_path, pair.ends).fingerprint == before
    pair.certificate.unlink()
    with pytest.raises(Refusal, match="zhian certificate ca --new"):
        pair_of(site, tmp_path, real_ms())


def real_ms() -> int:
    """Now, ms since 1970."""
    return time.time_ns() // 1_000_000


def above(data: Path) -> Made:
    """The authority of a data folder."""
    return authority.ours("garden", data, real_ms())


def test_files_that_are_no_certificate_are_refused(tmp_path: Path) -> None:
    """At the start, with the file's name."""
    for name in ("c", "k"):
        (tmp_path / name).write_text("nonsense")
    with pytest.raises(Refusal, match="cannot be used for TLS"):
        Tls(Pair(tmp_path / "c", tmp_path / "k", own=False))


def test_the_sites_own_certificate(tmp_path: Path, site: "Site") -> None:
    """`[page] certificate` and `key` of the site file are used where they are given."""
    given = msgspec.structs.replace(site, web=Web(certificate="/a", key="/b"))
    assert pair_of(given, tmp_path, 0) == Pair(Path("/a"), Path("/b"), own=False)


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ('certificate = "a.pem"', "page.key"),
        ('certificate = "a.pem"\nkey = "b.pem"', "no such file"),
        ('trusted_proxies = ["the proxy"]', "page.trusted_proxies"),
        ('names = ["a b"]', "page.names"),
        ('second_factor = "no"', "page.second_factor"),
        ('contact = "me"', "page.contact"),
    ],
)
def test_a_wrong_table_is_refused(table: str, words: str, tmp_path: Path) -> None:
    """Key, value and what would be right."""
    path = tmp_path / "site.toml"
    path.write_text(f'[site]\nid = "a"\nname = {{ zh = "a", en = "a" }}\ntimezone = "UTC"\n[page]\n{table}\n')
    with pytest.raises(Refusal, match=words):
        load_site(path)


async def test_the_office_speaks_tls(app: "Flask", pair: Pair, clock: "StillClock") -> None:
    """HTTPS on the socket, and nothing in plain."""
    started: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    listener = socket.create_server(("127.0.0.1", 0))
    serving = asyncio.ensure_future(serve(asgi_app(app), listener, started.set_result, tls=Tls(pair)))
    port = await started
    context = ssl.create_default_context(cafile=str(pair.certificate))
    assert (await ask(port, context)).startswith(b"HTTP/1.1 200")
    assert await ask(port, None) == b""
    serving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await serving
    listener.close()


async def ask(port: int, context: ssl.SSLContext | None) -> bytes:
    """The first line of the login page, or nothing where the connection is closed."""
    name = "localhost" if context is not None else None
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname=name)
    writer.write(b"GET /login HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    try:
        found = await reader.read()
    except ConnectionError:
        found = b""
    writer.close()
    return found.partition(b"\r\n")[0]
