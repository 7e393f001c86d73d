"""SIGKILL on the field process while it calls people: every call is made, at least once, and to nobody else."""

import asyncio
import contextlib
import random
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import IO, Any

import pytest

from hub.duty.file import FILE as DUTY
from tests.e2e.conftest import COURT, free_port, rows, running_broker, say

pytestmark = [pytest.mark.timeout(180), pytest.mark.soak]

KILLS = 8
STEPS = 6
SITE = (
    COURT
    + """
[[voice]]
id = "hook"
kind = "webhook"
severities = ["P4"]
url = "http://127.0.0.1:$hook/call"
[[link]]
id = "mqtt"
kind = "mqtt"
listen = "127.0.0.1:$port"
  [[link.device]]
  id = "button"
  profile = "sos/json-mqtt"
"""
)
PERSON = '[[person]]\nid = "p{n}"\nname = "p{n}"\naddress = {{ hook = "a{n}" }}\n'
STEP = '  [[escalation.step]]\n  after = 1.5\n  to = ["p1", "p{n}"]\n'


class Hub:
    """A field process that is killed and started again."""

    def __init__(self, site: Path, data: Path, log: IO[bytes]) -> None:
        """Started."""
        self._arguments, self._log = [sys.executable, "-m", "hub", "field", str(site), "--data", str(data)], log
        self._process = self._start()

    def _start(self) -> "subprocess.Popen[bytes]":
        return subprocess.Popen(self._arguments, stderr=self._log, cwd=Path(__file__).parents[2])

    def kill(self) -> None:
        """SIGKILL."""
        self._process.kill()
        self._process.wait(10)

    def again(self) -> None:
        """Killed, and started again."""
        self.kill()
        self._process = self._start()


async def test_every_call_is_made_wherever_the_kill_hits(
    tmp_path: Path, calls: tuple[int, list[dict[str, Any]]]
) -> None:
    """Five steps to two people, one to all, while the process dies again and again: all are heard, and no others."""
    data, site_file, port = tmp_path / "data", tmp_path / "site.toml", free_port()
    data.mkdir()
    policy = '[[escalation]]\nseverity = "P1"\nagain = 3600.0\n'
    policy += "".join(STEP.format(n=n) for n in range(2, STEPS + 1))
    policy += '  [[escalation.step]]\n  after = 1.5\n  to = ["all"]\n'
    (data / DUTY).write_text("".join(PERSON.format(n=n) for n in range(1, STEPS + 1)) + policy, encoding="utf-8")
    site_file.write_text(SITE.replace("$hook", str(calls[0])).replace("$port", str(port)), encoding="utf-8")
    with contextlib.ExitStack() as stack:
        log = stack.enter_context((tmp_path / "log").open("ab"))
        stack.enter_context(running_broker(site_file, data, log))
        hub = Hub(site_file, data, log)
        stack.callback(hub.kill)
        await asyncio.sleep(2.0)
        await asyncio.to_thread(say, data, port, "court/button/up", '{"sos": "pressed"}')
        for _ in range(KILLS):
            await asyncio.sleep(random.uniform(0.8, 2.5))
            await asyncio.to_thread(hub.again)
        async with asyncio.timeout(60):
            while not rows(data, "SELECT 1 FROM escalation WHERE state = 'exhausted' AND severity = 'P1'"):
                await asyncio.sleep(0.2)
            while rows(data, "SELECT 1 FROM outbox WHERE status IN ('pending', 'sending')"):
                await asyncio.sleep(0.2)
    heard = Counter((call["id"], call["to"]) for call in calls[1])
    joined = "FROM outbox JOIN flip ON seq = flip WHERE person <> ''"
    made = rows(data, f"SELECT seq, person, status {joined} AND key = 'sos/button'")
    turns = Counter(flip for flip, *_ in made)
    assert [turns[flip] for flip in sorted(turns)] == [2] * (STEPS - 1) + [STEPS]
    assert rows(data, "SELECT run FROM escalation WHERE key = 'sos/button'") == [(1,)]
    assert {status for _, _, status in made} <= {"accepted", "dropped"}
    told = {(flip, person) for flip, person, status in made if status == "accepted"}
    for flip, person, _ in made:  # a call that still waits gives way to the next one to the same person
        assert any(person == other and flip <= at for at, other in told), f"{person} was not called"
    said = f"SELECT 'court-' || seq || '-raised-' || person, 'a' || substr(person, 2) {joined} AND status = 'accepted'"
    all_made, wanted = rows(data, said), rows(data, said.partition(" AND status")[0])
    assert set(all_made) <= set(heard) <= set(wanted), "everybody who is to be called, and nobody else"
    assert sum(heard.values()) <= len(all_made) + KILLS * 2, "said again only what a kill interrupted"
