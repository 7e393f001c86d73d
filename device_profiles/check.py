"""What a profile must be beyond its types: its words in the vocabulary, its samples complete, its bytes bytes.

Pure checks of one parsed profile, each of which raises a Refusal that names key, value and what would be right.
"""

import re
from pathlib import Path

import msgspec

from device_profiles import vocabulary
from device_profiles.check_modbus import check_commands, check_reads, check_register
from device_profiles.counting import counts_to
from device_profiles.door import Refusal, nearest
from device_profiles.sharing import ADDRESS_BYTES
from device_profiles.types import (
    FrameField,
    JsonField,
    ModbusProfile,
    MqttCommand,
    MqttProfile,
    Profile,
    RegisterField,
    Sample,
    SerialProfile,
)
from device_profiles.vocabulary import Quantity
from hub.reading import Kind

EVENT_OF = {"iso11784": "chip", "fdxb": "chip", "tag": "other_chip"}  # a field's type -> the one event it reads


def check(profile: Profile, path: Path) -> None:
    """Raise a Refusal for the first thing that cannot be true."""
    _check_header(profile, path)
    _check_readings(profile, path)
    _check_commands(profile, path)
    _check_samples(profile, path)
    _check_bytes(profile, path)
    if isinstance(profile, ModbusProfile):
        check_commands(profile, path)
        check_reads(profile, path)
    if isinstance(profile, SerialProfile):
        _check_address(profile, path)


def _check_header(profile: Profile, path: Path) -> None:
    right = f"{path.parent.name}/{path.stem}"
    if profile.id != right:
        raise Refusal(path, "id", "must be folder/file name", value=profile.id, right=f'write "{right}"')
    if len(profile.source.strip()) < 20:
        raise Refusal(
            path,
            "source",
            "must say where the numbers come from",
            value=profile.source,
            right="manual and clause, or who saw it on which device",
        )
    if not profile.reading:
        raise Refusal(path, "reading", "a profile reads at least one quantity")


def _check_readings(profile: Profile, path: Path) -> None:
    for name, field in profile.reading.items():
        key = f"reading.{name}"
        quantity = vocabulary.require(name, file=path, key=key).quantity
        if field.unit != quantity.unit:
            raise Refusal(
                path,
                f"{key}.unit",
                "must restate the vocabulary's unit",
                value=field.unit,
                right=f'write "{quantity.unit}"',
            )
        if (quantity.kind is Kind.STATE) != bool(field.choices):
            raise Refusal(
                path,
                f"{key}.choices",
                "a state needs choices, and nothing else has them",
                right=f"states of {name}: {', '.join(quantity.states)}",
            )
        for state in field.choices:
            if state not in quantity.states:
                raise Refusal(
                    path,
                    f"{key}.choices",
                    f"not a state of {name}",
                    value=state,
                    right=nearest(state, quantity.states),
                )
        _check_type(field, quantity, path, key)
        _check_range(field, quantity, path, key)
        _check_end(field, quantity, path, key)
        _check_once(field, path, key)


def _check_range(field: RegisterField | FrameField | JsonField, quantity: Quantity, path: Path, key: str) -> None:
    """The maker's range lets something through, and nothing that the vocabulary takes for a mistake."""
    if field.range is None:
        return
    (lowest, highest), shown = field.range, list(field.range)
    if lowest >= highest:
        raise Refusal(path, f"{key}.range", "lets nothing through", value=shown, right="[lowest, highest]")
    if quantity.range and not quantity.range[0] <= lowest < highest <= quantity.range[1]:
        right = f"within {list(quantity.range)} {quantity.unit}".rstrip()
        raise Refusal(path, f"{key}.range", f"is wider than that of {quantity.name}", value=shown, right=right)


def _check_end(field: RegisterField | FrameField | JsonField, quantity: Quantity, path: Path, key: str) -> None:
    """A counter goes over its end where it can be read until there, and nothing else does."""
    if field.rolls_over is None:
        return
    shown = field.rolls_over
    if quantity.kind is not Kind.COUNTER:
        raise Refusal(path, f"{key}.rolls_over", f"a {quantity.kind} does not count", value=shown, right="leave it out")
    furthest = counts_to(msgspec.structs.replace(field, rolls_over=None), quantity)
    if furthest is not None and shown > furthest:
        right = f"at most {furthest:g}, by its type, scale and range"
        raise Refusal(path, f"{key}.rolls_over", "is further than it can be read", value=shown, right=right)


def _check_once(field: RegisterField | FrameField | JsonField, path: Path, key: str) -> None:
    """A word of two meanings would be taken for the first one."""
    seen: dict[tuple[type, object], str] = {}
    for name, words in {
        "absent": field.absent,
        **{f"choices.{s}": words for s, words in field.choices.items()},
    }.items():
        for word in words:
            if (before := seen.setdefault((type(word), word), name)) != name:
                raise Refusal(path, f"{key}.{name}", f"means {before} already", value=word, right="one meaning a word")


def _check_type(field: RegisterField | FrameField | JsonField, quantity: Quantity, path: Path, key: str) -> None:
    """The field can carry such a quantity, and stands where such fields stand."""
    if field.scale == 0:
        raise Refusal(path, f"{key}.scale", "makes every value the same", value=0.0, right="leave it out for 1")
    if isinstance(field, JsonField):
        fitting = {Kind.STATE: "choice", Kind.EVENT: "text"}.get(quantity.kind, "number")
        if field.type != fitting:
            raise Refusal(path, f"{key}.type", f"a {quantity.kind} is read as {fitting}", value=field.type)
        return
    if EVENT_OF.get(field.type, "") != (quantity.name if quantity.kind is Kind.EVENT else ""):
        right = "iso11784 and fdxb read the event `chip`, tag reads `other_chip`; frames carry no other event yet"
        raise Refusal(path, f"{key}.type", f"cannot carry this {quantity.kind}", value=field.type, right=right)
    if isinstance(field, RegisterField):
        check_register(field, path, key)
    elif field.type == "iso11784" and (field.country is None or field.national is None):
        right = "as country = { at = 11, chars = 4 }"
        raise Refusal(path, key, "a chip needs `country` and `national`", right=right)
    elif field.type == "tag" and (field.scheme is None or field.code is None):
        right = 'as scheme = "em4100", code = { at = 1, chars = 10 }'
        raise Refusal(path, key, "a tag needs `scheme` and `code`", right=right)


_NONCE, _SEAL = "order_nonce", frozenset({"counter", "nonce", "sig"})
MOST_GATE_S = 10.0  # an order to open that is older is for somebody else


def _check_commands(profile: Profile, path: Path) -> None:
    for name, command in profile.command.items():
        key = f"command.{name}.confirm"
        span = command.seconds
        if span is not None and not 0 < span.min <= span.default <= span.max:
            right = "0 < min <= default <= max: without seconds of its own an order takes the default"
            raise Refusal(path, f"command.{name}.seconds", "cannot be given", value=span.default, right=right)
        if "gate" in command.confirm and command.expires > MOST_GATE_S:
            right = f"at most {MOST_GATE_S:g}: nobody stands at the gate any more"
            raise Refusal(path, f"command.{name}.expires", "is too long for a gate", value=command.expires, right=right)
        taken = (
            {*command.payload, "id", "device", "issued", "expires", "seconds"}
            if isinstance(command, MqttCommand)
            else set()
        )
        if isinstance(profile, MqttProfile) and profile.signed:
            _check_signed(profile, name, path)
        if isinstance(command, MqttCommand) and command.text is not None and command.text.key in taken:
            problem, right = "stands in the message already", f"another key than {', '.join(sorted(taken))}"
            raise Refusal(path, f"command.{name}.text.key", problem, value=command.text.key, right=right)
        if not command.confirm:
            raise Refusal(path, key, "a command says which reading confirms it", right='as confirm = { gate = "open" }')
        for quantity_name, state in command.confirm.items():
            if quantity_name not in profile.reading:
                raise Refusal(
                    path,
                    key,
                    "is not read by this profile",
                    value=quantity_name,
                    right=nearest(quantity_name, profile.reading),
                )
            states = vocabulary.require(quantity_name, file=path, key=key).quantity.states
            if state not in states:
                raise Refusal(
                    path,
                    f"{key}.{quantity_name}",
                    f"not a state of {quantity_name}",
                    value=state,
                    right=nearest(state, states),
                )


def _check_signed(profile: MqttProfile, name: str, path: Path) -> None:
    """What is signed has members that can be told apart in its canonical text, and none of the seal's own."""
    command = profile.command[name]
    words = [*command.payload, *([command.text.key] if command.text is not None else [])]
    for word in words:
        if not re.fullmatch(r"[A-Za-z0-9_]+", word) or word in _SEAL:
            right = "letters, digits and _; `counter`, `nonce` and `sig` are the seal's"
            raise Refusal(path, f"command.{name}.payload", "cannot be signed", value=word, right=right)
    if _NONCE not in profile.reading:
        right = f"[reading.{_NONCE}], for a hub whose clock is wrong: device_profiles/README.md"
        raise Refusal(path, f"reading.{_NONCE}", "is missing where orders are signed", right=right)
    if command.expires > MOST_GATE_S:
        right = f"at most {MOST_GATE_S:g}: an order that waits longer is for somebody else"
        raise Refusal(
            path, f"command.{name}.expires", "is too long for a signed order", value=command.expires, right=right
        )


def _check_samples(profile: Profile, path: Path) -> None:
    good = [sample for sample in profile.sample if sample.want]
    refused = [sample for sample in profile.sample if sample.fault]
    if not good or not refused:
        raise Refusal(path, "sample", "at least two samples: one with `want`, and one refusal with `fault`")
    for index, sample in enumerate(profile.sample):
        _check_sample(profile, sample, path, f"sample[{index}]")
    told = {sample.command for sample in profile.sample}
    for base in _commands_as_written(profile):
        if not any(command == base or command.startswith(f"{base}_") for command in told):
            raise Refusal(
                path,
                f"command.{base}",
                "has no sample that says what it sends",
                right=f'add a [[sample]] with command = "{base}"',
            )


def _check_sample(profile: Profile, sample: Sample, path: Path, key: str) -> None:
    if sample.command:
        if sample.command not in profile.command:
            right = nearest(sample.command, profile.command)
            raise Refusal(path, f"{key}.command", "no such command", value=sample.command, right=right)
        return
    if bool(sample.want) == bool(sample.fault):
        raise Refusal(path, key, "a sample says what it gives: `want` or `fault`, not both", value=sample.name)
    if isinstance(profile, ModbusProfile) and not sample.ask:
        raise Refusal(path, f"{key}.ask", "a Modbus sample has the question too", value=sample.name)
    for name in sample.want:
        if name not in profile.reading:
            right = nearest(name, profile.reading)
            raise Refusal(path, f"{key}.want", "is not read by this profile", value=name, right=right)


def _commands_as_written(profile: ModbusProfile | SerialProfile | MqttProfile) -> set[str]:
    return {name.rstrip("0123456789").rstrip("_") for name in profile.command}


def _check_bytes(profile: Profile, path: Path) -> None:
    """Everything that is written as hexadecimal is, so that nothing fails later on a cable."""
    places: dict[str, str] = {}
    if isinstance(profile, SerialProfile):
        frame = profile.frame
        places |= {"frame.start": frame.start, "frame.end": frame.end}
        places |= {f"frame.fixed[{n}].one_of": " ".join(fixed.one_of) for n, fixed in enumerate(frame.fixed)}
        only = {name: field.only for name, field in profile.reading.items() if field.only is not None}
        places |= {f"reading.{name}.only.one_of": " ".join(fixed.one_of) for name, fixed in only.items()}
        places |= {f"command.{name}.bytes": command.bytes for name, command in profile.command.items()}
    if not isinstance(profile, MqttProfile):
        for n, sample in enumerate(profile.sample):
            places |= {f"sample[{n}].{name}": getattr(sample, name) for name in ("ask", "answer", "sends")}
    for key, text in places.items():
        try:
            bytes.fromhex(text)
        except ValueError:
            raise Refusal(path, key, "not hexadecimal bytes", value=text, right='as "01 03 00 00"') from None
    if isinstance(profile, SerialProfile) and not bytes.fromhex(profile.frame.start):
        raise Refusal(path, "frame.start", "a frame begins with a mark", value="", right='as "02"')


def _check_address(profile: SerialProfile, path: Path) -> None:
    """Frames that carry an address have a factory setting of it, and no fixed bytes are sent to such a device."""
    place, address = profile.frame.address, profile.link.address
    if (place is None) != (address is None):
        right = "both or neither: [frame] address = { at = 1 } and [link] address = 1, the maker's setting"
        raise Refusal(path, "link.address", "belongs to a place in the frame", value=address, right=right)
    if place is not None and address is not None and address >= 256 ** ADDRESS_BYTES[place.type][0]:
        raise Refusal(path, "link.address", f"does not fit {place.type}", value=address)
    if place is not None and profile.command:
        right = "leave the commands out: the same bytes would reach every device of the line"
        raise Refusal(path, "command", "cannot be addressed yet", right=right)
