"""The door to the other hundred: whatever the library apprise can speak to. Nothing proves that it arrived.

The library looks at the status of an answer and seldom at its body, so every "yes" of its is marked unconfirmed. It is
loaded when a voice of this kind first speaks.
"""

import asyncio
import contextlib
import logging
from concurrent.futures import ThreadPoolExecutor

from hub.settings.site_voice import AppriseSpec
from hub.speaking.budget import Limit
from hub.voices import Announcement, Person, Said, VoiceError, Why, robot
from hub.voices.text import compose, headline

TOTAL_S = 30.0
MOST_BYTES = 2_000
LIMIT = Limit(20, 60.0)  # our own: the library's throttle sleeps instead


class AppriseVoice:
    """Hands the text to every address of `urls_file`."""

    def __init__(self, spec: AppriseSpec) -> None:
        """The addresses are read at each use."""
        self._spec = spec
        self._threads = ThreadPoolExecutor(2, "apprise")
        self._under_way = 0
        self.limits: tuple[Limit, ...] = (LIMIT,) if spec.per_minute is None else (Limit(spec.per_minute, 60.0),)

    def keys(self, person: Person | None) -> tuple[str, ...]:
        """The file's."""
        return (robot.fingerprint("apprise", self._spec.urls_file),)

    async def say(self, announcement: Announcement, person: Person | None = None) -> Said:
        """Handed over, unconfirmed. A call of the library cannot be cut: two that hang are the last until they end."""
        urls = robot.secret(self._spec.urls_file).split()
        if self._under_way >= 2:
            raise VoiceError("the library still hangs in earlier messages")
        title = headline(announcement, self._spec.languages[0])
        body = compose(announcement, self._spec.languages, MOST_BYTES)
        self._under_way += 1
        working = asyncio.get_running_loop().run_in_executor(self._threads, _notify, urls, title, body)
        working.add_done_callback(self._ended)
        try:
            async with asyncio.timeout(TOTAL_S):
                await asyncio.shield(working)
        except TimeoutError:
            raise VoiceError(f"no end within {TOTAL_S:.0f} s") from None
        return Said(f"handed to {len(urls)}, unconfirmed", confirmed=False)

    def _ended(self, working: "asyncio.Future[None]") -> None:
        self._under_way -= 1
        with contextlib.suppress(asyncio.CancelledError):
            working.exception()


def _notify(urls: list[str], title: str, body: str) -> None:
    """In a thread. The library's own log would tell the addresses, which are secrets."""
    try:
        import apprise
    except ImportError:
        raise VoiceError("the library apprise is not installed: pip install apprise", Why.LOCKED) from None
    logging.getLogger("apprise").setLevel(logging.CRITICAL)
    speaker = apprise.Apprise()
    if not all(speaker.add(url) for url in urls):
        raise VoiceError("one of the addresses is none that the library knows", Why.LOCKED)
    if not speaker.notify(title=title, body=body):
        raise VoiceError("the library could not hand it over to all")
