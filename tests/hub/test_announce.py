"""The announcer on a real journal: who is told of a flip, how often, in which order, and what becomes of each row."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from hub.clock import Clock
from hub.journal.commit import Committer
from hub.journal.writer import FILE, Journal
from hub.outcome import Flip, Occurrence, Outcome
from hub.rules.door import Rule
from hub.settings.site import Severity, Site
from hub.settings.site_voice import WebhookSpec
from hub.speaking import speaker
from hub.speaking.announce import Announcer
from hub.speaking.outbox import CLAIM_MS
from hub.speaking.speaker import GIVE_UP_TRIES, RETRY_MOST_S

NOW = 1_760_000_000_000


class Hand(Clock):
    """A clock whose hands the test moves."""

    def __init__(self) -> None:
        """At NOW."""
        super().__init__()
        self.at = NOW

    def now(self) -> int:
        """What the test says."""
        return self.at


class Peer:
    """A receiver of webhooks: keeps what it hears, and answers with `code` (0: never)."""

    def __init__(self) -> None:
        """Nothing heard."""
        self.heard: list[tuple[str, dict[str, Any]]] = []  # Any: JSON
        self.code = 200
        self.port = 0
        self._writers: list[asyncio.StreamWriter] = []

    def said(self, path: str = "/all") -> list[str]:
        """The ids that came to this path."""
        return [body["id"] for where, body in self.heard if where == path]

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One request."""
        self._writers.append(writer)
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        length = next(int(line[15:]) for line in head.splitlines() if line.lower().startswith("content-length:"))
        body = json.loads(await reader.readexactly(length))
        self.heard.append((head.split()[1], body))
        if self.code:
            writer.write(f"HTTP/1.1 {self.code} So\r\nContent-Length: 0\r\n\r\n".encode())
            writer.close()

    def hang_up(self) -> None:
        """Let go of all that hang."""
        for writer in self._writers:
            writer.close()


@pytest.fixture
async def peer() -> AsyncIterator[Peer]:
    """It listens."""
    receiver = Peer()
    server = await asyncio.start_server(receiver.answer, "127.0.0.1", 0)
    receiver.port = server.sockets[0].getsockname()[1]
    yield receiver
    receiver.hang_up()
    server.close()


class Hub:
    """Journal, committer and announcer of one site."""

    def __init__(self, path: Path, site: Site, rules: tuple[Rule, ...], clock: Hand) -> None:
        """Opened, not yet running."""
        self.clock = clock
        self.journal = Journal(path, site)
        self.committer = Committer(self.journal)
        self._announcer = Announcer(site, {rule.id: rule for rule in rules}, self.committer, {}, clock)
        self._tasks: list[asyncio.Task[None]] = []

    @contextlib.asynccontextmanager
    async def speaking(self) -> AsyncIterator[None]:
        """The announcer runs; an exception of its own is raised at the end."""
        self._tasks = [asyncio.create_task(self.committer.run()), asyncio.create_task(self._announcer.run())]
        try:
            yield
        finally:
            for task in self._tasks:
                task.cancel()
            ends = await asyncio.gather(*self._tasks, return_exceptions=True)
            self.committer.close()
        assert [type(end) for end in ends] == [asyncio.CancelledError] * 2, ends

    def ask(self, sql: str) -> list[tuple[Any, ...]]:  # Any: the columns of any question
        """Rows of the journal."""
        return [tuple(row) for row in self.journal.db.execute(sql)]

    def rows(self) -> list[tuple[Any, ...]]:  # Any: as above
        """Voice, status, attempts of each row of the outbox."""
        return self.ask("SELECT voice, status, attempts FROM outbox ORDER BY id")

    def shows(self, *rows: tuple[str, str, int]) -> bool:
        """True when these are the rows of the outbox."""
        return self.rows() == list(rows)

    async def until(self, what: Callable[[], object], seconds: float = 15.0) -> None:
        """Until it is true; fails at once when the announcer died."""
        async with asyncio.timeout(seconds):
            while not what():
                for task in self._tasks:
                    if task.done():
                        task.result()
                await asyncio.sleep(0.005)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Voices look more often than in a yard."""
    monkeypatch.setattr(speaker, "LOOK_S", 0.02)


@pytest.fixture
def clock() -> Hand:
    """At NOW."""
    return Hand()


Opened = Callable[..., Hub]


@pytest.fixture
def opened(tmp_path: Path, site: Site, rules: tuple[Rule, ...], clock: Hand, peer: Peer) -> Opened:
    """Opens the hub; `voices` are "name" (all severities) or "name:P1", each a webhook on /name."""

    def make(*voices: str, known: tuple[Rule, ...] = rules, **more: Any) -> Hub:  # Any: fields of the spec
        told = tuple(hook(voice, peer.port, more) for voice in voices)
        return Hub(tmp_path / FILE, replace(site, voices=told), known, clock)

    return make


def hook(text: str, port: int, more: dict[str, Any]) -> WebhookSpec:  # Any: fields of the spec
    """A voice of the site."""
    name, _, severities = text.partition(":")
    told: dict[str, Any] = {"url": f"http://127.0.0.1:{port}/{name}"} | more
    if severities:
        told["severities"] = tuple(severities.split(","))
    return WebhookSpec(id=name, **told)


def told(
    number: int = 1, kind: str = "raised", *, severity: Severity = "P2", siren: bool = False, rule: str = "noise-limit",
    value: float | str = 71.5, quantity: str = "laeq", at: int = NOW,
) -> Outcome:  # fmt: skip
    """Alarm number `number` is raised or cleared."""
    key = f"{rule}/{number}"
    chapter = Occurrence(
        key=key, occurrence=1, rule=rule, source="noise-1", zone="lake", severity=severity, quantity=quantity, raised=at
    )
    flip = Flip(
        at=at, key=key, occurrence=1, event=kind, before="a", after="b", value=value, announce=kind, severity=severity,
        siren=siren,
    )  # fmt: skip
    return Outcome(flips=[flip], occurrences=[chapter])


def ids(numbers: Iterable[int], kind: str = "raised") -> list[str]:
    """The ids of announcements."""
    return [f"test-{number}-{kind}" for number in numbers]


async def test_each_voice_of_the_severity_is_told_once(opened: Opened, peer: Peer) -> None:
    """P2 goes to the voice of all severities, P1 to both and to the siren; after that nothing is said again."""
    hub = opened("all", "worst:P1")
    async with hub.speaking():
        await hub.committer.commit(told(1))
        await hub.committer.commit(told(2, severity="P1", siren=True))
        await hub.until(lambda: all(status == "accepted" for _, status, _ in hub.rows()))
        hub.clock.at += CLAIM_MS * 10
        await asyncio.sleep(0.1)

        assert sorted(peer.said("/all")) == ids([1, 2])
        assert peer.said("/worst") == ids([2])
        assert hub.rows() == [("all", "accepted", 1), *((name, "accepted", 1) for name in ("siren", "all", "worst"))]
        assert hub.ask("SELECT token, target, command, seconds, actor, expires - issued FROM orders") == [
            ("siren/test-2-raised", "relay-1", "pulse", 8.0, "rule:noise-limit", 10_000)
        ]


async def test_value_and_unit_are_told(opened: Opened, peer: Peer) -> None:
    """Number, unit, title in both languages, place and time stand in the announcement."""
    hub = opened("all")
    async with hub.speaking():
        await hub.committer.commit(told(value=71.5))
        await hub.committer.commit(told(2, quantity="presence", value="present"))
        await hub.until(lambda: len(peer.heard) == 2)

    level, state = (body for _, body in peer.heard)
    assert (level["value"], level["unit"], level["source"], level["zone"]) == (71.5, "dB", "noise-1", "lake")
    assert (level["at"], level["occurrence"], level["severity"]) == (NOW, 1, "P2")
    assert all(level["title"][language] for language in ("zh", "en"))
    assert (state["value"], state["unit"]) == ("present", "")


async def test_pauses_grow(opened: Opened, peer: Peer, clock: Hand) -> None:
    """A peer in trouble is asked again after 2, 4, 8 s ..., 300 s at most, not before, and hears it when it is well."""
    hub, pauses = opened("all"), list[float]()
    peer.code = 500
    async with hub.speaking():
        await hub.committer.commit(told())
        for attempt in range(1, 11):
            await hub.until(partial(hub.shows, ("all", "pending", attempt)))
            (due,) = hub.ask("SELECT next_try FROM outbox")[0]
            pauses.append((due - clock.at) / 1000)
            clock.at = due - 1
            await asyncio.sleep(0.05)
            assert len(peer.heard) == attempt
            peer.code = 200 if attempt == 10 else 500
            clock.at = due
        await hub.until(lambda: hub.rows() == [("all", "accepted", 11)])

    assert pauses == [2, 4, 8, 16, 32, 64, 128, 256, RETRY_MOST_S, RETRY_MOST_S]


async def test_a_permanent_refusal_ends_it(opened: Opened, peer: Peer, clock: Hand) -> None:
    """404 is `failed` at once, with the peer's words and the time, and is not tried again."""
    hub = opened("all")
    peer.code = 404
    async with hub.speaking():
        await hub.committer.commit(told())
        await hub.until(lambda: hub.rows() == [("all", "failed", 1)])
        clock.at += 10 * CLAIM_MS
        await asyncio.sleep(0.1)

        assert len(peer.heard) == 1
        assert hub.ask("SELECT detail, done FROM outbox") == [(f"http://127.0.0.1:{peer.port}/all: HTTP 404", NOW)]


async def test_it_is_given_up_after_a_day_of_tries(opened: Opened, peer: Peer) -> None:
    """A row ends by the count of its tries, which no clock that is set can change."""
    hub = opened("all")
    peer.code = 500
    hub.journal.write([told()])
    hub.journal.db.execute("UPDATE outbox SET attempts = ?", (GIVE_UP_TRIES - 1,))
    async with hub.speaking():
        await hub.until(lambda: hub.rows() == [("all", "failed", GIVE_UP_TRIES)])


async def test_a_claim_of_a_dead_hub_is_spoken_again(opened: Opened, peer: Peer, clock: Hand) -> None:
    """A row left `sending` belongs to somebody for CLAIM_MS, then it is said: twice is better than never."""
    hub = opened("all")
    hub.journal.write([told()])
    hub.journal.db.execute("UPDATE outbox SET status = 'sending', attempts = 1, next_try = ?", (NOW + CLAIM_MS,))
    async with hub.speaking():
        await asyncio.sleep(0.1)
        assert peer.heard == []
        clock.at += CLAIM_MS
        await hub.until(lambda: hub.rows() == [("all", "accepted", 2)])

    assert peer.said() == ids([1])


async def test_a_siren_claimed_twice_sounds_once(opened: Opened, clock: Hand) -> None:
    """The siren's order is the same order when the announcement is said again after a crash."""
    hub = opened()
    hub.journal.write([told(siren=True)])
    async with hub.speaking():
        await hub.until(lambda: hub.rows() == [("siren", "accepted", 1)])
        await hub.committer.call(lambda journal: journal.db.execute("UPDATE outbox SET status = 'sending'").close())
        clock.at += CLAIM_MS
        await hub.until(lambda: hub.rows() == [("siren", "accepted", 2)])

        assert hub.ask("SELECT count(*) FROM orders") == [(1,)]


async def test_a_peer_that_hangs_holds_up_no_other_voice(opened: Opened, peer: Peer) -> None:
    """While a webhook waits for its answer, siren and second webhook have spoken."""
    hub = opened("all", "deaf", url=f"http://127.0.0.1:{peer.port}/deaf")
    peer.code = 0
    async with hub.speaking():
        await hub.committer.commit(told(siren=True))
        await hub.until(lambda: ("siren", "accepted", 1) in hub.rows())
        await hub.until(lambda: len(peer.heard) == 2)

        assert hub.rows() == [("siren", "accepted", 1), ("all", "sending", 1), ("deaf", "sending", 1)]
        peer.hang_up()


async def test_an_address_that_is_none_ends_the_row_and_not_the_hub(opened: Opened) -> None:
    """What HTTP cannot carry is `failed`, with a word about the address."""
    hub = opened("all", url="http://127.0.0.1:1/报警")
    async with hub.speaking():
        await hub.committer.commit(told())
        await hub.until(lambda: hub.rows() == [("all", "failed", 1)])

        assert hub.ask("SELECT detail FROM outbox")[0][0].startswith("http://127.0.0.1:1/报警")


async def test_a_rule_that_is_gone_has_its_last_word(opened: Opened, peer: Peer) -> None:
    """Rows of a removed rule are said under its id; the hub does not fall over them."""
    hub = opened("all", known=())
    hub.journal.write([told(siren=True), told(kind="cleared")])
    async with hub.speaking():
        await hub.until(lambda: [status for _, status, _ in hub.rows()] == ["accepted"] * 3)

    assert [body["title"] for _, body in peer.heard] == [{"zh": "noise-limit", "en": "noise-limit"}] * 2


async def test_a_voice_that_is_gone_leaves_no_row_open(opened: Opened, peer: Peer) -> None:
    """What was left for a voice that the site no longer has is `failed`, in words; what it said stays said."""
    before = opened("old", "all")
    before.journal.write([told(1), told(2)])
    before.journal.db.execute("UPDATE outbox SET status = 'accepted' WHERE voice = 'old' AND flip = 1")
    before.journal.close()
    hub = opened("all")
    async with hub.speaking():
        await hub.until(lambda: peer.said() == ids([1, 2]))

        rows = hub.ask("SELECT status, detail, done FROM outbox WHERE voice = 'old' ORDER BY id")
        assert rows == [("accepted", "", None), ("failed", "the site has no voice 'old' any more", NOW)]


async def test_an_alarm_that_was_forgotten_ends_its_row(opened: Opened, peer: Peer) -> None:
    """Retention deleted the flip while its row was waiting: the row ends, the others are said."""
    hub = opened("all")
    hub.journal.write([told(1), told(2)])
    hub.journal.db.execute("DELETE FROM flip WHERE seq = 1")
    async with hub.speaking():
        await hub.until(lambda: hub.rows() == [("all", "failed", 1), ("all", "accepted", 1)])

    assert peer.said() == ids([2])


async def test_cleared_never_overtakes_raised(opened: Opened, peer: Peer, clock: Hand) -> None:
    """While "raised" waits for its next try, "cleared" of the same alarm waits too; other alarms do not."""
    hub = opened("all")
    peer.code = 500
    async with hub.speaking():
        await hub.committer.commit(told(1))
        await hub.until(lambda: hub.rows() == [("all", "pending", 1)])
        peer.code = 200
        await hub.committer.commit(told(1, "cleared"))
        await hub.committer.commit(told(2))
        await hub.until(lambda: len(peer.heard) == 2)
        clock.at += 2000
        await hub.until(lambda: len(peer.heard) == 4)

    assert peer.said()[1:] == ["test-3-raised", "test-1-raised", "test-2-cleared"]


@pytest.mark.parametrize("attempts", [0, 3])
async def test_a_clock_that_was_set_back_delays_nothing(opened: Opened, peer: Peer, attempts: int) -> None:
    """An instant further ahead than any pause is a word of another clock."""
    hub = opened("all")
    hub.journal.write([told(at=NOW + 86_400_000)])
    hub.journal.db.execute("UPDATE outbox SET attempts = ?", (attempts,))
    async with hub.speaking():
        await hub.until(lambda: hub.rows() == [("all", "accepted", attempts + 1)])


async def test_many_rows_need_no_further_look(opened: Opened, peer: Peer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A hundred announcements at once are said in their order, without the pause between two looks."""
    monkeypatch.setattr(speaker, "LOOK_S", 60.0)
    hub = opened("all")
    async with hub.speaking():
        await hub.committer.commit(Outcome(
            flips=[flip for number in range(100) for flip in told(number).flips],
            occurrences=[chapter for number in range(100) for chapter in told(number).occurrences],
        ))  # fmt: skip
        await hub.until(lambda: len(peer.heard) == 100, seconds=30)

    assert peer.said() == ids(range(1, 101))
