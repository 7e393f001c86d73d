"""The voices: each file says one announcement over one channel, or raises VoiceError. None decides or retries."""

from typing import Protocol

import msgspec

from hub.reading import Label, Value


class Announcement(msgspec.Struct, frozen=True, kw_only=True):
    """One thing to be said. `id` is the same when it is said again, so that a receiver can drop the repeat."""

    id: str
    kind: str  # raised | cleared
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
    to: str = ""  # the address of one person; empty: whoever listens
    page: str = ""  # where that person reads about it, and acknowledges


class VoiceError(Exception):
    """It was not said. `permanent`: trying again cannot help."""

    def __init__(self, detail: str, *, permanent: bool = False) -> None:
        """`detail` in words for the page."""
        self.detail, self.permanent = detail, permanent
        super().__init__(detail)


class Voice(Protocol):
    """One channel."""

    async def say(self, announcement: Announcement) -> str:
        """Say it; return what the other side answered, in a few words. Raises VoiceError."""
