"""Two doors that are never both open by our orders: the table, and the core that asks it."""

from __future__ import annotations

import threading
import time
from itertools import product
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from device_profiles.door import Refusal
from device_profiles.types import JsonField, MqttCommand
from hub.__main__ import cli
from hub.clock import Clock
from hub.core import Core
from hub.journal.writer import FILE, Journal, connect, requested_orders
from hub.orders.interlock import TABLE, Other, Standing
from hub.orders.order import OrderWord
from hub.orders.words import in_words
from hub.outcome import OrderState
from hub.reading import FaultKind, Label, LinkState
from hub.rules.door import load_rules
from hub.settings.door import load_site
from hub.settings.site import Interlock

if TYPE_CHECKING:
    from pathlib import Path

    from hub.outcome import Order
    from tests.hub.conftest import Yard

WORD = Label(zh="令", en="order")
SHUT, OPEN, UNKNOWN = Standing


def test_the_table() -> None:
    """Every way in which the other gate can stand has its answer; without fire only a shut, unordered one lets open."""
    assert set(TABLE) == {Other(*cell) for cell in product(Standing, (False, True), (False, True))}
    assert [cell for cell, word in TABLE.items() if word is None and not cell.fire] == [Other(SHUT, False, False)]
    assert not [word for cell, word in TABLE.items() if cell.fire and word is not None]


@pytest.mark.parametrize(
    ("standing", "ordered", "word"),
    [
        (SHUT, True, "interlock-ordered"),
        (OPEN, False, "interlock-open"),
        (OPEN, True, "interlock-open"),
        (UNKNOWN, False, "interlock-unknown"),
        (UNKNOWN, True, "interlock-ordered"),
    ],
)
def test_each_refusal(standing: Standing, ordered: bool, word: str) -> None:  # a cell of the table
    """It is told for what a person can do something about, in both languages, and which gate it is."""
    assert TABLE[Other(standing, ordered, fire=False)] == word
    said = in_words(f"{word}:gate-2")
    assert said is not None
    assert "gate-2" in said.zh
    assert said.en.endswith("gate-2")


@pytest.fixture
def lock(yard: Yard) -> Yard:
    """An airlock of gate-1 and gate-2, in a yard; gate-3 is nobody's business. All are shut, and say so."""
    link, gate = yard.site.links[0], yard.site.devices()["gate-1"]
    commands = {
        name: MqttCommand(label=WORD, confirm={"gate": state}, within=8.0, payload={"do": name})
        for name, state in {"open": "open", "close": "closed"}.items()
    }
    profile = replace(gate.profile, command=commands, reading={**gate.profile.reading, "release": JsonField()})
    gates = [replace(gate, id=f"gate-{n}", profile=profile, zone="" if n == 3 else gate.zone) for n in (1, 2, 3)]
    others = [device for device in link.devices if device.id != "gate-1"]
    changed = replace(link, devices=type(link.devices)((*others, *gates)))
    interlocks = (Interlock(gates=("gate-1", "gate-2")),)
    yard.site = replace(yard.site, links=(changed, *yard.site.links[1:]), interlocks=interlocks)
    yard.keep(yard.core.rebind(yard.site, yard.rules, yard.now))
    yard.link("mqtt", LinkState.UP)
    for n in (1, 2, 3):
        yard.say(f"gate-{n}", "gate", "closed")
    return yard


def order(yard: Yard, gate: str, command: str = "open") -> Order:
    """Ordered now; it leaves at once where it may."""
    made = yard.order("command", gate, command=command)
    if made.state is OrderState.REQUESTED:
        yard.keep(yard.core.sent(made.id, yard.now))
        made = yard.kept.orders[made.id]
    return made


def refused(made: Order) -> str:
    """Why; empty where it left."""
    return made.outcome if made.state is OrderState.REFUSED else ""


def test_the_second_door_of_an_airlock(lock: Yard) -> None:
    """Just ordered, moving, open, moving: refused. Shut again: allowed. A gate outside of it is free all the time."""
    assert refused(order(lock, "gate-1")) == ""
    assert refused(order(lock, "gate-2")) == "interlock-ordered:gate-1"
    for state in ("moving", "open", "moving", "stuck"):
        lock.say("gate-1", "gate", state)
        assert refused(order(lock, "gate-2")) == "interlock-open:gate-1"
    assert refused(order(lock, "gate-3")) == ""
    assert refused(order(lock, "gate-2", "close")) == ""
    lock.say("gate-1", "gate", "closed")
    assert refused(order(lock, "gate-2")) == ""


def test_two_orders_of_one_moment_open_one_door(lock: Yard) -> None:
    """The first is not sent yet: it counts all the same."""
    first = lock.order("command", "gate-1", command="open")
    assert first.state is OrderState.REQUESTED
    assert refused(lock.order("command", "gate-2", command="open")) == "interlock-ordered:gate-1"


def test_a_door_that_did_not_answer_may_open_yet(lock: Yard) -> None:
    """Not confirmed in its time is no proof that it stays shut: its own word after that time is."""
    order(lock, "gate-1")
    lock.wait(9, ("gate-2", "gate", "closed"))
    assert refused(order(lock, "gate-2")) == "interlock-ordered:gate-1"
    lock.say("gate-1", "gate", "closed")
    assert refused(order(lock, "gate-2")) == ""


def test_an_unknown_door_is_not_shut(lock: Yard) -> None:
    """Silent, or cut off, or not heard since the start: unknown, and refused."""
    lock.wait(30, ("gate-2", "gate", "closed"))
    assert refused(order(lock, "gate-2")) == "interlock-unknown:gate-1"
    lock.say("gate-1", "gate", "closed")
    lock.fault("gate-1", FaultKind.OFFLINE)
    assert refused(order(lock, "gate-2")) == "interlock-unknown:gate-1"
    lock.restart()
    lock.link_up()
    lock.say("gate-2", "gate", "closed")
    assert refused(order(lock, "gate-2")) == "interlock-unknown:gate-1"


def test_what_was_sent_before_a_stop_counts_after_it(lock: Yard) -> None:
    """The hub stopped while a door was opening: a word of that moment does not make it shut."""
    order(lock, "gate-1")
    lock.restart(down=1.0)
    lock.link_up()
    lock.say("gate-1", "gate", "closed")
    assert refused(order(lock, "gate-2")) == "interlock-ordered:gate-1"
    lock.wait(9, ("gate-1", "gate", "closed"))
    assert refused(order(lock, "gate-2")) == ""


def test_a_reload_forgets_no_order(lock: Yard) -> None:
    """The site file is read again while a door opens."""
    order(lock, "gate-1")
    lock.keep(lock.core.rebind(lock.site, lock.rules, lock.now))
    assert refused(order(lock, "gate-2")) == "interlock-ordered:gate-1"


def test_who_flees_needs_both_doors(lock: Yard) -> None:
    """Released near one of them, nothing is refused, also when the contact falls silent after that."""
    lock.say("gate-1", "gate", "open")
    assert refused(order(lock, "gate-2")) == "interlock-open:gate-1"
    lock.say("gate-3", "release", "released")  # elsewhere
    assert refused(order(lock, "gate-2")) == "interlock-open:gate-1"
    lock.say("gate-2", "release", "released")
    assert refused(order(lock, "gate-2")) == ""
    lock.wait(60, ("gate-1", "gate", "open"))
    assert refused(order(lock, "gate-2")) == ""


SITE = """
[site]
id = "court"
name = { zh = "院", en = "Court" }
timezone = "Asia/Shanghai"
[[interlock]]
gates = GATES
[[link]]
id = "mqtt"
kind = "mqtt"
  [[link.device]]
  id = "outer"
  profile = "gate/json-mqtt"
  [[link.device]]
  id = "inner"
  profile = "gate/json-mqtt-signed"
  [[link.device]]
  id = "meter"
  profile = "noise/json-mqtt"
"""
MISTAKES = [
    ('["outer"]', "locks nothing", "two gates or more"),
    ("[]", "locks nothing", "two gates or more"),
    ('["outer", "outer"]', "locks nothing", "each once"),
    ('["outer", "iner"]', "no such device", 'did you mean "inner"'),
    ('["outer", "meter"]', "is no gate that opens by order", "as outer"),
    ('"outer"', "", "array"),
]


@pytest.mark.parametrize(("gates", "problem", "right"), MISTAKES)
def test_an_interlock_that_locks_nothing_is_refused(tmp_path: Path, gates: str, problem: str, right: str) -> None:
    """Key, value, and what would be right; the control is a good one."""
    path = tmp_path / "site.toml"
    path.write_text(SITE.replace("GATES", gates), encoding="utf-8")
    with pytest.raises(Refusal) as told:
        load_site(path)
    assert all(word in str(told.value) for word in ("interlock[0].gates", problem, right))
    path.write_text(SITE.replace("GATES", '["outer", "inner"]'), encoding="utf-8")
    assert load_site(path).interlocks[0].gates == ("outer", "inner")


def test_every_refusal_of_the_table_has_its_words() -> None:
    """Nothing is refused by a bare word."""
    words = {word for word in TABLE.values() if word is not None}
    assert words == {OrderWord.LOCKED_OPEN, OrderWord.LOCKED_UNKNOWN, OrderWord.LOCKED_ORDERED}
    assert all(in_words(word) for word in words)


def test_the_command_line_says_it_in_both_languages(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`zhian order` prints the reason and exits 2: it was refused."""
    path = tmp_path / "site.toml"
    path.write_text(SITE.replace("GATES", '["outer", "inner"]'), encoding="utf-8")
    site = load_site(path)
    journal = Journal(tmp_path / FILE, site)
    journal.remember("site_file", str(path))
    core = Core(site, load_rules(site, path), journal.memory(), Clock().now())

    def hub() -> None:
        while not (asked := requested_orders(reader, 0)):
            time.sleep(0.02)
        journal.write([core.order(order, Clock().now()) for order in asked])

    journal.write([core.begin(Clock().now())])
    reader = connect(tmp_path / FILE, read_only=True)
    taking = threading.Thread(target=hub)
    taking.start()
    with pytest.raises(SystemExit) as ended:
        cli(["order", "outer", "open", "--data", str(tmp_path)], standalone_mode=False)
    taking.join(20)
    reader.close()
    journal.close()
    said = capsys.readouterr().out
    assert ended.value.code == 2
    assert "门禁联锁：另一扇门状态未知，请到现场查看：inner" in said
    assert "interlock: the state of another gate is unknown, go and look: inner" in said
