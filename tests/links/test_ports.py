"""Cables that cannot be opened: always a PortError in words, for anything else would end the process that runs."""

from pathlib import Path

import pytest

from firmware_bridge.links.ports import PortError, open_port, open_tcp
from firmware_bridge.simulate.tty import Tty


@pytest.mark.parametrize("host", ["192.168.1..20", "a" * 64 + ".lan", "a\0b", "999.1.1.1"])
async def test_a_host_that_no_resolver_takes(host: str) -> None:
    """A name that cannot even be asked for is a cable that is not there."""
    with pytest.raises(PortError, match=r":502: "):
        await open_tcp(host, 502)


async def test_a_port_number_that_is_none() -> None:
    """Ports end at 65535."""
    with pytest.raises(PortError, match=r"127\.0\.0\.1:99999: is no address"):
        await open_tcp("127.0.0.1", 99999)


async def test_a_speed_that_is_none(tmp_path: Path) -> None:
    """A number that no system takes is a port that cannot be opened."""
    with Tty(tmp_path / "port") as tty, pytest.raises(PortError, match=str(tty.path)):
        await open_port(str(tty.path), baud=99_999_999_999, parity="N", stop_bits=1)
