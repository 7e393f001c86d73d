"""The command line's contract: exit codes, JSON lines, and messages that name file, key, value and the right word."""

import json
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from hub.__main__ import COMMANDS, main

CHIP = "02 31 37 31 41 39 32 35 33 41 33 34 38 33 30 30 31 30 30 30 30 30 30 30 30 30 30 07 F8 03"

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs `zhian` with these arguments: exit code, standard output, standard error."""

    def ran(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["zhian", *arguments])
        code = 0
        try:
            main()
        except SystemExit as end:
            code = int(end.code or 0)
        output = capsys.readouterr()
        return code, output.out, output.err

    return ran


def example(tmp_path: Path, **changes: str) -> Path:
    """The example site, with a port that is there, and texts replaced."""
    text = (Path(__file__).parents[2] / "deploy" / "site.example.toml").read_text(encoding="utf-8")
    for name in ("ttyUSB0", "ttyUSB1"):
        (tmp_path / name).touch()
        text = text.replace(f"/dev/{name}", str(tmp_path / name))
    for old, new in changes.items():
        assert old in text
        text = text.replace(old, new, 1)
    path = tmp_path / "site.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_decode_prints_a_json_line_a_reading(run: Run) -> None:
    """`zhian decode` on the manual's own tag."""
    code, out, _ = run("decode", "chip/wl-134a", "--hex", CHIP)

    assert code == 0
    assert [json.loads(line) for line in out.splitlines()] == [
        {"quantity": "chip", "value": "900250000023921", "unit": ""}
    ]


def test_decode_prints_a_fault_and_exits_1(run: Run) -> None:
    """A frame with a wrong checksum is a fault with a name, never a value."""
    code, out, _ = run("decode", "chip/wl-134a", "--hex", CHIP.replace("31 37", "31 38", 1))

    assert code == 1
    (line,) = [json.loads(line) for line in out.splitlines()]
    assert line["fault"] == "checksum"
    assert line["detail"]


DECODED = [
    (("noise/generic-rs485", "--hex", "01 03 02 02 2D 79 39"), 0, {"quantity": "laeq", "value": 55.7, "unit": "dB"}),
    (("noise/json-mqtt", "--json", '{"laeq": 48.2}'), 0, {"quantity": "laeq", "value": 48.2, "unit": "dB"}),
    (("gate/json-mqtt", "--json", '{"gate": "ajar"}'), 1, {"fault": "unknown-choice"}),
    (("noise/generic-rs485", "--hex", "01 83 02 C0 F1"), 1, {"fault": "refused"}),
    (("noise/generic-rs485", "--hex", "01 03 02 02 2D"), 1, {"fault": "incomplete"}),
    (("chip/wl-134a", "--hex", "02 31 37"), 1, {"fault": "incomplete"}),
    (("water/hlk-ld2410", "--hex", "00 01"), 1, {"fault": "incomplete"}),
]


@pytest.mark.parametrize(("arguments", "code", "first"), DECODED, ids=[" ".join(row[0][:1]) for row in DECODED])
def test_decode_each_transport(run: Run, arguments: tuple[str, ...], code: int, first: dict[str, object]) -> None:
    """Bytes and messages of each kind of link; faults exit with 1."""
    got, out, _ = run("decode", *arguments)

    assert got == code
    assert first.items() <= json.loads(out.splitlines()[0]).items()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("decode", "chip/wl-134", "--hex", "02"), ('did you mean "chip/wl-134a"?',)),
        (("decode", "chip/wl-134a", "--hex", "0g"), ("--hex", "not hexadecimal")),
        (("decode", "chip/wl-134a"), ("--hex", "--json")),
        (("decode", "chip/wl-134a", "--json", "{}"), ("does not speak JSON",)),
        (("check", "no-such.toml"), ("no-such.toml", "no such file")),
        (("readings", "meter", "--data", "no-such-folder"), ("no-such-folder", "--data")),
        (("readings", "meter", "--since", "yesterday"), ("yesterday", "90s, 15m, 1h")),
        (("nonsense",), ("nonsense",)),
        (("order", "relay", "pulse_1", "--seconds", "nan"), ("'nan'", "not a number")),
        (("probe", "--port", "/dev/null", "1", "holding", "0", "--expect", "inf"), ("'inf'", "not a number")),
        (("probe", "--port", "/dev/null", "1", "holding", "40001000"), ("40001000", "0 to 65535", "counted from 0")),
        (("probe", "--port", "/dev/null", "300", "holding", "0"), ("300", "1 to 247")),
        (("scan", "--host", "127.0.0.1:70000"), ("127.0.0.1:70000", "192.168.1.20:502")),
        (("scan", "--host", "192.168.1..20"), ("192.168.1..20", "192.168.1.20:502")),
        (("capture", "--port", "/dev/null", "--out", "/no-such/x"), ("--out = '/no-such/x'", "cannot be written")),
        (("capture", "--port", "/dev/null", "--out", "pyproject.toml"), ("--out", "there already", ">>")),
        (("reload", "--data", "no-such-folder"), ("--data = 'no-such-folder'", "no hub runs there")),
    ],
)
def test_mistakes_exit_2_and_say_what_is_right(run: Run, arguments: tuple[str, ...], words: tuple[str, ...]) -> None:
    """A mistake of the user's exits with 2 and names what would be right."""
    code, _, error = run(*arguments)

    assert code == 2
    assert all(word in error for word in words), error


def test_a_folder_or_port_that_cannot_be_is_the_users_mistake(run: Run, tmp_path: Path) -> None:
    """`zhian run` names --data and --port; nobody at the box has to read a traceback."""
    path = example(tmp_path)

    code, _, error = run("run", str(path), "--data", "/proc/zhian")
    assert (code, error) == (2, "zhian: --data = '/proc/zhian': cannot be used: No such file or directory; "
                                "a folder that this user may write to\n")  # fmt: skip
    code, _, error = run("run", str(path), "--port", "70000")
    assert code == 2
    assert "--port" in error


def test_output_that_finds_no_room_is_said_in_words() -> None:
    """A full disk behind `>` is no traceback, and no success."""
    with Path("/dev/full").open("w") as full:
        command = [sys.executable, "-m", "hub", "profiles"]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)

    assert (done.returncode, done.stderr) == (1, "zhian: No space left on device\n")


@pytest.mark.parametrize(
    ("file", "arguments", "words"),
    [
        ("journal.sqlite", ("alarms",), "zhian: the journal: "),
        ("journal.sqlite", ("dog", "list"), "zhian: the journal: "),
        ("office.sqlite", ("user", "list"), "Error: the file of the users (office.sqlite): "),
    ],
)
def test_a_damaged_file_is_said_in_words(
    run: Run, tmp_path: Path, file: str, arguments: tuple[str, ...], words: str
) -> None:
    """After a power cut on a bad card: which file it is, and no traceback."""
    (tmp_path / file).write_bytes(b"SQLite format 3\0" + bytes(5000))

    code, out, error = run(*arguments, "--data", str(tmp_path))

    assert (code, out) == (1, "")
    assert error.startswith(words)


def test_check_warns_of_a_site_that_tells_nobody(run: Run, tmp_path: Path) -> None:
    """Without a voice an alarm waits until somebody looks; with one there is no such warning."""
    path = example(tmp_path)
    assert "told to nobody" not in run("check", str(path))[1]
    text = path.read_text(encoding="utf-8")
    start = text.index("[[voice]]")
    path.write_text(text[:start] + text[text.index("# Where the numbers") :], encoding="utf-8")

    code, out, _ = run("check", str(path))

    assert code == 0
    assert "warning: no [[voice]]: an alarm is seen on the dashboard only, and told to nobody" in out


def test_check_warns_of_places_that_nothing_watches(run: Run, tmp_path: Path) -> None:
    """A zone without a device, and a site without any; the example has neither."""
    path = example(tmp_path)
    assert "watch" not in run("check", str(path))[1]
    text = path.read_text(encoding="utf-8")
    path.write_text(
        text + '\n[[zone]]\nid = "yard"\nname = { zh = "院子", en = "Yard" }\nat = [0.3, 0.3]\n', encoding="utf-8"
    )
    assert "warning: zone yard: no device stands there, so nothing watches it" in run("check", str(path))[1]
    path.write_text('[site]\nid = "a"\nname = { zh = "a", en = "a" }\ntimezone = "UTC"\n', encoding="utf-8")
    assert "warning: no device: nothing is watched" in run("check", str(path))[1]


def test_check_warns_of_zones_in_one_place(run: Run, tmp_path: Path) -> None:
    """The middle of the plan is where all zones are that were given no place."""
    path = example(tmp_path, **{"at = [0.50, 0.08]": "at = [0.62, 0.41]"})

    code, out, _ = run("check", str(path))

    assert code == 0
    assert f"warning: {path}: zone[1].at = [0.62, 0.41]: is the place of lake too" in out


def test_check_passes_the_example(run: Run, tmp_path: Path) -> None:
    """The example that an installer copies is right."""
    code, out, error = run("check", str(example(tmp_path)), "--json")

    assert (code, error) == (0, "")
    assert json.loads(out)["devices"] == 5


SITE_MISTAKES = [
    (
        {'profile = "chip/wl-134a"': 'profile = "chip/wl134a"'},
        "link[2].device[0].profile",
        "chip/wl134a",
        "chip/wl-134a",
    ),
    ({"[rule.gate-held]": "[rule.gate-hold]"}, "rule.gate-hold", "", 'did you mean "gate-held"?'),
    ({"on_delay = 90.0": "on_delai = 90.0"}, "rule.gate-held.on_delai", "", "on_delay"),
    ({"ttyUSB0": "ttyUSB7"}, "link[0].port", "ttyUSB7", "no such port"),
    ({"unit = 3": "unit = 0"}, "link[0].device[0].unit", "0", ""),
    ({'id = "noise-north"': 'id = "relay-yard"'}, "link[1].device[0].id", "relay-yard", "taken"),
]


@pytest.mark.parametrize(("change", "key", "value", "hint"), SITE_MISTAKES, ids=[row[1] for row in SITE_MISTAKES])
def test_check_names_what_is_wrong(
    run: Run, tmp_path: Path, change: dict[str, str], key: str, value: str, hint: str
) -> None:
    """`zhian check` names file, key, value and the nearest right word, and exits with 2."""
    path = example(tmp_path, **change)

    code, _, error = run("check", str(path))

    assert code == 2
    assert f"{path}: {key}" in error
    assert value in error
    assert hint in error


def test_a_broken_profile_is_named(run: Run, tmp_path: Path) -> None:
    """A profile of one's own that is broken: file, key and the word that was meant."""
    source = Path(__file__).parents[2] / "device_profiles" / "noise" / "generic-rs485.toml"
    path = tmp_path / "noise" / "mine.toml"
    path.parent.mkdir()
    text = source.read_text(encoding="utf-8").replace("noise/generic-rs485", "noise/mine")
    path.write_text(text.replace("[reading.laeq]", "[reading.laqe]"), encoding="utf-8")

    code, _, error = run("decode", str(path), "--hex", "01 03 02 02 2D 79 39")

    assert code == 2
    assert f"{path}: reading.laqe" in error
    assert 'did you mean "laeq"?' in error


def test_users(run: Run, tmp_path: Path) -> None:
    """A user is added with a password that is told once; the list has names and roles; mistakes exit with 2."""
    data = str(tmp_path)

    code, out, _ = run("user", "add", "wang", "--role", "manager", "--data", data)
    assert code == 0
    assert len(out.split()[-1]) >= 16

    _, out, _ = run("user", "list", "--json", "--data", data)
    assert json.loads(out) == {"name": "wang", "role": "manager"}
    assert run("user", "add", "wang", "--role", "manager", "--data", data)[0] == 2
    assert run("user", "add", "li", "--role", "king", "--data", data)[0] == 2
    assert run("user", "passwd", "nobody", "--data", data)[0] == 2


def test_a_port_that_is_taken_is_named(run: Run, tmp_path: Path) -> None:
    """A broker of Debian's own on our port: named at the start, with what to do."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        path = example(tmp_path, **{'listen_tls = "0.0.0.0:8883"': f'listen = "127.0.0.1:{port}"'})
        assert f"127.0.0.1:{port}" in path.read_text(encoding="utf-8")  # else a hub would run, and look for its devices
        code, _, error = run("run", str(path), "--data", str(tmp_path / "data"), "--port", "0")

    assert code == 2
    assert f"127.0.0.1:{port}" in error
    assert "systemctl disable" in error


def test_profiles_prints_json_lines(run: Run) -> None:
    """One line a profile, with what it reads and where its numbers come from."""
    code, out, _ = run("profiles", "--json")
    lines = {line["id"]: line for line in map(json.loads, out.splitlines())}

    assert code == 0
    assert lines["noise/generic-rs485"]["quantities"] == ["laeq"]
    assert all(line["source"] for line in lines.values())


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_every_command_has_help(run: Run, command: str) -> None:
    """Nobody has to guess what a command does."""
    code, out, _ = run(command, "--help")

    assert code == 0
    assert len(out) > 60
