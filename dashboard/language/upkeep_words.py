"""What is done to measuring devices, in the reader's language: orders and audit. No page logic."""

from typing import Any

from dashboard.language.i18n import lazy_gettext
from hub.care.upkeep import ABANDON, BEGIN, EXCHANGE, FINISH

ORDERS: dict[str, Any] = {  # Any: flask_babel's lazy strings
    BEGIN: lazy_gettext("Calibrator put on"),
    FINISH: lazy_gettext("Calibrated"),
    ABANDON: lazy_gettext("Calibrator taken off"),
    EXCHANGE: lazy_gettext("Device exchanged"),
}
AUDIT: dict[str, Any] = {
    BEGIN: lazy_gettext("put a calibrator on a meter"),
    FINISH: lazy_gettext("wrote a calibration down"),
    ABANDON: lazy_gettext("took a calibrator off a meter"),
    EXCHANGE: lazy_gettext("exchanged a device"),
}
