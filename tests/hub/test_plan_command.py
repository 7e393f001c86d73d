"""`zhian plan`, and what `zhian check` says of a line that is nearly full or more than full."""

import json
import re
import string
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

import firmware_bridge.simulate
from device_profiles import load
from device_profiles.types import ModbusProfile, RegisterField
from hub.__main__ import main

METER = "noise/generic-rs485"
Run = Callable[..., tuple[int, str, str]]
Lines = list[dict[str, object]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs `zhian` with these arguments: exit code, standard output, standard error."""

    def ran(*arguments: str | Path) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["zhian", *map(str, arguments)])
        code = 0
        try:
            main()
        except SystemExit as end:
            code = int(end.code or 0)
        output = capsys.readouterr()
        return code, output.out, output.err

    return ran


@pytest.fixture
def demo(tmp_path: Path) -> Path:
    """The demo's site file."""
    text = (Path(firmware_bridge.simulate.__file__).parent / "zhongshan.toml").read_text(encoding="utf-8")
    path = tmp_path / "site.toml"
    path.write_text(string.Template(text).substitute(data=tmp_path, relay=1502, broker=1883), encoding="utf-8")
    return path


@pytest.fixture
def ten_registers(monkeypatch: pytest.MonkeyPatch) -> str:
    """The id of a profile of ten registers in two blocks, three apart, that may be read in one."""
    meter = load.find(METER, file="", key="")
    assert isinstance(meter, ModbusProfile)
    reading = {f"r{at}": RegisterField(address=at) for at in (*range(5), *range(8, 13))}
    profile = msgspec.structs.replace(meter, id="test/ten", reading=reading, gaps="readable")
    known = {**load.profiles(), profile.id: profile}
    monkeypatch.setattr(load, "profiles", lambda: known)
    return profile.id


@pytest.fixture
def bus(tmp_path: Path) -> Callable[..., Path]:
    """Writes a site of one Modbus link with so many units: `line` are the link's keys, `unit` each device's."""

    def write(units: int, *, line: str = "", unit: str = "", profile: str = METER) -> Path:
        text = 'site = { id = "big", name = { zh = "大", en = "Big" }, timezone = "Asia/Shanghai" }\n'
        text += '[[voice]]\nid = "log"\nkind = "log"\n'
        text += f'[[link]]\nid = "rs485-east"\n{line or RTU}\n'
        for number in range(1, units + 1):
            text += f'[[link.device]]\nid = "noise-{number}"\nprofile = "{profile}"\nunit = {number}\n{unit}\n'
        path = tmp_path / "site.toml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


RTU = 'kind = "modbus-rtu"\nport = "/dev/null"'
TCP = 'kind = "modbus-tcp"\nhost = "127.0.0.1"'


def lines(out: str, kind: str) -> Lines:
    """The JSON lines of this kind."""
    return [line for line in map(json.loads, out.splitlines()) if line["kind"] == kind]


def test_plan_of_the_demo_in_json(run: Run, demo: Path) -> None:
    """One line a link, a device and a request, by names that stay; only Modbus lines."""
    code, out, error = run("plan", demo, "--json")

    assert (code, error) == (0, "")
    assert lines(out, "link") == [
        {"kind": "link", "link": "rs485-yard", "line": "9600 8N1", "devices": 3, "requests": 3}
        | {"cycle_ms": 128.75, "wait_ms": 0.0, "single_ms": 128.75, "gain": 1.0, "load": 0.1288},
        {"kind": "link", "link": "rs485-lake", "line": "19200 8N1", "devices": 1, "requests": 1}
        | {"cycle_ms": 34.583, "wait_ms": 0.0, "single_ms": 69.167, "gain": 2.0, "load": 0.0346},
        {"kind": "link", "link": "relay-cabinet", "line": "TCP", "devices": 1, "requests": 1}
        | {"cycle_ms": 20.0, "wait_ms": 0.0, "single_ms": 160.0, "gain": 8.0, "load": 0.04},
    ]
    assert lines(out, "device")[-1] == (
        {"kind": "device", "link": "relay-cabinet", "device": "yard-relay", "unit": 1, "every": 0.5, "read_every": 0.5}
        | {"cycle_ms": 20.0, "wait_ms": 0.0, "single_ms": 160.0}
    )
    assert lines(out, "request")[3] == (
        {"kind": "request", "link": "rs485-lake", "device": "level-lake", "unit": 1, "function": 3, "table": "holding"}
        | {"address": 0, "count": 4, "ms": 34.583}
    )


def test_plan_of_the_demo_for_people(run: Run, demo: Path) -> None:
    """Load of the line, each request, and what reading one by one would cost."""
    code, out, _ = run("plan", demo)

    assert code == 0
    assert "rs485-yard (9600 8N1): 13 % full at 1 s: a cycle takes 129 ms\n" in out
    assert re.search(r"level-lake +unit 1 +function 3 +holding 0 +count 4 +34\.6 ms\n", out)
    assert "one by one a cycle would take 160 ms: 8.0 times as long" in out


def test_plan_of_thirty_units(run: Run, bus: Callable[..., Path], ten_registers: str) -> None:
    """Thirty units of ten registers: thirty requests in 2.04 s, 6.3 times as quick as three hundred in 12.9 s."""
    code, out, _ = run("plan", bus(30, profile=ten_registers, unit="every = 2.5"), "--json")

    (link,) = lines(out, "link")
    assert code == 0
    assert (link["devices"], link["requests"], link["cycle_ms"], link["single_ms"]) == (30, 30, 2037.5, 12875.0)
    assert (link["gain"], link["load"]) == (6.319, 0.815)
    assert {(line["address"], line["count"]) for line in lines(out, "request")} == {(0, 13)}
    assert {line["read_every"] for line in lines(out, "device")} == {2.5}


def test_plan_says_who_will_be_late(run: Run, bus: Callable[..., Path]) -> None:
    """A line that cannot keep its promises says how often a device is read in truth; it is shown, not refused."""
    code, out, _ = run("plan", bus(30))

    assert code == 0
    assert "129 % full at 1 s: a cycle takes 1288 ms; noise-" in out
    assert "will be read every 1.3 s (and 29 more are late)" in out


def test_plan_counts_what_the_hub_waits(run: Run, bus: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """Two reads of one length from one unit: 50 ms between them are no bus time, but nobody else's either."""
    meter = load.find(METER, file="", key="")
    assert isinstance(meter, ModbusProfile)
    reading = {"near": RegisterField(address=0), "far": RegisterField(address=500)}
    monkeypatch.setattr(load, "profiles", lambda: {METER: msgspec.structs.replace(meter, reading=reading)})
    path = bus(5)

    (link,) = lines(run("plan", path, "--json")[1], "link")
    assert (link["cycle_ms"], link["wait_ms"], link["load"]) == (429.167, 250.0, 0.6792)
    assert "and 250 ms of waiting" in run("plan", path)[1]
    assert lines(run("plan", bus(5, line=TCP), "--json")[1], "link")[0]["wait_ms"] == 0.0


def test_plan_without_modbus(run: Run, bus: Callable[..., Path]) -> None:
    """A site without such a line, and a line without devices, have nothing to show."""
    assert run("plan", bus(0, line='kind = "mqtt"'))[1].endswith("no Modbus line\n")
    assert run("plan", bus(0))[1] == "rs485-east (9600 8N1): 0 % full: a cycle takes 0 ms\n"


def test_plan_counts_with_the_lines_own_settings(
    run: Run, bus: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A gap of nineteen is worth reading at 9600 8N1, not at 9600 8E1 nor at 4800, and again for a slower device."""
    meter = load.find(METER, file="", key="")
    assert isinstance(meter, ModbusProfile)
    reading = {"near": RegisterField(address=0), "far": RegisterField(address=20)}
    monkeypatch.setattr(
        load, "profiles", lambda: {METER: msgspec.structs.replace(meter, reading=reading, gaps="readable")}
    )

    def requests(line: str, unit: str = "") -> int:
        return len(lines(run("plan", bus(1, line=f"{RTU}\n{line}", unit=unit), "--json")[1], "request"))

    assert requests("baud = 9600") == 1
    assert requests('baud = 9600\nparity = "E"') == requests("baud = 4800") == 2
    assert requests("baud = 4800", "latency = 0.1") == 1


def test_check_is_quiet_below_80_percent(run: Run, bus: Callable[..., Path]) -> None:
    """Eighteen meters at one second are 78 %: no word of it."""
    code, out, error = run("check", bus(18))

    assert (code, error) == (0, "")
    assert "warning" not in out
    assert json.loads(run("check", bus(18), "--json")[1])["warnings"] == []


def test_check_warns_above_80_percent(run: Run, bus: Callable[..., Path]) -> None:
    """Twenty are 86 %: a warning on standard output that says what would be right, and exit 0."""
    code, out, error = run("check", bus(20))

    assert (code, error) == (0, "")
    assert "warning: " in out
    assert "link[0] = 'rs485-east': is 86 % full at 1 s" in out
    assert "every = 1.1 for its devices, or baud = 19200 (63 %), or some of its devices on another line" in out
    (warning,) = json.loads(run("check", bus(20), "--json")[1])["warnings"]
    assert warning in out


def test_check_refuses_more_than_full(run: Run, bus: Callable[..., Path]) -> None:
    """Twenty-four are 103 %: exit 2, with link, load and what would be right, which then is taken."""
    path = bus(24)
    code, _, error = run("check", path)

    assert code == 2
    assert f"{path}: link[0] = 'rs485-east': is 103 % full at 1 s" in error
    ways = re.search(r"right would be every = (\S+) for its devices, or baud = (\d+) \(\d+ %\), or some", error)
    assert ways
    for mended in (bus(24, unit=f"every = {ways[1]}"), bus(24, line=f"{RTU}\nbaud = {ways[2]}"), bus(12)):
        code, out, _ = run("check", mended)
        assert (code, "warning" in out) == (0, False)


def test_check_of_a_tcp_line(run: Run, bus: Callable[..., Path]) -> None:
    """There only latency counts, and no baud would help; one device alone cannot be moved away from itself."""
    assert run("check", bus(30, line=TCP))[0] == 0
    code, _, error = run("check", bus(1, line=TCP, unit="every = 0.25\nlatency = 0.3"))

    assert code == 2
    assert "is 120 % full at 0.25 s" in error
    assert error.rstrip().endswith("right would be every = 0.4 for its devices")


def test_check_of_devices_with_different_cadences(run: Run, bus: Callable[..., Path]) -> None:
    """Where `every` differs, the advice is a factor."""
    path = bus(24, unit="every = 0.9")
    path.write_text(path.read_text(encoding="utf-8").replace("every = 0.9", "every = 2.0", 1), encoding="utf-8")
    code, _, error = run("check", path)

    assert code == 2
    assert "full at 0.9 to 2 s" in error
    assert "`every` 1.4 times as long for its devices" in error


@pytest.mark.parametrize("command", ["check", "plan"])
def test_a_device_that_cannot_be_read_is_named(
    run: Run, bus: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    """A profile of which no allowed read exists: link, device and address, not a traceback at the start."""
    meter = load.find(METER, file="", key="")
    assert isinstance(meter, ModbusProfile)
    broken = msgspec.structs.replace(meter, reading={"laeq": RegisterField(address=7, type="f64")}, max_registers=2)
    monkeypatch.setattr(load, "profiles", lambda: {METER: broken})

    code, _, error = run(command, bus(2))

    assert code == 2
    assert "link[0].device = 'rs485-east': noise-1: the field at address 7 is longer than one read of 2" in error


def test_a_baud_of_zero_is_refused(run: Run, bus: Callable[..., Path]) -> None:
    """Nothing is divided by it."""
    code, _, error = run("plan", bus(1, line=f"{RTU}\nbaud = 0"))

    assert code == 2
    assert "link[0].baud = 0" in error
