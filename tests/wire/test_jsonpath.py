"""JSON Pointer against the examples of RFC 6901, clause 5."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware_bridge.wire import jsonpath

DOCUMENT: dict[str, object] = {
    "foo": ["bar", "baz"],
    "": 0,
    "a/b": 1,
    "c%d": 2,
    "m~n": 8,
    " ": 7,
    "~1": 9,
    "deep": {"er": [{"x": None}]},
}


@pytest.mark.parametrize(
    ("pointer", "value"),
    [
        ("", DOCUMENT),
        ("/foo", ["bar", "baz"]),
        ("/foo/0", "bar"),
        ("/", 0),
        ("/a~1b", 1),
        ("/c%d", 2),
        ("/m~0n", 8),
        ("/ ", 7),
        ("/~01", 9),
        ("/deep/er/0/x", None),
    ],
)
def test_what_is_there_is_found(pointer: str, value: object) -> None:
    """The RFC's own examples; null is a value."""
    assert jsonpath.find(DOCUMENT, pointer) == value


@pytest.mark.parametrize(
    "pointer",
    [
        "/no",
        "/foo/2",
        "/foo/-",
        "/foo/01",
        "/foo/-1",
        "/foo/x",
        "/foo/²",
        "/foo/9999999999",
        "/foo/0/bar",
        "/deep/no/x",
    ],
)
def test_what_is_not_there_is_missing(pointer: str) -> None:
    """Nothing raises, whatever stands on the way; missing is not null."""
    assert jsonpath.find(DOCUMENT, pointer) is jsonpath.MISSING


@given(st.lists(st.text(max_size=5), min_size=1, max_size=4), st.integers())
def test_what_was_put_is_found(steps: list[str], value: int) -> None:
    """Writing makes the objects on the way; reading finds the value at the same pointer."""
    pointer = "".join("/" + step.replace("~", "~0").replace("/", "~1") for step in steps)
    document: dict[str, object] = {"other": 1}
    jsonpath.put(document, pointer, value)
    assert jsonpath.find(document, pointer) == value


def test_a_value_is_not_overwritten_by_an_object() -> None:
    """Two pointers that cannot both be true are a mistake of the profile's."""
    document: dict[str, object] = {"a": 1}
    with pytest.raises(ValueError, match="/a/b: a is not an object"):
        jsonpath.put(document, "/a/b", 2)
