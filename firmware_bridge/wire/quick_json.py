"""The plain JSON message, read in one step: numbers and states at the top level, all of them good.

Whatever else comes (a value that is none, another shape, a device's clock that is ahead, a replayed message) is left to
`decode`, which has a word for it. What is read here, `decode` reads just so: tests compare the two.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, Literal, TypeAlias

import msgspec
from msgspec import UNSET, Meta, UnsetType

from device_profiles import vocabulary
from device_profiles.types import JsonField, MqttProfile
from firmware_bridge.raw import Message
from firmware_bridge.wire.serials import MOST_BOOT, MOST_SEQ, Numbered, digest
from hub.reading import Fault, Kind, Quality, Reading, Serial

MAX_MESSAGE = 64 * 1024  # bytes of a message that we read
MAX_SKEW_MS = 5_000  # a device's clock may be so far ahead

Quick: TypeAlias = Callable[[str, Message, int], Sequence[Reading | Fault] | None]
_GOOD, _BEST_EFFORT = Quality.GOOD, Quality.BEST_EFFORT  # an enum's own look-up costs as much as a reading
_STEP = re.compile(r"/[^/~]+")
_SEQ = Annotated[int, Meta(ge=0, le=MOST_SEQ)]
_BOOT = Annotated[int, Meta(ge=-MOST_SEQ, le=MOST_SEQ)] | Annotated[str, Meta(max_length=MOST_BOOT)]
_COUNTED: tuple[Any, ...] = (_SEQ, _BOOT, bool)  # Any: as types are made here


def quick(profile: MqttProfile) -> Quick | None:
    """A function of device, message and rx that gives the readings, or None for `decode` to look; None: never plain."""
    types = [_plain_type(name, field) for name, field in profile.reading.items()]
    pointers = [profile.ts, *(field.pointer or f"/{name}" for name, field in profile.reading.items())]
    if profile.seq:
        types, pointers = [*types, *_COUNTED], [*pointers, profile.seq, profile.boot, profile.ack]
    single = all(_STEP.fullmatch(pointer) for pointer in pointers) and len(set(pointers)) == len(pointers)
    if None in types or not single:
        return None
    names = [f"f{at}" for at in range(len(pointers))]
    fields = [(name, kind | UnsetType, UNSET) for name, kind in zip(names, [int, *types], strict=True)]
    keys = {name: pointer[1:] for name, pointer in zip(names, pointers, strict=True)}
    shape = msgspec.defstruct("Plain", fields, rename=keys, gc=False)
    states = {name: states for name, field in profile.reading.items() if (states := _states(field)) is not None}
    return _reader(msgspec.json.Decoder(shape).decode, tuple(profile.reading), states, counted=bool(profile.seq))


def _reader(
    parse: Callable[[bytes], msgspec.Struct],
    names: tuple[str, ...],
    states: Mapping[str, Mapping[str, str]],
    *,
    counted: bool,
) -> Quick:
    flatten = msgspec.structs.astuple

    def read(device: str, message: Message, rx: int) -> Sequence[Reading | Fault] | None:
        if message.retained or len(message.payload) > MAX_MESSAGE:
            return None
        try:
            ts, *values = flatten(parse(message.payload))
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return None
        if ts is UNSET:
            ts = rx
        elif not 0 < ts <= rx + MAX_SKEW_MS:
            return None
        seq, boot, ack = values[-3:] if counted else (UNSET, UNSET, UNSET)
        if seq is UNSET and ack is True:
            return None
        if states:
            values = [states[name].get(raw, raw) if name in states else raw for name, raw in zip(names, values)]  # noqa: B905
        quality = _GOOD if message.qos else _BEST_EFFORT
        readings = [
            Reading(device=device, quantity=name, value=value, ts=ts, rx=rx, quality=quality)
            for name, value in zip(names, values)  # noqa: B905  # as many at least, by the shape
            if value is not UNSET
        ]
        if seq is UNSET or not readings:
            return readings or None
        serial = Serial("" if boot is UNSET else str(boot), seq, digest(message.payload), ack is True)
        return Numbered(serial, readings)

    return read


def _plain_type(name: str, field: JsonField) -> Any | None:  # Any: types are made here, for the parser
    """What the parser takes as a good value of this field; None: the field needs `decode`."""
    quantity = vocabulary.require(name, file="a profile that did not come through the door", key=name).quantity
    if field.detail or quantity.kind is Kind.EVENT:
        return None
    if field.type == "choice" and not field.absent:
        words = tuple(_states(field) or ())
        return Literal[words] if words else None
    if field.type != "number" or field.choices or field.scale != 1.0 or field.offset != 0.0:
        return None
    limits = [limits for limits in (field.range, quantity.range) if limits is not None]
    if not limits:
        return None  # nothing would keep an endless number out
    lowest, highest = max(low for low, _ in limits), min(high for _, high in limits)
    if any(lowest <= word <= highest for word in field.absent if not isinstance(word, str)):
        return None  # a good number that means "no value"
    return Annotated[float, Meta(ge=lowest, le=highest)]


def _states(field: JsonField) -> dict[str, str] | None:
    """The device's texts for our states; None: the field has none. A text that stands twice means the first."""
    texts = [(word, state) for state, words in field.choices.items() for word in words if isinstance(word, str)]
    return dict(reversed(texts)) or None
