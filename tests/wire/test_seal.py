"""The seal of an order: what is signed, byte for byte, and that nothing of it can be changed, added or hidden."""

import hashlib
import hmac
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

import device_profiles
from device_profiles.load import profiles
from firmware_bridge.wire.seal import EXAMPLE, EXAMPLE_TOPIC, Seal, canonical, genuine, sealed

ORDER = {"do": "open", "id": "42", "device": "gate-1", "issued": 1_760_000_000_000, "expires": 1_760_000_010_000}
SAMPLES = [each.sends for each in profiles()["gate/json-mqtt-signed"].sample if each.sends]
WRITTEN = b"""zhian-order-1
garden/gate-1/do
counter=1760000000000
device="gate-1"
do="open"
expires=1760000010000
id="42"
issued=1760000000000
"""


def test_what_is_signed_is_what_the_manual_says() -> None:
    """The text of device_profiles/README.md and Python's own HMAC make the signature of the profile's first sample."""
    members = {name: msgspec.json.encode(value) for name, value in {**ORDER, "counter": EXAMPLE.counter}.items()}
    assert canonical(EXAMPLE_TOPIC, members) == WRITTEN
    said = msgspec.json.decode(SAMPLES[0].encode())
    assert said["sig"] == hmac.digest(bytes(range(32)), WRITTEN, hashlib.sha256).hex()


@pytest.mark.parametrize("text", SAMPLES)
def test_the_samples_are_genuine(text: str) -> None:
    """However the message is spaced, and under no other key or topic."""
    assert genuine(EXAMPLE_TOPIC, text.encode(), EXAMPLE.key) == EXAMPLE.counter
    assert genuine(EXAMPLE_TOPIC, text.encode(), bytes(32)) is None
    assert genuine("garden/gate-2/do", text.encode(), EXAMPLE.key) is None


CHALLENGED = b"""zhian-order-1
garden/gate-1/do
counter=1760000000000
device="gate-1"
do="open"
id="42"
nonce="9f86d081884c7d659a2feaa0c55ad015"
"""


def test_what_is_signed_with_a_number_is_what_the_manual_says() -> None:
    """A hub whose clock is wrong: the controller's number stands where issued and expires would."""
    made = msgspec.json.decode(sealed(EXAMPLE_TOPIC, ORDER, EXAMPLE._replace(nonce="9f86d081884c7d659a2feaa0c55ad015")))
    signature = made.pop("sig")
    assert signature == hmac.digest(bytes(range(32)), CHALLENGED, hashlib.sha256).hex()
    members = {name: msgspec.json.encode(value) for name, value in made.items()}
    assert canonical(EXAMPLE_TOPIC, members) == CHALLENGED
    manual = (Path(device_profiles.__file__).parent / "README.md").read_text(encoding="utf-8")
    assert msgspec.json.encode(made | {"sig": signature}).decode().replace(",", ", ").replace(":", ": ") in manual


@given(place=st.integers(0), bit=st.integers(0, 7))
def test_no_flipped_bit_gets_through(place: int, bit: int) -> None:
    """Each single bit of the message counts: another one is not genuine, or says the very same."""
    good = sealed(EXAMPLE_TOPIC, ORDER, EXAMPLE)
    bad = bytearray(good)
    bad[place % len(bad)] ^= 1 << bit
    assert genuine(EXAMPLE_TOPIC, bytes(bad), EXAMPLE.key) is None


@pytest.mark.parametrize(
    "change",
    [
        {"seconds": 60},
        {"do": "lock"},
        {"counter": EXAMPLE.counter + 1},
        {"device": "gate-2"},
        {"sig": "0" * 64},
        {"sig": None},
        {"sig": ["x"]},
        {"nested": {}},
        {'do="open"\ndevice': "gate-1"},
    ],
)
def test_what_was_changed_or_added_is_not_genuine(change: dict[str, object]) -> None:
    """A member more, another value, no signature, and a name that would stand for two lines of the text."""
    said = msgspec.json.decode(sealed(EXAMPLE_TOPIC, ORDER, EXAMPLE), type=dict[str, object])
    assert genuine(EXAMPLE_TOPIC, msgspec.json.encode(said), EXAMPLE.key) == EXAMPLE.counter  # the control
    assert genuine(EXAMPLE_TOPIC, msgspec.json.encode(said | change), EXAMPLE.key) is None


def test_two_members_cannot_hide_in_one_name() -> None:
    """The text of `expires` and `issued` under one name has the right sum, and is refused for the name."""
    members = {name: msgspec.json.encode(value) for name, value in {**ORDER, "counter": EXAMPLE.counter}.items()}
    merged = {name: raw for name, raw in members.items() if name not in ("expires", "id")}
    merged["expires=1760000010000\nid"] = members["id"]
    assert canonical(EXAMPLE_TOPIC, merged) == canonical(EXAMPLE_TOPIC, members)
    signature = msgspec.json.decode(sealed(EXAMPLE_TOPIC, ORDER, EXAMPLE))["sig"]
    raws = {name: msgspec.Raw(raw) for name, raw in merged.items()}
    assert genuine(EXAMPLE_TOPIC, msgspec.json.encode(raws | {"sig": signature}), EXAMPLE.key) is None


@pytest.mark.parametrize("payload", [b"", b"open", b"[1]", b"\xff", b"[" * 100_000, b'{"sig": "\xff"}', b"{}"])
def test_what_is_no_order_is_not_genuine(payload: bytes) -> None:
    """And never an exception: anybody may write to a topic."""
    assert genuine(EXAMPLE_TOPIC, payload, EXAMPLE.key) is None


@pytest.mark.parametrize("counter", [0, -1, 2**63])
def test_a_counter_is_a_positive_number_of_63_bits(counter: int) -> None:
    """What a controller can keep in eight bytes."""
    assert genuine(EXAMPLE_TOPIC, sealed(EXAMPLE_TOPIC, ORDER, Seal(EXAMPLE.key, counter)), EXAMPLE.key) is None


def test_a_name_that_cannot_be_told_apart_is_not_signed() -> None:
    """Rather no order than an ambiguous one."""
    with pytest.raises(ValueError, match="cannot be signed"):
        sealed(EXAMPLE_TOPIC, {"a=b": 1}, EXAMPLE)
