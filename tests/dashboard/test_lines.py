"""Lines and added devices, before a real door: a paced line in a pty with a simulated meter, polled as the hub does."""

import asyncio
import contextlib
import shutil
import threading
import time
import tomllib
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest

from dashboard import create_app
from dashboard.access.sessions import PROOF_MS
from dashboard.office import EXTENSION
from dashboard.pages import lines
from device_profiles.door import Refusal
from firmware_bridge.links.modbus_bus import ModbusBus
from firmware_bridge.raw import Link
from firmware_bridge.simulate.modbus_units import Units
from firmware_bridge.simulate.tty import Tty
from hub.clock import Clock
from hub.control.door import Control, Refused, Said
from hub.control.reload import read_site
from hub.control.trying import Trying
from hub.settings.door import load_site
from hub.settings.site import Devices, ModbusRtuLink, Site

if TYPE_CHECKING:
    from flask import Flask

    from hub.rules.door import Rule
    from tests.dashboard.conftest import Browser, Field, ListHistory, StillClock

PASSWORD = "correct horse battery"
SITE = """# the yard's file
[site]
id = "yard"
name = { zh = "院", en = "Yard" }
timezone = "Asia/Shanghai"

[[link]]
id = "line"      # by the gate
kind = "modbus-rtu"
port = "%s"

  [[link.device]]
  id = "meter"
  profile = "noise/generic-rs485"
  unit = 3
  every = 0.5

# the end
"""
FORM = "/lines/line/add/noise/generic-rs485"


class Hub:
    """A field process's door in a thread: it polls unit 3; units 3 and 5 answer."""

    def __init__(self, folder: Path) -> None:
        """`folder` is the data folder; the site file lies in it, too."""
        self.path, self.data = folder / "yard" / "site.toml", folder
        self.path.parent.mkdir()
        self.path.write_text(SITE % (folder / "port"))
        self.site: Site = load_site(self.path)
        self.reloads: list[str] = []
        self.refuse = ""
        self.links: Mapping[str, Link] = {}
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), name="hub")

    def start(self) -> None:
        """Returns when the door is open."""
        self._thread.start()
        assert self._ready.wait(20)

    def stop(self) -> None:
        """Returns when it is shut; once more does nothing."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(20)

    async def _run(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        link = self.site.links[0]
        assert isinstance(link, ModbusRtuLink)
        # A second unit, which the hub does not know yet.
        text = self.path.read_text().replace('"meter"', '"other"').replace("unit = 3", "unit = 5")
        other = load_site(self.path, text)
        both = [*link.devices, *other.links[0].devices]
        bus = ModbusBus(link, Clock())
        self.links = {"line": bus}
        trying = Trying(self, self.path, Clock().now, self.data, lambda site, link: ModbusBus(link, Clock()))  # type: ignore[arg-type]  # no broker here
        handlers = {**trying.handlers, "reload": self._reload}
        with Tty(Path(link.port)) as tty:
            simulated = msgspec.structs.replace(link, devices=Devices(both))
            async with Units(simulated, Clock(), fd=tty.fd) as units, Control(self.data, handlers):
                units.set("meter", {"laeq": 55.7})
                units.set("other", {"laeq": 61.2})
                carrying = asyncio.create_task(self._carry(bus))
                self._ready.set()
                await self._stop.wait()
                carrying.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await carrying

    async def _carry(self, bus: ModbusBus) -> None:
        async with bus:
            async for _ in bus:
                pass

    async def _reload(self, _: Said) -> AsyncIterator[Said]:
        if self.refuse:
            raise Refused(self.refuse)
        try:
            site, _rules = read_site(self.path)
        except Refusal as error:
            raise Refused(str(error)) from None
        self.reloads += [*site.devices()]
        yield {}


@pytest.fixture
def hub(tmp_path: Path, people: Path) -> Iterator[Hub]:
    """The yard's hub."""
    made = Hub(tmp_path)
    made.start()
    yield made
    made.stop()


@pytest.fixture
def app(
    tmp_path: Path,
    hub: Hub,
    clock: "StillClock",
    field: "Field",
    history: "ListHistory",
    people: Path,
    rules: "tuple[Rule, ...]",
) -> "Iterator[Flask]":
    """The yard's office."""
    shutil.copy(people, tmp_path)
    field.put("meta", key="site_file", value=str(hub.path))
    field.beat()
    made = create_app(hub.site, tmp_path, clock, history=history, rules=rules)
    yield made
    made.extensions[EXTENSION].close()


def proof(text: str) -> str:
    """The signed test that the page carries."""
    return text.split('name="proof" value="')[1].split('"')[0]


def fill(**more: str) -> dict[str, str]:
    """A good form."""
    return {"id": "meter-west", "name_zh": "西", "unit": "5", "every": "2", "deed": "test", **more}


def test_a_device_is_tested_and_saved(admin: "Browser", hub: Hub) -> None:
    """It is read before it is saved; the file has it, every other byte stays, the old one is kept, the hub loads it."""
    before = hub.path.read_bytes()
    tried = admin.post(FORM, **fill()).text
    assert "It answered." in tried
    assert "61.2 dB" in tried
    assert hub.path.read_bytes() == before
    done = admin.post(FORM, **fill(deed="save", proof=proof(tried))).text
    assert "Written, and loaded by the hub." in done
    after = hub.path.read_bytes()
    device = {"id": "meter-west", "profile": "noise/generic-rs485", "unit": 5, "every": 2.0}
    assert tomllib.loads(after.decode())["link"][0]["device"][1] == {**device, "name": {"zh": "西", "en": "西"}}
    written = b'\n  [[link.device]]\n  id = "meter-west"'
    start = after.index(written)
    end = after.index(b"\n# the end")
    assert after[:start] + after[end:] == before
    assert hub.reloads == ["meter", "meter-west"]
    (kept,) = (hub.data / "site-before").iterdir()
    assert kept.read_bytes() == before


def test_nobody_there_is_told_and_not_saved(admin: "Browser", hub: Hub) -> None:
    """A unit that is silent is named; only who says so saves it untested."""
    before = hub.path.read_bytes()
    tried = admin.post(FORM, **fill(unit="77")).text
    assert "It did not answer." in tried
    assert "no answer" in tried
    refused = admin.post(FORM, **fill(unit="77", deed="save", proof=proof(tried))).text
    assert "Test it first" in refused
    assert hub.path.read_bytes() == before
    assert "Written" in admin.post(FORM, **fill(unit="77", deed="save", untested="yes")).text


def test_a_test_is_of_what_is_saved(admin: "Browser", hub: Hub) -> None:
    """What was tested with other options does not count."""
    tried = admin.post(FORM, **fill()).text
    assert "Test it first" in admin.post(FORM, **fill(unit="9", deed="save", proof=proof(tried))).text
    assert hub.reloads == []


def test_each_mistake_is_named(admin: "Browser", hub: Hub) -> None:
    """In words: the id, a unit that is taken, a number out of its limits; and what only the whole file shows."""
    for form, said in [
        ({"id": "Meter West"}, "lower case letters"),
        ({"id": "meter"}, "The id meter is taken"),
        ({"unit": "3"}, "Unit 3 is that of meter on the same line; 1 is free"),
        ({"unit": "300"}, "Unit number: right would be 1 to 247"),
        ({"every": "0"}, "Read every (s): right would be more than 0"),
        ({"every": "nan"}, "Read every (s): right would be"),
        ({"every": "soon"}, "Read every (s): right would be a number"),
        ({"zone": "moon"}, "There is no such zone"),
        ({"every": "20"}, "silent between two questions"),
        ({"every": "0.01"}, "full"),
    ]:
        assert said in admin.post(FORM, **fill(**form)).text, form
    assert hub.reloads == []


def test_a_refused_file_is_put_back(admin: "Browser", hub: Hub) -> None:
    """When the hub will not have it, the file is as it was, and its words are told."""
    before = hub.path.read_bytes()
    tried = admin.post(FORM, **fill()).text
    hub.refuse = "site.toml: not today"
    done = admin.post(FORM, **fill(deed="save", proof=proof(tried))).text
    assert "as it was before" in done
    assert "not today" in done
    assert hub.path.read_bytes() == before


def test_a_folder_that_takes_no_file_gets_lines_to_paste(
    admin: "Browser", hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the page may not write, it shows what to paste, and writes nothing."""
    from dashboard.pages import add_device

    monkeypatch.setattr(add_device, "writable", lambda _: False)
    before = hub.path.read_bytes()
    tried = admin.post(FORM, **fill()).text
    assert "Paste these lines" in tried
    assert "[[link.device]]" in tried
    assert "Save and load it" not in tried
    admin.post(FORM, **fill(deed="save", proof=proof(tried)))
    assert hub.path.read_bytes() == before


def test_who_may(app: "Flask", browser: "Browser", admin: "Browser", hub: Hub, clock: "StillClock") -> None:
    """A guard sees the line and changes nothing; a manager who has been silent for long gives the password."""
    browser.enter("guard")
    text = browser.client.get("/lines/line").text
    assert "Add a device" not in text
    assert "Watch for a minute" not in text
    assert browser.post(FORM, **fill()).status_code == 403
    assert browser.post("/lines/line/watch").status_code == 403
    tried = admin.post(FORM, **fill()).text
    clock.at += PROOF_MS + 1
    assert "password is wrong" in admin.post(FORM, **fill(deed="save", proof=proof(tried))).text
    assert hub.reloads == []
    assert "Written" in admin.post(FORM, **fill(deed="save", proof=proof(tried), password=PASSWORD)).text


def test_the_line_says_how_it_does(admin: "Browser", hub: Hub, field: "Field", clock: "StillClock") -> None:
    """Load from the hub, faults by kind of the last day and none older, and when it was down."""
    minute = clock.at // 60_000
    field.put("fault", source="meter", kind="checksum", minute=minute - 5, count=7, detail="x")
    field.put("fault", source="meter", kind="no-answer", minute=minute - 2000, count=99, detail="x")
    field.alarm("link-down", "line", raised=clock.at - 3_600_000, cleared=clock.at - 3_000_000)
    text = admin.client.get("/lines/line").text
    assert "a round takes" in text
    assert "read every 0.5 s" in text
    assert "checksum wrong" in text
    assert "7 times" in text
    assert "99 times" not in text
    assert "10 min" in text


def test_frames_are_shown_and_end(admin: "Browser", hub: Hub, app: "Flask") -> None:
    """What crosses the line comes decoded onto the page; a second press does not watch twice."""
    for _ in range(2):
        admin.post("/lines/line/watch")
    with app.app_context():
        watch = lines.watching().find("line")
    assert watch is not None
    until = time.monotonic() + 30
    while len(watch.seen) < 2:
        assert time.monotonic() < until, watch.problem
        time.sleep(0.05)
    text = admin.client.get("/lines/line").text
    assert "Watching" in text
    assert "55.7 dB" in text
    hub.stop()
    while watch.running:
        assert time.monotonic() < until
        time.sleep(0.05)
    assert "No hub runs" in _watched_again(admin, app)


def _watched_again(admin: "Browser", app: "Flask") -> str:
    admin.post("/lines/line/watch")
    with app.app_context():
        watch = lines.watching().find("line")
    until = time.monotonic() + 20
    while watch is not None and watch.running:
        assert time.monotonic() < until
        time.sleep(0.02)
    return str(admin.client.get("/lines/line").text)
