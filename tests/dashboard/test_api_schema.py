"""The API against its own document, tried by an independent program: what the document promises, the office keeps."""

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from dashboard.access import clients, front
from dashboard.access.roles import SCOPES

if TYPE_CHECKING:
    from dashboard.office import Office
    from tests.dashboard.conftest import Field, Running, StillClock

CONFIGURATION = Path(__file__).with_name("schemathesis.toml")
SCHEMATHESIS = "import sys; sys.argv[0] = 'schemathesis'; from schemathesis.cli import schemathesis; schemathesis()"


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """One address may ask as often as it likes; before the office starts."""
    monkeypatch.setattr(front, "LIMITS", ())


@pytest.mark.timeout(600)  # a busy machine: 10 s of its time for the one, 20 s for the other
@pytest.mark.parametrize(
    "phases",
    ["fuzzing", pytest.param("examples,coverage", marks=pytest.mark.soak)],
)
def test_an_independent_program_finds_nothing(
    phases: str, office: "Office", field: "Field", running: "Running", clock: "StillClock", tmp_path: Path
) -> None:
    """Right and wrong requests to every route but the endless one: each answer is one that the document has."""
    field.all_well()
    for at in range(5):
        field.alarm("gate-held", "gate-east", occurrence=at, raised=clock.at - at)
    field.read("noise-east", "laeq", 50.0)
    field.put("incident", key="a", occurrence=1, severity="P1", opened=1, state="new", since=1)
    token = clients.make(office.users, "tester", SCOPES, "admin", clock.at)
    found = subprocess.run(
        [
            *(sys.executable, "-c", SCHEMATHESIS, "--config-file", str(CONFIGURATION), "run"),
            *("--header", f"Authorization: Bearer {token}", "--exclude-path", "/stream", "--no-color"),
            *("--phases", phases, f"{running.url}/api/v1/openapi.json"),
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
        env={**os.environ, "PYTHONWARNINGS": "ignore"},
    )
    assert found.returncode == 0, found.stdout[-12000:] + found.stderr[-2000:]
    assert "22 passed" in found.stdout, found.stdout
