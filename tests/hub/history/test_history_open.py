"""Which store a site has, and where a reading goes that its store will never take."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest

from device_profiles.door import Refusal
from hub.history import open_store
from hub.history.duck import DuckStore
from hub.history.influx import InfluxStore
from hub.history.store import FedStore
from hub.history.victoria import VictoriaStore
from hub.journal.batches import Damaged, Row
from hub.office import _damaged, _refused
from hub.settings.door import load_site
from hub.settings.site import History, Site

if TYPE_CHECKING:
    from tests.hub.history.conftest import JournalFile, SetClock

MakeRow = Callable[..., Row]


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """The least that a site is."""
    path = tmp_path / "site.toml"
    path.write_text('[site]\nid = "zhongshan"\nname = { zh = "中山", en = "Z" }\ntimezone = "Asia/Shanghai"\n')
    return load_site(path)


@pytest.mark.parametrize(
    ("history", "kind"),
    [
        (History(), DuckStore),
        (History(store="influxdb", url="http://127.0.0.1:9", bucket="zhian"), InfluxStore),
        (History(store="victoriametrics", url="http://127.0.0.1:9"), VictoriaStore),
    ],
)
def test_the_store_that_the_site_names_opens_without_its_server(
    site: Site, tmp_path: Path, clock: "SetClock", history: History, kind: type
) -> None:
    """A server that is down is no reason not to start; stores on servers are fed, the file holds its own cursor."""
    store = open_store(msgspec.structs.replace(site, history=history), tmp_path, clock, lambda *_: None)
    assert type(store) is kind
    assert isinstance(store, FedStore) is (kind is not DuckStore)
    store.close()


def test_a_token_that_others_may_read_is_refused(site: Site, tmp_path: Path, clock: "SetClock") -> None:
    """At the start too, not by the check alone; the message holds no word of it."""
    token = tmp_path / "token"
    token.write_text("geheim")
    token.chmod(0o640)
    history = History(store="influxdb", url="http://127.0.0.1:9", bucket="zhian", token_file=str(token))
    with pytest.raises(Refusal, match=r"history\.token_file.*chmod 600") as told:
        open_store(msgspec.structs.replace(site, history=history), tmp_path, clock, lambda *_: None)
    assert "geheim" not in str(told.value)


def test_what_is_refused_again_stands_in_quarantine_once(
    journal: "JournalFile", tmp_path: Path, clock: "SetClock", row: MakeRow
) -> None:
    """A server that is fed again refuses the same again, in words that may differ; two readings stay two."""
    for words in ("400: conflict dropped=2", "400: conflict dropped=1"):
        _refused(tmp_path, row(1), words)
    _refused(tmp_path, row(2), "400: conflict dropped=1")
    for first in (5, 5, 9):
        _damaged(tmp_path, clock, Damaged(first, first + 1, "batch is damaged"))
    found = journal.ask("SELECT source, detail FROM quarantine ORDER BY seq")
    assert found == [
        ("noise-1", "history: 400: conflict dropped=2"),
        ("noise-1", "history: 400: conflict dropped=1"),
        ("history", "history: readings 5 to 6 are lost: batch is damaged"),
        ("history", "history: readings 9 to 10 are lost: batch is damaged"),
    ]
