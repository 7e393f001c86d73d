"""Where a voice may speak to: no name leads it to this machine or to what a cloud gives its machines (SSRF)."""

import asyncio
import socket
from typing import TYPE_CHECKING

import pytest

from hub.voices import VoiceError, Why
from hub.voices.http import Route, post

if TYPE_CHECKING:
    from tests.hub.voices.conftest import Server

INNER = [
    "127.0.0.1",
    "127.8.8.8",
    "::1",
    "::ffff:127.0.0.1",
    "0.0.0.0",
    "::",
    "169.254.169.254",
    "fe80::1",
    "fd00:ec2::254",
    "100.100.100.200",
    "224.0.0.1",
]


def resolve(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> None:
    """Every name has these addresses now."""

    async def found(
        _loop: object, _host: str, port: int, **_: object
    ) -> list[tuple[int, int, int, str, tuple[str, int]]]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses]

    monkeypatch.setattr(asyncio.BaseEventLoop, "getaddrinfo", found)


@pytest.mark.parametrize("address", INNER)
async def test_a_name_that_leads_inside_is_refused(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever answers for the name; before a byte is sent, and for good."""
    resolve(monkeypatch, address)
    with pytest.raises(VoiceError, match="where no voice may speak to") as error:
        await post("http://hook.example.org/x", b"", {}, Route(), "there")
    assert error.value.why is Why.REFUSED


async def test_one_inner_address_among_others_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that has both is up to something."""
    resolve(monkeypatch, "93.184.216.34", "127.0.0.1")
    with pytest.raises(VoiceError, match=r"127\.0\.0\.1, where no voice"):
        await post("http://hook.example.org/x", b"", {}, Route(), "there")


@pytest.mark.parametrize("host", ["169.254.169.254", "[fe80::1]", "0.0.0.0", "100.100.100.200"])
async def test_metadata_is_refused_also_by_its_address(host: str) -> None:
    """Nobody means that."""
    with pytest.raises(VoiceError, match="where no voice may speak to"):
        await post(f"http://{host}/latest/meta-data/", b"", {}, Route(), "there")


@pytest.mark.parametrize("host", ["2130706433", "0x7f.1", "127.1"])
async def test_this_machine_in_disguise_is_refused(host: str) -> None:
    """Numbers that the system's resolver understands are no address that somebody wrote."""
    with pytest.raises(VoiceError, match=r"where no voice may speak to|Name or service|there"):
        await post(f"http://{host}:1/", b"", {}, Route(), "there")


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_who_writes_this_machine_means_it(host: str, server: "Server") -> None:
    """The installer's own gateway on the same box."""
    server.answers = [(200, {}, b"well")]
    answer = await post(server.url("/x").replace("127.0.0.1", host), b"", {}, Route(), "there")
    assert answer.body == b"well"


async def test_the_second_address_is_tried(server: "Server", monkeypatch: pytest.MonkeyPatch) -> None:
    """Many a name has an address that this site cannot reach."""
    server.answers = [(200, {}, b"well")]
    resolve(monkeypatch, "127.0.0.2", "127.0.0.1")
    answer = await post(server.url("/x").replace("127.0.0.1", "localhost"), b"", {}, Route(), "there")
    assert answer.body == b"well"
