"""Somebody guesses: a thousand tries, a hundred at once, and what the hub is told. Nobody else is shut out."""

import os
import resource
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import msgspec
import pytest
from argon2 import PasswordHasher
from sqlalchemy import text

from dashboard.access import sessions, users
from dashboard.access.audit import KEY_FILE
from dashboard.access.sessions import GUESSING, GUESSING_MS, LONGEST_DELAY_MS, MOST_KEYS, wait_ms
from dashboard.access.tls import DAY_MS, Pair, make_own
from dashboard.access.watchman import LATE_MS
from hub import authority
from hub.keeping.archives import made_at, name_at
from hub.processes.hearsay import OFFICE_FACTS
from hub.settings.site import BackupSettings
from tests.dashboard.conftest import NOW, PASSWORD

if TYPE_CHECKING:
    from pathlib import Path

    from flask import Flask

    from dashboard.office import Office
    from tests.dashboard.conftest import Browser, StillClock


def test_a_thousand_tries_a_minute(office: "Office") -> None:
    """One name, from a thousand addresses in a minute: eight are heard; after the longest delay the next one is."""
    heard = sum(wait_ms(office.users, "guard", f"10.0.{n // 250}.{n % 250}", NOW + n * 60) == 0 for n in range(1000))
    assert heard == 8  # 3 free ones, then after 1, 2, 4, 8 and 16 s
    later = NOW + 60_000 + LONGEST_DELAY_MS["user"]
    assert wait_ms(office.users, "guard", "10.9.9.9", later) == 0


def test_who_has_been_here_is_not_shut_out_by_guessing_elsewhere(
    browser: "Browser", office: "Office", clock: "StillClock"
) -> None:
    """The duty room's own PC: only what is tried from there delays it."""
    browser.sign_in("guard", address="10.0.0.5")
    browser.post("/logout")
    for n in range(30):
        wait_ms(office.users, "guard", f"203.0.113.{n}", clock.at)
    assert browser.sign_in("guard", address="10.0.0.6") == 429
    assert browser.sign_in("guard", address="10.0.0.5") == 302
    browser.post("/logout")
    for _ in range(3):
        browser.sign_in("guard", "wrong", address="10.0.0.5")
    assert browser.sign_in("guard", address="10.0.0.5") == 429


def test_delays_do_not_fill_the_disk(office: "Office", monkeypatch: pytest.MonkeyPatch) -> None:
    """Names and addresses are forgotten after a day, and beyond ten thousand those that were longest ago."""
    assert MOST_KEYS == 10_000
    monkeypatch.setattr(sessions, "MOST_KEYS", 50)
    for n in range(200):
        wait_ms(office.users, f"name{n}", f"2001:db8:{n:x}::1", NOW + n)
    with office.users.begin() as db:
        assert db.execute(text("SELECT count(*) FROM throttle")).scalar_one() <= 52
    wait_ms(office.users, "x", "10.0.0.1", NOW + 2 * sessions.FORGET_MS)
    with office.users.begin() as db:
        assert db.execute(text("SELECT count(*) FROM throttle")).scalar_one() == 2


def test_waiting_is_written_down_once_a_minute(browser: "Browser", office: "Office", clock: "StillClock") -> None:
    """A thousand refused tries are a handful of rows, not a thousand."""
    for _ in range(40):
        browser.sign_in("guard", "wrong")
    with office.users.begin() as db:
        kinds = db.execute(text("SELECT event FROM audit")).scalars().all()
    assert kinds == ["login-failed"] * 3 + ["login-delayed"]


def test_after_ten_failures_the_hub_is_told(office: "Office", clock: "StillClock") -> None:
    """Of a user by name, of a stranger's address; until it has been quiet for a quarter of an hour."""
    tries = 0
    while tries < GUESSING:
        tries += wait_ms(office.users, "guard", "203.0.113.7", clock.at) == 0
        assert (office.watchman.facts()["login-guessing"] != "") is (tries >= GUESSING)
        clock.at += 61_000 if tries > 3 else 4_000
    assert office.watchman.facts()["login-guessing"] == "guard, 203.0.113.7"
    clock.at += GUESSING_MS + 60_000
    assert office.watchman.facts()["login-guessing"] == ""


def test_a_name_that_nobody_has_is_not_told(office: "Office", clock: "StillClock") -> None:
    """Somebody may have typed a password there."""
    for n in range(20):
        wait_ms(office.users, "hunter2", f"203.0.113.{n}", clock.at)
        clock.at += 61_000
    assert office.watchman.facts()["login-guessing"] == ""


def test_a_hundred_logins_at_once(app: "Flask", office: "Office", monkeypatch: pytest.MonkeyPatch) -> None:
    """At most two passwords are checked at a time; the others wait or are asked to come back, and memory is bounded."""
    at_once, most, lock = 0, 0, threading.Lock()
    real = users._HASHER

    class Counting:
        """Counts how many are at it."""

        def verify(self, stored: str, given: str) -> bool:
            nonlocal at_once, most
            with lock:
                at_once += 1
                most = max(most, at_once)
            try:
                return real.verify(stored, given)
            finally:
                with lock:
                    at_once -= 1

    monkeypatch.setattr(users, "_HASHER", Counting())

    def sign_in(_: int) -> str:
        try:
            return "in" if users.verify(office.users, "guard", PASSWORD) else "out"
        except users.Busy:
            return "busy"

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with ThreadPoolExecutor(100) as pool:
        found = list(pool.map(sign_in, range(100)))
    grown_mb = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    assert most == users.HASHES_AT_ONCE
    assert "out" not in found
    assert "in" in found
    assert grown_mb < 120  # a hundred hashes at once would be 1,900 MB


def test_passwords_are_argon2id(office: "Office") -> None:
    """With the parameters of the OWASP cheat sheet, each with its own salt."""
    with office.users.begin() as db:
        stored = db.execute(text("SELECT password FROM user")).scalars().all()
    assert all(each.startswith("$argon2id$v=19$m=19456,t=2,p=1$") for each in stored)
    assert len(set(stored)) == len(stored)
    assert PasswordHasher().verify(stored[0], PASSWORD)


@pytest.mark.parametrize(
    ("days", "rule"),
    [
        (400, ""),
        (31, ""),
        (30, "certificate-ends"),
        (8, "certificate-ends"),
        (7, "certificate-ends-soon"),
        (1, "certificate-ends-now"),
        (-5, "certificate-ends-now"),
    ],
)
def test_a_certificate_that_ends_is_told_ahead(
    days: int, rule: str, office: "Office", tmp_path: "Path", clock: "StillClock"
) -> None:
    """A month, a week and a day before it does, and when it has."""
    pair = Pair(tmp_path / "c", tmp_path / "k", own=True)
    make_own(pair, authority.ours("garden", tmp_path, clock.at), ["localhost"], clock.at)
    office.watchman.pair = pair
    office.watchman.broker_ends = lambda: pair.ends + 1_000 * DAY_MS
    clock.at = pair.ends - days * DAY_MS
    assert _ending(office) == ([rule] if rule else [])
    office.watchman.pair, office.watchman.broker_ends = None, lambda: pair.ends
    assert _ending(office) == ([f"broker-{rule}"] if rule else [])


def _ending(office: "Office") -> list[str]:
    facts = office.watchman.facts()
    assert facts.keys() <= OFFICE_FACTS
    return [name for name, why in facts.items() if why and "certificate" in name]


def test_a_certificate_that_cannot_be_read_is_told(office: "Office", tmp_path: "Path") -> None:
    """As one that has ended."""
    office.watchman.pair = Pair(tmp_path / "gone", tmp_path / "gone", own=False)
    assert office.watchman.facts()["certificate-ends-now"] == "0 d"
    assert msgspec.json.encode(office.watchman.facts())


def test_two_nights_without_a_backup_are_told(office: "Office", clock: "StillClock") -> None:
    """From 50 hours after the newest archive on, or after the first start; until there is one."""
    os.utime(office.data / KEY_FILE, (NOW / 1000, NOW / 1000))
    folder = office.data / "backups"
    folder.mkdir()
    for made in ("", "zhian-20251101T193000Z.sealed", "zhian-20251101T193000Z.tar.gz"):
        since = NOW
        if made:
            (folder / made).touch()
            since = made_at(made) or 0
        for past, told in ((LATE_MS, ""), (LATE_MS + 1, "2 d"), (LATE_MS + 5 * DAY_MS, "7 d")):
            clock.at = since + past
            assert office.watchman.facts()["backup-late"] == told
    (folder / "zhian-20251108T193000Z.sealed.part").touch()
    assert office.watchman.facts()["backup-late"] != ""
    (folder / name_at(clock.at - 1, BackupSettings())).touch()
    assert office.watchman.facts()["backup-late"] == ""
