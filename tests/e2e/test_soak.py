"""The demo for a long while: memory that grows is a leak, and a leak ends a box that runs for years."""

import time
from pathlib import Path

import pytest

from tests.e2e.test_demo import Demo

pytestmark = [pytest.mark.soak, pytest.mark.timeout(3600)]

WARM_S, LOOK_S, LOOKS = 120.0, 30.0, 40
MOST_KB_A_MINUTE = 200.0  # far below this is what the allocator's noise looks like


def rss_kb(process: int) -> int:
    """Resident memory in kB."""
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))


def slope(values: list[int]) -> float:
    """Least squares: growth from one look to the next."""
    middle_x, middle_y = (len(values) - 1) / 2, sum(values) / len(values)
    over = sum((x - middle_x) * (y - middle_y) for x, y in enumerate(values))
    return over / sum((x - middle_x) ** 2 for x in range(len(values)))


@pytest.mark.parametrize("name", ["field", "office"])
def test_memory_does_not_grow(tmp_path: Path, name: str) -> None:
    """Twenty minutes of the demo at three times the speed: the resident memory of the process stays where it is."""
    with Demo(tmp_path) as demo:
        time.sleep(WARM_S)
        process, seen = demo.process(name), list[int]()
        for _ in range(LOOKS):
            seen.append(rss_kb(process))
            time.sleep(LOOK_S)

    assert demo.process(name) in (0, process)
    assert slope(seen) * 60 / LOOK_S < MOST_KB_A_MINUTE, seen
