"""A furnished box for each test."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.hub.update.yard import Yard

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def yard(tmp_path: Path) -> Yard:
    """A box that runs 1.0.0, and trusts the maker."""
    return Yard(tmp_path / "box").furnish()
