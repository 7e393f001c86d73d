"""The closed vocabulary: what every page, rule and report may rely on."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from device_profiles import vocabulary
from device_profiles.door import Refusal
from device_profiles.vocabulary import Quantity, find, quantities, require
from hub.reading import Kind

ALL = [pytest.param(quantity, id=name) for name, quantity in quantities().items()]


@pytest.mark.parametrize("quantity", ALL)
def test_every_word_is_whole(quantity: Quantity) -> None:
    """Names in both languages, a sane range for what is measured, words for what is a state, a pattern for an event."""
    assert quantity.label.zh
    assert quantity.label.en
    measured = quantity.kind in (Kind.GAUGE, Kind.COUNTER)
    assert measured == (quantity.range is not None)
    assert quantity.range is None or quantity.range[0] < quantity.range[1]
    assert (quantity.kind is Kind.EVENT) == bool(quantity.pattern)
    re.compile(quantity.pattern)


@pytest.mark.parametrize("quantity", [q for q in ALL if "dB" in str(q.values[0])])
def test_sound_levels_are_averaged_by_energy(quantity: Quantity) -> None:
    """The arithmetic mean of decibels is always too low."""
    assert (quantity.unit == "dB") == (quantity.aggregate == "energy") or quantity.unit == "dBm"


@pytest.mark.parametrize(
    ("name", "channel"), [("relay", 0), ("relay_1", 1), ("relay_64", 64), ("siren_2", 2), ("pm2_5", 0), ("laeq", 0)]
)
def test_numbered_words(name: str, channel: int) -> None:
    """Only what may have channels has them; pm2_5 is a word of its own."""
    word = find(name)
    assert word is not None
    assert word.channel == channel


@pytest.mark.parametrize("name", ["relay_0", "relay_01", "relay_100", "relay_", "laeq_1", "noise", "", "gate_2"])
def test_other_words_are_not_spoken(name: str) -> None:
    """The vocabulary is closed."""
    assert find(name) is None


def test_an_unknown_word_is_refused_with_the_nearest() -> None:
    """A profile's author is told the right word."""
    with pytest.raises(Refusal, match='did you mean "laeq"'):
        require("laeg", file="mine.toml", key="reading.laeg")
    with pytest.raises(Refusal, match=r"one of \d+ known words"):
        require("xyzzy", file="mine.toml", key="reading.xyzzy")


@pytest.fixture
def broken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A vocabulary of its own for one test."""
    file = tmp_path / "quantities.toml"
    monkeypatch.setattr(vocabulary, "FILE", file)
    quantities.cache_clear()
    yield file
    monkeypatch.undo()
    quantities.cache_clear()


def test_a_state_names_its_states(broken: Path) -> None:
    """A state without states, or a gauge with them, is refused with its name."""
    broken.write_text(
        '[gate]\nkind = "state"\naggregate = "duration"\nlabel = { zh = "x", en = "x" }\n', encoding="utf-8"
    )
    with pytest.raises(Refusal, match=r"gate\.states"):
        quantities()
