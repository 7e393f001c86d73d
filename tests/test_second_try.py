"""What `make test` does with a test that fails: one second try, alone and said aloud, for at most three."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "deploy" / "tests.sh"
ONCE = """
from pathlib import Path
import pytest
@pytest.mark.parametrize("number", range({many}))
def test_fails_once(number):
    before = Path(__file__).with_name(f"tried-{{number}}")
    tried = before.exists()
    before.touch()
    assert tried
"""
NEVER = "def test_never():\n    assert False\n"


def outcome(folder: Path, computes: str, waits: str) -> tuple[int, list[str]]:
    """Exit code, and what the script itself says, of a project with one file of tests in each stage."""
    files = {"tests/test_a.py": computes, "tests/e2e/test_b.py": waits, "tests/links/test_c.py": "def test_c(): pass\n"}
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    (folder / "deploy").mkdir()
    shutil.copy(SCRIPT, folder / "deploy")
    bare = {"PYTEST": f"{sys.executable} -m pytest -q -p xdist", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}  # a quick start
    done = subprocess.run(
        [folder / "deploy" / "tests.sh"], env={**os.environ, **bare}, capture_output=True, text=True, check=False
    )
    return done.returncode, [line.partition("m ")[2] for line in done.stdout.splitlines() if "make test:" in line]


@pytest.mark.timeout(300)
def test_what_passes_alone_is_named_at_the_end(tmp_path: Path) -> None:
    """In both stages; and all is well."""
    assert outcome(tmp_path, ONCE.format(many=2), ONCE.format(many=1)) == (
        0,
        [
            "the 2 that failed above are tried once more, alone",
            "the 1 that failed above are tried once more, alone",
            "passed only at the second try: tests/test_a.py::test_fails_once[0] tests/test_a.py::test_fails_once[1]"
            " tests/e2e/test_b.py::test_fails_once[0]",
        ],
    )


@pytest.mark.timeout(300)
def test_what_fails_is_a_failure(tmp_path: Path) -> None:
    """Four at once are no accident and have no second try; one that fails again is not named as one that passed."""
    assert outcome(tmp_path, ONCE.format(many=4), NEVER) == (
        1,
        ["the 1 that failed above are tried once more, alone"],
    )
