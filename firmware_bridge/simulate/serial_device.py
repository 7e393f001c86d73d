"""A device at the far end of a serial line: frames by its profile, streamed or when something happens.

What it says and when is its Life's; this file writes frames, and hands over orders that the hub sends.
"""

from collections.abc import Iterator

from device_profiles.types import SerialProfile
from firmware_bridge.simulate.life import Life, Moment
from firmware_bridge.simulate.script import Mute
from firmware_bridge.simulate.tty import Tty
from firmware_bridge.wire import encode, orders
from hub.clock import Clock

PERIOD_S = 0.1  # ten frames a second, as radar modules stream; and how quickly a reader says what it saw


async def play_serial(
    profile: SerialProfile, tty: Tty, life: Life, clock: Clock, began: float, *, address: int | None = None
) -> None:
    """Play one device until cancelled. `began`: when the play did, by `clock.monotonic()`.

    A frame leaves in one piece: devices that share the line do not talk into each other's.
    """
    while True:
        now = clock.monotonic() - began
        moment = life.look(now)
        if moment.mute is Mute.NO:
            for data in frames(profile, moment, address):
                tty.write(data)
            if understood := orders.read(profile, tty.read()):
                life.obey(*understood, now)
        await clock.sleep(PERIOD_S)


def frames(profile: SerialProfile, moment: Moment, address: int | None = None) -> Iterator[bytes]:
    """One frame with everything that has a value, and one for each event."""
    if moment.values:
        yield encode.frame(profile, moment.values, address=address)
    for said in moment.events:
        yield encode.frame(profile, said.values, address=address)
