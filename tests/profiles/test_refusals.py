"""What the door of a profile refuses, and whether the refusal tells how to mend the file."""

from pathlib import Path

import pytest

from device_profiles.door import Refusal
from device_profiles.load import find, load, profiles

GOOD = """
profile = 1
id = "gate/mine"
title = { zh = "门", en = "Gate" }
source = "maker's manual, page 12; seen on one device"

[link]
kind = "mqtt"

[reading.gate]
type = "choice"
choices = { open = ["OPEN"], closed = ["SHUT"] }

[command.open]
label = { zh = "开", en = "Open" }
payload = { do = "open" }
confirm = { gate = "open" }
within = 8.0

[[sample]]
name = "opens"
answer = '{"gate": "OPEN"}'
want = { gate = "open" }

[[sample]]
name = "unknown"
answer = '{"gate": "AJAR"}'
fault = "unknown-choice"

[[sample]]
name = "order"
command = "open"
sends = '{"do": "open", "id": "42", "expires": 1760000010000}'
"""
REFUSED_SAMPLE = GOOD[GOOD.index('[[sample]]\nname = "unknown"') : GOOD.index('[[sample]]\nname = "order"')]
ORDER_SAMPLE = GOOD[GOOD.index('[[sample]]\nname = "order"') :]

# what is changed in the good file, into what: the key, the value and the hint of the refusal
BROKEN = {
    "typo in [link]": ('kind = "mqtt"', 'kind = "mqtt"\nsilent_afer = 9.0', "link.silent_afer", None, '"silent_after"'),
    "typo at the top": ("profile = 1", "profile = 1\ntitel = 3", "titel", None, 'did you mean "title"?'),
    "typo in a sample": ('want = { gate = "open" }', 'wnat = { gate = "open" }', "sample[0].wnat", None, '"want"'),
    "no such link": ('kind = "mqtt"', 'kind = "mqqt"', "link.kind", "mqqt", 'did you mean "mqtt"?'),
    "unknown quantity": ("[reading.gate]", "[reading.gaet]", "reading.gaet", "gaet", 'did you mean "gate"?'),
    "wrong unit": ('type = "choice"', 'type = "choice"\nunit = "dB"', "reading.gate.unit", "dB", 'write ""'),
    "an end of what does not count": (
        'type = "choice"',
        'type = "choice"\nrolls_over = 10.0',
        "reading.gate.rolls_over",
        10.0,
        "leave it out",
    ),
    "an end past the register": (
        "[reading.gate]",
        '[reading.energy]\nunit = "kWh"\nrange = [0.0, 9.99]\nrolls_over = 11.0\n[reading.gate]',
        "reading.energy.rolls_over",
        11.0,
        "at most 10",
    ),
    "unknown state": ("closed = [", "clsoed = [", "reading.gate.choices", "clsoed", 'did you mean "closed"?'),
    "a state without choices": (
        'choices = { open = ["OPEN"], closed = ["SHUT"] }',
        "",
        "reading.gate.choices",
        None,
        "states of gate: closed, open, locked, moving, stuck",
    ),
    "a state read as a number": ('type = "choice"', 'type = "number"', "reading.gate.type", "number", "read as choice"),
    "source missing": (
        'source = "maker\'s manual, page 12; seen on one device"',
        "",
        "",
        None,
        "missing required field `source`",
    ),
    "source too short": (
        "maker's manual, page 12; seen on one device",
        "manual",
        "source",
        "manual",
        "manual and clause",
    ),
    "another id": ('id = "gate/mine"', 'id = "gate/yours"', "id", "gate/yours", 'write "gate/mine"'),
    "one sample only": (REFUSED_SAMPLE, "", "sample", None, "one refusal with `fault`"),
    "want of something unread": (
        'want = { gate = "open" }',
        'want = { gates = "open" }',
        "sample[0].want",
        "gates",
        'did you mean "gate"?',
    ),
    "want and fault": (
        'want = { gate = "open" }',
        'want = { gate = "open" }\nfault = "checksum"',
        "sample[0]",
        "opens",
        "`want` or `fault`",
    ),
    "a fault of no name": (
        'fault = "unknown-choice"',
        'fault = "unknown"',
        "sample[1].fault",
        "unknown",
        "Invalid enum value",
    ),
    "confirm of an unread quantity": (
        'confirm = { gate = "open" }',
        'confirm = { gatte = "open" }',
        "command.open.confirm",
        "gatte",
        'did you mean "gate"?',
    ),
    "confirm by a state that is none": (
        'confirm = { gate = "open" }',
        'confirm = { gate = "opened" }',
        "command.open.confirm.gate",
        "opened",
        'did you mean "open"?',
    ),
    "no confirm": (
        'confirm = { gate = "open" }',
        "confirm = {}",
        "command.open.confirm",
        None,
        "which reading confirms it",
    ),
    "a text in the place of the order's number": (
        'payload = { do = "open" }',
        'payload = { do = "open" }\ntext = { most = 100, key = "id" }',
        "command.open.text.key",
        "id",
        "another key than device, do, expires, id, issued, seconds",
    ),
    "a command without a sample": (ORDER_SAMPLE, "", "command.open", None, 'add a [[sample]] with command = "open"'),
    "a sample of no command": (
        'command = "open"',
        'command = "opn"',
        "sample[2].command",
        "opn",
        'did you mean "open"?',
    ),
    "a time that is none": ("within = 8.0", "within = 0.0", "command.open.within", 0.0, "Expected `float` > 0.0"),
    "typo in a reading": ('type = "choice"', 'typ = "choice"', "reading.gate.typ", None, 'did you mean "type"?'),
    "typo in a label": ('en = "Open"', 'em = "Open"', "command.open.label.em", None, "known: en, zh"),
    "nothing is read": (
        GOOD[GOOD.index("[reading") : GOOD.index("[command")],
        "[reading]\n",
        "reading",
        None,
        "at least",
    ),
    "a text where a list belongs": ('["SHUT"]', '"SHUT"', "reading.gate.choices[...]", None, "Expected `array`"),
    "not TOML": ("profile = 1", "profile = ", "", None, "not valid TOML"),
}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Where a profile of the id gate/mine stands."""
    path = tmp_path / "gate" / "mine.toml"
    path.parent.mkdir()
    return path


def test_the_unbroken_file_is_taken(file: Path) -> None:
    """The table below tests its changes only because the file without them is right."""
    file.write_text(GOOD, encoding="utf-8")
    assert load(file).id == "gate/mine"


@pytest.mark.parametrize(("old", "new", "key", "value", "hint"), BROKEN.values(), ids=BROKEN.keys())
def test_a_refusal_names_file_key_value_and_what_would_be_right(
    file: Path, old: str, new: str, key: str, value: object, hint: str
) -> None:
    """Nobody should have to read our code to mend a profile."""
    assert GOOD.count(old) == 1
    file.write_text(GOOD.replace(old, new), encoding="utf-8")
    with pytest.raises(Refusal) as refused:
        load(file)
    assert (refused.value.file, refused.value.key) == (str(file), key)
    assert value is None or refused.value.value == value
    assert hint in str(refused.value)


def test_a_modbus_sample_has_its_question(tmp_path: Path) -> None:
    """An answer on a Modbus line means nothing without what was asked."""
    source = Path(__file__).parents[2] / "device_profiles" / "noise" / "generic-rs485.toml"
    file = tmp_path / "noise" / "generic-rs485.toml"
    file.parent.mkdir()
    text = source.read_text(encoding="utf-8")
    file.write_text(text.replace('ask = "01 03 00 00 00 01 84 0A"\n', "", 1), encoding="utf-8")
    with pytest.raises(Refusal, match=r"sample\[0\]\.ask = 'evening street'"):
        load(file)


def test_every_shipped_profile_comes_through_the_door() -> None:
    """The folder holds no file that the loader would pass over."""
    folder = Path(__file__).parents[2] / "device_profiles"
    assert set(profiles()) == {f"{file.parent.name}/{file.stem}" for file in folder.glob("*/*.toml")}


def test_a_profile_that_is_not_there_names_the_nearest() -> None:
    """A site file that misspells a profile is told the right word, at its own key."""
    with pytest.raises(Refusal) as refused:
        find("noise/generic-rs458", file="site.toml", key="link[0].device[1].profile")
    assert (refused.value.file, refused.value.key) == ("site.toml", "link[0].device[1].profile")
    assert refused.value.right == 'did you mean "noise/generic-rs485"?'
    assert find("chip/wl-134a", file="", key="").KIND == "serial"


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    """No file, or a folder: the refusal names it."""
    with pytest.raises(Refusal, match=r"mine\.toml: file: there is no such file"):
        load(tmp_path / "mine.toml")
    with pytest.raises(Refusal, match=r"cannot be read: Is a directory"):
        load(tmp_path)


SHIPPED = [
    ("chip/wl-134a", 'start = "02"', 'start = "0x02"', "frame.start", "not hexadecimal"),
    ("chip/wl-134a", 'start = "02"', 'start = ""', "frame.start", "begins with a mark"),
    ("chip/wl-134a", 'type = "iso11784"', 'type = "u8"', "reading.chip.type", "cannot carry this event"),
    ("chip/wl-134a", 'type = "iso11784"', 'type = "tag"', "reading.chip.type", "cannot carry this event"),
    ("chip/wl-134a", "silent_after = 0.0", "silent_after = 0.0\naddress = 1", "link.address", "both or neither"),
    ("chip/134k-rw-usb-d1", "\naddress = 1", "", "link.address", "both or neither"),
    ("chip/134k-rw-usb-d1", "\naddress = 1", "\naddress = 300", "link.address", "does not fit u8"),
    (
        "water/hlk-ld2410",
        "[frame]",
        'address = 1\n[command.blink]\nlabel = { zh = "x", en = "x" }\nbytes = "02"\nwithin = 1.0\n'
        'confirm = { presence = "absent" }\n[[sample]]\nname = "b"\ncommand = "blink"\nsends = "02"\n'
        "[frame]\naddress = { at = 8 }",
        "command",
        "every device of the line",
    ),
    ("chip/134k-rw-usb-d1", '["00 0A"] }', '["0x0A"] }', "reading.chip.only.one_of", "not hexadecimal"),
    ("chip/rdm6300", 'scheme = "em4100"\n', "", "reading.other_chip", "`scheme` and `code`"),
    ("chip/rdm6300", 'type = "tag"', 'type = "fdxb"', "reading.other_chip.type", "tag reads `other_chip`"),
    ("noise/generic-rs485", "scale = 0.1", "scale = 0.0", "reading.laeq.scale", "every value the same"),
    ("noise/generic-rs485", 'type = "u16"', 'type = "bit"', "reading.laeq.type", 'write type = "u16"'),
    ("noise/generic-rs485", "01 03 02 02 2D 79 39", "01 03 02 02 2D 79 3", "sample[0].answer", "not hexadecimal"),
    ("relay/waveshare-8ch", 'type = "bit"', 'type = "u16"', "reading.relay_1.type", 'write type = "bit"'),
    ("relay/waveshare-8ch", "address = 0\ntype", "address = 65530\ntype", "reading.relay_7.address", "65535"),
    ("noise/generic-rs485", 'type = "u16"', 'type = "u16"\nbyte = 250', "reading.laeq.address", "max_registers = 125"),
    (
        "noise/generic-rs485",
        "profile = 1",
        "profile = 1\nforbidden = { holding = [[0, 3]] }",
        "reading.laeq.address",
        "[0, 3]",
    ),
    (
        "noise/generic-rs485",
        "profile = 1",
        "profile = 1\nforbidden = { input = [[9, 7]] }",
        "forbidden.input",
        "[7, 9]",
    ),
    (
        "noise/generic-rs485",
        "profile = 1",
        "profile = 1\nread_to_clear = { coil = [[2, 1]] }",
        "read_to_clear.coil",
        "[1, 2]",
    ),
    ("noise/generic-rs485", "profile = 1", "profile = 1\nforbidden = { holdin = [] }", "forbidden.holdin", '"holding"'),
    ("noise/generic-rs485", "profile = 1", 'profile = 1\ngaps = "unread"', "gaps", "unread"),
    ("noise/generic-rs485", "every = 1.0", "every = 1.0\nlatency = 0.0", "link.latency", "0.0"),
    (
        "water/escort-td500",
        "min_registers = 4",
        "min_registers = 4\nmax_registers = 3",
        "min_registers",
        "max_registers = 3",
    ),
]


@pytest.mark.parametrize(
    ("profile", "old", "new", "key", "hint"), SHIPPED, ids=[f"{row[3]} {row[2]}" for row in SHIPPED]
)
def test_what_a_cable_would_find_out_is_refused_at_the_door(
    tmp_path: Path, profile: str, old: str, new: str, key: str, hint: str
) -> None:
    """A field, a frame or bytes that could never work are named when the file is read, not at night on a line."""
    source = Path(__file__).parents[2] / "device_profiles" / f"{profile}.toml"
    text = source.read_text(encoding="utf-8")
    assert old in text
    file = tmp_path / f"{profile}.toml"
    file.parent.mkdir()
    file.write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(Refusal) as refused:
        load(file)
    assert refused.value.key == key
    assert hint in str(refused.value)
