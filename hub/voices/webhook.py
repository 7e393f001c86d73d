"""The voice that posts the announcement as JSON over HTTP, signed with the receiver's secret."""

import asyncio
import hashlib
import hmac
import http.client
import urllib.error
import urllib.request
from pathlib import Path

import msgspec

from hub.voices import Announcement, VoiceError

TIMEOUT_S = 10.0


class WebhookVoice:
    """POSTs to `url` with `Zhian-Event` (the announcement's id) and `Zhian-Signature: sha256=<HMAC of the body>`."""

    def __init__(self, url: str, secret_file: str = "") -> None:
        """The secret is read from its file at each use, so that it can be changed without a restart."""
        self._url, self._secret_file = url, secret_file

    async def say(self, announcement: Announcement) -> str:
        """Post; accepted on a 2xx answer. 4xx other than 408 and 429 is permanent."""
        return await asyncio.to_thread(self._post, announcement)

    def _post(self, announcement: Announcement) -> str:
        body = msgspec.json.encode(announcement)
        headers = {"Content-Type": "application/json", "Zhian-Event": announcement.id, **self._signature(body)}
        request = urllib.request.Request(self._url, body, headers)  # noqa: S310  # settings allow http(s) only
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:  # noqa: S310
                return f"HTTP {answer.status}"
        except urllib.error.HTTPError as error:
            with error:
                permanent = 400 <= error.code < 500 and error.code not in (408, 429)
                raise VoiceError(f"HTTP {error.code} {error.reason}", permanent=permanent) from None
        except (OSError, http.client.HTTPException) as error:
            raise VoiceError(f"{self._url}: {error}") from None

    def _signature(self, body: bytes) -> dict[str, str]:
        if not self._secret_file:
            return {}
        try:
            secret = Path(self._secret_file).read_bytes().strip()
        except OSError as error:
            raise VoiceError(f"{self._secret_file}: {error.strerror}") from None
        return {"Zhian-Signature": "sha256=" + hmac.new(secret, body, hashlib.sha256).hexdigest()}
