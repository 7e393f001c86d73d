"""A roster of four opaque people for the tests of duty, on a site with two voices."""

from datetime import date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from hub.days import Days, seed
from hub.duty import FILE, Duty, read_duty
from hub.reading import Label
from hub.roster import Roster
from hub.site import Site
from hub.site_voice import LogSpec

TEXT = """
[[person]]
id = "p1"
name = "甲"
user = "guard"
address = { phone = "1001", robot = "@p1" }
[[person]]
id = "p2"
name = "乙"
address = { phone = "1002" }
[[person]]
id = "p3"
name = "丙"
address = { robot = "@p3" }
[[person]]
id = "p4"
name = "丁"

[[shift]]
id = "day"
name = { zh = "白班", en = "Day" }
role = "guard"
hours = "07:00-19:00"
people = ["p1", "p2"]
rotate_days = 2
since = 2026-01-05
[[shift]]
id = "night"
name = { zh = "夜班", en = "Night" }
role = "guard"
hours = "19:00-07:00"
people = ["p2", "p3", "p1"]
rotate_days = 1
since = 2026-01-05
[[shift]]
id = "office"
name = { zh = "值班经理", en = "Manager" }
role = "manager"
hours = { workday = "09:00-18:00", weekend = "", holiday = "10:00-12:00" }
people = ["p3", "p4"]

[[escalation]]
severity = "P1"
again = 300.0
act_within = 600.0
  [[escalation.step]]
  after = 0.0
  to = ["guard"]
  voices = ["phone"]
  [[escalation.step]]
  after = 60.0
  to = ["manager", "on-duty"]
  [[escalation.step]]
  after = 120.0
  to = ["all"]
"""


@pytest.fixture(scope="session")
def site() -> Site:
    """A site without devices."""
    return Site(
        id="court",
        name=Label(zh="小区", en="Court"),
        timezone="Asia/Shanghai",
        zones=(),
        links=(),
        page="https://duty.example.org",
        voices=(LogSpec(id="phone"), LogSpec(id="robot")),
    )


@pytest.fixture(scope="session")
def text() -> str:
    """The roster as it stands in the file."""
    return TEXT


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data folder with the roster."""
    (tmp_path / FILE).write_text(TEXT, encoding="utf-8")
    return tmp_path


@pytest.fixture
def duty(data: Path, site: Site) -> Duty:
    """The roster as structs."""
    return read_duty(data / FILE, site)


@pytest.fixture
def roster(duty: Duty, site: Site) -> Roster:
    """The roster in the site's time zone."""
    return Roster(duty, site.tz, Days(seed()))


def instant(text: str, zone: str = "Asia/Shanghai") -> int:
    """A wall-clock time as ms since 1970."""
    return round(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp() * 1000)


def day_of(at: int, zone: str = "Asia/Shanghai") -> date:
    """The date on the wall."""
    return datetime.fromtimestamp(at / 1000, ZoneInfo(zone)).date()
