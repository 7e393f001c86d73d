"""Some days in the life of the demo's community, as rows of a journal and of a history: what pictures are taken of.

It is 02:14 at night. No device runs; figures come from a generator with a fixed seed, so that pictures can be compared.
"""

import random
from datetime import datetime
from math import cos, pi
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from hub.devices.kennel import LOST, OVERDUE, VACCINATED

if TYPE_CHECKING:
    from tests.dashboard.conftest import Field, ListHistory

MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000
PACE = 5000
NIGHT = int(datetime(2025, 10, 10, 2, 14, 5, tzinfo=ZoneInfo("Asia/Shanghai")).timestamp() * 1000)
METERS = {"noise-square": 49.0, "noise-north": 46.0, "noise-east": 47.5, "noise-garage": 44.0}
PAST = (  # days ago, rule, source, severity, quantity, value, limit, minutes until over
    (0.09, "gate-held", "gate-garage", "P2", "gate", "open", None, 3),
    (0.2, "noise-limit", "noise-square", "P3", "laeq", 57.8, 45.0, 12),
    (0.3, "chip-unregistered", "chip-north", "P3", "chip", "999123456789012", None, 1),
    (1.1, "water-presence", "radar-pool", "P1", "presence", "present", None, 4),
    (1.3, "device-silent", "noise-garage", "P3", "", None, None, 26),
    (2.2, "noise-limit", "noise-east", "P3", "laeq", 51.2, 45.0, 9),
    (2.6, "gate-forced", "gate-east", "P2", "gate", "open", None, 7),
    (4.1, "sos", "sos-lake", "P1", "sos", "pressed", None, 5),
)


def level(base: float, at: int, luck: random.Random) -> float:
    """Loudest at five in the afternoon, quietest at five in the morning, in dB."""
    hour = (at / HOUR + 8) % 24
    return round(base - 5.0 * cos((hour - 5) / 12 * pi) + luck.gauss(0, 1.2), 1)


def noise(history: "ListHistory", field: "Field", now: int, days: int) -> None:
    """Sound levels at the meters' pace; the garage's meter fell silent a quarter of an hour ago."""
    luck = random.Random(7)
    for device, base in METERS.items():
        end = now - 15 * MINUTE if device == "noise-garage" else now
        history.kept += [(device, "laeq", at, level(base, at, luck)) for at in range(now - days * DAY, end, PACE)]
        last = history.kept[-1]
        field.read(device, "laeq", 48.6 if device == "noise-square" else last[3], end - 1000)


def past(field: "Field", now: int) -> None:
    """What is over: raised, seen, cleared."""
    for number, (ago, rule, source, severity, quantity, value, limit, minutes) in enumerate(PAST, 1):
        raised = now - int(ago * DAY)
        over = raised + minutes * MINUTE
        found = field.alarm(
            rule, source, severity=severity, raised=raised, quantity=quantity, value=value, limit=limit,
            occurrence=number,
            acked=raised + 40_000, acked_by="guard", cleared=over, closed="cleared", ended=over, state="normal",
        )  # fmt: skip
        field.flip(found, "acked", at=raised + 40_000, actor="guard")
        field.flip(found, "cleared", at=over)


def standing(field: "Field", now: int) -> None:
    """What a guard finds: a door held open, noise that somebody has seen, a meter that says nothing."""
    field.alarm("gate-held", "gate-east", raised=now - 11 * MINUTE, quantity="gate", value="open", occurrence=50)
    seen = {"acked": now - 20 * MINUTE, "acked_by": "guard"}
    number = field.alarm(
        "noise-limit", "noise-square", severity="P3", raised=now - 24 * MINUTE, quantity="laeq", value=51.3, limit=45.0,
        occurrence=50, **seen,
    )  # fmt: skip
    field.flip(number, "acked", at=now - 20 * MINUTE, actor="guard")
    field.flip(number, "comment", at=now - 18 * MINUTE, actor="guard", note="施工车辆卸货，已告知对方停止")
    field.health("noise-garage", "silent", since=now - 15 * MINUTE)
    field.alarm("device-silent", "noise-garage", severity="P3", raised=now - 14 * MINUTE, occurrence=50,
                acked=now - 12 * MINUTE, acked_by="guard")  # fmt: skip


def urgent(field: "Field", now: int) -> int:
    """Somebody at the lake, the siren confirmed, the guard called. Returns the alarm's number."""
    raised = now - 72_000
    number = field.alarm(
        "water-presence",
        "radar-lake",
        severity="P1",
        raised=raised,
        quantity="presence",
        value="present",
        occurrence=51,
    )
    flip = field.db.execute("SELECT max(seq) FROM flip").fetchone()[0]
    told = {"flip": flip, "kind": "raised", "next_try": raised, "done": raised + 300, "attempts": 1}
    field.put("outbox", **told, voice="siren", status="accepted")
    field.put("outbox", **told, voice="broker", status="accepted")
    token = f"siren/zhongshan-{flip}-raised"
    done = {"token": token, "state": "confirmed", "sent": raised + 90, "ended": raised + 210, "issued": raised + 50}
    field.order("command", "yard-relay", command="pulse_2", **done, actor="rule:water-presence")
    return number


def gates(field: "Field", history: "ListHistory", now: int) -> None:
    """Doors and who went through them, without names; one order of the evening."""
    for gate, state in (("gate-north", "closed"), ("gate-east", "open"), ("gate-garage", "closed")):
        field.read(gate, "gate", state, now - 4000)
        field.read(gate, "tamper", "normal", now - 4000)
        for number in range(14):
            way = {"direction": "in" if number % 3 else "out", "credential": f"c-{number % 5}"}
            history.happen(gate, "passage", now - number * 37 * MINUTE, "granted" if number % 6 else "denied", **way)
    field.order(
        "command", "gate-garage", command="open", text="救护车进入", state="confirmed", actor="guard",
        issued=now - 6 * HOUR, sent=now - 6 * HOUR + 80, ended=now - 6 * HOUR + 900, expires=now,
    )  # fmt: skip


def dogs(field: "Field", history: "ListHistory", now: int) -> None:
    """Six dogs, one of them lost, one with a certificate that is over."""
    names = ("豆豆，柯基", "旺财，中华田园犬", "球球，贵宾", "黑豹，拉布拉多", "米粒，比熊", "大黄，金毛")
    for number, name in enumerate(names):
        chip = f"15600000000010{number}"
        field.put("entry", list="dogs", id=chip, note=name)
        field.put("entry", list=VACCINATED, id=chip, note="2025-10-01" if number == 3 else f"2026-0{number + 2}-11")
        history.happen("chip-north", "chip", now - (number + 1) * 5 * HOUR, chip)
    field.put("entry", list=OVERDUE, id="156000000000103")
    field.put("entry", list=LOST, id="156000000000105", note="北门")


def settle(field: "Field", history: "ListHistory", now: int, days: int = 4) -> None:
    """The whole community, but what is urgent."""
    field.all_well(now)
    for device in field.site.devices().values():
        for quantity in device.profile.reading:
            if quantity in ("presence", "water_level", "distance", "battery_level", "battery", "sos"):
                words: dict[str, float | str] = {
                    "presence": "absent",
                    "sos": "idle",
                    "water_level": 1.13,
                    "distance": 2.4,
                }
                field.read(device.id, quantity, words.get(quantity, 87.0), now - 2000)
    noise(history, field, now, days)
    past(field, now)
    standing(field, now)
    gates(field, history, now)
    dogs(field, history, now)
    field.put("mute", zone="pool", at=now - HOUR, until=now + 2 * HOUR, actor="manager", reason="泵房检修")
    field.put("service", target="level-lake", at=now - 30 * HOUR, actor="manager", reason="探头返厂校准")
    field.put("rule_limit", rule="noise-limit", zone="square", key="above", value=58.0, before=55.0, actor="manager",
              reason="广场舞时段，已与业委会商定", at=now - 3 * DAY)  # fmt: skip
    for ago, state in ((1, "passed"), (2, "passed"), (3, "failed")):
        at = now - ago * DAY + 7 * HOUR
        caught = f'[["water-presence/radar-lake", 1, {at + 41_000}]]' if state == "passed" else "[]"
        field.put("drill", zone="lake", at=at, until=at + 300_000, siren="short", actor="guard", note="", state=state,
                  expected='["water-presence/radar-lake"]', caught=caught, ended=at + 120_000)  # fmt: skip
