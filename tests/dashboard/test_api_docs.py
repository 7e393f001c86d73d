"""docs/api.md says what is so: scopes, addresses, events, the signature's sample and the site file's table."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dashboard.access.front import LIMITS
from dashboard.access.roles import SCOPES
from dashboard.api.contract import KEY, OPERATIONS, PREFIX
from dashboard.asgi import MOST_A_SESSION, MOST_SERIES, MOST_STREAMS
from dashboard.live.changes import What
from hub.clock import Clock
from hub.settings.door import load_site
from hub.settings.site_share import READER, ROOT
from hub.voices import Announcement
from hub.voices.webhook import signature

if TYPE_CHECKING:
    from hub.settings.site import Site

PAGE = (Path(__file__).parents[2] / "docs" / "api.md").read_text(encoding="utf-8")
DEMO = Path(__file__).parents[2] / "firmware_bridge" / "simulate" / "zhongshan.toml"


def test_the_sample_tells_genuine_from_forged() -> None:
    """With what the voice really signs: another secret, body or time is not believed."""
    sample: dict[str, Any] = {}
    exec(re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)[0], sample)  # the page's own code
    now, body = Clock().now() // 1000, b'{"id": "1"}'
    good = {"Zhian-Timestamp": str(now), "Zhian-Signature": signature("key", now, body)}
    assert sample["genuine"]("key", good, body)
    assert not sample["genuine"]("other", good, body)
    assert not sample["genuine"]("key", good, body + b" ")
    assert not sample["genuine"]("key", {**good, "Zhian-Timestamp": str(now + 1)}, body)
    old = {"Zhian-Timestamp": str(now - 301), "Zhian-Signature": signature("key", now - 301, body)}
    assert not sample["genuine"]("key", old, body)
    assert not sample["genuine"]("key", {}, body)


def test_scopes_events_and_numbers_are_those_of_the_code() -> None:
    """Each scope has its row, each address exists, and limits are as they are."""
    assert set(re.findall(r"^\| `(\w+)` \| (?:see|also)", PAGE, re.MULTILINE)) == set(SCOPES)
    known = {re.sub(r"<(?:\w+:)?(\w+)>", "{}", PREFIX + one.path) for one in OPERATIONS}
    shown = {re.sub(r"/\d+|/\{\w+\}", "/{}", found) for found in re.findall(r"/api/v1/[\w./{}-]+", PAGE)}
    assert shown <= known
    assert KEY in PAGE
    (told,) = re.findall(r"^\| `change` \|[^|]+\| read again: (.*)", PAGE, re.MULTILINE)
    assert re.findall(r"`(\w+)`", told) == [*What]
    limit = dict(LIMITS)[("/api/",)]
    assert f"{limit.per_s:.0f} times a second ({limit.burst:.0f} at once)" in PAGE
    assert (MOST_SERIES, MOST_A_SESSION, MOST_STREAMS) == (200, 8, 1000)
    assert set(Announcement.__struct_fields__) >= set(re.findall(r"`(\w+)`", PAGE.partition("as JSON: ")[2][:500])) - {
        "raised", "cleared", "digest", "test", "zh", "en", "webhook",
    }  # fmt: skip


def test_the_table_of_the_site_file_is_taken(tmp_path: Path, site: "Site") -> None:
    """As it stands there, put behind the demo's site file."""
    table = next(block for block in re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL) if "[home_assistant]" in block)
    text = DEMO.read_text(encoding="utf-8").replace("$data", "/nowhere").replace("$broker", "18830")
    path = tmp_path / "site.toml"
    path.write_text(text.replace("$relay", "15020") + "\n" + table, encoding="utf-8")
    share = load_site(path).home_assistant
    assert share is not None
    assert share.devices == ("noise-east", "gate-east")
    assert f"`{READER}`" in PAGE
    assert f"`{ROOT}/SITE/DEVICE/`" in PAGE
    assert site.home_assistant is None
