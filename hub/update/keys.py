"""Ed25519 keys: the maker's, in a file of mode 0600, and those that a box trusts, one a line.

The trusted ones come with the installation and never with an update. This is the only file that signs and verifies.
"""

import base64
import os
import stat
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from device_profiles.door import Refusal
from hub.settings.secret import SecretError, read_secret

CONTEXT = b"zhian-update-1\n"  # what was signed for something else is no signature of an update
KEY_BYTES = 32
SIGNATURE_BYTES = 64
Trusted = dict[str, Ed25519PublicKey]  # name -> key


def make_key(file: Path) -> str:
    """A new signing key into `file`, which must not be there; its public half as text. Raises Refusal, OSError."""
    key = Ed25519PrivateKey.generate()
    try:
        handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        right = "another FILE: boxes trust the key that is in this one"
        raise Refusal(file, "", "is there already", right=right) from None
    with os.fdopen(handle, "w") as opened:
        opened.write(base64.b64encode(key.private_bytes_raw()).decode() + "\n")
    return _text(key)


def sign(file: Path, message: bytes) -> bytes:
    """The signature by the key in `file`. Raises Refusal."""
    return _private(file).sign(CONTEXT + message)


def trusted(file: Path) -> Trusted:
    """Name -> key of everybody whose updates this box takes. Raises Refusal for a file that others may write to."""
    right = "one line a maker: PUBLIC-KEY NAME, as `zhian update key` prints it"
    try:
        mode, text = file.stat().st_mode, file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise Refusal(file, "", f"cannot be read: {error}", right=right) from None
    if stat.S_IMODE(mode) & 0o022:
        problem = f"may be written by others (mode {stat.S_IMODE(mode):04o}): they decide what runs here"
        raise Refusal(file, "", problem, right=f"chmod 644 {file}")
    keys = {}
    for number, line in enumerate(text.splitlines(), 1):
        word, _, name = line.partition("#")[0].strip().partition(" ")
        if word:
            keys[name.strip() or word[:12]] = _public(file, number, word)
    if not keys:
        raise Refusal(file, "", "trusts nobody: no update can be installed", right=right)
    return keys


def signer_of(message: bytes, signature: bytes, keys: Trusted) -> str | None:
    """The name of whose key signed exactly this; None: nobody's that is trusted."""
    for name, key in keys.items():
        try:
            key.verify(signature, CONTEXT + message)
        except InvalidSignature:
            continue
        return name
    return None


def _private(file: Path) -> Ed25519PrivateKey:
    right = "a FILE that `zhian update key` made"
    try:
        raw = base64.b64decode(read_secret(file), validate=True)
    except SecretError as error:
        raise Refusal(file, "", error.problem, right=error.right) from None
    except ValueError:
        raise Refusal(file, "", "holds no signing key", right=right) from None
    if len(raw) != KEY_BYTES:
        raise Refusal(file, "", "holds no signing key", right=right)
    return Ed25519PrivateKey.from_private_bytes(raw)


def _public(file: Path, number: int, word: str) -> Ed25519PublicKey:
    try:
        return Ed25519PublicKey.from_public_bytes(base64.b64decode(word, validate=True))
    except ValueError:
        right = "44 characters, as `zhian update key` prints them"
        raise Refusal(file, f"line {number}", "is no public key", value=word, right=right) from None


def _text(key: Ed25519PrivateKey) -> str:
    return base64.b64encode(key.public_key().public_bytes_raw()).decode()
