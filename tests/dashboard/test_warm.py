"""After the start nobody waits for a template to be compiled, nor for a look at all that was imported."""

import gc
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from dashboard.warm import warm_up

if TYPE_CHECKING:
    from flask import Flask


@pytest.fixture
def as_before() -> Iterator[None]:
    """What is set for the whole process is set back."""
    interval = sys.getswitchinterval()
    yield
    sys.setswitchinterval(interval)
    gc.unfreeze()


@pytest.mark.usefixtures("as_before")
async def test_all_is_ready_after_the_start(app: "Flask", monkeypatch: pytest.MonkeyPatch) -> None:
    """Every template is there already: none is read from the disk any more."""
    frozen = gc.get_freeze_count()
    await warm_up(app)
    assert gc.get_freeze_count() > frozen + 10_000
    monkeypatch.setattr(app.jinja_env, "compile", None)
    for name in app.jinja_env.list_templates():
        app.jinja_env.get_template(name)
