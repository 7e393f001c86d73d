"""The door of a serial line: what its devices must share, and what must tell them apart."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from device_profiles.door import Refusal
from device_profiles.sharing import clash
from device_profiles.types import FixedBytes, Frame, FrameAddress, FrameCheck, FrameLength, SerialLink
from hub.commands import site as commands
from hub.commands.dogs import dog_command
from hub.commands.site import unsteady
from hub.settings.door import load_site

SITE = """
[site]
id = "garden"
name = { zh = "花园", en = "Garden" }
timezone = "Asia/Shanghai"
[[link]]
id = "line"
kind = "serial"
port = "/dev/serial/by-id/usb-1"
"""
DROP, READER, TAGS, RADAR = "chip/134k-rw-usb-d1", "chip/wl-134a", "chip/rdm6300", "water/hlk-ld2410"


def site(tmp_path: Path, *devices: str) -> Path:
    """A site file with these devices on the line: profile, and further keys as they stand in the file."""
    text = SITE
    for number, words in enumerate(devices):
        profile, *more = words.split("|")
        text += f'  [[link.device]]\n  id = "d-{number}"\n  profile = "{profile}"\n' + "".join(f"  {m}\n" for m in more)
    path = tmp_path / "site.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_line_of_several_products(tmp_path: Path) -> None:
    """Two addresses of one product and two other products share a line; each knows its address."""
    loaded = load_site(site(tmp_path, DROP, f"{DROP}|address = 7", READER, TAGS))
    options = [device.options for device in loaded.links[0].devices]
    assert [each.address for each in options if isinstance(each, SerialLink)] == [1, 7, None, None]


MISTAKES = [
    ((), ("link[0].device = 0", "at least one device")),
    ((DROP, f"{DROP}|address = 1"), ("link[0].device[1].address = 1", "is the address of d-0", "2 is free")),
    ((DROP, READER, DROP), ("link[0].device[2].address = 1", "is the address of d-0")),
    ((f"{DROP}|address = 256",), ("link[0].device[0].address = 256", "0 to 255")),
    ((f"{DROP}|address = -1",), ("link[0].device[0].address",)),
    ((f"{READER}|address = 3",), ("link[0].device[0].address = 3", "chip/wl-134a carry none")),
    ((READER, READER), ("link[0].device[1].profile", "taken for those of d-0", "a port of its own")),
    ((READER, f"{TAGS}|baud = 19200"), ("link[0].device[1].baud = 19200", "d-0 on the same line has 9600")),
    ((READER, f'{TAGS}|parity = "E"'), ("link[0].device[1].parity = 'E'", "has 'N'")),
    ((READER, RADAR), ("link[0].device[1].baud = 256000",)),
]


@pytest.mark.parametrize(("devices", "words"), MISTAKES, ids=lambda each: str(each)[:40])
def test_what_cannot_share_a_line_is_refused(tmp_path: Path, devices: tuple[str, ...], words: tuple[str, ...]) -> None:
    """File, key, value, and what would be right."""
    with pytest.raises(Refusal) as refusal:
        load_site(site(tmp_path, *devices))
    assert all(word in str(refusal.value) for word in ("site.toml", *words)), refusal.value


XOR = FrameCheck(sum="xor", over=(0, -1), at=-1)
PLAIN = Frame(start="02", end="03", length=10)
CHECKED = Frame(start="02", end="03", length=10, check=XOR)
LONGER = Frame(start="02", end="03", length=12, check=XOR)
WRITTEN = Frame(start="02", length=FrameLength(at=1, bytes=1, plus=2), max_length=40, check=XOR)
OF_8 = Frame(
    start="02",
    length=FrameLength(at=1, bytes=1, plus=2),
    max_length=40,
    fixed=[FixedBytes(at=1, one_of=["06"])],
    check=XOR,
)
PAIRS = [
    (PLAIN, None, Frame(start="04", length=10), None, ""),
    (PLAIN, None, Frame(start="02", end="04", length=10), None, ""),
    (CHECKED, None, LONGER, None, ""),
    (PLAIN, None, LONGER, None, "no checksum"),
    (CHECKED, None, PLAIN, None, "nothing"),
    (CHECKED, None, WRITTEN, None, "nothing"),
    (CHECKED, None, OF_8, None, ""),
    (WRITTEN, None, OF_8, None, "nothing"),
    (Frame(start="02", length=10, fixed=[FixedBytes(at=3, one_of=["0A", "0B"])]), None, WRITTEN, None, "nothing"),
    (
        Frame(start="02", length=10, fixed=[FixedBytes(at=3, one_of=["0A", "0B"])]),
        None,
        Frame(start="02", length=10, fixed=[FixedBytes(at=-7, one_of=["0C"])]),
        None,
        "",
    ),
    (Frame(start="02", length=9, address=FrameAddress(at=1)), 3, Frame(start="02 04", length=9), None, ""),
    (Frame(start="02", length=9, address=FrameAddress(at=1)), 4, Frame(start="02 04", length=9), None, "nothing"),
]


@pytest.mark.parametrize(("one", "address", "other", "its", "words"), PAIRS)
def test_frames_that_could_be_anothers(
    one: Frame, address: int | None, other: Frame, its: int | None, words: str
) -> None:
    """A byte that must differ tells two shapes apart; else only lengths do, and then each needs its checksum."""
    for why in (clash(one, address, other, its), clash(other, its, one, address)):
        assert (words in why) if words else why == ""


def test_a_passing_port_name_is_warned_of(tmp_path: Path) -> None:
    """/dev/ttyUSB0 may be another adapter tomorrow; the by-id name of the same adapter is told where there is one."""
    path = site(tmp_path, READER)
    by_id = tmp_path / "by-id"
    assert unsteady(load_site(path), path, by_id) == []
    for port, warned in (
        ("/dev/ttyUSB0", True),
        ("/dev/ttyACM3", True),
        ("/dev/ttyS0", False),
        ("/dev/ttyAMA0", False),
    ):
        path.write_text(SITE.replace("/dev/serial/by-id/usb-1", port) + _device(), encoding="utf-8")
        warnings = unsteady(load_site(path), path, by_id)
        assert [f"link[0].port = '{port}'" in warning for warning in warnings] == [True] * warned
        assert all("its name in /dev/serial/by-id" in warning for warning in warnings)
    by_id.mkdir()
    (by_id / "usb-FTDI").symlink_to("/dev/ttyUSB0")
    path.write_text(SITE.replace("/dev/serial/by-id/usb-1", "/dev/ttyUSB0") + _device(), encoding="utf-8")
    (warning,) = unsteady(load_site(path), path, by_id)
    assert str(by_id / "usb-FTDI") in warning


def _device() -> str:
    return f'  [[link.device]]\n  id = "reader"\n  profile = "{READER}"\n'


def test_check_prints_the_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`zhian check` says it and passes: the port is there today."""
    monkeypatch.setattr(commands, "_check_ports", lambda site, path: None)  # no test makes files in /dev
    path = tmp_path / "site.toml"
    path.write_text(SITE.replace("/dev/serial/by-id/usb-1", "/dev/ttyUSB7") + _device(), encoding="utf-8")
    result = CliRunner().invoke(commands.check_command, [str(path)])
    assert result.exit_code == 0
    assert "warning: " in result.output
    assert "link[0].port = '/dev/ttyUSB7'" in result.output


@pytest.mark.parametrize(
    ("chip", "words"), [("15600000000004", "here are 14"), ("4500C5D1E9", "125 kHz"), ("９００250000023921", "半角")]
)
@pytest.mark.parametrize("verb", ["add", "remove"])
def test_a_mistyped_chip_is_refused_with_what_is_wrong(tmp_path: Path, verb: str, chip: str, words: str) -> None:
    """`zhian dog` exits with 2 before it asks any hub."""
    result = CliRunner().invoke(dog_command, [verb, chip, "--data", str(tmp_path)])
    assert result.exit_code == 2
    assert words in result.output
