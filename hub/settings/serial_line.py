"""What a serial line's devices must have in common, and what must tell them apart. Part of the site file's door.

Pure: it sees the checked devices of one link and refuses, by file and key, what could give one's value to another.
"""

from collections.abc import Sequence
from itertools import combinations
from pathlib import Path

from device_profiles.door import Refusal
from device_profiles.sharing import ADDRESS_BYTES, clash
from device_profiles.types import SerialLink, SerialProfile
from hub.settings.site import Device

LINE_SETTINGS = ("baud", "parity", "stop_bits")


def check_serial_line(devices: Sequence[Device], path: Path, key: str) -> None:
    """Raise a Refusal for the first thing that cannot be; `key` is the link's list of devices in the file."""
    if not devices:
        raise Refusal(path, key, "a serial port carries at least one device", value=0)
    for at, device in enumerate(devices):
        _check_address(device, path, f"{key}[{at}].address")
    for (_, first), (second_at, second) in combinations(enumerate(devices), 2):
        _check_settings(first, second, path, f"{key}[{second_at}]")
        _check_apart(first, second, devices, path, f"{key}[{second_at}]")


def _check_address(device: Device, path: Path, key: str) -> None:
    profile, address = _serial(device)
    place = profile.frame.address
    if place is None and address is not None:
        right = f"leave it out: frames of {profile.id} carry none"
        raise Refusal(path, key, "has no place in the frame", value=address, right=right)
    if place is not None and address is not None and address >= 256 ** ADDRESS_BYTES[place.type][0]:
        most = 256 ** ADDRESS_BYTES[place.type][0] - 1
        raise Refusal(path, key, "does not fit the frame", value=address, right=f"0 to {most}")


def _check_settings(first: Device, second: Device, path: Path, key: str) -> None:
    for name in LINE_SETTINGS:
        wanted, here = getattr(first.options, name), getattr(second.options, name)
        if wanted != here:
            right = f"{first.id} on the same line has {wanted!r}: all devices of a line share baud, parity, stop_bits"
            raise Refusal(path, f"{key}.{name}", "is not the line's", value=here, right=right)


def _check_apart(first: Device, second: Device, devices: Sequence[Device], path: Path, key: str) -> None:
    (one, address), (other, its) = _serial(first), _serial(second)
    why = clash(one.frame, address, other.frame, its)
    if not why:
        return
    if one.frame == other.frame and one.frame.address is not None:
        taken = {_serial(device)[1] for device in devices}
        free = next(n for n in range(1, len(taken) + 2) if n not in taken)
        problem, right = f"is the address of {first.id} on the same line", f"{free} is free"
        raise Refusal(path, f"{key}.address", problem, value=its, right=right)
    right = "put one of them on a port of its own"
    problem = f"its frames could be taken for those of {first.id} on the same line: {why}"
    raise Refusal(path, f"{key}.profile", problem, value=other.id, right=right)


def _serial(device: Device) -> tuple[SerialProfile, int | None]:
    if not isinstance(device.profile, SerialProfile) or not isinstance(device.options, SerialLink):
        raise TypeError(f"{device.id} is not a serial device")
    return device.profile, device.options.address
