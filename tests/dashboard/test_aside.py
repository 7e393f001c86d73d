"""A history file that was damaged is said aloud on the Now page, in both languages, with what is back."""

from typing import TYPE_CHECKING

import pytest

from hub.history import aside
from hub.history.aside import Aside

if TYPE_CHECKING:
    from dashboard.office import Office
    from tests.dashboard.conftest import Browser, Field, StillClock


@pytest.mark.parametrize(
    ("loaded", "english", "chinese"),
    [
        (1234, "1234 readings are back from the copy of", "恢复 1234 条读数"),
        (0, "There was no copy: charts and reports begin", "没有可用的副本"),
    ],
)
def test_a_damaged_history_is_said_on_the_page(
    loaded: int, english: str, chinese: str, office: "Office", admin: "Browser", field: "Field", clock: "StillClock"
) -> None:
    """Where the file is, what is back, what to do; without such a file, not a word."""
    field.all_well()
    assert "history file" not in admin.client.get("/?lang=en").text
    name = f"history.duckdb.corrupt-{clock.at}"
    copy = clock.at - 3_600_000 if loaded else 0
    aside.write(office.data, Aside(name, "a header is wrong", clock.at, loaded=loaded, snapshot=copy))
    for lang, words in (
        ("en", [english, name, "The history file was damaged"]),
        ("zh", [chinese, name, "历史库文件损坏"]),
    ):
        text = admin.client.get(f"/?lang={lang}").text
        for word in words:
            assert word in text
