"""Who really asks, and whether too often: decided before a request costs a thread. Pure but for its counters.

An address is believed from X-Forwarded-For only when the connection comes from a proxy that the site file names.
"""

import ipaddress
import math
from collections import OrderedDict
from collections.abc import Iterable, MutableMapping, Sequence
from typing import Any, TypeAlias

import msgspec

Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network
MOST_ADDRESSES = 4096  # remembered at once; beyond that the one that was heard longest ago is forgotten
V6_PREFIX = 64  # one subscriber has at least that much: its addresses count as one


class Limit(msgspec.Struct, frozen=True):
    """So many requests at once, and so many a second after that, of one address."""

    burst: float
    per_s: float


# The first that fits the path counts; what fits none is not limited here (pages cost their reader's own session).
LIMITS: tuple[tuple[tuple[str, ...], Limit], ...] = (
    (("/login", "/setup", "/account", "/reset"), Limit(60, 1.0)),
    (("/api/",), Limit(200, 50.0)),
)


class Buckets:
    """How much each address may still ask; never more than MOST_ADDRESSES of them."""

    def __init__(self, limit: Limit, most: int = MOST_ADDRESSES) -> None:
        """All are full."""
        self._limit, self._most = limit, most
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def __len__(self) -> int:
        """How many addresses are remembered."""
        return len(self._left)

    def wait_s(self, address: str, now_s: float) -> float:
        """0 and one request less, or in how many seconds there is one again."""
        left, at = self._left.pop(address, (self._limit.burst, now_s))
        left = min(self._limit.burst, left + max(0.0, now_s - at) * self._limit.per_s)
        wait = 0.0 if left >= 1 else (1 - left) / self._limit.per_s
        self._left[address] = (left if wait else left - 1, now_s)
        if len(self._left) > self._most:
            self._left.popitem(last=False)
        return wait


class Front:
    """What stands before every request."""

    def __init__(self, trusted: Iterable[str]) -> None:
        """`trusted`: addresses or networks of proxies."""
        self._trusted: Sequence[Network] = [ipaddress.ip_network(each) for each in trusted]
        self._buckets = [(paths, Buckets(limit)) for paths, limit in LIMITS]

    def place(self, scope: MutableMapping[str, Any]) -> None:  # Any: ASGI's own loose types
        """Put the real address into the scope."""
        peer, port = scope.get("client") or ("", 0)
        said = [value for name, value in scope["headers"] if name == b"x-forwarded-for"]
        if said and self._is_trusted(peer):
            scope["client"] = (self._behind(peer, b",".join(said).decode("latin-1")), port)

    def wait_s(self, scope: MutableMapping[str, Any], now_s: float) -> int:  # Any: as above
        """0, or in how many whole seconds this address may ask for such a path again."""
        for paths, buckets in self._buckets:
            if scope["path"].startswith(paths):
                return math.ceil(buckets.wait_s(subscriber((scope.get("client") or ("",))[0]), now_s))
        return 0

    def _behind(self, peer: str, forwarded: str) -> str:
        """The last address that no trusted proxy has: what stands left of it anybody may have written."""
        for hop in reversed([part.strip() for part in forwarded.split(",")]):
            if not _is_address(hop):
                return peer
            peer = hop
            if not self._is_trusted(hop):
                break
        return peer

    def _is_trusted(self, address: str) -> bool:
        return _is_address(address) and any(ipaddress.ip_address(address) in network for network in self._trusted)


def subscriber(address: str) -> str:
    """The address, or the network of which one subscriber has all addresses."""
    if not _is_address(address):
        return address
    found = ipaddress.ip_address(address)
    if isinstance(found, ipaddress.IPv4Address):
        return address
    if found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)
    return str(ipaddress.ip_network((found, V6_PREFIX), strict=False).network_address)


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
