"""One message as the broker delivered it, and what is done with a PUBLISH that the codec cannot read.

Such a packet must not cost the connection: the broker would send it again on the next one, for ever.
"""

import msgspec

_PUBLISH = 3


class Delivery(msgspec.Struct, frozen=True, gc=False):
    """One PUBLISH that came; `packet_id` is 0 for QoS 0.

    `broken`: what the codec said of a packet that it cannot read; the payload then is the whole packet.
    """

    topic: str
    payload: bytes
    qos: int
    retained: bool
    packet_id: int
    again: bool
    rx: int
    broken: str = ""


def unreadable(data: bytes, rx: int, problem: str) -> tuple[Delivery | None, int]:
    """A whole PUBLISH that the codec refuses, as a broken delivery with its length; (None, 0) for all else."""
    if data[0] >> 4 != _PUBLISH:
        return None, 0
    length = at = 0
    for at in range(1, 5):  # MQTT 5, 1.5.5: variable byte integer
        length |= (data[at] & 0x7F) << 7 * (at - 1)
        if data[at] < 0x80:
            break
    size, qos, topic_at = at + 1 + length, data[0] >> 1 & 3, at + 3
    topic_end = topic_at + int.from_bytes(data[at + 1 : topic_at])
    if qos > 1 or topic_end + 2 * qos > size or size > len(data):
        return None, 0
    topic = data[topic_at:topic_end].decode("utf-8", "replace")
    packet_id = int.from_bytes(data[topic_end : topic_end + 2]) if qos else 0
    return Delivery(topic, data[:size], qos, bool(data[0] & 1), packet_id, bool(data[0] & 8), rx, problem), size
