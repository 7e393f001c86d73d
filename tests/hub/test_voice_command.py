"""`zhian voice list` and `zhian voice test` on a data folder, running or not."""

import json
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from device_profiles.door import Refusal
from hub.clock import Clock
from hub.commands.voice import voice_command
from hub.journal.writer import FILE, Journal, connect, requested_orders
from hub.outcome import Outcome
from hub.settings.door import load_site
from hub.speaking.outbox import VoiceState, note_voice
from hub.speaking.trial import ended

SITE = """
[site]
id = "garden"
name = { zh = "中山花园", en = "Zhongshan Garden" }
timezone = "Asia/Shanghai"

[[voice]]
id = "log"
kind = "log"

[[voice]]
id = "office"
kind = "webhook"
url = "https://example.org/alarm"
severities = ["P1", "P2"]
"""
Call = Callable[..., tuple[int, str]]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data folder that a site was run on."""
    site = tmp_path / "site.toml"
    site.write_text(SITE, encoding="utf-8")
    journal = Journal(tmp_path / FILE, load_site(site))
    journal.remember("site_file", str(site))
    note_voice(
        journal, VoiceState(id="office", tried=2_000, succeeded=1_000, failing=2_000, detail="HTTP 404", passed=0)
    )
    journal.close()
    return tmp_path


@pytest.fixture
def call(data: Path) -> Call:
    """Calls the command."""

    def called(*arguments: str) -> tuple[int, str]:
        done = CliRunner().invoke(voice_command, [*arguments, "--data", str(data)])
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        return done.exit_code, done.output

    return called


def test_list_says_how_each_voice_does(call: Call) -> None:
    """Last success, last test, and the last words; a voice that has never spoken is untried, not well."""
    _, printed = call("list", "--json")
    log, office = (json.loads(line) for line in printed.splitlines())

    assert (log["state"], log["succeeded"]) == ("untried", None)
    assert office == {
        "voice": "office", "kind": "webhook", "severities": "P1,P2", "state": "failing", "succeeded": 1_000,
        "tested": None, "detail": "HTTP 404",
    }  # fmt: skip
    assert "1970-01-01 08:00" in call("list")[1]


def test_test_without_a_hub_says_so(call: Call) -> None:
    """Nobody takes the order: exit 1, and what to do."""
    code, printed = call("test", "log")

    assert code == 1
    assert "zhian run" in printed


def test_a_voice_that_is_none_is_named(call: Call) -> None:
    """With the nearest right one."""
    with pytest.raises(Refusal, match=r'did you mean "office"\?'):
        call("test", "ofice")


def test_test_prints_what_became_of_each(call: Call, data: Path) -> None:
    """Exit 1 when one did not pass."""
    over = threading.Event()

    def hub() -> None:
        journal = Journal(data / FILE, load_site(data / "site.toml"))
        reader = connect(data / FILE, read_only=True)
        while not over.is_set():
            journal.remember("heartbeat", str(Clock().now()))
            for order in requested_orders(reader, 0):
                state = VoiceState(id=order.target, passed=int(order.target == "log"), detail="its words")
                journal.write([Outcome(orders=[ended(order, state, 1)])])
            time.sleep(0.02)
        reader.close()
        journal.close()

    thread = threading.Thread(target=hub)
    thread.start()
    time.sleep(0.1)
    try:
        code, printed = call("test")
    finally:
        over.set()
        thread.join()

    assert code == 1
    assert "log: passed: its words" in printed
    assert "office: failed: its words" in printed
