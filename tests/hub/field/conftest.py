"""A field process on a real core and journal, with cables in memory that the test plugs, pulls and listens to.

For annotations: `from tests.hub.field.conftest import Hub` under TYPE_CHECKING.
"""

import asyncio
import contextlib
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable, Iterable
from pathlib import Path
from typing import Any, Self

import pytest
from msgspec.structs import replace

from device_profiles.types import JsonField
from firmware_bridge.raw import Action, Arrival, Message, Raw, Redelivery
from hub.clock import Clock
from hub.core import Core
from hub.field import Field
from hub.journal.writer import FILE, Journal, connect, put_order
from hub.outcome import Order
from hub.reading import LinkChange, LinkState
from hub.rules.door import Rule
from hub.settings.site import Device, Devices, Site

News = list[Arrival | LinkChange]


class Cable:
    """A link in memory: hands over what the test offers, notes what it is asked and told to send."""

    def __init__(self, name: str, journal: Path) -> None:
        """Nothing on it."""
        self.id = name
        self.asked = 0  # how many lists were asked for: one more than were made durable
        self.sent: list[tuple[str, Action]] = []
        self.states: list[str] = []  # of all orders, in the file, at the moment of each send
        self.carried: list[str] = []  # the devices that it was last told to carry
        self.refusal: Exception | None = None
        self.entered = False
        self._journal = journal
        self._offers: asyncio.Queue[News | Exception] = asyncio.Queue()

    def offer(self, *news: Arrival | LinkChange) -> None:
        """One list."""
        self._offers.put_nowait(list(news))

    def up(self, *news: Arrival) -> None:
        """The cable is there, and these came with it."""
        self.offer(LinkChange(link=self.id, state=LinkState.UP, detail="as the test says", rx=1), *news)

    def down(self, why: str) -> None:
        """The cable is lost."""
        self.offer(LinkChange(link=self.id, state=LinkState.DOWN, detail=why, rx=2))

    def break_with(self, error: Exception) -> None:
        """Raise it when the next list is asked for."""
        self._offers.put_nowait(error)

    async def __aenter__(self) -> Self:
        """Nothing to prepare."""
        self.entered = True
        return self

    async def __aexit__(self, *_: object) -> None:
        """Nothing to let go of."""
        self.entered = False

    def __aiter__(self) -> AsyncIterator[News]:
        """What the test offers."""
        return self

    async def __anext__(self) -> News:
        """The next list."""
        self.asked += 1
        offered = await self._offers.get()
        if isinstance(offered, Exception):
            raise offered
        return offered

    def carry(self, devices: Iterable[Device]) -> None:
        """Note them."""
        self.carried = [device.id for device in devices]

    async def send(self, device: str, action: Action) -> None:
        """Note it, with what stands in the journal just now."""
        self.states += [row[0] for row in ask(self._journal, "SELECT state FROM orders")]
        self.sent.append((device, action))
        if self.refusal is not None:
            raise self.refusal


def ask(path: Path, sql: str) -> list[tuple[Any, ...]]:  # Any: the columns of any question
    """What another process sees in the journal."""
    with contextlib.closing(connect(path, read_only=True)) as db:
        return [tuple(row) for row in db.execute(sql)]


class Hub:
    """A field process with its cables."""

    def __init__(self, path: Path, site: Site, rules: tuple[Rule, ...]) -> None:
        """Opened, not yet running."""
        self.path = path
        self.clock = Clock()
        journal = Journal(path, site)
        self.journal = journal
        self.mqtt, self.port = Cable("mqtt", path), Cable("port", path)
        core = Core(site, rules, journal.memory(), self.clock.now())
        table = {rule.id: rule for rule in rules}
        self.field = Field(site, table, core, journal, [self.mqtt, self.port], self.clock)
        self._opened = site, rules
        self.task: asyncio.Task[None] | None = None
        self.may_fail = False

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Until the end of the block, where it is cancelled, as by SIGTERM."""
        self.task = asyncio.create_task(self.field.run())
        try:
            yield
        finally:
            self.task.cancel()
            (end,) = await asyncio.gather(self.task, return_exceptions=True)
        if not isinstance(end, asyncio.CancelledError | ExceptionGroup if self.may_fail else asyncio.CancelledError):
            raise AssertionError("the process ended by itself") from end

    async def rebind(self, site: Site, *cables: Cable, rules: tuple[Rule, ...] | None = None) -> None:
        """Go on with this site, and these cables."""
        table = self._opened[1] if rules is None else rules
        await self.field.rebind(site, table, {cable.id: cable for cable in cables}, lambda _: "as the test says")

    def cable(self, name: str) -> Cable:
        """One more."""
        return Cable(name, self.path)

    def again(self) -> "Hub":
        """Another process on the same journal, after this one."""
        return Hub(self.path, *self._opened)

    async def failure(self) -> ExceptionGroup[Exception]:
        """How the process ended by itself."""
        assert self.task is not None
        self.may_fail = True
        async with asyncio.timeout(10):
            with pytest.raises(ExceptionGroup) as caught:
                await asyncio.shield(self.task)
        return caught.value

    async def until(self, what: Callable[[], object], seconds: float = 15.0) -> None:
        """Until it is true; fails at once when the process died."""
        async with asyncio.timeout(seconds):
            while not what():
                if self.task is not None and self.task.done():
                    self.task.result()
                await asyncio.sleep(0.005)

    def ask(self, sql: str) -> list[tuple[Any, ...]]:  # Any: as above
        """What another process sees in the journal."""
        return ask(self.path, sql)

    def gate(self, value: str = "closed", delivery: Redelivery | None = None) -> Arrival:
        """The gate says something, now."""
        text = f'{{"gate": "{value[0]}"}}'
        return self.arrival("gate-1", Message("x", text.encode()), delivery)

    def arrival(self, device: str, raw: Raw, delivery: Redelivery | None = None) -> Arrival:
        """Anything, now."""
        return Arrival(device, raw, self.clock.now(), delivery)

    async def press(self, lasts_s: float = 10.0) -> int:
        """The cable is up, and somebody has the gate opened; the order's number."""
        await self.until(lambda: self.ask("SELECT 1 FROM health WHERE source = 'mqtt' AND state = 'up'"))
        return self.put(lasts_s)

    def put(self, lasts_s: float = 10.0) -> int:
        """An order for the gate, through the file, as the dashboard gives it."""
        now = self.clock.now()
        order = Order(
            id=0, token=str(now), kind="command", target="gate-1", actor="keeper", issued=now,
            expires=now + round(lasts_s * 1000), command="open",
        )  # fmt: skip
        with contextlib.closing(connect(self.path)) as db:
            return put_order(db, order)

    def order(self) -> tuple[str, str]:
        """State and outcome of the only order."""
        ((state, outcome),) = self.ask("SELECT state, outcome FROM orders")
        return state, outcome

    def values(self) -> list[str]:
        """All readings of the gate's state."""
        return [row[0] for row in self.ask("SELECT value FROM reading WHERE quantity = 'gate' ORDER BY seq")]


@pytest.fixture(scope="session")
def site(site: Site) -> Site:
    """The small community, with a gate whose messages can be read."""

    def readable(device: Device) -> Device:
        fields = {"gate": JsonField(type="choice", choices={"open": ["o"], "closed": ["c"]})}
        return replace(device, profile=replace(device.profile, reading=fields)) if device.id == "gate-1" else device

    links = [replace(link, devices=Devices(map(readable, link.devices))) for link in site.links]
    return replace(site, links=tuple(links))


@pytest.fixture
def hub(tmp_path: Path, site: Site, rules: tuple[Rule, ...]) -> Hub:
    """With an empty journal."""
    return Hub(tmp_path / FILE, site, rules)


class Brake:
    """Holds each write of the journal while it is on."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Off."""
        self.off = threading.Event()
        self.off.set()
        self.held = 0
        write = Journal.write

        def braked(journal: Journal, *more: Any) -> None:  # Any: whatever the real one takes
            self.held += not self.off.is_set()
            assert self.off.wait(20)
            write(journal, *more)

        monkeypatch.setattr(Journal, "write", braked)


@pytest.fixture
def brake(monkeypatch: pytest.MonkeyPatch) -> Brake:
    """Off."""
    return Brake(monkeypatch)


Refuse = Callable[[int], None]


@pytest.fixture
def refuse(monkeypatch: pytest.MonkeyPatch) -> Refuse:
    """From now on each write fails with this code of SQLite's."""

    def now(code: int) -> None:
        def fail(*_: object) -> None:
            error = sqlite3.OperationalError("the test's own")
            error.sqlite_errorcode = code
            raise error

        monkeypatch.setattr(Journal, "write", fail)

    return now
