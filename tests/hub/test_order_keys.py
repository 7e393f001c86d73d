"""Keys and counters of signed orders: told once, readable by their owner alone, and a count that never goes back."""

from __future__ import annotations

import asyncio
import stat
from typing import TYPE_CHECKING

import pytest

from device_profiles.door import Refusal
from device_profiles.load import profiles
from firmware_bridge.raw import SendError
from hub.clock import Clock
from hub.orders.keys import FOLDER, key_file, make_key, read_key
from hub.reading import FaultKind, Label
from hub.settings.secret import SecretError
from hub.settings.site import Device
from hub.signer import Signer

if TYPE_CHECKING:
    from pathlib import Path


def gate(profile: str = "gate/json-mqtt-signed", order_key_file: str = "") -> Device:
    """A controller."""
    found = profiles()[profile]
    name = Label(zh="门", en="Gate")
    return Device(id="gate-1", profile=found, options=found.link, name=name, link="mqtt", order_key_file=order_key_file)


class Stopped(Clock):
    """A clock that somebody sets."""

    def __init__(self, at: int) -> None:
        """`at`: ms since 1970."""
        super().__init__()
        self.at = at

    def now(self) -> int:
        """As it was set."""
        return self.at


async def counter(data: Path, clock: Clock, device: Device | None = None) -> int:
    """Of the next order."""
    async with Signer(data, clock).turn(device or gate()) as seal:
        assert seal is not None
        return seal.counter


def test_a_key_is_told_once(tmp_path: Path) -> None:
    """Random, mode 0600, not made anew by mistake; another one only where it is asked for."""
    file = key_file(gate(), tmp_path)
    digits = make_key(file)
    assert read_key(file).hex() == digits
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    with pytest.raises(Refusal, match="--new") as refused:
        make_key(file)
    assert digits not in str(refused.value)
    assert make_key(file, renew=True) != digits


@pytest.mark.parametrize("text", ["", "zz" * 32, "00" * 31, "00" * 33])
def test_what_is_no_key_is_not_taken_for_one(tmp_path: Path, text: str) -> None:
    """A short key would be a weak one; the words hold nothing of it."""
    file = tmp_path / "k"
    file.touch(0o600)
    file.write_text(text)
    with pytest.raises(SecretError) as refused:
        read_key(file)
    assert not text or text not in str(refused.value)


def test_the_site_file_may_name_another_file(tmp_path: Path) -> None:
    """As for a key that a system's own keeper of secrets lays down."""
    other = tmp_path / "run" / "gate.key"
    assert key_file(gate(order_key_file=str(other)), tmp_path) == other


async def test_the_count_only_grows(tmp_path: Path) -> None:
    """Order by order, through restarts, with a clock that was set back, and when the folder was lost, by the clock."""
    make_key(key_file(gate(), tmp_path))
    clock = Stopped(1_000_000)
    counted = [await counter(tmp_path, clock) for _ in range(3)]
    clock.at = 500_000
    counted.append(await counter(tmp_path, clock))
    assert counted == [1_000_000, 1_000_001, 1_000_002, 1_000_003]
    (tmp_path / FOLDER / "gate-1.counter").unlink()
    clock.at = 2_000_000
    assert await counter(tmp_path, clock) == 2_000_000


async def test_a_damaged_count_goes_on_by_the_clock(tmp_path: Path) -> None:
    """Every count that was used is below the present time in ms: there is no second order a millisecond."""
    make_key(key_file(gate(), tmp_path))
    (tmp_path / FOLDER / "gate-1.counter").write_text("12x")
    assert await counter(tmp_path, Stopped(77)) == 77
    assert (tmp_path / FOLDER / "gate-1.counter").read_text() == f"{77:020d}\n"


async def test_it_is_durable_before_the_order_leaves(tmp_path: Path) -> None:
    """Killed while the order is on its way, the next one is above it all the same."""
    make_key(key_file(gate(), tmp_path))
    async with Signer(tmp_path, Stopped(5)).turn(gate()) as seal:
        assert seal is not None
        assert await counter(tmp_path, Stopped(5)) == seal.counter + 1  # another process, meanwhile


async def test_orders_of_one_gate_leave_in_their_order(tmp_path: Path) -> None:
    """A controller refuses what comes behind a higher count: nobody overtakes; another gate does not wait."""
    make_key(key_file(gate(), tmp_path))
    signer, left = Signer(tmp_path, Stopped(5)), list[int]()

    async def leave() -> None:
        async with signer.turn(gate()) as seal:
            assert seal is not None
            await asyncio.sleep(0.01 if not left else 0.0)
            left.append(seal.counter)

    await asyncio.gather(*(leave() for _ in range(5)))
    assert left == [5, 6, 7, 8, 9]


async def test_without_its_key_no_order_leaves(tmp_path: Path) -> None:
    """And the words say what to do; a device that wants no signature needs none."""
    with pytest.raises(SendError, match="zhian device key gate-1") as refused:
        await counter(tmp_path, Stopped(5))
    assert refused.value.kind is FaultKind.REFUSED
    async with Signer(tmp_path, Stopped(5)).turn(gate("gate/json-mqtt")) as seal:
        assert seal is None


async def test_a_disk_that_takes_no_count_sends_no_order(tmp_path: Path) -> None:
    """What cannot be kept is not used."""
    make_key(key_file(gate(), tmp_path))
    (tmp_path / FOLDER / "gate-1.counter").mkdir()
    with pytest.raises(SendError):
        await counter(tmp_path, Stopped(5))
