"""The API against its own document, tried by an independent program: what the document promises, the office keeps."""

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from dashboard import clients, front
from dashboard.asgi import asgi_app
from dashboard.roles import SCOPES
from tests.dashboard.conftest import NOW, Running

if TYPE_CHECKING:
    from flask import Flask

    from dashboard.office import Office
    from tests.dashboard.conftest import Field, ListHistory

CONFIGURATION = Path(__file__).with_name("schemathesis.toml")


def test_an_independent_program_finds_nothing(
    app: "Flask",
    office: "Office",
    field: "Field",
    history: "ListHistory",
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """Right and wrong requests to every route but the endless one: each answer is one that the document has."""
    field.all_well()
    monkeypatch.setattr(front, "LIMITS", ())
    for at in range(5):
        field.alarm("gate-held", "gate-east", occurrence=at, raised=NOW - at)
    field.read("noise-east", "laeq", 50.0)
    token = clients.make(office.users, "tester", SCOPES, "admin", NOW)
    server = Running(app)
    try:
        found = subprocess.run(
            [
                sys.executable,
                "-c",
                "from schemathesis.cli import schemathesis; schemathesis()",
                "--config-file",
                str(CONFIGURATION),
                "run",
                f"{server.url}/api/v1/openapi.json",
                "--header",
                f"Authorization: Bearer {token}",
                "--exclude-path",
                "/stream",
                "--checks",
                "all",
                "--phases",
                "examples,coverage,fuzzing",
                "--no-color",
            ],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
            env={**os.environ, "PYTHONWARNINGS": ""},
        )
    finally:
        server.stop()
    assert found.returncode == 0, found.stdout[-12000:] + found.stderr[-2000:]
