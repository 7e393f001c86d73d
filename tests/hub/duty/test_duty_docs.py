"""The samples of docs/duty.md are files that load."""

import re
from pathlib import Path

from msgspec.structs import replace

from hub.calendar.days import read_calendar
from hub.duty.file import read_duty
from hub.settings.site import Site
from hub.settings.site_voice import LogSpec

PAGE = Path(__file__).parents[3] / "docs" / "duty.md"


def test_the_samples_load(tmp_path: Path, site: Site) -> None:
    """The calendar and the roster that the page shows, as they stand there."""
    calendar, roster = re.findall(r"```toml\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    (tmp_path / "calendar.toml").write_text(calendar, encoding="utf-8")
    (tmp_path / "duty.toml").write_text(roster, encoding="utf-8")
    assert read_calendar(tmp_path / "calendar.toml").knows(2027)
    duty = read_duty(tmp_path / "duty.toml", replace(site, voices=(LogSpec(id="phone"),)))
    assert len(duty.person) == len(duty.shift) == 2
    assert len(duty.override) == len(duty.escalation) == 1
