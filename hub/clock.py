"""The only file that asks the operating system for the time.

Everything that decides takes the time as an argument; everything that waits uses `Clock.sleep`. A demo may run
its clock faster: all processes of one demo share anchor and speed through the environment variable ZHIAN_CLOCK.
"""

import asyncio
import os
import time

ENVIRONMENT = "ZHIAN_CLOCK"


class Clock:
    """Wall and monotonic time, `speed` times as fast as the real ones since `anchor_ms` (ms since 1970)."""

    def __init__(self, speed: float = 1.0, anchor_ms: int = 0) -> None:
        """Speed 1.0 is the real clock; the anchor then does not matter."""
        self.speed = speed
        self.anchor_ms = anchor_ms

    @classmethod
    def from_environment(cls) -> "Clock":
        """The clock that the parent process set (`<speed>@<anchor ms>`), or the real one."""
        speed, _, anchor = os.environ.get(ENVIRONMENT, "").partition("@")
        return cls(float(speed), int(anchor)) if speed and anchor else cls()

    def to_environment(self) -> dict[str, str]:
        """What a child process needs in its environment to share this clock."""
        return {} if self.speed == 1.0 else {ENVIRONMENT: f"{self.speed}@{self.anchor_ms}"}

    def now(self) -> int:
        """Wall time in whole milliseconds since 1970, UTC."""
        real = time.time_ns() // 1_000_000
        return real if self.speed == 1.0 else int(self.anchor_ms + (real - self.anchor_ms) * self.speed)

    def monotonic(self) -> float:
        """Seconds that only ever grow, for cadences and time-outs of the hub's own life."""
        return time.monotonic() * self.speed

    async def sleep(self, seconds: float) -> None:
        """Wait so many seconds of this clock."""
        await asyncio.sleep(max(0.0, seconds) / self.speed)
