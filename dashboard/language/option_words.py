"""What the options of a device's link are called, and what they are for, in the reader's language.

Which there are, their limits and their usual values stand in device_profiles/types.py and in each profile's [link].
"""

from typing import Any

from dashboard.language.i18n import lazy_gettext

OPTIONS: dict[str, tuple[Any, Any]] = {  # Any: flask_babel's lazy strings
    "unit": (
        lazy_gettext("Unit number"),
        lazy_gettext("As set on the device (DIP switches or display). Each number once on a line."),
    ),
    "every": (lazy_gettext("Read every (s)"), lazy_gettext("How often it is asked. More often fills the line.")),
    "timeout": (lazy_gettext("Time-out (s)"), lazy_gettext("So long is waited until an answer begins.")),
    "latency": (
        lazy_gettext("Thinks for (s)"),
        lazy_gettext("How long it usually takes before it answers; the line's load is reckoned with it."),
    ),
    "silent_after": (
        lazy_gettext("Silent after (s)"),
        lazy_gettext("So long without a good word, and the place counts as unwatched."),
    ),
    "baud": (lazy_gettext("Baud"), lazy_gettext("Speed of the line, as set on the device.")),
    "parity": (lazy_gettext("Parity"), lazy_gettext("As set on the device: none, even or odd.")),
    "stop_bits": (lazy_gettext("Stop bits"), lazy_gettext("As set on the device.")),
    "address": (lazy_gettext("Address"), lazy_gettext("Where several such devices share one line.")),
    "debounce": (
        lazy_gettext("One event within (s)"),
        lazy_gettext("What is said again within this time is the same event, as of a tag that lies in the field."),
    ),
    "topic": (lazy_gettext("Topic of its readings"), lazy_gettext("{site} and {device} stand for their ids.")),
    "orders": (lazy_gettext("Topic of its orders"), lazy_gettext("{site} and {device} stand for their ids.")),
    "alive": (
        lazy_gettext("Topic of its last will"),
        lazy_gettext("Empty: it sets none, and only silence tells that it is gone."),
    ),
    "online": (lazy_gettext("Word for being there"), lazy_gettext("What it writes to that topic when it comes.")),
    "offline": (lazy_gettext("Word for being gone"), lazy_gettext("What the broker writes there when it is gone.")),
}
LINK_KINDS: dict[str, Any] = {
    "modbus-rtu": lazy_gettext("RS-485, Modbus RTU"),
    "modbus-ascii": lazy_gettext("RS-485, Modbus ASCII"),
    "modbus-tcp": lazy_gettext("Network, Modbus TCP"),
    "modbus-rtu-over-tcp": lazy_gettext("Serial server, Modbus RTU over TCP"),
    "serial": lazy_gettext("Serial port"),
    "mqtt": lazy_gettext("MQTT"),
}
EXPERT = {"timeout", "latency", "orders", "alive", "online", "offline", "debounce", "silent_after", "topic"}
EXPERT |= {"baud", "parity", "stop_bits"}
