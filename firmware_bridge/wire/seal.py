"""The seal of an order: HMAC-SHA256 over its canonical text, with a counter that only grows.

Pure, and both ends of it, for the hub and for simulated devices. Where keys come from, and which counter was the last
one, is decided elsewhere.
"""

import hashlib
import hmac
import re
from collections.abc import Mapping
from typing import NamedTuple

import msgspec

SIGNED = "hmac-sha256"
_FIRST = b"zhian-order-1\n"
_NAME = re.compile(r"[A-Za-z0-9_]+")  # a name that could hold "=" or a line's end could hide another member
_SIGNATURE = re.compile(r"[0-9a-f]{64}")
_MOST = 2**63 - 1
_TIME = frozenset({"issued", "expires"})


class Seal(NamedTuple):
    """What an order is signed with. `nonce`: the controller's own number, which then stands where time would."""

    key: bytes
    counter: int
    nonce: str = ""


# What samples of profiles are written with, so that whoever builds a controller can compare: a key that nobody uses.
EXAMPLE = Seal(bytes(range(32)), 1_760_000_000_000)
EXAMPLE_TOPIC = "garden/gate-1/do"


def canonical(topic: str, members: Mapping[str, bytes]) -> bytes:
    """What is signed: a first line, the topic, then a line `name=value` a member, sorted by name.

    Values are the JSON texts as they stand in the message. `sig` itself is not among the members.
    """
    lines = [f"{name}=".encode() + members[name] + b"\n" for name in sorted(members)]
    return _FIRST + topic.encode() + b"\n" + b"".join(lines)


def sealed(topic: str, payload: Mapping[str, object], seal: Seal) -> bytes:
    """The message with `counter` and `sig`. Raises ValueError for a member that cannot be told apart in it.

    With a nonce it says nothing of time: a controller that knows no nonces refuses it, and believes no wrong clock.
    """
    said = {**payload, "counter": seal.counter}
    if seal.nonce:
        said = {name: value for name, value in said.items() if name not in _TIME} | {"nonce": seal.nonce}
    if wrong := [name for name in said if not _NAME.fullmatch(name)]:
        raise ValueError(f"an order with a member {wrong[0]!r} cannot be signed")
    members = {name: msgspec.json.encode(value) for name, value in said.items()}
    return msgspec.json.encode({**said, "sig": _sum(topic, members, seal.key)})


def genuine(topic: str, payload: bytes, key: bytes) -> int | None:
    """The counter of an order that this key signed for this topic; None when it did not."""
    try:
        members = {
            name: bytes(value) for name, value in msgspec.json.decode(payload, type=dict[str, msgspec.Raw]).items()
        }
        signature = msgspec.json.decode(members.pop("sig", b"null"))
        counter = msgspec.json.decode(members.get("counter", b"null"))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    if not isinstance(signature, str) or not _SIGNATURE.fullmatch(signature):
        return None
    if any(not _NAME.fullmatch(name) or value[:1] in (b"{", b"[") for name, value in members.items()):
        return None
    if not hmac.compare_digest(signature, _sum(topic, members, key)):
        return None
    return counter if type(counter) is int and 0 < counter <= _MOST else None


def _sum(topic: str, members: Mapping[str, bytes], key: bytes) -> str:
    return hmac.new(key, canonical(topic, members), hashlib.sha256).hexdigest()
