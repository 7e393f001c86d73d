"""What `site.toml` says of gates: whose orders are signed with which key, and which two must never both be open.

Pure, a part of the site file's door. Whether a key is there is found out when it is wanted, and by `zhian check`.
"""

from pathlib import Path

from device_profiles.door import Refusal, nearest
from device_profiles.types import MqttProfile
from hub.orders.keys import is_signed, key_file, read_key
from hub.settings.secret import SecretError
from hub.settings.site import Device, Site


def opening(device: Device) -> list[str]:
    """Its commands that open a gate."""
    return [name for name, command in device.profile.command.items() if command.confirm.get("gate") == "open"]


def check_gates(site: Site, path: Path) -> None:
    """Refuse a key for a device that signs nothing, one key for two devices, and interlocks that lock nothing."""
    files: dict[str, str] = {}
    for at, link in enumerate(site.links):
        for index, device in enumerate(link.devices):
            key = f"link[{at}].device[{index}].order_key_file"
            if not device.order_key_file:
                continue
            if not is_signed(device):
                right = 'leave it out, or a profile that says signed = "hmac-sha256"'
                raise Refusal(path, key, f"{device.profile.id} wants no signed orders", value=device.id, right=right)
            if (other := files.setdefault(device.order_key_file, device.id)) != device.id:
                raise Refusal(path, key, f"is the key of {other}", value=device.order_key_file, right="a key for each")
    _check_interlocks(site, path)


def _check_interlocks(site: Site, path: Path) -> None:
    devices = site.devices()
    able = [name for name, device in devices.items() if opening(device) and "gate" in device.profile.reading]
    for at, interlock in enumerate(site.interlocks):
        key = f"interlock[{at}].gates"
        if len(set(interlock.gates)) != len(interlock.gates) or len(interlock.gates) < 2:
            right = "two gates or more, each once"
            raise Refusal(path, key, "locks nothing", value=list(interlock.gates), right=right)
        for name in interlock.gates:
            if name not in devices:
                raise Refusal(path, key, "no such device", value=name, right=nearest(name, able))
            if name not in able:
                right = f"as {able[0]}" if able else "a device whose profile reads `gate`, and opens it"
                raise Refusal(path, key, "is no gate that opens by order and says how it is", value=name, right=right)


def gate_warnings(site: Site, path: Path, data: Path | None) -> list[str]:
    """Gates behind a broker that obey whoever writes there, and keys that are not there. Raises Refusal."""
    told = []
    for at, link in enumerate(site.links):
        for index, device in enumerate(link.devices):
            place = f"{path}: link[{at}].device[{index}]"
            if is_signed(device):
                told += _keyless(device, place, path, data)
            elif isinstance(device.profile, MqttProfile) and opening(device):
                why = "orders to it are not signed: whoever may write at the broker opens it"
                told.append(
                    f"{place}.profile = {device.profile.id!r}: {why}; right would be a controller that verifies"
                )
    return told


def _keyless(device: Device, place: str, path: Path, data: Path | None) -> list[str]:
    """A key that the site file names must be good; one in the data folder may still have to be made."""
    if not device.order_key_file and (data is None or not data.is_dir()):
        return []
    try:
        read_key(key_file(device, data or Path()))
    except SecretError as error:
        if device.order_key_file:
            key = f"{place.removeprefix(f'{path}: ')}.order_key_file"
            raise Refusal(path, key, error.problem, value=device.order_key_file, right=error.right) from None
        return [f"{place}: its key {error.problem}: no order can be signed; zhian device key {device.id}"]
    return []
