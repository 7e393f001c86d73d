"""Noise monitors that speak as fast as they are asked to: MQTT 3.1.1 from ready-made bytes, which cost little.

Every message of a device has a time stamp of its own, later than the one before: so each can be told from all others.
"""

import contextlib
import socket
import struct
import time
from collections.abc import Sequence

from hub.processes import broker

CONNECTIONS = 8  # the devices share them, as devices behind gateways do
CHUNK = 125  # messages that leave in one write
VARIANTS = 16  # different values of each device, in turn
_MARK = b"1111111111111"
_PUBLISH_QOS_1 = 0x32
_MOST_PACKET_ID = 65_000


class Blast:
    """Speaks for `devices` through a few connections. `sent`: messages a device, in the order of `devices`."""

    def __init__(self, port: int, password: str, devices: Sequence[str]) -> None:
        """Connects; the templates of all messages are made now."""
        ways = min(CONNECTIONS, len(devices))
        self.sent = dict.fromkeys(devices, 0)
        self._ways = [_Way(port, password, at, devices[at::ways], self.sent) for at in range(ways)]
        self._next = 0

    def burst(self) -> list[tuple[str, int]]:
        """Send the next chunk; returns (device, time stamp) of each message."""
        way = self._ways[self._next % len(self._ways)]
        self._next += 1
        return way.burst()

    def close(self) -> None:
        """Hang up."""
        for way in self._ways:
            way.close()


class _Way:
    """One connection and the devices that speak through it."""

    def __init__(self, port: int, password: str, number: int, devices: Sequence[str], sent: dict[str, int]) -> None:
        self._line = connect(port, f"blast-{number}", password)
        self._sent = sent
        variants = max(1, min(VARIANTS, _MOST_PACKET_ID // len(devices)))
        parts = [devices[at : at + CHUNK] for at in range(0, len(devices), CHUNK)]
        self._chunks = [(part, _template(part, variant)) for variant in range(variants) for part in parts]
        self._last = dict.fromkeys(range(len(parts)), 0)
        self._parts, self._at = len(parts), 0

    def burst(self) -> list[tuple[str, int]]:
        devices, template = self._chunks[self._at % len(self._chunks)]
        part = self._at % self._parts
        ts = max(int(time.time() * 1000), self._last[part] + 1)  # noqa: TID251  # a device's own clock
        self._last[part] = ts
        self._at += 1
        self._line.sendall(template.replace(_MARK, b"%d" % ts))
        self._drain()
        for device in devices:
            self._sent[device] += 1
        return [(device, ts) for device in devices]

    def close(self) -> None:
        self._line.close()

    def _drain(self) -> None:
        """The broker's acknowledgements; nobody waits for them here."""
        self._line.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while self._line.recv(1 << 16):
                pass
        self._line.setblocking(True)


def connect(port: int, client: str, password: str) -> socket.socket:
    """An MQTT 3.1.1 connection as the hub's own user. Raises OSError."""
    line = socket.create_connection(("127.0.0.1", port))
    line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    body = (
        _text(b"MQTT")
        + b"\x04\xc2\0\x78"
        + b"".join(map(_text, (client.encode(), broker.HUB.encode(), password.encode())))
    )
    line.sendall(b"\x10" + _length(len(body)) + body)
    if line.recv(4) != b"\x20\x02\0\0":
        raise OSError("the broker refused the connection")
    return line


def publish(topic: str, payload: bytes, packet_id: int) -> bytes:
    """One PUBLISH at QoS 1."""
    body = _text(topic.encode()) + struct.pack(">H", packet_id) + payload
    return bytes([_PUBLISH_QOS_1]) + _length(len(body)) + body


def _template(devices: Sequence[str], variant: int) -> bytes:
    """About 90 bytes a message. Most levels are below every limit; one in eighty is above the night's."""
    return b"".join(
        publish(
            f"bench/{device}/up",
            b'{"ts":%s,"laeq":%.1f,"lafmax":%.1f,"battery":3.61}' % (_MARK, 38 + _ramp(at, variant), 45 + at % 10),
            (variant * len(devices) + at) % _MOST_PACKET_ID + 1,
        )
        for at, device in enumerate(devices)
    )


def _ramp(at: int, variant: int) -> float:
    return (at * 7 + variant * 3) % 80 / 10


def _text(text: bytes) -> bytes:
    return struct.pack(">H", len(text)) + text


def _length(number: int) -> bytes:
    """MQTT 3.1.1, 2.2.3: seven bits a byte, lowest first."""
    encoded = bytearray()
    while True:
        number, seven = number >> 7, number & 0x7F
        encoded.append(seven | (0x80 if number else 0))
        if not number:
            return bytes(encoded)
