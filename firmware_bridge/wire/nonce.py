"""A controller's own number in an order, instead of the hub's time: how it is asked for, and how it is told.

Pure, and both ends of it. A hub whose clock is not trusted asks for one; whether it is good is the controller's to say.
"""

import re

import msgspec

QUANTITY = "order_nonce"  # the controller's answer, with the order's id in its detail
LIFE_S = 10.0  # by the controller's own clock that nobody sets; then, or once used, it is worth nothing
BYTES = 16
_NONCE = re.compile(rf"[0-9a-f]{{{2 * BYTES}}}")


def is_nonce(value: object) -> bool:
    """Whether it may be one."""
    return isinstance(value, str) and _NONCE.fullmatch(value) is not None


def asking(device: str, order: str) -> bytes:
    """What a hub says on the orders topic; it moves nothing, so it is not signed."""
    return msgspec.json.encode({"ask": "nonce", "id": order, "device": device})


def asked(device: str, payload: bytes) -> str | None:
    """The id of the order for which this device is asked; None where the message is something else."""
    try:
        said = msgspec.json.decode(payload, type=dict[str, object])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    order = said.get("id")
    mine = said.get("ask") == "nonce" and said.get("device") == device
    return order if mine and isinstance(order, str) and 0 < len(order) <= 40 else None
