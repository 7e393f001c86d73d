"""Real traffic into [[sample]] blocks of a profile: masked, proved against the profile, and written as TOML.

Pure. A sample is given only when the profile says of it, by the way of the sample tests, what it said of the original:
what no test could repeat is left out, with the reason.
"""

import json
from collections.abc import Iterable

import msgspec

from device_profiles.types import ModbusProfile, MqttProfile, Profile, Sample, SerialProfile
from firmware_bridge.raw import Action, Frame, Message, Publish, Raw, Registers, Trouble, Write
from firmware_bridge.wire import encode, mask, modbus, orders
from firmware_bridge.wire.decode import decode
from firmware_bridge.wire.framing import Framer
from firmware_bridge.wire.mask import IDENTITIES, Masks
from firmware_bridge.wire.match import questions
from firmware_bridge.wire.modbus import Request, crc16
from firmware_bridge.wire.seal import EXAMPLE, EXAMPLE_TOPIC
from hub.reading import Fault, FaultKind, Reading

_RX = 1_760_000_000_000  # any moment: a sample says nothing of time
_READS = frozenset({1, 2, 3, 4})


class Unfit(Exception):
    """This exchange makes no sample; the words say why."""


def exchange(profile: ModbusProfile, request: Request, answer: Registers | Trouble) -> Sample:
    """A Modbus question and its answer, as from the profile's own unit. Raises Unfit."""
    if request.function not in _READS:
        return order(profile, Write(request.function, request.address, request.value))
    ours = msgspec.structs.replace(request, unit=profile.link.unit)
    if ours not in questions(profile, ours.unit):
        raise Unfit("the profile's own plan does not ask this")
    data, notes = _answer(profile, ours, answer)
    if request.unit != ours.unit and data:
        notes.append("unit renumbered")
    if notes:
        notes.append("CRC recomputed")
    sample = Sample(name=", ".join(notes), ask=_hex(ours.rtu()), answer=_hex(data))
    return _proved(profile, sample, decode("", profile, answer, _RX))


def frame(profile: SerialProfile, raw: Frame | Trouble, masks: Masks) -> Sample:
    """A serial frame, good or broken. Raises Unfit."""
    data = raw.data if isinstance(raw, Frame) else raw.payload or b""
    if not data:
        raise Unfit("nothing came")
    hidden, note = mask.frame(profile, data, masks)
    if isinstance(raw, Trouble) and raw.kind is FaultKind.MALFORMED and IDENTITIES & profile.reading.keys():
        raise Unfit("bytes that are no frame cannot be masked")
    return _proved(profile, Sample(name=note, answer=_hex(hidden)), decode("", profile, raw, _RX))


def message(profile: MqttProfile, payload: bytes, masks: Masks) -> Sample:
    """A JSON message. Raises Unfit."""
    masked = mask.message(profile, payload, masks)
    if masked is None:
        raise Unfit("no JSON object: it cannot be masked")
    said = decode("", profile, Message("", payload), _RX)
    return _proved(profile, Sample(name=masked[1], answer=masked[0].decode()), said)


def order(profile: Profile, action: Action) -> Sample:
    """What the hub sent. Raises Unfit for what is no command of the profile."""
    known = orders.read(profile, action)
    if known is None:
        raise Unfit("what was sent is no command of the profile")
    command, seconds = known
    again = orders.action(
        profile, command, seconds=seconds, order_id="42", expires=_RX + 10_000, issued=_RX, device="gate-1",
        topic=EXAMPLE_TOPIC, seal=EXAMPLE,
    )  # fmt: skip
    if isinstance(again, Write):
        sends = _hex(Request(1, again.function, again.address, value=again.value).rtu())
    else:
        sends = again.payload.decode() if isinstance(again, Publish) else _hex(again)
    return Sample(name=f"order {command}", command=command, seconds=seconds, sends=sends)


def blocks(samples: Iterable[Sample], since: str) -> str:
    """TOML, each block once; `since` begins the names, as "captured 2026-11-22"."""
    texts: dict[tuple[str, str, str], str] = {}
    for sample in samples:
        name = f"{since}, {len(texts) + 1}" + (f" ({sample.name})" if sample.name else "")
        texts.setdefault((sample.ask, sample.answer, sample.sends), _block(msgspec.structs.replace(sample, name=name)))
    return "\n".join(texts.values())


def _answer(profile: ModbusProfile, ours: Request, answer: Registers | Trouble) -> tuple[bytes, list[str]]:
    """The RTU frame that would have come from the profile's own unit, and what was changed in it."""
    head = bytes([ours.unit, ours.function])
    if isinstance(answer, Registers):
        data = mask.registers(profile, ours, answer.data)
        return _sealed(head + bytes([len(data)]) + data), ["unread registers zeroed"] if data != answer.data else []
    payload = answer.payload or b""
    match answer.kind:
        case FaultKind.NO_ANSWER if not payload:
            return b"", []
        case FaultKind.REFUSED | FaultKind.BUSY:
            code = payload[-3] if crc16(payload[:-2]) == payload[-2:] else payload[-1]
            return _sealed(bytes([ours.unit, ours.function | 0x80, code])), []
        case FaultKind.CHECKSUM if len(payload) == ours.expected_rtu_length and payload[1] == ours.function:
            flipped = bytes(a ^ b for a, b in zip(crc16(payload[:-2]), payload[-2:], strict=True))
            whole = head + payload[2:3] + mask.registers(profile, ours, payload[3:-2])
            return whole + bytes(a ^ b for a, b in zip(crc16(whole), flipped, strict=True)), ["masked"]
        case FaultKind.INCOMPLETE if payload[1:2] == head[1:]:
            rest = payload[3:].ljust(ours.expected_rtu_length - 5, b"\0")[: ours.expected_rtu_length - 5]
            return head + payload[2:3] + mask.registers(profile, ours, rest)[: len(payload) - 3], ["masked"]
    raise Unfit(f"{answer.kind}: such an answer is no sample")


def _proved(profile: Profile, sample: Sample, original: list[Reading | Fault]) -> Sample:
    """The sample with what it gives; the same as the original gave, but for what was masked. Raises Unfit."""
    said = [word for raw in _played(profile, sample) for word in decode("", profile, raw, _RX)]
    readings = [word for word in said if isinstance(word, Reading)]
    faults = [word.kind for word in said if isinstance(word, Fault)]
    if faults != [word.kind for word in original if isinstance(word, Fault)]:
        raise Unfit("masking would change what it says")
    if len(faults) > 1 or not said:
        raise Unfit(f"a sample has one fault, this has {len(faults)}")
    if faults:
        return msgspec.structs.replace(sample, fault=faults[0])
    details = [word.detail for word in readings if word.detail]
    if len(details) > 1:
        raise Unfit("a sample has one event")
    want = {word.quantity: word.value for word in readings}
    good = msgspec.structs.replace(sample, want=want, detail=details[0] if details else {})
    if not _repeats(profile, good):
        raise Unfit("a simulated device could not say the same: another word or spelling for a state or number")
    return good


def _played(profile: Profile, sample: Sample) -> list[Raw]:
    """The sample through transaction layer or framer, as the sample tests do it."""
    if isinstance(profile, MqttProfile):
        return [Message("", sample.answer.encode())]
    data = bytes.fromhex(sample.answer)
    if isinstance(profile, ModbusProfile):
        request = Request.from_rtu(bytes.fromhex(sample.ask))
        return [modbus.read_rtu(request, data) or modbus.unfinished_rtu(request, data)]
    framer = Framer(profile.frame)
    return [*framer.feed(data), *framer.flush()]


def _repeats(profile: Profile, sample: Sample) -> bool:
    """The inverse of decode gives the very bytes back, where there are bytes."""
    if isinstance(profile, SerialProfile):
        own = msgspec.structs.replace(profile, sample=[sample])
        return encode.frame(own, sample.want) == bytes.fromhex(sample.answer)
    if isinstance(profile, MqttProfile):
        payload = encode.message(profile, sample.want, detail=sample.detail)
        again = decode("", profile, Message("", payload), _RX)
        return {word.quantity: word.value for word in again if isinstance(word, Reading)} == sample.want
    request = Request.from_rtu(bytes.fromhex(sample.ask))
    held = {**encode.filler(profile).get(request.table, {}), **encode.memory(profile, sample.want)[request.table]}
    words = [held[request.address + n] for n in range(request.count)]
    if request.function in (1, 2):
        data = sum(bit << n for n, bit in enumerate(words)).to_bytes((len(words) + 7) // 8, "little")
    else:
        data = b"".join(word.to_bytes(2, "big") for word in words)
    return data == bytes.fromhex(sample.answer)[3:-2]


def _block(sample: Sample) -> str:
    lines = ["[[sample]]", f"name = {_text(sample.name)}"]
    lines += [f"{key} = {_text(text)}" for key in ("ask", "answer") if (text := getattr(sample, key))]
    lines += [f"want = {_table(sample.want)}"] if sample.want else []
    lines += [f"detail = {_table(sample.detail)}"] if sample.detail else []
    lines += [f'fault = "{sample.fault}"'] if sample.fault else []
    if sample.command:
        lines += [f'command = "{sample.command}"']
        lines += [f"seconds = {sample.seconds}"] if sample.seconds is not None else []
        lines += [f"sends = {_text(sample.sends)}"]
    return "\n".join(lines) + "\n"


def _table(values: dict[str, float | str] | dict[str, str]) -> str:
    entries = (f"{name} = {_text(value) if isinstance(value, str) else value}" for name, value in values.items())
    return "{ " + ", ".join(entries) + " }"


def _text(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)  # what JSON escapes, TOML escapes alike


def _sealed(body: bytes) -> bytes:
    return body + crc16(body)


def _hex(data: bytes) -> str:
    return data.hex(" ").upper()
