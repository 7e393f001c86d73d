"""What a profile and the vocabulary say to people stands in both languages."""

import re
from collections.abc import Iterator

from device_profiles import vocabulary
from device_profiles.load import profiles
from hub.reading import Label

_CHINESE = re.compile(r"[\u4e00-\u9fff]")


def _labels() -> Iterator[tuple[str, Label]]:
    for profile in profiles().values():
        yield f"{profile.id} title", profile.title
        for caveat in profile.caveats:
            yield f"{profile.id} caveat", caveat
        for name, command in profile.command.items():
            yield f"{profile.id} {name}", command.label
    for name, quantity in vocabulary.quantities().items():
        yield name, quantity.label
        for state, label in (quantity.states or {}).items():
            yield f"{name}={state}", label


def test_every_label_has_both_languages() -> None:
    """Titles, caveats, commands, quantities and states: Chinese in zh, none in en, neither empty."""
    for where, label in _labels():
        assert _CHINESE.search(label.zh) or re.fullmatch(r"[A-Z][\w ,.()\u2082-]*", label.zh), (where, label)
        assert label.en.strip(), where
        assert not _CHINESE.search(label.en), (where, label)


def test_most_profiles_have_caveats() -> None:
    """The walk above sees caveats: a profile without any is the exception."""
    assert sum(bool(profile.caveats) for profile in profiles().values()) > len(profiles()) / 2
