"""What the door refuses in a Modbus profile: fields that no register holds, writes that the protocol cannot say."""

from pathlib import Path

import pytest

from device_profiles.door import Refusal
from device_profiles.load import load
from device_profiles.types import ModbusProfile
from firmware_bridge.raw import Registers
from firmware_bridge.wire.decode import decode
from hub.reading import Reading

GOOD = """
profile = 1
id = "gate/mine"
title = { zh = "门", en = "Gate" }
source = "maker's manual, page 12; seen on one device"

[link]
kind = "modbus"

[reading.relay]
address = 0
bits = [0, 0]
count = 4
choices = { off = [0], on = [1] }

[reading.gate]
address = 1
type = "text"
length = 4
choices = { open = ["OPEN"], closed = ["SHUT"] }

[reading.laeq]
address = 3
type = "u32"
scale = 0.1
unit = "dB"
absent = [0xFFFFFFFF]

[command.set]
label = { zh = "设", en = "Set" }
function = 22
address = 0
bits = [4, 4]
value = 1
count = 4
confirm = { relay = "on" }
within = 8.0

[command.all]
label = { zh = "全部", en = "All" }
function = 16
address = 8
values = [1, 2]
confirm = { gate = "open" }
within = 8.0

[[sample]]
name = "opens"
ask = "01 03 00 00 00 05 85 C9"
answer = "01 03 0A 00 05 4F 50 45 4E 00 00 02 2D"
want = { gate = "open" }

[[sample]]
name = "refused"
ask = "01 03 00 00 00 05 85 C9"
answer = "01 83 02 C0 F1"
fault = "refused"

[[sample]]
name = "a bit"
command = "set_2"
sends = "01 16 00 00 FF DF 00 20"

[[sample]]
name = "two registers"
command = "all"
sends = "01 10 00 08 00 02 04 00 01 00 02"
"""


def loaded(tmp_path: Path, text: str) -> ModbusProfile:
    """The profile in this text."""
    file = tmp_path / "gate" / "mine.toml"
    file.parent.mkdir()
    file.write_text(text, encoding="utf-8")
    profile = load(file)
    assert isinstance(profile, ModbusProfile)
    return profile


def test_channels_are_spelled_out(tmp_path: Path) -> None:
    """`count` goes on to the next bits of the register, for readings and for commands."""
    profile = loaded(tmp_path, GOOD)
    assert [profile.reading[f"relay_{n}"].bits for n in range(1, 5)] == [(0, 0), (1, 1), (2, 2), (3, 3)]
    assert {profile.reading[f"relay_{n}"].address for n in range(1, 5)} == {0}
    assert [profile.command[f"set_{n}"].bits for n in range(1, 5)] == [(4, 4), (5, 5), (6, 6), (7, 7)]


def test_channels_of_long_numbers(tmp_path: Path) -> None:
    """Numbers of two registers lie two registers apart, and do not overlap."""
    text = GOOD.replace("bits = [0, 0]", 'type = "u32"', 1)
    profile = loaded(tmp_path, text)
    assert [profile.reading[f"relay_{n}"].address for n in range(1, 5)] == [0, 2, 4, 6]


BROKEN = [
    ("bits = [0, 0]", "bits = [0, 0]\nbyte = -1", "reading.relay_1.byte", "0 or more"),
    ("bits = [0, 0]", "bits = [1, 0]", "reading.relay_1.bits", "first <= last < 16"),
    ("bits = [0, 0]", "bits = [13, 13]", "reading.relay_4.bits", "first <= last < 16"),
    ("bits = [0, 0]", 'bits = [0, 0]\ntype = "i16"', "reading.relay_1.bits", "type u8, u16, u32 or u64"),
    ("bits = [0, 0]", "bits = [0]", "reading.relay.bits", "length 2"),
    ("bits = [0, 0]", 'bits = [0, 0]\ntype = "bit"', "reading.relay_1.type", "bits = [n, n] for a single bit"),
    ("off = [0]", 'off = ["0"]', "reading.relay_1.choices.off", "whole numbers"),
    ("off = [0]", "off = [false]", "reading.relay_1.choices.off", "whole numbers"),
    ("length = 4", "", "reading.gate.length", "in bytes"),
    ("length = 4", "length = 251", "reading.gate.length", "250"),
    ("length = 4", 'length = 3\norder = "BADC"', "reading.gate.length", "whole registers"),
    ("length = 4", 'length = 4\norder = "CDAB"', "reading.gate.order", "BADC where the bytes"),
    ('"OPEN"', "7", "reading.gate.choices.open", "texts"),
    ('type = "u32"', 'type = "u32"\nlength = 4', "reading.laeq.length", "nothing else has one"),
    ("absent = [0xFFFFFFFF]", 'absent = ["nan"]', "reading.laeq.absent", "whole numbers"),
    ("absent = [0xFFFFFFFF]", "absent = [0x100000000]", "reading.laeq.absent", "0 to 4294967295"),
    ("absent = [0xFFFFFFFF]", "absent = [-1]", "reading.laeq.absent", "0 to 4294967295"),
    ("absent = [0xFFFFFFFF]", "range = [90.0, 30.0]", "reading.laeq.range", "[lowest, highest]"),
    ("absent = [0xFFFFFFFF]", "range = [30.0, 500.0]", "reading.laeq.range", "within [20.0, 140.0] dB"),
    ("off = [0], on = [1]", "off = [0], on = [0, 1]", "reading.relay_1.choices.on", "choices.off already"),
    ("off = [0], on = [1] }", "off = [0], on = [1] }\nabsent = [1]", "reading.relay_1.choices.on", "absent already"),
    ("function = 22", "function = 23", "command.set.function", "Invalid enum value 23"),
    ("function = 22", "function = 6", "command.set_1.bits", "no other function does"),
    ("bits = [4, 4]", "", "command.set_1.bits", "function 22 sets"),
    ("bits = [4, 4]", "bits = [13, 13]", "command.set_4.bits", "first <= last < 16"),
    ("value = 1", "value = 2", "command.set_1.value", "at most 1"),
    ("value = 1", "value = 65536", "command.set.value", "<= 65535"),
    ("value = 1", "value = 1\nvalues = [1]", "command.set_1.values", "functions 15 and 16"),
    ("values = [1, 2]", "", "command.all.values", "functions 15 and 16"),
    ("values = [1, 2]", "values = [1, 2]\nvalue = 3", "command.all.value", "put it into `values`"),
    ("values = [1, 2]", f"values = {[1] * 124}", "command.all.values", "123"),
    ("function = 16", "function = 15", "command.all.values", "0 or 1"),
    (
        "function = 22",
        "function = 22\nseconds = { min = 1, max = 2, default = 1 }",
        "command.set_1.seconds",
        "function 5, 6 or 16",
    ),
    (
        "function = 16",
        "function = 16\nseconds = { min = 1, max = 2, default = 3 }",
        "command.all.seconds",
        "min <= default <= max",
    ),
    (
        "function = 16",
        "function = 16\nseconds = { min = 1, max = 7000, default = 1, per_second = 10 }",
        "command.all.seconds.max",
        "at most 65535 ticks",
    ),
]


@pytest.mark.parametrize(("old", "new", "key", "hint"), BROKEN, ids=[f"{row[2]}: {row[1][:30]}" for row in BROKEN])
def test_what_can_never_work_is_refused(tmp_path: Path, old: str, new: str, key: str, hint: str) -> None:
    """Named when the file is read, with the key and what would be right."""
    assert old in GOOD
    with pytest.raises(Refusal) as refused:
        loaded(tmp_path, GOOD.replace(old, new, 1))
    assert refused.value.key.startswith(key)
    assert hint in str(refused.value)


@pytest.mark.parametrize("absent", ['["nan"]', '["nan", 0x7F800000]'])
def test_nan_is_a_word_of_floats(tmp_path: Path, absent: str) -> None:
    """A float may say that it has no value by any NaN."""
    text = GOOD.replace('type = "u32"', 'type = "f32"').replace("[0xFFFFFFFF]", absent)
    assert "nan" in loaded(tmp_path, text).reading["laeq"].absent


def test_the_manual_s_example(tmp_path: Path) -> None:
    """The fields that docs/profiles.md shows pass the door, and mean what stands beside them."""
    page = (Path(__file__).parents[2] / "docs" / "profiles.md").read_text(encoding="utf-8")
    shown = page[page.index("[reading.relay]") :].partition("```")[0]
    head, _, rest = GOOD.partition("[reading.relay]")
    samples = rest[rest.index("[[sample]]") : rest.index('[[sample]]\nname = "a bit"')]
    profile = loaded(tmp_path, head + shown + samples)
    answer = Registers("holding", 0, 5, bytes.fromhex("0005 504F 4E45 0012 3456"))
    said = {word.quantity: word.value for word in decode("d", profile, answer, 0) if isinstance(word, Reading)}
    relays = {"relay_1": "on", "relay_2": "off", "relay_3": "on", "relay_4": "off"}
    assert said == {**relays, "gate": "open", "energy": 1234.56}
