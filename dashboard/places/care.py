"""How a measuring device stands: its calibration, and whether a calibrator sits on it. Reads only."""

import msgspec

from dashboard.office import office
from hub.care.upkeep import MOST_DB, counts, is_meter, newest
from hub.outcome import Upkeep
from hub.settings.site import Device


class Care(msgspec.Struct, frozen=True, kw_only=True):
    """How a device stands. `meter`: a calibrator can be put on it; `counter`: it counts, and may be exchanged."""

    meter: bool
    counter: bool
    running: Upkeep | None
    last: Upkeep | None  # the newest finding
    overdue: bool
    far: bool  # it read further from the calibrator than a measurement may


def care_of(device: Device) -> Care | None:
    """For the device's page; None for a device to which nothing of this is done."""
    meter, counter = is_meter(device.profile), counts(device.profile)
    if not (meter or counter):
        return None
    rows, now = office().view.upkeep(device.id), office().clock.now()
    last = newest(rows).get(device.id)
    return Care(
        meter=meter,
        counter=counter,
        running=next((row for row in rows if row.ended is None and row.until > now), None),
        last=last,
        overdue=last is not None and last.valid_until is not None and last.valid_until <= now,
        far=last is not None and last.deviation is not None and abs(last.deviation) > MOST_DB,
    )
