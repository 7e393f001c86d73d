"""The voices: each file says one announcement over one channel, or raises VoiceError. None decides or retries.

An answer counts as said only when the other side's own words say so, not when it answered at all.
"""

from enum import StrEnum
from typing import Protocol

import msgspec

from hub.reading import Label, Value
from hub.speaking.budget import Limit


class Announcement(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=False):
    """One thing to be said. `id` is the same when it is said again, so that a receiver can drop the repeat.

    kind: raised, cleared, digest (`items` are what was folded) or test. Instants in ms; `time` is `at` in site time.
    """

    id: str
    kind: str
    site: str
    rule: str
    title: Label
    severity: str
    source: str
    zone: str
    occurrence: int
    at: int
    value: Value | None
    unit: str = ""
    limit: float | None = None
    raised: int | None = None
    time: str = ""
    site_name: Label = Label(zh="", en="")
    source_name: Label = Label(zh="", en="")
    zone_name: Label = Label(zh="", en="")
    value_text: Label = Label(zh="", en="")
    done: tuple[Label, ...] = ()  # what the system did by itself
    response: Label | None = None  # what a person is to do
    first_out: Label | None = None  # of alarms that came together: which came first
    note: Label | None = None  # why this person is told
    to: str = ""  # the address of the one person who is told, for this voice; empty: whoever listens
    page: str = ""  # where people read about it; a person who is called acknowledges there
    items: tuple[Label, ...] = ()
    drill: bool = False  # raised by a test: the title says so


class Person(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody who is told in person, with the addresses that voices need."""

    id: str
    name: str
    phone: str = ""
    mail: str = ""


class Said(msgspec.Struct, frozen=True):
    """What the other side answered, in a few words. `confirmed` False: nothing tells what came of it."""

    detail: str
    confirmed: bool = True


class Why(StrEnum):
    """Why it was not said, which decides what happens next."""

    TROUBLE = "trouble"  # a network, a server that is unwell: again later
    THROTTLED = "throttled"  # too often: the whole channel waits
    REFUSED = "refused"  # this message, for good
    LOCKED = "locked"  # key, address or account: nothing gets through until somebody mends it
    UNFIT = "unfit"  # not for this channel (too old, nobody to reach): says nothing about the channel


class VoiceError(Exception):
    """It was not said, or nothing proves that it was."""

    def __init__(self, detail: str, why: Why = Why.TROUBLE, *, after_s: float = 0.0) -> None:
        """`detail` in words for the page, without secrets. `after_s`: how long the other side wants no more."""
        self.detail, self.why, self.after_s = detail, why, after_s
        super().__init__(detail)


class Voice(Protocol):
    """One channel. `limits` hold for each of `keys`, which name credentials without telling them."""

    limits: tuple[Limit, ...]

    def keys(self, person: Person | None) -> tuple[str, ...]:
        """Whose budget one announcement uses."""

    async def say(self, announcement: Announcement, person: Person | None = None) -> Said:
        """Say it, to `person` where one is named. Raises VoiceError."""


class Unlimited:
    """Base of the voices that nobody counts."""

    limits: tuple[Limit, ...] = ()

    def keys(self, person: Person | None) -> tuple[str, ...]:
        """None."""
        return ()
