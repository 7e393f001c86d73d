"""One exchange on a cable, decoded for people who look on: what `zhian watch` prints and the page shows. Pure."""

from device_profiles import load
from firmware_bridge.links.tap import Heard
from firmware_bridge.wire.decode import decode
from hub.control.exchange_line import Line
from hub.reading import Fault, Reading


def line_of(heard: Heard, ages: dict[tuple[str, str, int], int]) -> Line:
    """Decoded where the profile is known."""
    speaker = heard.link, heard.device, heard.unit
    before = ages.get(speaker)
    if heard.came:
        ages[speaker] = heard.at
    raw = heard.raw()
    profile = load.profiles().get(heard.profile)
    said = decode(heard.device, profile, raw, heard.at) if profile and raw else []
    faults = [f"{word.kind}: {word.detail}" for word in said if isinstance(word, Fault)]
    if heard.fault and not faults:
        faults = [f"{heard.fault}: {heard.detail}"]
    return Line(
        at=heard.at,
        link=heard.link,
        device=heard.device,
        unit=heard.unit,
        topic=heard.topic,
        asked=heard.asked.hex(" ").upper() if not heard.topic else heard.asked.decode("utf-8", "replace"),
        came=heard.came.hex(" ").upper() if not heard.topic else heard.came.decode("utf-8", "replace"),
        took_ms=heard.took_ms,
        age_s=None if before is None else round((heard.at - before) / 1000, 3),
        readings={word.quantity: word.value for word in said if isinstance(word, Reading)},
        faults=faults,
        state=f"{heard.state}: {heard.detail}" if heard.state else "",
        lost=heard.lost,
    )
