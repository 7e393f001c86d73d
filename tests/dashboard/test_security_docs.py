"""The table of docs/security.md: each promise names tests, and each of them is there."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")


def test_each_promise_names_a_test_that_is_there() -> None:
    """A row without a test, or with one that was renamed, is no promise."""
    rows = [line for line in TEXT.partition("| what | how | test |")[2].splitlines() if line.startswith("| ")]
    assert len(rows) >= 19
    for row in rows:
        named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", row)
        assert named, row
        for file, test in named:
            tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
            assert test in {getattr(node, "name", "") for node in ast.walk(tree)}, (file, test)
