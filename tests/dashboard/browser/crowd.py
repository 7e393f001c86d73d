"""A site at its worst: many zones with very long names, sixty alarms at once, a flood, mutes, registers of 500 rows.

What the pages must bear without being pushed sideways or hiding what is urgent. No device runs; nothing is random.
"""

from typing import TYPE_CHECKING

import msgspec

from hub.alarms.flood import RULE as FLOOD
from hub.devices.kennel import LOST, OVERDUE, VACCINATED
from hub.reading import Label
from hub.rules.own import SOURCE
from hub.settings.site import Devices, Site, Zone

if TYPE_CHECKING:
    from tests.dashboard.conftest import Field

MINUTE, DAY = 60_000, 86_400_000
ZONES, ALARMS, ROWS = 24, 60, 500
LONG_ZH = "二期北区地下车库东侧人行通道防火门旁的临时出入口（夜间关闭）"
LONG_EN = "Temporary entrance beside the eastern fire door of the phase-two underground car park (closed at night)"
KINDS = (  # rule, the device of the demo's that is copied, severity, quantity, value, limit
    ("gate-held", "gate-east", "P2", "gate", "open", None),
    ("noise-limit", "noise-garage", "P3", "laeq", 61.4, 45.0),
    ("device-silent", "noise-garage", "P3", "", None, None),
    ("gate-forced", "gate-north", "P2", "gate", "open", None),
    ("battery-low", "noise-garage", "P4", "battery", 9.0, 15.0),
)


def crowded(site: Site) -> Site:
    """The site with 24 more zones, each with two devices more, all of them with very long names."""
    zones, more = [], []
    for number in range(ZONES):
        name = Label(zh=f"{LONG_ZH}{number + 1}", en=f"{LONG_EN} {number + 1}")
        at = (0.05 + 0.9 * (number % 6) / 5, 0.08 + 0.84 * (number // 6) / 3)
        zones.append(Zone(id=f"far-{number}", name=name, at=at))
        for kind in ("gate-east", "noise-garage"):
            device = site.devices()[kind]
            label = Label(zh=f"{name.zh}的{device.name.zh}", en=f"{device.name.en}, {name.en}")
            more.append(msgspec.structs.replace(device, id=f"{kind}-{number}", zone=f"far-{number}", name=label))
    links = tuple(
        msgspec.structs.replace(link, devices=Devices((*link.devices, *more))) if link.id == "mqtt" else link
        for link in site.links
    )
    return msgspec.structs.replace(site, zones=(*site.zones, *zones), links=links)


def flooded(field: "Field", now: int) -> int:
    """Sixty alarms at once, the hub's own word of the flood, and somebody at the lake. Returns the P1's number."""
    for number in range(ALARMS):
        rule, kind, severity, quantity, value, limit = KINDS[number % len(KINDS)]
        copied = "gate-east" if kind.startswith("gate") else "noise-garage"
        source = f"{copied}-{number % ZONES}"
        field.alarm(rule, source, severity=severity, raised=now - 90_000 + number * 900, quantity=quantity,
                    value=value, limit=limit, key=f"{rule}/{source}/{number}")  # fmt: skip
    field.alarm(FLOOD, SOURCE, severity="P2", raised=now - 60_000)
    return field.alarm("water-presence", "radar-lake", severity="P1", raised=now - 72_000, quantity="presence",
                       value="present")  # fmt: skip


def hushed(field: "Field", now: int) -> None:
    """Three zones muted, two devices out of service, eight silent: each is a banner or stands in the strip."""
    for number in range(3):
        field.put("mute", zone=f"far-{number}", at=now - MINUTE, until=now + 60 * MINUTE, actor="manager",
                  reason="施工期间反复触碰，已与施工单位、业委会和保安队三方约定值守")  # fmt: skip
    for number in (4, 5):
        field.put("service", target=f"gate-east-{number}", at=now - DAY, actor="manager", reason="读卡器返厂维修")
    for number in range(6, 14):
        field.health(f"noise-garage-{number}", "silent", since=now - 20 * MINUTE)


def registers(field: "Field", now: int) -> None:
    """Five hundred dogs, and as many alarms that are over."""
    for number in range(ROWS):
        chip = f"15600000001{number:04}"
        field.put("entry", list="dogs", id=chip, note=f"{number} 号，名字很长很长的中华田园犬，棕白相间")
        field.put("entry", list=VACCINATED, id=chip, note="2026-03-11")
        if number % 50 == 0:
            field.put("entry", list=OVERDUE if number % 100 else LOST, id=chip)
        over = now - DAY - number * MINUTE
        field.alarm("gate-held", "gate-north", raised=over, key=f"gate-held/gate-north/{number}", acked=over + 9000,
                    acked_by="guard", cleared=over + MINUTE, closed="cleared",
                    ended=over + MINUTE, state="normal")  # fmt: skip


def crowd(field: "Field", now: int) -> int:
    """All of it, in one transaction. Returns the P1's number."""
    field.db.execute("BEGIN")
    settled(field, now)
    for device in field.site.devices().values():
        for quantity in device.profile.reading:
            word: float | str = 61.4 if quantity in ("laeq", "water_level", "battery") else "open"
            field.read(device.id, quantity, word, now - 2000)
    hushed(field, now)
    registers(field, now)
    number = flooded(field, now)
    field.db.execute("COMMIT")
    return number


def settled(field: "Field", now: int) -> None:
    """The same site on a good day, with what some pages need to have something to show."""
    field.all_well(now)
    about = {"key": "gate-held/gate-east", "occurrence": 1, "severity": "P2", "assignee": "leader"}
    field.put("incident", id=1, opened=now - 900_000, since=now - 900_000, state="dispatched", supervision=1, **about)
    field.put("entry", list="dogs", id="156000000010007", note="豆豆")
