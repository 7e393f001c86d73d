"""One voice at work: claims its rows, keeps to its budget, speaks, marks what came of it, and says when it fails.

Two lanes, P1 and the rest, so that no urgent row waits behind others. It decides by `hub.speaking.budget` and the
error's class; what is said is composed elsewhere, and the journal is reached through the committer alone.
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Sequence

import msgspec
from msgspec.structs import replace

from hub.alarms.flood import Flood
from hub.clock import Clock
from hub.journal.commit import Committer
from hub.journal.writer import SIREN
from hub.speaking import outbox
from hub.speaking.budget import Budgets
from hub.speaking.outbox import FOLDABLE, LONGEST_MS, Claim, Row, VoiceState
from hub.voices import Announcement, Person, Said, Voice, VoiceError, Why

LOG = logging.getLogger("zhian.announce")
LOOK_S = 1.0  # how long a lane sleeps when nothing wakes it
RETRY_FIRST_S, RETRY_MOST_S = 2.0, 300.0
LOCKED_S = 60.0  # between two tries of a channel whose key is wrong
TEST_PAUSES_S = (2.0, 4.0)
PROBE_S = 3_600.0  # a failing channel with nothing to say is tried with a test message
SHORT_MS = 2_000  # a budget that has room again so soon is waited for
GIVE_UP_TRIES = 300  # about a day; counted, because the clock may be set meanwhile
FAILING_TRIES = 3  # in a row, of an error that may pass by itself
MOST_FOLDED, AT_A_TIME = 20_000, 2_000  # the journal is held up no longer than by so many
FORGOTTEN = "the alarm was forgotten before it could be said"
SEVERITIES = ("P1", "P2", "P3", "P4")

Compose = Callable[[Sequence[Row]], Announcement]
Changed = Callable[[str, bool, str], Awaitable[None]]


class Common(msgspec.Struct, frozen=True, kw_only=True):
    """What all speakers of a site share. `person` is asked for a person's id and a voice's; `changed` is told a voice's
    id, whether it works, and its last words."""

    site: str
    committer: Committer
    clock: Clock
    budgets: Budgets
    compose: Compose
    test: Callable[[str], Announcement]
    person: Callable[[str, str], Person | None]
    changed: Changed
    flood: Callable[[], Flood] = Flood


class Speaker:
    """One voice of the site, or the zones' sirens."""

    def __init__(self, name: str, voice: Voice, common: Common) -> None:
        """Silent until `run`."""
        self._name, self._voice, self._common = name, voice, common
        self._wakes = {True: asyncio.Event(), False: asyncio.Event()}
        self._held: dict[str, int] = {}  # "person severity" -> until when its budget is spent
        self._digested: dict[str, int] = {}  # person -> when a flood was last told
        self._quiet_until = 0  # the channel is locked: one try now and then
        self._tries = 0  # failed ones, in a row
        self._failing: int | None = None
        self._gone = False
        self._told = True  # the core knows whether it fails

    def wake(self) -> None:
        """There may be something to say."""
        for event in self._wakes.values():
            event.set()

    async def run(self) -> None:
        """Speak until cancelled."""
        await self._recall()
        async with asyncio.TaskGroup() as group:
            probing = group.create_task(self._probe(), name=f"voice {self._name} probe")
            lanes = [
                group.create_task(self._lane(urgent), name=f"voice {self._name} {'P1' if urgent else 'P2-P4'}")
                for urgent in (True, False)
            ]
            await asyncio.wait(lanes)
            probing.cancel()

    def renew(self, voice: Voice) -> None:
        """Another site file: from the next message on it is said like this, and a lock or a pause is no more."""
        self._voice, self._quiet_until = voice, 0

    def retire(self) -> None:
        """The site has this voice no more: what is being said is said to its end, then `run` returns."""
        self._gone = True
        self.wake()

    async def test(self) -> VoiceState:
        """A live test message, at once, and twice more where the trouble may pass; how the voice does after it."""
        for pause_s in (*TEST_PAUSES_S, 0.0):
            now = self._common.clock.now()
            self._spend(None)
            try:
                said = await self._voice.say(self._common.test(self._name))
            except VoiceError as error:
                state = replace(self._failed(error, now), tested=now, passed=0)
                if error.why is Why.TROUBLE and pause_s:
                    await self._common.clock.sleep(pause_s)
                    continue
            else:
                state = replace(self._succeeded(said, self._common.clock.now()), tested=now, passed=1)
            break
        await self._common.committer.call(lambda journal: outbox.note_voice(journal, state))
        await self._tell(state)
        return state

    # --- rows -----------------------------------------------------------------------------------------------------

    async def once(self, urgent: bool) -> None:
        """Say what is due now."""
        while not self._gone and (rows := await self._claim(urgent)):
            await self._say_all(rows)

    async def _lane(self, urgent: bool) -> None:
        wake = self._wakes[urgent]
        while not self._gone:
            await self.once(urgent)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_S):
                    await wake.wait()
            wake.clear()

    async def _claim(self, urgent: bool, row: Row | None = None) -> list[Row]:
        """Due rows of a lane; with `row`, those that can be folded with it."""
        now = self._common.clock.now()
        self._held = {key: until for key, until in self._held.items() if now < until <= now + LONGEST_MS}
        if self._quiet(now):
            return []
        what = Claim(voice=self._name, urgent=urgent, held=tuple(self._held))
        if row is not None:
            what = Claim(voice=self._name, urgent=False, person=row.person, among=FOLDABLE, most=AT_A_TIME)
        return await self._common.committer.call(lambda journal: outbox.claim(journal, self._common.site, what, now))

    async def _say_all(self, rows: list[Row]) -> None:
        while rows:
            row, now = rows.pop(0), self._common.clock.now()
            if self._gone or self._quiet(now) or f"{row.person} {row.severity}" in self._held:
                return await self._release([row, *rows], "waits for its channel")
            person = self._person(row)
            flooded = row.foldable and self._name != SIREN and self._common.flood().covers(row.at)
            if flooded and (pause := self._common.flood().pause(self._digested.get(row.person), now)):
                self._hold(row, now + pause)
                return await self._release([row, *rows], "waits for the digest of a flood of alarms")
            wait, left = self._budget(row, person, now)
            if wait > SHORT_MS:
                self._hold(row, now + wait)
                return await self._release([row, *rows], f"waits {wait // 1000} s for the channel's budget")
            await self._common.clock.sleep(wait / 1000)
            if flooded or row.withheld or (left is not None and row.foldable and _alike(row, rows) >= max(1, left)):
                rows = await self._fold(row, rows)
            else:
                await self._say(row, person)
        return None

    async def _say(self, row: Row, person: Person | None) -> None:
        """One row, one announcement."""
        now = self._common.clock.now()
        if row.number is None and not row.listing:
            return await self._mark([row], "failed", now, FORGOTTEN, None)
        if row.person and person is None:
            return await self._mark([row], "failed", now, _stranger(row), None)
        await self._speak([row], self._common.compose([row]), person)
        return None

    async def _fold(self, row: Row, rows: list[Row]) -> list[Row]:
        """One announcement for all that may share it; the rows that may not."""
        mine = [row, *(other for other in rows if other.foldable and other.person == row.person)]
        rest = [other for other in rows if other not in mine]
        while len(mine) < MOST_FOLDED and (more := await self._claim(urgent=False, row=row)):
            mine += more  # foldable: they have a severity, so they are known
        person = self._person(row)
        if row.person and person is None:
            await self._mark(mine, "failed", self._common.clock.now(), _stranger(row), None)
        elif await self._speak(mine, self._common.compose(mine), person):
            self._digested[row.person] = self._common.clock.now()
        return rest

    async def _speak(self, rows: Sequence[Row], announcement: Announcement, person: Person | None) -> bool:
        """True when it was said."""
        self._spend(person)
        try:
            said = await self._voice.say(announcement, person)
        except VoiceError as error:
            now = self._common.clock.now()
            LOG.warning("voice %s could not say %s: %s", self._name, announcement.id, error.detail)
            state = self._failed(error, now)
            status, pause_s = self._next(error, rows[0])
            await self._mark(rows, status, now + int(pause_s * 1000), error.detail, state)
        else:
            now = self._common.clock.now()
            state, status = self._succeeded(said, now), "accepted" if said.confirmed else "unconfirmed"
            await self._common.committer.call(
                lambda journal: outbox.fold(journal, rows, status, now, said.detail, state)
            )
        await self._tell(state)
        return self._tries == 0

    def _next(self, error: VoiceError, row: Row) -> tuple[str, float]:
        """Status and pause (s) of rows that could not be said."""
        if error.why in (Why.REFUSED, Why.UNFIT) or row.attempts >= GIVE_UP_TRIES:
            return "failed", 0.0
        pause = min(RETRY_MOST_S, RETRY_FIRST_S * 2 ** min(row.attempts - 1, 20))
        now = self._common.clock.now()
        if error.why is Why.THROTTLED:
            pause = min(LONGEST_MS / 1000, max(pause, error.after_s))
            for severity in SEVERITIES:
                self._held[f"{row.person} {severity}"] = now + int(pause * 1000)
        if error.why is Why.LOCKED:
            self._quiet_until = now + int(LOCKED_S * 1000)
        return "pending", pause

    # --- budget ---------------------------------------------------------------------------------------------------

    def _budget(self, row: Row, person: Person | None, now: int) -> tuple[int, int | None]:
        """How long (ms) the row has to wait for its channel, and how many such may be said now (None: any number)."""
        limits = self._voice.limits
        if not limits or (row.number is None and not row.listing):
            return 0, None
        keys, budgets = self._voice.keys(person), self._common.budgets
        return budgets.wait(keys, row.severity, now, limits), budgets.left(keys, row.severity, now, limits)

    def _quiet(self, now: int) -> bool:
        """True while a locked channel is left alone; an end further ahead is a word of another clock."""
        return now < self._quiet_until <= now + LONGEST_MS

    def _person(self, row: Row) -> Person | None:
        return self._common.person(row.person, self._name) if row.person else None

    def _spend(self, person: Person | None) -> None:
        limits = self._voice.limits
        if limits:
            self._common.budgets.spend(self._voice.keys(person), self._common.clock.now(), limits)

    def _hold(self, row: Row, until: int) -> None:
        """What is no more urgent than this waits with it."""
        for severity in SEVERITIES:
            if severity >= row.severity:
                self._held[f"{row.person} {severity}"] = until

    async def _release(self, rows: Sequence[Row], why: str) -> None:
        now = self._common.clock.now()
        await self._common.committer.call(lambda journal: outbox.release(journal, rows, now, why))

    # --- how the voice does ---------------------------------------------------------------------------------------

    async def _recall(self) -> None:
        """What the journal knows of this voice: whether it failed, and what it has spent already."""
        state = (await self._common.committer.call(lambda journal: outbox.voice_states(journal.db))).get(self._name)
        if state is not None and state.failing is not None:
            self._failing, self._tries = state.failing, FAILING_TRIES
        if state is not None:  # a crash may have come between the journal's word and the core's
            await self._common.changed(self._name, self._failing is None, state.detail)
        longest = max((limit.seconds for limit in self._voice.limits), default=0.0)
        if longest:
            since = self._common.clock.now() - int(longest * 1000)
            spent = await self._common.committer.call(lambda journal: outbox.said_since(journal, self._name, since))
            for at, person in spent:
                keys = self._voice.keys(self._common.person(person, self._name) if person else None)
                self._common.budgets.spend(keys, at, self._voice.limits)

    async def _probe(self) -> None:
        """A channel that failed, and has nothing to say, would never be found to be well again."""
        while True:
            await self._common.clock.sleep(PROBE_S)
            if self._failing is not None:
                await self.test()

    def _failed(self, error: VoiceError, now: int) -> VoiceState:
        """How the voice does after an error: failing at once where only a person can mend it, else after some tries."""
        if error.why is not Why.UNFIT:
            self._tries += 1
            surely = error.why in (Why.LOCKED, Why.REFUSED)
            if self._failing is None and (surely or self._tries >= FAILING_TRIES):
                self._failing, self._told = now, False
        return VoiceState(id=self._name, tried=now, failing=self._failing, detail=error.detail)

    def _succeeded(self, said: Said, now: int) -> VoiceState:
        self._tries, self._quiet_until = 0, 0
        if self._failing is not None:
            self._failing, self._told = None, False
        return VoiceState(id=self._name, tried=now, succeeded=now, detail=said.detail)

    async def _tell(self, state: VoiceState) -> None:
        """Failing and working again are news for the core, once each."""
        if self._told:
            return
        self._told = True
        if self._failing is None:
            now = self._common.clock.now()
            await self._common.committer.call(lambda journal: outbox.hurry(journal, self._name, now))
        await self._common.changed(self._name, self._failing is None, state.detail)

    async def _mark(
        self, rows: Sequence[Row], status: str, next_try: int, detail: str, state: VoiceState | None
    ) -> None:
        await self._common.committer.call(lambda journal: outbox.mark(journal, rows, status, next_try, detail, state))


def _stranger(row: Row) -> str:
    return f"nobody knows who {row.person!r} is any more"


def _alike(row: Row, rows: Sequence[Row]) -> int:
    """How many of `rows` could be said together with `row`."""
    return sum(other.foldable and other.person == row.person for other in rows)
