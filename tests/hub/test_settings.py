"""The door of the site file: what is wrong is named by file, key and value, with what would be right."""

from pathlib import Path

import pytest

from device_profiles.door import Refusal
from device_profiles.types import ModbusLink, MqttLink
from hub.calendar.schedule import Window, parse_span
from hub.settings.door import load_site

GOOD = """
[site]
id = "garden"
name = { zh = "花园", en = "Garden" }
timezone = "Asia/Shanghai"
noise_class = 1

[[zone]]
id = "lake"
name = { zh = "湖", en = "Lake" }
closed = "20:00-06:00"
siren = { device = "relay", command = "pulse_2", seconds = 5.0 }

[[link]]
id = "line"
kind = "modbus-rtu"
port = "/dev/ttyUSB0"
baud = 4800

  [[link.device]]
  id = "noise-a"
  profile = "noise/generic-rs485"
  unit = 3
  zone = "lake"

  [[link.device]]
  id = "noise-b"
  profile = "noise/generic-rs485"
  unit = 4
  every = 2.0

[[link]]
id = "cabinet"
kind = "modbus-tcp"
host = "127.0.0.1"

  [[link.device]]
  id = "relay"
  profile = "relay/waveshare-8ch"

[[link]]
id = "mqtt"
kind = "mqtt"

  [[link.device]]
  id = "gate"
  profile = "gate/json-mqtt"
  topic = "old/{device}/state"
"""


def write(tmp_path: Path, text: str) -> Path:
    """The text as a site file."""
    path = tmp_path / "site.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_good_file_becomes_typed_structs(tmp_path: Path) -> None:
    """Device options are the profile's [link], overridden by the site, with the line's own settings."""
    site = load_site(write(tmp_path, GOOD))

    devices = site.devices()
    first, second, gate = devices["noise-a"].options, devices["noise-b"].options, devices["gate"].options
    assert isinstance(first, ModbusLink)
    assert isinstance(second, ModbusLink)
    assert isinstance(gate, MqttLink)
    assert (first.unit, first.baud, second.every) == (3, 4800, 2.0)
    assert gate.topic == "old/{device}/state"
    assert site.noise_class == "1"
    assert list(devices) == ["noise-a", "noise-b", "relay", "gate"]


NOISE = 'profile = "noise/generic-rs485"'
MISTAKES = [
    ('timezone = "Asia/Shanghai"', 'timezone = "Asia/Shangai"', "site.timezone", "Asia/Shangai", "IANA"),
    ('timezone = "Asia/Shanghai"', 'timezone = "Asia/Shanghai"\npage = "zhian"', "site.page", "zhian", "https://"),
    ('timezone = "Asia/Shanghai"', 'timezon = "Asia/Shanghai"', "site.timezon", "", "timezone"),
    ('id = "garden"', 'id = "Garden North"', "site.id", "Garden North", "lower case"),
    ("noise_class = 1", 'noise_class = "5"', "site.noise_class", "5", ""),
    ('closed = "20:00-06:00"', 'closed = "20-6"', "zone[0].closed", "20-6", "22:00-06:00"),
    ('closed = "20:00-06:00"', 'closed = { workday = "20:00-06:00" }', "zone[0].closed", "", "weekend"),
    ('closed = "20:00-06:00"', 'closed = { workday = "", weekend = [] }', "zone[0].closed", "", "leave it out"),
    ('closed = "20:00-06:00"', 'closed = { workday = ["20-6"], weekend = "" }', "zone[0].closed.workday", "20-6", ""),
    ('closed = "20:00-06:00"', 'closed = { workday = "", weekends = "" }', "zone[0].closed", "", 'mean "weekend"'),
    ('kind = "modbus-rtu"', 'kind = "modbus-rtx"', "link[0].kind", "modbus-rtx", 'did you mean "modbus-rtu"'),
    ("baud = 4800", 'baud = "4800"', "link[0].baud", "4800", ""),
    ("baud = 4800", "wxyz = 4800", "link[0].wxyz", "", "known: baud, device, id, kind, parity, port, stop_bits"),
    ('host = "127.0.0.1"', 'host = "127.0.0.1"\nbaud = 9600', "link[1].baud", "", "known: device, host, id, kind, out"),
    ("baud = 4800", "bauds = 4800", "link[0].bauds", "", 'did you mean "baud"'),
    (NOISE, 'profile = "noise/generic-rs458"', "link[0].device[0].profile", "rs458", 'did you mean "noise/'),
    (NOISE, 'profile = "gate/json-mqtt"', "link[0].device[0].profile", "gate/json-mqtt", "noise/generic-rs485"),
    ("unit = 4", "unit = 3", "link[0].device[1].unit", "3", "1 is free"),
    ('kind = "mqtt"', 'kind = "mqtt"\nlisten = "1883"', "link[2].listen", "1883", "127.0.0.1:1883"),
    ("unit = 4", "unit = 300", "link[0].device[1].unit", "300", ""),
    ("unit = 4", "unti = 4", "link[0].device[1].unti", "4", 'did you mean "unit"'),
    ("unit = 4", "unit = 4\n  baud = 9600", "link[0].device[1].baud", "", "all devices of one line share it"),
    ('zone = "lake"', 'zone = "laek"', "link[0].device[0].zone", "laek", 'did you mean "lake"'),
    ('id = "noise-b"', 'id = "noise-a"', "link[0].device[1].id", "noise-a", "link[0].device[0].id"),
    ('id = "cabinet"', 'id = "line"', "link[1].id", "line", "taken"),
    ('device = "relay"', 'device = "realy"', "zone[0].siren.device", "realy", 'did you mean "relay"'),
    ('command = "pulse_2"', 'command = "puls_2"', "zone[0].siren.command", "puls_2", 'did you mean "pulse_2"'),
    ("[site]", "[site", "file", "", "not valid TOML"),
    ("seconds = 5.0", "seconds = 9999.0", "zone[0].siren.seconds", "9999", "0.1 to 3276.7"),
    ('"pulse_2", seconds', '"on_2", seconds', "zone[0].siren.seconds", "5.0", "leave it out"),
    ("seconds = 5.0", "seconds = nan", "zone[0].siren.seconds", "nan", "finite"),
    ("every = 2.0", "every = inf", "link[0].device[1].every", "inf", "finite"),
    ("every = 2.0", "every = 60", "link[0].device[1].silent_after", "10", "which is 60"),
    ("every = 2.0", "\n".join(["[rule.gate-held]", "on_delay = inf"]), "rule.gate-held.on_delay", "inf", "finite"),
    ('host = "127.0.0.1"', 'host = "192.168.1..20"', "link[1].host", "192.168.1..20", "192.168.1.20"),
    ('host = "127.0.0.1"', 'host = "192.168.1.256"', "link[1].host", "192.168.1.256", "192.168.1.20"),
    ('host = "127.0.0.1"', 'host = "10.0.0.1:502"', "link[1].host", "10.0.0.1:502", "alone"),
    ('host = "127.0.0.1"', f'host = "{"a" * 64}.lan"', "link[1].host", "aaa", "192.168.1.20"),
    ("baud = 4800", "baud = 99999999999", "link[0].baud", "99999999999", "9600"),
    ('"/dev/ttyUSB0"', '"ttyUSB0"', "link[0].port", "ttyUSB0", "/dev/serial/by-id"),
    ('kind = "modbus-rtu"', 'kind = ["modbus-rtu"]', "link[0].kind", "modbus-rtu", "modbus-rtu"),
    ('kind = "mqtt"', 'kind = "mqtt"\nlisten = "127.0.0.1:70000"', "link[2].listen", "70000", "127.0.0.1:1883"),
    ('kind = "mqtt"', 'kind = "mqtt"\nurl = "http://x"', "link[2].url", "http://x", "mqtt://HOST:PORT"),
    ('kind = "mqtt"', 'kind = "mqtt"\nurl = "mqtt://[x"', "link[2].url", "mqtt://[x", "mqtt://HOST:PORT"),
    ('kind = "mqtt"', 'kind = "mqtt"\n[[link]]\nid = "two"\nkind = "mqtt"', "link[3]", "two", "devices on mqtt"),
    ('"old/{device}/state"', '"old/{devise}/state"', "link[2].device[0].topic", "{devise}", "{device}"),
    ('"old/{device}/state"', '"{"', "link[2].device[0].topic", "{", "{device}"),
    ('"old/{device}/state"', '"old/+/state"', "link[2].device[0].topic", "old/+", "of its own"),
    ('"old/{device}/state"', f'"{"a/" * 120}b"', "link[2].device[0].topic", "a/a", "200 characters at most"),
    ('"old/{device}/state"', '"{site}/{device}/do"', "link[2].device[0].orders", "/do", "three different topics"),
    ('id = "gate"', 'id = "zhian-hub"', "link[2].device[0].id", "zhian-hub", "choose another"),
    ('id = "gate"', f'id = "{"g" * 65}"', "link[2].device[0].id", "ggg", "64 characters"),
    ('closed = "20', 'at = [5, 0]\nclosed = "20', "zone[0].at", "5", "from 0 to 1"),
    ("baud = 4800", 'baud = 4800\nparity = "even"', "link[0].parity", "even", '"E", "N", "O"'),
]  # fmt: skip


@pytest.mark.parametrize(
    ("right", "wrong", "key", "value", "hint"), MISTAKES, ids=[m[2] + "=" + m[3] for m in MISTAKES]
)
def test_a_mistake_is_named(tmp_path: Path, right: str, wrong: str, key: str, value: str, hint: str) -> None:
    """Every refusal names file, key and value, and says what would be right."""
    assert right in GOOD
    path = write(tmp_path, GOOD.replace(right, wrong, 1))

    with pytest.raises(Refusal) as refusal:
        load_site(path)

    text = str(refusal.value)
    assert text.startswith(f"{path}: {key}")
    assert value in text
    assert hint in text


def test_what_windows_editors_write(tmp_path: Path) -> None:
    """A mark at the beginning of a UTF-8 file is none of its words; another encoding is named, with the line."""
    path = tmp_path / "site.toml"
    path.write_bytes(b"\xef\xbb\xbf" + GOOD.encode())
    assert load_site(path).id == "garden"

    path.write_bytes(GOOD.encode("gbk"))
    with pytest.raises(Refusal, match=r"not UTF-8 \(line 4\); save it as UTF-8"):
        load_site(path)


@pytest.mark.parametrize("text", ["a = " + "[" * 3000 + "]" * 3000, "a = " + "9" * 5000])
def test_toml_that_nobody_writes_is_refused_too(tmp_path: Path, text: str) -> None:
    """Whatever stands in a file, it is refused and ends nothing: a running hub reads it as well."""
    with pytest.raises(Refusal, match="not valid TOML"):
        load_site(write(tmp_path, text))


@pytest.mark.parametrize(
    ("span", "minutes"), [("22:00-06:00", (1320, 360)), ("00:00-24:00", (0, 1440)), ("08:30-17:05", (510, 1025))]
)
def test_spans(span: str, minutes: tuple[int, int]) -> None:
    """A span is two times of the day in minutes."""
    assert parse_span(span) == Window(*minutes)


@pytest.mark.parametrize("span", ["", "22-06", "25:00-06:00", "22:60-06:00", "24:00-06:00", "22:00-24:30"])
def test_spans_that_are_none(span: str) -> None:
    """What is no span is refused, never guessed."""
    with pytest.raises(ValueError, match=span or "^$"):
        parse_span(span)


VOICES = [
    ('id = "siren"\nkind = "log"', "voice[0].id", "siren", "choose another"),
    ('id = "Duty Room"\nkind = "log"', "voice[0].id", "Duty Room", "lower case"),
    ('id = "a"\nkind = "webhook"\nurl = "file:///etc/passwd"', "voice[0].url", "file:///etc/passwd", "https://"),
    ('id = "a"\nkind = "webhook"', "voice[0].url", "", "https://"),
    ('id = "a"\nkind = "webhook"\nurl = "http://a..b/x"', "voice[0].url", "a..b", "https://"),
    ('id = "a"\nkind = "webhook"\nurl = "http://a/b c"', "voice[0].url", "b c", "https://"),
    ('id = "a"\nkind = "mqtt"\ntopic = "{zone}/x"', "voice[0].topic", "{zone}/x", "{source}"),
]


@pytest.mark.parametrize(("voice", "key", "value", "hint"), VOICES, ids=[row[1] + "=" + row[2] for row in VOICES])
def test_a_voice_that_could_not_speak_is_refused(tmp_path: Path, voice: str, key: str, value: str, hint: str) -> None:
    """A voice that would fail at the first alarm is named when the file is read."""
    path = write(tmp_path, f"{GOOD}\n[[voice]]\n{voice}\n")

    with pytest.raises(Refusal) as refusal:
        load_site(path)

    assert refusal.value.key == key
    assert value in str(refusal.value)
    assert hint in str(refusal.value)


def test_an_mqtt_voice_needs_a_broker(tmp_path: Path) -> None:
    """Without an MQTT link there is nobody to publish to."""
    path = write(tmp_path, GOOD[: GOOD.index('[[link]]\nid = "mqtt"')] + '[[voice]]\nid = "a"\nkind = "mqtt"\n')

    with pytest.raises(Refusal, match=r"voice\[0\]\.kind = 'mqtt': there is no broker"):
        load_site(path)
