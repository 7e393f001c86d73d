"""The site file read again: what is refused changes nothing, what is accepted is told by id, whoever asked."""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING

import pytest

from device_profiles.door import Refusal
from firmware_bridge.raw import Message
from hub.control.door import Control, Refused, ask
from hub.control.reload import ACCEPTED, Change, Reloader, difference, last_reload, read_accepted, read_site
from hub.journal.writer import FILE
from tests.hub.field.conftest import Cable, Hub

if TYPE_CHECKING:
    from pathlib import Path

    from hub.settings.site import Site, SiteLink
    from tests.hub.field.conftest import Brake

SITE = """
[site]
id = "court"
name = { zh = "小区", en = "Court" }
timezone = "Asia/Shanghai"
[[link]]
id = "mqtt"
kind = "mqtt"
url = "mqtt://127.0.0.1:1"
  [[link.device]]
  id = "gate-1"
  profile = "gate/json-mqtt"
[[link]]
id = "port"
kind = "serial"
port = "/dev/null"
  [[link.device]]
  id = "radar-1"
  profile = "water/hlk-ld2410"
"""
GATE = """  [[link.device]]
  id = "gate-2"
  profile = "gate/json-mqtt"
[[link]]
id = "port\""""


class Filed:
    """A field process whose site stands in a file, and its reloader."""

    def __init__(self, folder: Path) -> None:
        """Opened, not yet running."""
        self.data, self.path = folder, folder / "site.toml"
        self.path.write_text(SITE, encoding="utf-8")
        site, rules = read_site(self.path)
        self.hub = Hub(folder / FILE, site, rules)
        self.made: list[str] = []
        self.reloader = Reloader(site, rules, self.path, folder, self.hub.field, self.make, self.hub.clock)

    def make(self, site: Site, link: SiteLink) -> Cable:
        """A cable for a link; one with the id `bad` cannot be made."""
        if link.id == "bad":
            raise ValueError("nobody can make this")
        self.made.append(link.id)
        return self.hub.cable(link.id)

    def edit(self, old: str, new: str) -> None:
        """Other words in the file."""
        text = self.path.read_text(encoding="utf-8")
        assert old in text
        self.path.write_text(text.replace(old, new, 1), encoding="utf-8")


@pytest.fixture
def filed(tmp_path: Path) -> Filed:
    """With two links."""
    return Filed(tmp_path)


async def test_what_changed_is_told_by_id(filed: Filed) -> None:
    """A device more, a zone, a rule's number; then all back. The cables were not made anew."""
    async with filed.hub.running():
        assert str(await filed.reloader.reload()) == "nothing changed"
        filed.edit('[[link]]\nid = "port"', GATE)
        filed.edit("[[link]]", "[rule.noise-limit]\nplus = 1.0\n[[link]]")
        assert await filed.reloader.reload() == Change(added=("gate-2",), rules=("noise-limit",))
        note = last_reload(filed.data, "")
        assert note.endswith("added: gate-2; rules: noise-limit")
        assert filed.hub.mqtt.carried == ["gate-1", "gate-2"]
        filed.path.write_text(SITE, encoding="utf-8")
        assert await filed.reloader.reload() == Change(removed=("gate-2",), rules=("noise-limit",))
        assert filed.hub.mqtt.entered
        assert read_site(filed.data / ACCEPTED) == read_site(filed.path)


async def test_what_people_lose_is_named(filed: Filed) -> None:
    """The open alarms of a device that is gone, in the answer and in the journal's note."""
    async with filed.hub.running():
        filed.hub.mqtt.up(filed.hub.arrival("gate-1", Message("x", b'{"tamper": true}')))
        await filed.hub.until(lambda: filed.hub.ask("SELECT 1 FROM occurrence WHERE source = 'gate-1'"))
        (key,) = (row[0] for row in filed.hub.ask("SELECT key FROM occurrence WHERE source = 'gate-1'"))
        filed.edit('id = "gate-1"', 'id = "gate-9"')
        change = await filed.reloader.reload()
        assert change.alarms_withdrawn == (key,)
        assert f"alarms withdrawn: {key}" in last_reload(filed.data, "")


def test_a_login_that_is_lost_is_named(filed: Filed) -> None:
    """Whoever had a password at a broker of our own, and has none any more; of another's broker nothing is known."""
    filed.edit('url = "mqtt://127.0.0.1:1"', "")
    mine = read_site(filed.path)
    filed.edit('id = "gate-1"', 'id = "gate-9"')
    other = read_site(filed.path)
    change = difference(mine, other)
    assert (change.logins_lost, difference(other, other).logins_lost) == (("gate-1",), ())
    assert "logins lost: gate-1" in str(change)
    filed.path.write_text(SITE, encoding="utf-8")
    assert difference(read_site(filed.path), other).logins_lost == ()


async def test_links_are_made_where_their_settings_are_others(filed: Filed) -> None:
    """Another port is another cable; a name is not."""
    async with filed.hub.running():
        filed.edit("/dev/null", "/dev/zero")
        filed.edit('id = "gate-1"', 'id = "gate-1"\n  name = { zh = "门", en = "Gate" }')
        assert await filed.reloader.reload() == Change(changed=("gate-1",), opened_anew=("port",))
        assert set(filed.made) == {"mqtt", "port"}  # both were tried, one was taken
        assert filed.hub.field.links["mqtt"] is filed.hub.mqtt
        assert filed.hub.field.links["port"] is not filed.hub.port
        await filed.hub.until(lambda: not filed.hub.port.entered)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (
            "gate/json-mqtt",
            "gate/jsonmqtt",
            "profile = 'gate/jsonmqtt': no such profile; did you mean \"gate/json-mqtt\"",
        ),
        ('id = "court"', 'id = "park"', "site.id = 'park': is not the site that runs here; court"),
        ("[[link]]", "[[link", "site.toml"),
        ('[[link]]\nid = "port"', '[[link]]\nid = "bad"', "nobody can make this"),
        ("[[link]]", "[rule.noise-limt]\nplus = 1.0\n[[link]]", 'no such rule; did you mean "noise-limit"'),
        ('url = "mqtt://127.0.0.1:1"', 'listen = "127.0.0.1:$taken"', "systemctl disable --now mosquitto"),
    ],
)
async def test_a_refused_file_changes_nothing(filed: Filed, old: str, new: str, words: str) -> None:
    """Same cables, no word in the journal, no file of a broker; and the mended file is taken."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        filed.edit(old, new.replace("$taken", str(taken.getsockname()[1])))
        async with filed.hub.running():
            filed.hub.mqtt.up(filed.hub.gate())
            await filed.hub.until(lambda: filed.hub.mqtt.asked == 2)
            with pytest.raises(Refusal) as caught:
                await filed.reloader.reload()
            assert words in str(caught.value)
            assert last_reload(filed.data, "") == ""
            assert (filed.hub.mqtt.carried, filed.hub.mqtt.asked) == ([], 2)
            assert not (filed.data / "broker").exists()
            filed.path.write_text(SITE, encoding="utf-8")
            assert str(await filed.reloader.reload()) == "nothing changed"


async def test_reloads_take_turns(filed: Filed) -> None:
    """Two at once, and a third by signal: each goes on from what the one before has made."""
    async with filed.hub.running():
        first = asyncio.create_task(filed.reloader.reload())
        filed.reloader.on_signal()
        await filed.reloader.reload()
        await first
        await filed.hub.until(lambda: not filed.reloader._under_way)
        filed.edit('[[link]]\nid = "port"', GATE)
        changes = await asyncio.gather(*(filed.reloader.reload() for _ in range(3)))
        assert [change.added for change in changes] == [("gate-2",), (), ()]


async def test_an_asker_who_hangs_up_leaves_nothing_half_done(filed: Filed, brake: Brake) -> None:
    """The command was interrupted while the disk was slow: the reload is made whole all the same."""
    async with filed.hub.running(), Control(filed.data, {"reload": filed.reloader.answer}):
        await filed.hub.until(lambda: filed.hub.mqtt.entered)
        filed.edit('[[link]]\nid = "port"', GATE)
        brake.off.clear()
        with pytest.raises(TimeoutError):
            await asyncio.to_thread(list, ask(filed.data, "reload", timeout=0.5))
        brake.off.set()
        await filed.hub.until(lambda: last_reload(filed.data, "").endswith("added: gate-2"))
        assert str(await filed.reloader.reload()) == "nothing changed"


async def test_a_disk_that_takes_nothing_is_said(filed: Filed, caplog: pytest.LogCaptureFixture) -> None:
    """Neither the asker nor the log is left with a line that was cut off; the next reload makes good what lacks."""
    (filed.data / f"{ACCEPTED}.new").mkdir()
    async with filed.hub.running(), Control(filed.data, {"reload": filed.reloader.answer}):
        with pytest.raises(Refused, match=r"not all of it could be written: .*; reload again") as refused:
            await asyncio.to_thread(list, ask(filed.data, "reload", timeout=10))
        assert not refused.value.mistake
        assert "not all of the reload could be written" in caplog.text
        (filed.data / f"{ACCEPTED}.new").rmdir()
        await asyncio.to_thread(list, ask(filed.data, "reload", timeout=10))
        assert (filed.data / ACCEPTED).exists()


async def test_another_file_is_not_this_hubs(filed: Filed, tmp_path: Path) -> None:
    """Naming a file that the hub was not started with is refused, in words; naming its own is well."""
    async with filed.hub.running(), Control(filed.data, {"reload": filed.reloader.answer}):
        with pytest.raises(Refused, match=r"was started with .*site\.toml, not with /elsewhere"):
            await asyncio.to_thread(list, ask(filed.data, "reload", {"site": "/elsewhere"}, timeout=10))
        named = {"site": str(filed.path)}
        (change,) = await asyncio.to_thread(list, ask(filed.data, "reload", named, timeout=10))
        assert change["added"] == []


def test_the_last_accepted_file_stands_in(filed: Filed) -> None:
    """For a file that is wrong by now; without one that was ever right, the refusal is told."""
    right = read_accepted(filed.path, filed.data)
    filed.edit("[[link]]", "[[link")
    with pytest.raises(Refusal):
        read_accepted(filed.path, filed.data)
    (filed.data / ACCEPTED).write_text(SITE, encoding="utf-8")
    assert read_accepted(filed.path, filed.data) == right
