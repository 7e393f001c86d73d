"""Every rule of the packs does what its own stories say."""

from pathlib import Path

import pytest

from hub.rules.door import PACKS, Rule, Story, load_pack
from hub.rules.story import play, values

STORIES = [
    pytest.param(rule, story, id=f"{rule.id}: {story.name}")
    for file in sorted(PACKS.glob("*.toml"))
    for rule in load_pack(Path(file))
    for story in rule.story
]


@pytest.mark.parametrize(("rule", "story"), STORIES)
def test_a_rule_does_what_its_story_says(rule: Rule, story: Story) -> None:
    """A story is the rule's promise, second by second."""
    states = play(rule, story)
    assert {second: states[int(second)] for second in story.expect} == story.expect


def test_a_series_has_one_value_a_second() -> None:
    """Token xN is exactly N seconds, underscore is a second without a reading."""
    assert values("40x2 _x3 openx1 7") == ["40", "40", None, None, None, "open", "7"]
