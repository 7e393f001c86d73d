"""Who is on a Modbus line: asks unit after unit whether it is there, then what it calls itself and what it answers to.

It asks through whatever it is given, and never writes. Speeds and hosts are tried by `sweep`; what answers mean is
judged by `wire.match`.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from typing import TypeAlias

import msgspec

from device_profiles.load import profiles
from device_profiles.types import ModbusProfile
from firmware_bridge.raw import Registers, Trouble
from firmware_bridge.wire.match import Guess, Verdict, block, judge, questions, rank, same_everywhere
from firmware_bridge.wire.modbus import Identification, Request, crc16
from hub.reading import FaultKind

Ask: TypeAlias = Callable[[Request, float], Awaitable[Registers | Trouble]]
FIRST_FUNCTIONS = (3, 1)  # registers, then coils: a relay board may know nothing else
PATIENT = 3.0  # a unit that is there may take so many times as long as one that is looked for
_NO_TARGET = frozenset({0x0A, 0x0B})  # a gateway's word for "there is no such unit"
_PROGRESS_EVERY = 8


class Where(msgspec.Struct, frozen=True, kw_only=True):
    """One line to survey. `baud` 0 is TCP. `known`: unit -> device id of the site; `taken`: ids not to propose.

    `timeout`: s that a unit has to begin its answer. `link_block`: the [[link]] table of this line.
    """

    name: str
    units: tuple[int, ...]
    timeout: float
    baud: int = 0
    known: Mapping[int, str] = {}
    taken: tuple[str, ...] = ()
    link_block: str = ""


class Progress(msgspec.Struct, frozen=True, kw_only=True, tag_field="event", tag="progress"):
    """So far: `done` of `of` questions of this round."""

    where: str
    done: int
    of: int
    found: int


class Odd(msgspec.Struct, frozen=True, kw_only=True, tag_field="event", tag="odd"):
    """Something answered, and not rightly: two devices with one number, another speed, noise."""

    where: str
    unit: int
    fault: FaultKind
    detail: str


class Found(msgspec.Struct, frozen=True, kw_only=True, tag_field="event", tag="found"):
    """A unit that is there: what it calls itself, what it may be (best first), and what to paste.

    `device`: what the site has under this number already. `unlikely`: profile -> why not.
    """

    where: str
    unit: int
    identity: dict[str, str] = {}
    guesses: list[Guess] = []
    unlikely: dict[str, str] = {}
    device: str = ""
    note: str = ""
    block: str = ""
    link_block: str = ""


Event: TypeAlias = Progress | Odd | Found


def answer_s(baud: int) -> float:
    """How long a unit may take to begin its answer: 60 ms, and 40 characters for a slow line's slow processors."""
    return 0.06 + 40 * 10 / baud


async def survey(ask: Ask, where: Where, functions: Sequence[int] = FIRST_FUNCTIONS) -> AsyncGenerator[Event, None]:
    """All units that answer. Further functions are tried only where the first found somebody. Raises PortError."""
    present: dict[int, Registers | Trouble] = {}
    for function in functions:
        if function != functions[0] and not present:
            return
        silent = [unit for unit in where.units if unit not in present]
        for done, unit in enumerate(silent):
            if done % _PROGRESS_EVERY == 0:
                yield Progress(where=where.name, done=done, of=len(silent), found=len(present))
            last = done + 1 == len(silent)
            answer = await ask(Request(unit, function, 0), where.timeout * (PATIENT if last else 1.0))
            if is_there(unit, answer):
                present[unit] = answer
            elif isinstance(answer, Trouble) and answer.kind is not FaultKind.NO_ANSWER and not _absent(answer):
                slow = await _patiently(ask, silent[max(0, done - 2) : done + 1], function, where.timeout, present)
                if not slow:
                    yield Odd(where=where.name, unit=unit, fault=answer.kind, detail=answer.detail)
            if len(present) == done + 1 == 8 and same_everywhere(list(present.values())):
                yield await identify(ask, where, where.units[0], note="it answers to every unit number")
                return
        yield Progress(where=where.name, done=len(silent), of=len(silent), found=len(present))
    for unit in sorted(present):
        yield await identify(ask, where, unit)


async def _patiently(
    ask: Ask, units: Sequence[int], function: int, timeout: float, present: dict[int, Registers | Trouble]
) -> bool:
    """What came may have been the late answer of a unit before: ask them again, and wait longer. True: it was."""
    heard = False
    for unit in units:
        if unit not in present:
            answer = await ask(Request(unit, function, 0), PATIENT * timeout)
            if is_there(unit, answer):
                present[unit], heard = answer, True
    return heard


async def identify(ask: Ask, where: Where, unit: int, note: str = "") -> Found:
    """What this unit is: every Modbus profile's own questions, each asked once. Raises PortError."""
    identity = Identification(unit)
    while identity.question is not None:
        identity.take(await ask(identity.question, PATIENT * where.timeout))
    answers: dict[Request, Registers | Trouble] = {}
    guesses = []
    for profile in profiles().values():
        if isinstance(profile, ModbusProfile):
            await _ask_all(ask, questions(profile, unit), answers, PATIENT * where.timeout)
            guesses.append(judge(profile, unit, answers, where.baud))
    fitting = [guess for guess in rank(guesses) if guess.verdict is not Verdict.UNLIKELY]
    device = where.known.get(unit, "")
    propose = fitting and not device
    return Found(
        where=where.name,
        unit=unit,
        identity=identity.texts,
        guesses=fitting,
        unlikely={guess.profile: guess.why for guess in guesses if guess.verdict is Verdict.UNLIKELY},
        device=device,
        note=note,
        block=block(fitting[0].profile, unit, where.taken) if propose else "",
        link_block=where.link_block,
    )


async def _ask_all(
    ask: Ask, wanted: Sequence[Request], answers: dict[Request, Registers | Trouble], timeout: float
) -> None:
    """Up to the first that is not answered well: the profile is out then."""
    for request in wanted:
        if request not in answers:
            answers[request] = await ask(request, timeout)
        if isinstance(answers[request], Trouble):
            return


def is_there(unit: int, answer: Registers | Trouble) -> bool:
    """Good or not, this came from that unit."""
    if isinstance(answer, Registers):
        return True
    if answer.kind in (FaultKind.REFUSED, FaultKind.BUSY):
        return not _absent(answer)
    return answer.kind is FaultKind.MISMATCH and _speaker(answer.payload or b"") == unit


def _absent(answer: Trouble) -> bool:
    return answer.kind is FaultKind.REFUSED and bool(answer.payload) and _code(answer.payload or b"") in _NO_TARGET


def _code(payload: bytes) -> int:
    """The exception code of a refusal, as an RTU or a TCP frame."""
    return payload[-3] if crc16(payload[:-2]) == payload[-2:] else payload[-1]


def _speaker(payload: bytes) -> int | None:
    """Who sent this whole frame; None for anything else, as our own question that came back."""
    if len(payload) > 4 and crc16(payload[:-2]) == payload[-2:]:
        return payload[0]
    if len(payload) > 8 and payload[2:4] == b"\0\0" and int.from_bytes(payload[4:6], "big") == len(payload) - 6:
        return payload[6]
    return None
