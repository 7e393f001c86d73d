"""Voices in a whole field process: live tests as orders, and a failing voice that is an alarm told by another."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace

from hub.journal.writer import FILE, connect, put_order
from hub.rules.door import Rule
from hub.settings.site import Site
from hub.settings.site_voice import WebhookSpec, WecomSpec
from hub.speaking.trial import trial

if TYPE_CHECKING:
    from tests.hub.field.conftest import Hub


class Messenger:
    """A group robot's server and another receiver: the robot says `errcode`, the receiver takes everything."""

    def __init__(self) -> None:
        """Both are well."""
        self.errcode = 0
        self.port = 0
        self.told: list[dict[str, Any]] = []  # Any: JSON, as the receiver heard it
        self.robot = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One request."""
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
            length = int(head.partition("content-length:")[2].split()[0])
            body = json.loads(await reader.readexactly(length))
            answer = b"{}"
            if head.split()[1] == "/robot":
                self.robot += 1
                answer = json.dumps({"errcode": self.errcode, "errmsg": "as the test says"}).encode()
            else:
                self.told.append(body)
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(answer) + answer)
        writer.close()


@pytest.fixture
async def messenger() -> AsyncIterator[Messenger]:
    """It listens."""
    made = Messenger()
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.port = server.sockets[0].getsockname()[1]
    yield made
    server.close()


@pytest.fixture
def talking(hub: "Hub", tmp_path: Path, site: Site, rules: tuple[Rule, ...], messenger: Messenger) -> "Hub":
    """A hub with a robot and another receiver."""
    url = tmp_path / "robot.url"
    url.touch(0o600)
    url.write_text(f"http://127.0.0.1:{messenger.port}/robot")
    robot = WecomSpec(id="group", webhook_file=str(url))
    office = WebhookSpec(id="office", url=f"http://127.0.0.1:{messenger.port}/office")
    hub.journal.close()
    return type(hub)(tmp_path / FILE, replace(site, voices=(robot, office)), rules)


def order_test(hub: "Hub", voice: str) -> int:
    """Put the order in, as `zhian voice test` does."""
    with contextlib.closing(connect(hub.path)) as db:
        return put_order(db, trial(voice, f"t{hub.clock.now()}", "cli:me", hub.clock.now()))


async def test_a_failing_voice_is_told_by_another_and_clears(talking: "Hub", messenger: Messenger) -> None:
    """A wrong key: the live test fails with its words, an alarm goes out by the office; mended, it clears."""
    messenger.errcode = 93000
    async with talking.running():
        order_test(talking, "group")
        await talking.until(lambda: messenger.told and talking.ask("SELECT 1 FROM orders WHERE state = 'failed'"))
        state = talking.ask("SELECT state, outcome FROM orders")
        alarm = talking.ask("SELECT key, state FROM alarm WHERE rule = 'voice-failing'")
        messenger.errcode = 0
        order_test(talking, "group")
        await talking.until(lambda: len(messenger.told) == 2)

        assert [(body["rule"], body["kind"], body["source"]) for body in messenger.told] == [
            ("voice-failing", "raised", "voice:group"), ("voice-failing", "cleared", "voice:group"),
        ]  # fmt: skip
        wecom = {"zh": "通知渠道：企业微信群机器人", "en": "channel: WeCom group robot"}
        assert messenger.told[0]["source_name"] == wecom
        assert [row[0] for row in state] == ["failed"]
        assert state[0][1].startswith("not-said:127.0.0.1")
        assert "93000 as the test says" in state[0][1]
        assert alarm == [("voice-failing/voice:group", "unacked")]
        await talking.until(lambda: talking.ask("SELECT state FROM orders ORDER BY id") == [("failed",), ("done",)])
        assert messenger.robot == 2  # the two tests: it was not asked to tell of itself


async def test_a_failing_voice_still_fails_after_a_restart(talking: "Hub", messenger: Messenger) -> None:
    """A restart proves nothing: the alarm stays until somebody was reached, and is not raised twice."""
    messenger.errcode = 93000
    async with talking.running():
        order_test(talking, "group")
        await talking.until(lambda: messenger.told)
        waiting = "SELECT 1 FROM outbox WHERE status IN ('pending', 'sending')"
        await talking.until(lambda: not talking.ask(waiting))  # what was told is also marked
    again = talking.again()
    async with again.running():
        await again.until(lambda: again.ask("SELECT value FROM meta WHERE key = 'heartbeat'"))
        await asyncio.sleep(1.5)
        assert again.ask("SELECT state FROM alarm WHERE rule = 'voice-failing'") == [("unacked",)]
        messenger.errcode = 0
        order_test(again, "group")
        await again.until(lambda: len(messenger.told) == 2)

    assert [body["kind"] for body in messenger.told] == ["raised", "cleared"]


async def test_a_test_of_no_voice_is_refused(talking: "Hub", messenger: Messenger) -> None:
    """The order ends, in words."""
    async with talking.running():
        order_test(talking, "grop")
        await talking.until(lambda: talking.ask("SELECT state FROM orders") == [("refused",)])

        assert talking.ask("SELECT outcome FROM orders") == [("no-such-voice:grop",)]
