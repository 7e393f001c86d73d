"""The signed link that a called person opens on the telephone: which occurrence, who, until when. Pure.

It is a credential: whoever holds it may acknowledge this one occurrence as this one person, and nothing else.
"""

import base64
import hashlib
import hmac
import re
from enum import StrEnum

import msgspec

KEY_FILE = "duty.key"
PATH = "/b/"
_TAG_BYTES = 16  # 128 of HMAC-SHA256's 256 bits: RFC 2104, section 5, allows half
_FORM = re.compile(r"(\d{1,15})\.(\d{1,9})\.([a-z0-9-]{1,64})\.(\d{1,12})\.([A-Za-z0-9_-]{22})", re.ASCII)


class Pass(msgspec.Struct, frozen=True):
    """What a link carries: the occurrence's number, the run of its escalation, the person's id, its end (s)."""

    number: int
    run: int
    person: str
    expires: int


class Wrong(StrEnum):
    """Why a link opens nothing."""

    FORGED = "forged"
    EXPIRED = "expired"


def sign(key: bytes, site: str, carried: Pass) -> str:
    """The link's last part."""
    body = f"{carried.number}.{carried.run}.{carried.person}.{carried.expires}"
    return f"{body}.{_tag(key, site, body)}"


def open_link(key: bytes, site: str, text: str, now: int) -> Pass | Wrong:
    """What the link carries, when the signature is ours and `now` (ms) is not past its end."""
    match = _FORM.fullmatch(text)
    if match is None or not hmac.compare_digest(_tag(key, site, text.rpartition(".")[0]), match[5]):
        return Wrong.FORGED
    carried = Pass(int(match[1]), int(match[2]), match[3], int(match[4]))
    return carried if now < carried.expires * 1000 else Wrong.EXPIRED


def _tag(key: bytes, site: str, body: str) -> str:
    digest = hmac.new(key, f"zhian brief 1\0{site}\0{body}".encode(), hashlib.sha256).digest()
    return base64.urlsafe_b64encode(digest[:_TAG_BYTES]).decode().rstrip("=")
