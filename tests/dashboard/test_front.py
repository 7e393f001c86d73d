"""Who really asks, and whether too often: proxies that nobody named are not believed, and counters do not grow."""

import http.client
import ipaddress
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard.access.front import LIMITS, Buckets, Front, Limit, subscriber

if TYPE_CHECKING:
    from tests.dashboard.conftest import Running

PROXIES = ("127.0.0.1", "10.0.0.0/24")


def scope(peer: str, *forwarded: str, path: str = "/") -> dict[str, Any]:  # Any: ASGI's own loose types
    """A request of this connection with these headers."""
    headers = [(b"x-forwarded-for", value.encode("latin-1")) for value in forwarded]
    return {"type": "http", "path": path, "client": (peer, 4711), "headers": headers}


@pytest.mark.parametrize(
    ("peer", "forwarded", "real"),
    [
        ("8.8.8.8", ["1.2.3.4"], "8.8.8.8"),  # nobody's word
        ("127.0.0.1", [], "127.0.0.1"),
        ("127.0.0.1", ["1.2.3.4"], "1.2.3.4"),
        ("127.0.0.1", ["6.6.6.6, 1.2.3.4"], "1.2.3.4"),  # the first was written by the client
        ("127.0.0.1", ["6.6.6.6", "1.2.3.4, 10.0.0.7"], "1.2.3.4"),  # two proxies
        ("127.0.0.1", ["10.0.0.7"], "10.0.0.7"),  # from the proxies' own network
        ("127.0.0.1", ["<script>, 10.0.0.7"], "10.0.0.7"),
        ("127.0.0.1", ["1.2.3.4,"], "127.0.0.1"),
        ("127.0.0.1", ["2001:db8::1"], "2001:db8::1"),
        ("", ["1.2.3.4"], ""),
    ],
)
def test_the_real_address(peer: str, forwarded: list[str], real: str) -> None:
    """The last hop that no named proxy has; what stands left of it anybody may have written."""
    asked = scope(peer, *forwarded)
    Front(PROXIES).place(asked)
    assert asked["client"] == (real, 4711)


@given(st.lists(st.text(max_size=30), max_size=4))
def test_without_named_proxies_nothing_is_believed(forwarded: list[str]) -> None:
    """Whatever stands in the header."""
    asked = scope("127.0.0.1")
    asked["headers"] = [(b"x-forwarded-for", value.encode()) for value in forwarded]
    Front(()).place(asked)
    assert asked["client"] == ("127.0.0.1", 4711)


@given(
    st.lists(st.binary(max_size=30) | st.sampled_from([b"1.2.3.4", b"::1, 10.0.0.7", b"\xff, 10.0.0.9"]), max_size=4)
)
def test_a_header_of_any_bytes_is_no_error(forwarded: list[bytes]) -> None:
    """The address is then the proxy's, or one that stands there."""
    asked = scope("127.0.0.1")
    asked["headers"] = [(b"x-forwarded-for", value) for value in forwarded]
    Front(PROXIES).place(asked)
    there = {hop.strip() for value in forwarded for hop in value.decode("latin-1").split(",")}
    assert asked["client"][0] in {"127.0.0.1", *there}
    assert ipaddress.ip_address(asked["client"][0])


def test_a_burst_and_then_so_many_a_second() -> None:
    """An address that waits is heard again; another one is heard all the time."""
    buckets = Buckets(Limit(burst=3, per_s=0.5))
    assert [buckets.wait_s("a", 0.0) for _ in range(4)] == [0, 0, 0, 2]
    assert buckets.wait_s("b", 0.0) == 0
    assert buckets.wait_s("a", 1.0) == 1
    assert buckets.wait_s("a", 2.0) == 0
    assert buckets.wait_s("a", 2.0) == 2
    assert [buckets.wait_s("a", 1e6) for _ in range(4)] == [0, 0, 0, 2]


def test_a_clock_that_goes_back_gives_nothing() -> None:
    """And takes nothing."""
    buckets = Buckets(Limit(burst=1, per_s=1.0))
    assert [buckets.wait_s("a", 10.0), buckets.wait_s("a", 5.0)] == [0, 1]


def test_the_memory_does_not_grow() -> None:
    """A hundred thousand addresses are as many as are remembered; who was heard last is remembered."""
    buckets = Buckets(Limit(burst=1, per_s=0.001), most=100)
    for number in range(100_000):
        buckets.wait_s(f"{number}", 0.0)
    assert len(buckets) == 100
    assert buckets.wait_s("99999", 0.0) > 0


def test_addresses_of_one_subscriber_are_one() -> None:
    """With IPv6 everybody has 2^64 of them; IPv4 in IPv6 is IPv4."""
    assert subscriber("2001:db8:1:2:3:4:5:6") == subscriber("2001:db8:1:2::9") == "2001:db8:1:2::"
    assert subscriber("2001:db8:1:3::9") != subscriber("2001:db8:1:2::9")
    assert subscriber("::ffff:1.2.3.4") == subscriber("1.2.3.4") == "1.2.3.4"
    assert subscriber("nobody") == "nobody"


def test_only_the_login_and_the_api_are_limited() -> None:
    """A duty page reloads as it likes."""
    front = Front(())
    for paths, limit in LIMITS:
        asked = [front.wait_s(scope("1.2.3.4", path=f"{paths[0]}x"), 0.0) for _ in range(int(limit.burst) + 1)]
        assert asked[-2:] == [0, 1]
    assert not any(front.wait_s(scope("1.2.3.4", path="/alarms"), 0.0) for _ in range(1000))


def test_too_many_are_told_so(running: "Running") -> None:
    """429 with Retry-After and the headers of every answer; the page itself is still there."""
    connection = http.client.HTTPConnection("127.0.0.1", running.port, timeout=20)
    statuses = []
    for _ in range(int(LIMITS[0][1].burst) + 40):
        connection.request("GET", "/login")
        answer = connection.getresponse()
        body = answer.read()
        statuses.append(answer.status)
        if answer.status == 429:
            break
    assert statuses[-1] == 429
    assert int(answer.headers["Retry-After"]) >= 1
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert "请求过于频繁" in body.decode()
    connection.request("GET", "/static/app.css")
    assert connection.getresponse().status == 200
    connection.close()
