"""The voice that posts the announcement as JSON over HTTP, signed with the receiver's secret."""

import asyncio
import hashlib
import hmac
import http.client
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec

from hub.voices import Announcement, VoiceError

TIMEOUT_S = 10.0  # without a byte
ANSWER_S = 30.0  # in all: a peer that sends a byte now and then never answers


class _StayHere(urllib.request.HTTPRedirectHandler):
    """Follows no redirect: a POST would arrive there as a GET, without the announcement, and count as said."""

    def redirect_request(self, *_: object) -> None:
        """Nowhere, so that the answer stays an error."""


class WebhookVoice:
    """POSTs to `url` with `Zhian-Event` (the announcement's id) and `Zhian-Signature: sha256=<HMAC of the body>`."""

    def __init__(self, url: str, secret_file: str = "") -> None:
        """The secret is read from its file at each use, so that it can be changed without a restart."""
        self._url, self._secret_file = url, secret_file
        self._thread = ThreadPoolExecutor(1, "webhook")  # its own: one that hangs must not take the shared ones
        self._opener = urllib.request.build_opener(_StayHere)

    async def say(self, announcement: Announcement) -> str:
        """Post; accepted on a 2xx answer. A URL that is none, and 4xx other than 408 and 429, are permanent."""
        try:
            async with asyncio.timeout(ANSWER_S):
                return await asyncio.get_running_loop().run_in_executor(self._thread, self._post, announcement)
        except TimeoutError:
            raise VoiceError(f"{self._url}: no whole answer within {ANSWER_S:.0f} s") from None

    def _post(self, announcement: Announcement) -> str:
        body = msgspec.json.encode(announcement)
        headers = {"Content-Type": "application/json", "Zhian-Event": announcement.id, **self._signature(body)}
        try:
            request = urllib.request.Request(self._url, body, headers)  # noqa: S310  # the site file's own word
            with self._opener.open(request, timeout=TIMEOUT_S) as answer:
                return f"HTTP {answer.status}"
        except urllib.error.HTTPError as error:
            with error:
                permanent = 400 <= error.code < 500 and error.code not in (408, 429)
                raise VoiceError(f"HTTP {error.code} {error.reason}", permanent=permanent) from None
        except (OSError, ValueError, http.client.HTTPException) as error:
            # a ValueError that is no OSError (as a wrong certificate is): no URL, or one that HTTP cannot carry
            unfit = isinstance(error, http.client.InvalidURL | ValueError) and not isinstance(error, OSError)
            raise VoiceError(f"{self._url}: {error}", permanent=unfit) from None

    def _signature(self, body: bytes) -> dict[str, str]:
        if not self._secret_file:
            return {}
        try:
            secret = Path(self._secret_file).read_bytes().strip()
        except OSError as error:
            raise VoiceError(f"{self._secret_file}: {error.strerror}") from None
        return {"Zhian-Signature": "sha256=" + hmac.new(secret, body, hashlib.sha256).hexdigest()}
