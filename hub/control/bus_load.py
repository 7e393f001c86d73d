"""How full each Modbus line of a site is, and what would be right where it is too full. Arithmetic, it opens nothing.

`zhian plan` prints it, `zhian check` and the running hub judge a site file by it; the page shows it.
"""

import math
from collections.abc import Iterator
from pathlib import Path

import msgspec

from device_profiles.door import Refusal
from firmware_bridge.wire.load import DeviceLoad, LinkLoad, link_load
from hub.settings.site import ModbusLine, ModbusSerialLine, Site

WARN, FULL = 0.8, 1.0  # parts of the time; above WARN there is no room for commands, repetitions and dead units
_BAUDS = (4800, 9600, 19200, 38400, 57600, 115200)  # what RS-485 devices can usually be set to


def modbus_loads(site: Site, path: Path) -> Iterator[tuple[str, ModbusLine, LinkLoad]]:
    """Key in the file, link and load of each Modbus line. Raises Refusal for a device that cannot be read so."""
    for at, link in enumerate(site.links):
        if isinstance(link, ModbusLine):
            try:
                yield f"link[{at}]", link, link_load(link)
            except ValueError as error:
                right = "mend the profile's fields, forbidden, read_to_clear, min_registers or max_registers"
                raise Refusal(path, f"link[{at}].device", str(error), value=link.id, right=right) from error


def crowded(site: Site, path: Path) -> list[str]:
    """A warning for each line that is more than 80 % full. Raises Refusal for the first that is more than full."""
    warnings = []
    for key, link, load in modbus_loads(site, path):
        if load.load > FULL:
            raise Refusal(path, key, f"is {how_full(load)}", value=link.id, right=_right(link, load))
        if load.load > WARN:
            warnings.append(f"{path}: {key} = {link.id!r}: is {how_full(load)}; {_right(link, load)}")
    return warnings


def how_full(load: LinkLoad) -> str:
    """As "83 % full at 1 s: a cycle takes 830 ms; noise-7 will be read every 1.4 s"."""
    paces = sorted({device.every for device in load.devices})
    at = f" at {' to '.join(f'{pace:g}' for pace in dict.fromkeys((paces[0], paces[-1])))} s" if paces else ""
    words = [f"{_percent(load)} % full{at}: a cycle takes {load.cycle_ms:.0f} ms"]
    late = sorted((device for device in load.devices if device.late), key=lambda device: -device.read_every)
    return "; ".join(words + ([_late(late)] if late else []))


def _late(devices: list[DeviceLoad]) -> str:
    worst = devices[0]
    others = f" (and {len(devices) - 1} more are late)" if len(devices) > 1 else ""
    return f"{worst.device} will be read every {worst.read_every:.1f} s{others}"


def _percent(load: LinkLoad) -> int:
    """Rounded up, so that more than full never reads 100."""
    return math.ceil(round(100 * load.load, 6))


def _right(link: ModbusLine, load: LinkLoad) -> str:
    """What would bring it down to 80 %: a longer `every`, a higher baud where that is enough, another line."""
    factor = load.load / WARN
    paces = {device.every for device in load.devices}
    if len(paces) == 1:
        ways = [f"every = {math.ceil(round(10 * factor * paces.pop(), 6)) / 10:g} for its devices"]
    else:
        ways = [f"`every` {math.ceil(10 * factor) / 10:g} times as long for its devices"]
    if isinstance(link, ModbusSerialLine):
        faster = ((baud, link_load(msgspec.structs.replace(link, baud=baud))) for baud in _BAUDS if baud > link.baud)
        ways += [f"baud = {baud} ({_percent(then)} %)" for baud, then in faster if then.load <= WARN][:1]
    if len(load.devices) > 1:
        ways.append("some of its devices on another line")
    return "right would be " + ", or ".join(ways)
