"""Keys that orders are signed with, one a controller: where each stands, how one is made and read.

A key is never logged, and printed once. When one is read, and what it signs, is hub/signer.py's business.
"""

import re
import secrets
from pathlib import Path

from device_profiles.door import Refusal
from device_profiles.types import MqttProfile
from hub.durable import replace_file
from hub.settings.secret import SecretError, read_secret
from hub.settings.site import Device

FOLDER = "order-keys"
KEY_BYTES = 32  # RFC 2104, 3: as long as the hash; shorter ones weaken it
_KEY = re.compile(rf"[0-9a-fA-F]{{{2 * KEY_BYTES}}}")


def is_signed(device: Device) -> bool:
    """True for a device that obeys signed orders only."""
    return isinstance(device.profile, MqttProfile) and bool(device.profile.signed)


def key_file(device: Device, data: Path) -> Path:
    """Where its key stands: as the site file says, else in the data folder."""
    return Path(device.order_key_file) if device.order_key_file else data / FOLDER / f"{device.id}.key"


def read_key(file: Path) -> bytes:
    """The key in this file. Raises SecretError, which holds nothing of it."""
    text = read_secret(file)
    if not _KEY.fullmatch(text):
        raise SecretError(file, "is no key", f"{2 * KEY_BYTES} hexadecimal digits, as `zhian device key` makes them")
    return bytes.fromhex(text)


def make_key(file: Path, *, renew: bool = False) -> str:
    """A new random key in a file of mode 0600; its digits, to be told once. Raises Refusal, OSError."""
    if file.exists() and not renew:
        right = "--new makes another one; the controller obeys nothing until it has it"
        raise Refusal(file, "", "was made before, and is told once", right=right)
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    digits = secrets.token_hex(KEY_BYTES)
    replace_file(file, digits + "\n")
    return digits
