"""The reserve on real disks: made, given back in small pieces, remade; and what alarms still have when all is full."""

import contextlib
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hub.journal import reserve
from hub.journal.reserve import FLOOR, MB, ROOM, SLICE, Reserve
from hub.settings.site import JournalSpace

Fill = Callable[[int], Path]


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 MB; skips where this user may not mount one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64m", "none", str(folder)]
    try:
        subprocess.run(mount, check=True, capture_output=True)
    except (subprocess.CalledProcessError, FileNotFoundError):
        pytest.skip("needs the right to mount a tmpfs")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.fixture
def kept(disk: Path) -> Reserve:
    """4 MB for alarms, and a budget of 10 MB."""
    return Reserve(disk, JournalSpace(budget_mb=10, reserve_mb=4))


def fill(disk: Path, name: str = "stuffing", most: int = 1 << 40) -> Path:
    """Write until the disk is full, or so many bytes."""
    path = disk / name
    with path.open("ab", buffering=0) as file, contextlib.suppress(OSError):
        while most > 0:
            most -= file.write(bytes(min(most, 65_536)))
    return path


def blocks(disk: Path) -> int:
    """Bytes that are really taken."""
    return (disk / reserve.FILE).stat().st_blocks * 512


def test_the_blocks_are_really_ours(kept: Reserve, disk: Path) -> None:
    """Not a file with a hole; readable by its owner alone; what the journal already fills is not kept twice."""
    kept.look(0)
    assert (kept.held(), blocks(disk), kept.spent) == (14 * MB, 14 * MB, False)
    assert (disk / reserve.FILE).stat().st_mode & 0o777 == 0o600
    kept.look(3 * MB)
    assert kept.held() == 11 * MB
    kept.look(50 * MB)
    assert (kept.held(), kept.spent) == (4 * MB, False)


def test_a_full_disk_gives_way_bit_by_bit(kept: Reserve, disk: Path) -> None:
    """First the journal's own budget, which is no alarm; from the last part on alarms live on the reserve."""
    kept.look(0)
    fill(disk)
    given = 0
    while not kept.spent:
        assert kept.give()
        fill(disk)  # somebody else is greedy
        given += 1
    assert given == (10 * MB) // SLICE + 1
    while kept.give():
        given += 1
    assert given == (14 * MB) // SLICE
    assert not kept.give()


def test_it_is_remade_only_when_there_is_room_to_spare(kept: Reserve, disk: Path) -> None:
    """It does not come and go at the last megabyte; what is too little room stays with the alarms."""
    kept.look(0)
    stuffing = fill(disk)
    while kept.give():
        pass
    more = fill(disk, "more")
    kept.look(0)
    assert kept.spent
    more.unlink()
    stuffing.unlink()
    stuffing = fill(disk, most=64 * MB - 4 * MB - ROOM + FLOOR)
    kept.look(0)
    assert (kept.spent, kept.held()) == (True, 0)
    stuffing.unlink()
    kept.look(0)
    assert (kept.spent, kept.held()) == (False, 14 * MB)


def test_others_always_find_a_little_room(kept: Reserve, disk: Path) -> None:
    """For a login, the broker's files, a restart: each look leaves a megabyte, as long as the reserve lasts."""
    kept.look(0)
    fill(disk)
    kept.look(0)
    assert fill(disk, "more").stat().st_size >= FLOOR
    assert not kept.spent


def test_a_restart_knows_that_it_is_spent(kept: Reserve, disk: Path) -> None:
    """From the file alone; and makes room for what a start has to write."""
    kept.look(0)
    fill(disk)
    while not kept.spent:
        kept.give()
    fill(disk)
    again = Reserve(disk, JournalSpace(budget_mb=10, reserve_mb=4))
    again.make_room()
    again.look(0)
    assert again.spent
    assert fill(disk, "more").stat().st_size >= FLOOR


def test_a_small_disk_keeps_a_small_reserve(disk: Path) -> None:
    """An eighth of it at most, and without a word a budget by its size."""
    small = Reserve(disk, JournalSpace())
    assert (small.size, small.budget) == (8 * MB, 64 * MB)
    small.look(0)
    assert small.held() <= 64 * MB * 7 // 8
