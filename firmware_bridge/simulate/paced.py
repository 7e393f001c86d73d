"""The time that an RS-485 line takes: half-duplex, each character at its baud rate, each device thinking first.

A pty hands bytes over at once; on a real line a question and its answer take tens of milliseconds, and two who talk at
a time spoil each other's bytes. What the answer is, is the devices' business. The silence between frames is not judged.
"""

import random
from asyncio import TimerHandle, get_running_loop
from collections import deque
from collections.abc import Callable

from firmware_bridge.wire.modbus import bits_per_character
from hub.clock import Clock
from hub.settings.site import ModbusRtuLink

_CHUNK = 8  # characters that an adapter hands over together
_EARLY_S = 0.0002  # a timer may be so much too early; loops round to milliseconds
_REMEMBERED = 100_000


class Pace:
    """One line's time. `thinks(unit)` = s between question and answer; `asked` keeps (s by the real clock, unit)."""

    def __init__(self, link: ModbusRtuLink, thinks: Callable[[int], float]) -> None:
        """Idle."""
        self._character = bits_per_character(link.parity, link.stop_bits) / link.baud
        self._thinks, self._clock = thinks, Clock()
        self.busy = False
        self._spoiled = False
        self._timer: TimerHandle | None = None
        self.asked: deque[tuple[float, int]] = deque(maxlen=_REMEMBERED)
        self.collisions = 0

    def carry(self, question: bytes, reply: Callable[[bytes], bytes], say: Callable[[bytes], None]) -> None:
        """Bytes that a master put on the line: `reply` is asked when they have come, and `say` brings what it says."""
        now = self._clock.monotonic()
        self.asked.append((now, question[0]))
        if self.busy:
            self._spoiled = True
            self.collisions += 1
            return
        self.busy, self._spoiled = True, False
        heard = now + len(question) * self._character
        self._at(heard, lambda: self._answer(question, heard, reply, say))

    def close(self) -> None:
        """Nothing more comes."""
        if self._timer is not None:
            self._timer.cancel()

    def _answer(
        self, question: bytes, heard: float, reply: Callable[[bytes], bytes], say: Callable[[bytes], None]
    ) -> None:
        answer = b"" if self._spoiled else reply(question)
        if answer:
            self._speak(answer, heard + self._thinks(question[0]), say)
        else:
            self.busy = False

    def _speak(self, answer: bytes, begin: float, say: Callable[[bytes], None]) -> None:
        part, rest = answer[:_CHUNK], answer[_CHUNK:]
        end = begin + len(part) * self._character

        def spoken() -> None:
            say(bytes(byte ^ 0x55 for byte in part) if self._spoiled else part)
            if rest:
                self._speak(rest, end, say)
            else:
                self.busy = False

        self._at(end, spoken)

    def _at(self, when: float, do: Callable[[], None]) -> None:
        """Never early: a line is not faster than its baud rate."""
        left = when - self._clock.monotonic()
        if left <= _EARLY_S:
            do()
        else:
            self._timer = get_running_loop().call_later(left, self._at, when, do)


def thinking(latency: float, seed: int) -> Callable[[int], float]:
    """Devices that think for 0.5 to 1 times `latency` seconds."""
    chance = random.Random(seed)
    return lambda unit: latency * chance.uniform(0.5, 1.0)
