"""Secrets that the office must read again are sealed before they are stored: a copy of the database gives none away.

The key is `office.key` beside it. What need not be read again is stored as a digest only.
"""

import base64
import hashlib
import hmac
from typing import TypeVar

import msgspec
from cryptography.fernet import Fernet, InvalidToken

T = TypeVar("T")


class Vault:
    """Seals structs, and knows short secrets again without storing them."""

    def __init__(self, key: bytes) -> None:
        """`key`: 32 random bytes or more."""
        self._fernet = Fernet(base64.urlsafe_b64encode(hashlib.sha256(b"zhian seal" + key).digest()))
        self._digest_key = hashlib.sha256(b"zhian digest" + key).digest()

    def seal(self, content: object) -> str:
        """The content as a text that nobody can read or make without the key."""
        return self._fernet.encrypt(msgspec.json.encode(content)).decode()

    def open(self, sealed: str, kind: type[T]) -> T | None:
        """What was sealed; None for anything else."""
        try:
            return msgspec.json.decode(self._fernet.decrypt(sealed.encode()), type=kind)
        except (InvalidToken, msgspec.DecodeError, ValueError):
            return None

    def digest(self, text: str) -> str:
        """The same for the same text, and of no use to who has it without the key."""
        return hmac.new(self._digest_key, text.encode(), hashlib.sha256).hexdigest()
