"""`zhian limit`, `mute`, `unmute`, `mutes`, `service` and `rules list` with a real field process behind the data."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

import pytest

from hub.clock import Clock
from hub.core import Core
from hub.field import Field
from hub.journal.writer import FILE, Journal
from hub.rules.door import load_rules
from hub.settings.door import load_site
from tests.hub.test_commands import example, run  # noqa: F401  # a fixture

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.hub.test_commands import Run


class Running:
    """A field process in a thread, without cables."""

    def __init__(self, path: Path, data: Path) -> None:
        """It takes orders when the constructor returns."""
        self.path, self.data = path, data
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        site, clock = load_site(self.path), Clock()
        rules = load_rules(site, self.path)
        journal = Journal(self.data / FILE, site)
        core = Core(site, rules, journal.memory(), clock.now())
        field = Field(site, {rule.id: rule for rule in rules}, core, journal, [], clock)
        self._task = self._loop.create_task(field.run())
        self._loop.run_until_complete(asyncio.gather(self._task, return_exceptions=True))
        self._loop.run_until_complete(self._loop.shutdown_default_executor())
        self._loop.close()

    def stop(self) -> None:
        """As SIGTERM."""
        self._loop.call_soon_threadsafe(self._task.cancel)
        self._thread.join(20)
        assert not self._thread.is_alive()


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Running]:
    """Of the example site."""
    path = example(tmp_path)
    data = tmp_path / "data"
    data.mkdir()
    Journal(data / FILE, load_site(path)).close()
    running = Running(path, data)
    yield running
    running.stop()


def test_a_limit_is_set_listed_and_taken_back(run: Run, hub: Running) -> None:  # noqa: F811
    """What became of it is said, with exit 2 for a refusal; `rules list` tells who set it and why."""
    data = ("--data", str(hub.data))
    code, out, _ = run("limit", "set", "noise-limit", "on_delay", "45", "--reason", "drums", *data)
    assert (code, out) == (0, "limit noise-limit on_delay=45 done done\n")
    code, out, _ = run("limit", "set", "sos", "use", "off", "--reason", "noise", *data)
    assert (code, out) == (2, "limit sos use=off refused p1-only-stricter:use = on\n")
    _, out, _ = run("limit", "list", "--json", *data)
    assert '"rule":"noise-limit","zone":"","key":"on_delay","value":45.0' in out
    _, listed, _ = run("rules", "list", str(hub.path), *data)
    assert "on_delay = 45.0 (set by cli:" in listed
    assert ": drums)" in listed
    code, out, _ = run("limit", "clear", "noise-limit", "on_delay", "--reason", "over", *data)
    assert (code, out) == (0, "limit-clear noise-limit on_delay done done\n")
    assert run("limit", "list", *data)[1] == ""
    assert len(run("limit", "list", "--history", *data)[1].splitlines()) == 2
    assert "set by" not in run("rules", "list", str(hub.path), *data)[1]


def test_a_zone_is_muted_and_unmuted(run: Run, hub: Running) -> None:  # noqa: F811
    """At most eight hours; what is muted is listed with its end, and nothing else is."""
    zone, data = load_site(hub.path).zones[0].id, ("--data", str(hub.data))
    code, out, _ = run("mute", zone, "--for", "30m", "--reason", "a wedding", *data)
    assert (code, out) == (0, f"mute {zone} done done\n")
    assert run("mutes", *data)[1].startswith(f"{zone}  until 2")
    assert run("mutes", *data)[1].endswith(": a wedding\n")
    assert run("mute", zone, "--for", "9h", "--reason", "x", *data)[0] == 2
    assert run("unmute", zone, *data)[:2] == (0, f"unmute {zone} done done\n")
    assert run("unmute", zone, *data)[:2] == (2, f"unmute {zone} refused not-set:{zone}\n")
    assert run("mutes", *data)[1] == ""


def test_a_device_goes_out_of_service_and_comes_back(run: Run, hub: Running) -> None:  # noqa: F811
    """With a reason; it is listed with who and why, and in the history when it is back."""
    device, data = next(iter(load_site(hub.path).devices())), ("--data", str(hub.data))
    assert run("service", "out", device, *data)[0] == 2
    code, out, _ = run("service", "out", device, "--reason", "new cable", *data)
    assert (code, out) == (0, f"out-of-service {device} done done\n")
    assert run("service", "out", "moon", "--reason", "x", *data)[0] == 2
    assert run("service", "list", *data)[1].startswith(f"{device}  since 2")
    assert '"reason":"new cable","ended":null' in run("service", "list", "--json", *data)[1]
    assert run("service", "back", device, *data)[:2] == (0, f"in-service {device} done done\n")
    assert run("service", "list", *data)[1] == ""
    assert ", back 2" in run("service", "list", "--history", *data)[1]


def test_a_meter_is_calibrated(run: Run, hub: Running) -> None:  # noqa: F811
    """Put on, found out, taken off; listed with its deviation, and a refusal is exit 2."""
    site, data = load_site(hub.path), ("--data", str(hub.data))
    meter = next(device.id for device in site.devices().values() if "laeq" in device.profile.reading)
    assert run("meter", "calibrate", meter, "--calibrator", "B&K 4231", "--for", "20m", *data)[0] == 0
    assert "calibrator on it" in run("meter", "list", *data)[1]
    call = ("meter", "calibrated", meter, "--level", "94", "--reading", "94.8", "--valid", "100d", *data)
    assert run(*call)[:2] == (0, f"calibrated {meter} level=94 reading=94.8 days=100 done done\n")
    assert "94.8 dB at 94 dB: +0.8 dB (more than 0.5 dB), until 2" in run("meter", "list", *data)[1]
    assert '"level":94.0,"reading":94.8' in run("meter", "list", "--json", *data)[1]
    assert run("meter", "stop", meter, *data)[0] == 2
    assert run("meter", "exchanged", meter, "--reason", "struck by lightning", *data)[0] == 0
    assert run("meter", "list", *data)[1].rstrip().endswith(": struck by lightning")
