"""/healthz says in one word whether the system does its work; /metrics answers to this machine alone."""

import importlib.metadata
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.dashboard.conftest import Browser, Field, StillClock

NOW = 1_760_000_000_000


def test_ok(browser: "Browser", field: "Field", clock: "StillClock") -> None:
    """Everything works: 200, no reasons, the heartbeat's age in seconds, which version answers; no login is needed."""
    field.all_well()
    clock.at += 1500
    answer = browser.client.get("/healthz")
    assert answer.status_code == 200
    said = {"status": "ok", "reasons": [], "hub": 1.5, "history": 0.0, "version": importlib.metadata.version("zhian")}
    assert answer.json == said


def test_the_version_is_told_to_this_machine_alone(browser: "Browser", field: "Field") -> None:
    """An update asks from here; whoever looks for old versions from elsewhere learns nothing."""
    field.all_well()
    for address, told in (("127.0.0.1", True), ("::1", True), ("192.0.2.7", False)):
        answer = browser.client.get("/healthz", environ_base={"REMOTE_ADDR": address})
        assert answer.status_code == 200
        assert bool(answer.json["version"]) == told


@pytest.mark.parametrize(
    ("trouble", "said"),
    [
        ("link", "links down: 1"),
        ("silent", "devices silent or offline: 1"),
        ("offline", "devices silent or offline: 1"),
        ("outbox", "announcements that failed: 1"),
        ("voice", "voices that fail: 1"),
        ("history", "history is 61 s behind"),
    ],
)
def test_degraded(trouble: str, said: str, browser: "Browser", field: "Field") -> None:
    """Each of these is worth a look, and is still 200; names of places are nobody's business here."""
    field.all_well()
    match trouble:
        case "link":
            field.health("rs485-yard", "down")
        case "silent" | "offline":
            field.health("radar-pool", trouble)
        case "outbox":
            field.put("outbox", flip=1, voice="phone", kind="raised", status="failed", next_try=NOW, done=NOW)
        case "voice":
            field.put("voice", id="phone", tried=NOW, failing=NOW, detail="HTTP 401")
        case "history":
            seq = field.read("noise-east", "laeq", 50.0, NOW - 90_000)
            field.put("cursor", name="history", seq=seq, at=NOW)
            field.read("noise-east", "laeq", 51.0, NOW - 61_000)
    answer = browser.client.get("/healthz")
    assert answer.status_code == 200
    assert answer.json["status"] == "degraded"
    assert answer.json["reasons"][-1] == said
    assert "radar" not in answer.text


def test_failing(browser: "Browser", field: "Field", clock: "StillClock") -> None:
    """No heartbeat for more than five seconds, none ever, or no journal: 503."""
    assert browser.client.get("/healthz").json["reasons"][0] == "the hub has never written a heartbeat"
    field.all_well()
    clock.at += 5000
    assert browser.client.get("/healthz").status_code == 200
    clock.at += 1
    assert browser.client.get("/healthz").status_code == 503
    clock.at = NOW
    field.db.execute("DROP TABLE health")
    answer = browser.client.get("/healthz")
    assert answer.status_code == 503
    assert answer.json["reasons"] == ["the journal cannot be read"]


def test_history_without_a_cursor_lags_from_its_first_reading(browser: "Browser", field: "Field") -> None:
    """A store that has never taken anything is as late as the oldest reading."""
    field.all_well()
    field.read("noise-east", "laeq", 50.0, NOW - 120_000)
    assert browser.client.get("/healthz").json["history"] == 120.0


def test_metrics_are_for_this_machine(browser: "Browser", field: "Field") -> None:
    """Loopback reads them; every other address, also a forged one, gets 403."""
    field.all_well()
    field.alarm("gate-held", "gate-east", severity="P2")
    field.health("radar-pool", "silent")
    field.put("voice", id="phone", tried=NOW, succeeded=NOW - 60_000, failing=NOW, detail="")
    for address in ("127.0.0.1", "127.9.9.9", "::1"):
        text = browser.client.get("/metrics", environ_base={"REMOTE_ADDR": address}).text
        assert 'zhian_alarms_open{severity="P2"} 1\n' in text
        assert 'zhian_devices{state="silent"} 1\n' in text
        assert "zhian_hub_heartbeat_age_seconds 0\n" in text
        assert 'zhian_voice_failing{voice="phone"} 1\n' in text
        assert 'zhian_voice_success_age_seconds{voice="phone"} 60\n' in text
    for address in ("192.168.1.7", "", "fe80::1", "nonsense"):
        headers = {"X-Forwarded-For": "127.0.0.1"}
        answer = browser.client.get("/metrics", environ_base={"REMOTE_ADDR": address}, headers=headers)
        assert answer.status_code == 403


def test_metrics_of_numbered_messages(browser: "Browser", field: "Field") -> None:
    """What is missing and what came again, by device, as counters that only grow."""
    field.all_well()
    field.db.execute("INSERT INTO sequence VALUES ('gate-east', 'b', 0, 9, 1, 0, '', -1, 0, 3, 2, 1)")
    text = browser.client.get("/metrics", environ_base={"REMOTE_ADDR": "127.0.0.1"}).text
    assert '# TYPE zhian_messages_missing_total counter\nzhian_messages_missing_total{device="gate-east"} 3\n' in text
    assert 'zhian_messages_repeated_total{device="gate-east"} 2\n' in text


def test_metrics_without_journal(browser: "Browser", field: "Field") -> None:
    """What cannot be read is left out, and up is 0."""
    field.db.execute("DROP TABLE meta")
    text = browser.client.get("/metrics").text
    assert "zhian_up 0\n" in text
    assert "zhian_devices" not in text
