"""What the pages say, and that they say it only when it is true."""

import re
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest

from dashboard import create_app
from dashboard.office import EXTENSION

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from flask import Flask

    from hub.settings.site import Site
    from tests.dashboard.conftest import Browser, Field, ListHistory, StillClock

WELL = "All watched, nothing to do."
HOUR = 3_600_000


def test_every_page_renders(admin: "Browser", field: "Field") -> None:
    """All pages of a working community can be read, in both languages."""
    field.all_well()
    number = field.alarm("gate-held", "gate-east", quantity="gate", value="open")
    paths = ["/", "/alarms", f"/alarms/{number}", f"/alarms/{number}/mute", "/devices", "/account", "/no-such-page"]
    paths += [f"/devices/{device}" for device in field.site.devices()] + ["/devices/gate-north/do/open"]
    for path in paths:
        for lang in ("zh", "en"):
            answer = admin.client.get(f"{path}?lang={lang}")
            assert answer.status_code == (404 if path == "/no-such-page" else 200), path
            assert ("中山花园" if lang == "zh" else "Zhongshan Garden") in answer.text


def test_all_well_is_said_when_it_is_true(admin: "Browser", field: "Field") -> None:
    """The sentence stands there when everything works and nothing is open."""
    field.all_well()
    assert WELL in admin.client.get("/").text
    assert admin.client.get("/api/v1/now").json["all_well"] is True


@pytest.mark.parametrize("trouble", ["silent", "offline", "link", "alarm", "heartbeat", "never heard", "muted"])
def test_all_well_is_never_said_otherwise(trouble: str, admin: "Browser", field: "Field", clock: "StillClock") -> None:
    """Silence, a dead cable, an open or muted alarm and a hub without heartbeat each forbid the sentence."""
    field.all_well()
    match trouble:
        case "silent" | "offline":
            field.health("noise-east", trouble)
        case "link":
            field.health("mqtt", "down")
        case "alarm":
            field.alarm("gate-held", "gate-east", acked=clock.at)
        case "heartbeat":
            clock.at += 5001
        case "never heard":
            field.db.execute("DELETE FROM health WHERE source = 'radar-lake'")
        case "muted":
            field.alarm("gate-held", "gate-east", shelved_until=clock.at + HOUR)
    for path in ("/", "/alarms", "/devices"):
        assert WELL not in admin.client.get(path).text
    assert admin.client.get("/api/v1/now").json["all_well"] is False


@pytest.fixture
def bare(app: "Flask", tmp_path: Path, site: "Site", clock: "StillClock", history: "ListHistory") -> "Iterator[Flask]":
    """The same office, of a site that nothing is connected to yet."""
    zones = tuple(msgspec.structs.replace(zone, siren=None) for zone in site.zones)
    made = create_app(msgspec.structs.replace(site, zones=zones, links=()), tmp_path, clock, history=history, rules=())
    yield made
    made.extensions[EXTENSION].close()


def test_nothing_to_watch_is_not_all_watched(
    bare: "Flask", field: "Field", new_browser: "Callable[[Flask], Browser]"
) -> None:
    """The first start of a site without a device: it says so, on every page, and never that all is well."""
    field.all_well()
    browser = new_browser(bare)
    browser.enter("admin")
    assert "No device yet: nothing is watched." in browser.client.get("/").text
    for path in ("/", "/alarms", "/devices"):
        assert WELL not in browser.client.get(path).text
    assert browser.client.get("/api/v1/now").json["all_well"] is False


def test_a_chip_reader_may_be_silent_while_its_cable_is_up(admin: "Browser", field: "Field") -> None:
    """A device that is silent by nature counts as watching until its cable goes."""
    field.all_well()
    field.health("chip-north", "unknown")
    assert WELL in admin.client.get("/").text
    field.health("chip-north-port", "down")
    assert "Dog-chip reader, north gate (its cable is down)" in admin.client.get("/").text


def test_without_heartbeat_nothing_counts_as_watched(admin: "Browser", field: "Field", clock: "StillClock") -> None:
    """A hub that does not answer is said in red, and every place is hatched."""
    field.all_well()
    field.read("noise-square", "laeq", 38.4)
    page = admin.client.get("/").text
    assert ("<b>14</b> / 14" in page, "38.4" in page) == (True, True)
    clock.at += 60_000
    page = admin.client.get("/").text
    assert "The hub does not answer." in page
    assert page.count("blind-area") == len(field.site.zones)
    assert "<b>0</b> / 14" in page
    assert "no value" in page
    assert "38.4" not in page
    for path in ("/devices", "/devices/noise-square"):
        page = admin.client.get(path).text
        assert "the hub does not answer" in page
        assert "working" not in page
    devices = admin.client.get("/api/v1/devices").json["devices"]
    assert {(one["watched"], one["why"]) for one in devices} == {(False, "hub")}


def test_the_most_urgent_place_is_on_top(admin: "Browser", field: "Field") -> None:
    """Zones that stand near each other on the plan: a P1 is never under the marker of a P2, nor of a calm one."""
    field.all_well()
    field.alarm("gate-held", "gate-east", severity="P2")
    field.alarm("noise-limit", "noise-square", severity="P3")
    field.alarm("water-presence", "radar-lake", severity="P1")
    drawn = re.findall(r'id="place-([a-z-]+)"', admin.client.get("/").text)
    assert sorted(drawn) == sorted(zone.id for zone in field.site.zones)
    assert drawn[-3:] == ["square", "east-gate", "lake"]


def test_most_urgent_first(admin: "Browser", field: "Field") -> None:
    """By priority, then what nobody has acknowledged, then the oldest."""
    field.all_well()
    now = 1_760_000_000_000
    low = field.alarm("battery-low", "radar-pool", severity="P4", raised=now - 9 * HOUR)
    seen = field.alarm("gate-held", "gate-east", severity="P2", raised=now - 8 * HOUR, acked=now)
    young = field.alarm("gate-held", "gate-north", severity="P2", raised=now - HOUR)
    old = field.alarm("gate-held", "gate-garage", severity="P2", raised=now - 2 * HOUR)
    top = field.alarm("water-presence", "radar-lake", severity="P1", raised=now)
    found = [int(number) for number in re.findall(r'id="need-(\d+)"', admin.client.get("/").text)]
    assert found == [top, old, young, seen, low]


def test_a_flood_is_a_strip_on_every_page(admin: "Browser", field: "Field") -> None:
    """While its alarm is open, and not before."""
    field.all_well()
    assert "Alarm flood" not in admin.client.get("/devices").text
    field.alarm("alarm-flood", "hub", value="31")
    assert 'class="strip flood"' in admin.client.get("/devices").text


def test_what_is_not_watched_is_one_strip(admin: "Browser", field: "Field") -> None:
    """Silent, out of service and muted stand together, each with its word; nothing is said three times."""
    field.all_well()
    now = 1_760_000_000_000
    field.health("noise-garage", "silent", since=now - HOUR)
    field.put("service", target="level-lake", at=now - HOUR, actor="lin", reason="new probe")
    field.put("mute", zone="pool", at=now - HOUR, until=now + HOUR, actor="lin", reason="works")
    page = admin.client.get("/devices").text
    assert (
        page.count('<span class="hatch" aria-hidden="true"></span> <strong>Unwatched 2 · Zones muted 1</strong>') == 1
    )
    head = page[page.index('id="unwatched"') : page.index("</summary>")]
    assert "Lake level probe (out of service), Paddling pool (until 17:53)" in head
    assert all(reason in page for reason in ("new probe", "works"))


@pytest.mark.parametrize(("role", "offered"), [("viewer", False), ("guard", True), ("manager", True)])
def test_a_siren_is_ordered_off_from_its_alarm(browser: "Browser", field: "Field", role: str, offered: bool) -> None:
    """From the P1 to the order that makes this very channel quiet: also for a guard, who moves nothing else."""
    field.all_well()
    field.alarm("water-presence", "radar-lake", severity="P1")
    field.alarm("gate-held", "gate-east", severity="P2")
    browser.enter(role)
    found = re.findall(r'href="(/sirens/[^"]+)"', browser.client.get("/").text)
    assert found == (["/sirens/lake"] if offered else [])
    assert browser.client.get("/sirens/lake").status_code == (200 if offered else 403)
    sent = browser.post("/sirens/lake", reason="nobody in the water").status_code
    ordered = [(order["target"], order["command"], order["actor"]) for order in field.orders()]
    assert (sent, ordered) == ((302, [("yard-relay", "off_2", role)]) if offered else (403, []))
    assert browser.client.get("/sirens/square").status_code == (404 if offered else 403)


def test_an_alarm_says_what_the_system_did(admin: "Browser", field: "Field") -> None:
    """The siren's order with its confirmation, and each voice with its fate, stand beside the alarm."""
    field.all_well()
    now = 1_760_000_000_000
    number = field.alarm("water-presence", "radar-lake", severity="P1")
    flip = field.db.execute("SELECT max(seq) FROM flip").fetchone()[0]
    common = {"flip": flip, "kind": "raised", "next_try": now, "done": now, "attempts": 3}
    field.put("outbox", **common, voice="siren", status="accepted")
    field.put("outbox", **common, voice="broker", status="accepted")
    field.put("outbox", **common, voice="phone", status="failed", detail="connection refused")
    token = f"siren/zhongshan-{flip}-raised"
    field.order("command", "yard-relay", command="pulse_2", token=token, state="confirmed", ended=now)
    page = admin.client.get("/").text
    assert "Lake siren: confirmed by the device at 16:53:20" in page
    to_others = "told other systems (MQTT messages) at 16:53:20"  # whom it tells nothing: the alarm's own page has it
    assert to_others not in page
    assert to_others in admin.client.get(f"/alarms/{number}").text
    assert "could not tell phone: connection refused" in page
    assert "Send somebody at once" in page


def test_filters_of_the_list(admin: "Browser", field: "Field") -> None:
    """State, priority, zone, kind and text each narrow the list; text finds names, ids and comments."""
    field.all_well()
    held = field.alarm("gate-held", "gate-east", severity="P2")
    loud = field.alarm("noise-limit", "noise-square", severity="P3", closed="auto", ended=1, cleared=1)
    field.flip(loud, "comment", actor="lin", note="100% a wedding_party")
    queries = {
        "": {held, loud},
        "state=open": {held},
        "state=closed": {loud},
        "severity=P3": {loud},
        "zone=east-gate": {held},
        "rule=noise-limit": {loud},
        "text=Gate held": {held},
        "text=门长": {held},
        "text=noise-square": {loud},
        "text=wedding_": {loud},
        "text=100%25": {loud},
        "text=weddingxparty": set(),
        "state=open&severity=P3": set(),
        "severity=%27 OR 1=1": set(),
    }
    for query, wanted in queries.items():
        answer = admin.client.get(f"/api/v1/alarms?{query}").json
        assert {alarm["id"] for alarm in answer["alarms"]} == wanted, query
        assert answer["total"] == len(wanted)
        assert admin.client.get(f"/alarms?{query}").status_code == 200


def test_the_list_has_pages(admin: "Browser", field: "Field") -> None:
    """Fifty a page, newest first, and the filter goes with the page's address."""
    field.all_well()
    for at in range(120):
        field.alarm("gate-held", "gate-east", occurrence=at, raised=at, closed="cleared")
    page = admin.client.get("/alarms?page=3&zone=east-gate").text
    assert page.count('class="line ') == 20
    assert "page 3 of 3" in page
    assert "/alarms?page=2&amp;zone=east-gate" in page


def test_what_devices_say_is_escaped(admin: "Browser", field: "Field") -> None:
    """A value, a fault, a payload or a comment is text, whatever it looks like."""
    field.all_well()
    evil = "<script>alert(1)</script>"
    field.read("chip-north", "chip", evil)
    field.health("chip-north", "offline", detail=evil)
    field.put("quarantine", rx=1, source="chip-north", kind=evil, detail=evil, payload=evil.encode())
    field.put("fault", source="chip-north", kind=evil, minute=1, count=1, detail=evil)
    number = field.alarm(evil, "chip-north", value=evil, quantity="chip", acked_by=evil)
    field.flip(number, "comment", actor=evil, note=evil)
    field.order("command", "chip-north", command=evil, actor=evil, text=evil, outcome=evil, state="failed")
    for path in ("/", "/alarms", f"/alarms/{number}", "/devices", "/devices/chip-north"):
        page = admin.client.get(path).text
        assert evil not in page
        assert "&lt;script&gt;" in page


def test_no_inline_script_or_style(admin: "Browser", field: "Field") -> None:
    """The policy forbids them, so no page may have any."""
    field.all_well()
    number = field.alarm("water-presence", "radar-lake", severity="P1")
    for path in ("/", "/alarms", f"/alarms/{number}", "/devices", "/devices/noise-east", "/devices/gate-east/do/open"):
        page = admin.client.get(path).text
        assert re.search(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son\w+=|javascript:", page) is None, path


def test_a_passage_shows_no_credential(admin: "Browser", field: "Field") -> None:
    """Who passed is whereabouts: the page shows that somebody did, not who."""
    field.all_well()
    field.read("gate-north", "passage", "granted", direction="in", credential="c-7f3a")
    page = admin.client.get("/devices/gate-north").text
    assert "granted" in page
    assert "c-7f3a" not in page
    assert "c-7f3a" not in admin.client.get("/api/v1/devices").text


def test_a_journal_that_cannot_be_read_is_said(admin: "Browser", field: "Field") -> None:
    """503 and a sentence, never an empty page that looks like peace."""
    field.all_well()
    field.db.execute("DROP TABLE occurrence")
    answer = admin.client.get("/")
    assert answer.status_code == 503
    assert "cannot be read" in answer.text
    assert admin.client.get("/api/v1/now").status_code == 503


def test_a_restored_journal_is_seen(admin: "Browser", field: "Field") -> None:
    """When the file is replaced, the next page reads the new one."""
    field.all_well()
    assert WELL in admin.client.get("/").text
    path = field.db.execute("PRAGMA database_list").fetchone()[2]
    field.db.execute("VACUUM INTO ?", (f"{path}.new",))
    field.db.execute("DELETE FROM meta")
    Path(f"{path}.new").replace(path)
    assert admin.client.get("/").status_code == 200
