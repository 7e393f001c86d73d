"""What a step of a counter means, and where the profile says that it ends."""

import pytest

from device_profiles import vocabulary
from device_profiles.counting import counts_to
from device_profiles.types import FrameField, JsonField, RegisterField
from hub.devices.counter import How, step


@pytest.mark.parametrize(
    ("before", "value", "end", "how", "risen"),
    [
        (5, 9, None, How.ROSE, 4), (5, 5, None, How.ROSE, 0),
        (65_530, 4, 65_536, How.ROLLED, 10), (65_530, 4, None, How.RESET, 4), (30_000, 4, 65_536, How.RESET, 4),
        (99_999, 3, 65_536, How.RESET, 3), (8_000, 3_500, None, How.OTHER, 0), (15.02, 15.01, None, How.OTHER, 0),
        (5, -1, None, How.OTHER, 0), (5, -1, 5.1, How.OTHER, 0),
    ],
)  # fmt: skip
def test_what_a_step_means(before: float, value: float, end: float | None, how: How, risen: float) -> None:
    """Over its end, anew from nought, or elsewhere: then nobody counted, and nothing is counted."""
    assert step(before, value, end) == (how, risen)


@pytest.mark.parametrize(
    ("field", "end"),
    [
        (RegisterField(address=0), 65_536), (RegisterField(address=0, type="u32", scale=0.01), 42_949_672.96),
        (RegisterField(address=0, type="bcd32", scale=0.1), 10_000_000),
        (RegisterField(address=0, bits=(0, 11)), 4_096),
        (RegisterField(address=0, type="i32"), None), (RegisterField(address=0, type="f32"), None),
        (RegisterField(address=0, type="f32", range=(0, 99_999.99)), 100_000),
        (RegisterField(address=0, type="u32", scale=0.01, range=(0, 999_999.99)), 1_000_000),
        (RegisterField(address=0, type="u16", range=(0, 1e9)), 65_536), (RegisterField(address=0, offset=5), None),
        (RegisterField(address=0, scale=-1), None),
        (FrameField(type="u32le", at=0), 2**32), (JsonField(), None), (JsonField(rolls_over=1e5), 100_000),
    ],
    ids=str,
)  # fmt: skip
def test_where_a_counter_ends(field: RegisterField | FrameField | JsonField, end: float | None) -> None:
    """One step past the register or past the maker's range, whichever is first; `rolls_over` where neither says it."""
    energy = vocabulary.quantities()["energy"]
    assert counts_to(field, energy) == (None if end is None else pytest.approx(end))
    assert counts_to(field, vocabulary.quantities()["power"]) is None
