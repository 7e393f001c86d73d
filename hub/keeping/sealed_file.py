"""A file that nobody reads without its passphrase: scrypt makes the key, AES-256-GCM seals chunk by chunk.

The chunks are numbered and the last one says so (STREAM: Hoang, Reyhanitabar, Rogaway, Vizár 2015): what is changed,
moved, left out or cut off is noticed. Of any size, in little memory. It knows nothing of backups.
"""

import hashlib
import hmac
import io
import secrets
import struct
from pathlib import Path
from typing import IO

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

MAGIC = b"zhian-sealed-1\n\0"
CHUNK = 1 << 20
LOG_N, R, P = 17, 8, 1  # OWASP's recommendation for scrypt: 128 MiB and a third of a second a guess
LEAST_PASSPHRASE = 12  # characters: whoever has the file may guess for years
_TAG, _SALT, _PREFIX, _PROOF = 16, 16, 7, 16
_HEADER = struct.Struct(f">{len(MAGIC)}sBBB{_SALT}s{_PREFIX}s{_PROOF}s")  # what, N, r, p, salt, nonce, proof of the key
_MOST_CHUNKS = 2**32 - 1


class SealError(Exception):
    """The file cannot be read so; `problem` and what would be `right`."""

    def __init__(self, problem: str, right: str) -> None:
        """Neither holds anything of the passphrase."""
        self.problem, self.right = problem, right
        super().__init__(f"{problem}; {right}")


class SealedWriter(io.RawIOBase):
    """Seals what is written to it into `file`, which stays open. Only `close` makes it whole."""

    _begun = False

    def __init__(self, file: IO[bytes], passphrase: str) -> None:
        """Writes the header. Raises SealError for a passphrase that is too short."""
        if len(passphrase) < LEAST_PASSPHRASE:
            raise SealError("the passphrase is too short", f"{LEAST_PASSPHRASE} characters or more")
        salt, self._prefix = secrets.token_bytes(_SALT), secrets.token_bytes(_PREFIX)
        key, proof = _keys(passphrase, salt)
        self._header = _HEADER.pack(MAGIC, LOG_N, R, P, salt, self._prefix, proof)
        self._cipher, self._file = AESGCM(key), file
        self._buffer, self._number = bytearray(), 0
        file.write(self._header)
        self._begun = True

    def writable(self) -> bool:
        """Yes."""
        return True

    def write(self, data: bytes) -> int:  # type: ignore[override]  # bytes are what is written
        """All of it. What fills no chunk yet waits."""
        self._buffer += data
        while len(self._buffer) > CHUNK:  # the last chunk is sealed as such: it is kept back
            self._put(bytes(self._buffer[:CHUNK]), last=False)
            del self._buffer[:CHUNK]
        return len(data)

    def close(self) -> None:
        """Seal the last chunk."""
        if self._begun and not self.closed:
            self._put(bytes(self._buffer), last=True)
            self._buffer.clear()
        super().close()

    def _put(self, chunk: bytes, *, last: bool) -> None:
        self._file.write(self._cipher.encrypt(_nonce(self._prefix, self._number, last=last), chunk, self._header))
        self._number += 1


class SealedReader(io.RawIOBase):
    """What was sealed, from first to last; nothing of it is given out before its chunk is proved genuine."""

    def __init__(self, file: IO[bytes], passphrase: str) -> None:
        """`file` stands at its beginning. Raises SealError for another passphrase, or another kind of file."""
        self._header = file.read(_HEADER.size)
        if len(self._header) < _HEADER.size or not self._header.startswith(MAGIC):
            raise SealError("is not encrypted by Zhian", "leave the passphrase out")
        _, log_n, r, p, salt, self._prefix, proof = _HEADER.unpack(self._header)
        if (log_n, r, p) != (LOG_N, R, P):  # or a made-up header would have us take gigabytes
            raise SealError("is encrypted with other numbers of scrypt", f"this version reads {LOG_N}, {R}, {P}")
        key, ours = _keys(passphrase, salt)
        if not hmac.compare_digest(ours, proof):
            raise SealError("another passphrase opens this file", "the passphrase that it was made with")
        self._cipher, self._file = AESGCM(key), file
        self._ready, self._at, self._number, self._over = b"", 0, 0, False
        self._next = file.read(CHUNK + _TAG)

    def readable(self) -> bool:
        """Yes."""
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # as io.BytesIO is called by its wrappers
        """As far as there is some. Raises SealError for what is damaged or cut off."""
        if self._at == len(self._ready) and not self._over:
            self._ready, self._at = self._open(), 0
        taken = min(len(buffer), len(self._ready) - self._at)
        buffer[:taken] = self._ready[self._at : self._at + taken]
        self._at += taken
        return taken

    def _open(self) -> bytes:
        sealed, self._next = self._next, self._file.read(CHUNK + _TAG)
        self._over = not self._next
        try:
            chunk = self._cipher.decrypt(_nonce(self._prefix, self._number, last=self._over), sealed, self._header)
        except InvalidTag:
            where = "its end is missing, or damaged" if self._over else f"is damaged in its {self._number + 1}. MiB"
            raise SealError(where, "take another copy, or an older backup") from None
        self._number += 1
        return chunk


def is_sealed(file: Path) -> bool:
    """Whether it begins as such a file does. Raises OSError."""
    with file.open("rb") as opened:
        return opened.read(len(MAGIC)) == MAGIC


def _keys(passphrase: str, salt: bytes) -> tuple[bytes, bytes]:
    """The key, and what proves it in the header: another part of what scrypt gives, from which no key follows."""
    made = hashlib.scrypt(passphrase.encode(), salt=salt, n=1 << LOG_N, r=R, p=P, maxmem=1 << 28, dklen=32 + _PROOF)
    return made[:32], made[32:]


def _nonce(prefix: bytes, number: int, *, last: bool) -> bytes:
    if number > _MOST_CHUNKS:
        raise SealError("is too large", "4 PiB at most")
    return prefix + struct.pack(">IB", number, last)
