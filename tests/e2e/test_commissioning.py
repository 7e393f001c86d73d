"""Scan, probe, watch and capture as an electrician calls them: with no hub, and while a hub runs on the same cables."""

import fcntl
import json
import os
import signal
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Self

import pytest

from device_profiles.load import ROOT, load
from firmware_bridge.simulate.tty import Tty
from hub.__main__ import main
from hub.control.door import ask
from tests.e2e.conftest import QUIET, Installation, wait_for
from tests.e2e.test_transports import SITE

pytestmark = pytest.mark.timeout(180)

METERS = """
  [[link.device]]
  id = "meter-two"
  profile = "noise/generic-rs485"
  unit = 2
  [[link.device]]
  id = "relay-line"
  profile = "relay/waveshare-8ch"
  unit = 9

[[link]]
id = "net"
"""
YARD = SITE.replace('\n[[link]]\nid = "net"\n', METERS, 1)
LINE = {1: "noise/generic-rs485", 2: "noise/generic-rs485", 9: "relay/waveshare-8ch"}


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """Devices on their cables, and no hub."""
    with Installation(tmp_path_factory.mktemp("bare"), YARD, QUIET) as yard:
        yard.start_devices()
        wait_for(lambda: (yard.data / "line").exists() and (yard.data / "wire").exists())
        yield yard


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """The same with a hub that polls them."""
    with Installation(tmp_path_factory.mktemp("running"), YARD, QUIET) as yard:
        yard.start()
        wait_for(lambda: polled(yard))
        yield yard


def polled(yard: Installation) -> bool:
    """The running hub reads the line."""
    heard = list(ask(yard.data, "watch", {"link": "line", "seconds": 1.1}, timeout=20))
    return bool(heard) and all("fault" not in each and "state" not in each for each in heard)


def call(yard: Installation, *arguments: str) -> subprocess.CompletedProcess[str]:
    """One call with this site."""
    return yard.zhian(*arguments, "--site", str(yard.site), check=False)


def scanned(yard: Installation, *arguments: str) -> list[dict[str, object]]:
    """What a scan found, as JSON."""
    done = call(yard, "scan", *arguments, "--json")
    assert done.returncode in (0, 1), done.stderr
    return [line for text in done.stdout.splitlines() if (line := json.loads(text))["event"] == "found"]


def best(found: list[dict[str, object]]) -> dict[int, str]:
    """Unit -> the likeliest profile."""
    return {int(str(each["unit"])): each["guesses"][0]["profile"] for each in found}  # type: ignore[index]  # JSON


def test_a_scan_without_a_hub_finds_exactly_the_line(bare: Installation) -> None:
    """The site's units, each with its own profile and name, and nobody else."""
    found = scanned(bare, "line", "--units", "1-3,8-10")

    assert best(found) == LINE
    assert [each["device"] for each in found] == ["meter-line", "meter-two", "relay-line"]


def test_a_scan_of_a_port_without_a_site_prints_what_to_paste(bare: Installation) -> None:
    """The printed blocks are a link and its devices, as a site file has them."""
    done = bare.zhian("scan", "--port", str(bare.data / "line"), "--units", "1-3,9", check=False)

    assert done.returncode == 0
    blocks = [
        line
        for line in done.stdout.splitlines()
        if line.lstrip().startswith(("[[", "id ", "kind", "port", "baud", "profile", "unit "))
    ]
    (link,) = tomllib.loads("\n".join(blocks))["link"]
    assert (link["kind"], link["port"], link["baud"]) == ("modbus-rtu", str(bare.data / "line"), 9600)
    assert {device["unit"]: device["profile"] for device in link["device"]} == LINE


def test_hosts_that_the_site_has_are_not_scanned_behind_its_back(bare: Installation) -> None:
    """A host of the site is named with the link that looks there; nobody answered is exit 1."""
    port = bare.site.read_text().partition("port = ")[2]
    number = bare.site.read_text().partition('host = "127.0.0.1"\nport = ')[2].split()[0]
    assert port
    done = call(bare, "scan", "--hosts", "127.0.0.1", "--tcp-port", number)
    alone = bare.zhian("scan", "--host", f"127.0.0.1:{number}", "--units", "1-3", "--json", check=False)

    assert done.returncode == 1
    assert "`zhian scan net` looks there" in done.stderr
    assert [json.loads(line)["unit"] for line in alone.stdout.splitlines()] == [1]


def test_a_serial_device_is_found_by_its_frames(bare: Installation) -> None:
    """A link of kind serial is listened to, not asked."""
    (found,) = scanned(bare, "wire")

    assert found["where"] in ("256000 8N1", "9600 8N1")  # a pty has no speed
    assert best([found]) == {0: "water/hlk-ld2410"}


def test_probe_watch_and_capture_without_a_hub(bare: Installation) -> None:
    """Each opens the cable itself: a register in words, exchanges decoded, and samples."""
    probed = json.loads(call(bare, "probe", "line", "2", "holding", "0", "--quantity", "laeq", "--json").stdout)
    assert 30.0 <= probed["ways"][0]["value"] <= 130.0
    assert (probed["ways"][0]["type"], probed["ways"][0]["scale"]) == ("u16", 0.1)

    captured = call(bare, "capture", "wire", "--seconds", "0.7")
    assert captured.returncode == 0, captured.stderr
    assert captured.stdout.startswith("# water/hlk-ld2410\n\n[[sample]]\n")

    wrong = call(bare, "capture", "line", "--seconds", "0.7", "--device", "meter-too")
    assert wrong.returncode == 1
    assert "no sample of meter-too; heard: meter-" in wrong.stderr
    silent = call(bare, "capture", "--port", str(bare.data / "tty" / "nobody"), "--seconds", "0.3")
    assert (silent.returncode, silent.stdout) == (1, "")

    with Watching(bare, "line") as watching:
        watching.until(lambda _: watching.readers >= {"meter-line", "meter-two", "relay-line"})


def test_a_watcher_of_a_silent_port_says_that_it_watches(tmp_path: Path) -> None:
    """Silence on the screen must be the cable's, not the program's."""
    with Tty(tmp_path / "port") as tty:
        command = [sys.executable, "-m", "hub", "watch", "--port", str(tty.path)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as watching:
            assert watching.stderr is not None
            said = watching.stderr.readline()
            watching.send_signal(signal.SIGINT)
            assert watching.wait(20) == 0
    assert said.startswith(f"watching {tty.path}; ")


class Watching:
    """`zhian watch --json` while it is entered; Ctrl-C ends it, and ends it well."""

    def __init__(self, yard: Installation, *arguments: str) -> None:
        command = [sys.executable, "-m", "hub", "watch", *arguments, "--json", "--data", str(yard.data)]
        self._process = subprocess.Popen([*command, "--site", str(yard.site)], stdout=subprocess.PIPE, text=True)
        self.lines: list[dict[str, object]] = []

    def __enter__(self) -> Self:
        try:
            self.until(lambda lines: lines)
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._process.send_signal(signal.SIGINT)
        rest, code = self._end()
        assert code == 0, rest
        self.lines += [json.loads(line) for line in rest]

    def _end(self) -> tuple[list[str], int]:
        """What it still says, and how it ended."""
        assert self._process.stdout is not None
        with self._process.stdout as output:
            try:
                self._process.wait(20)
            except subprocess.TimeoutExpired:
                self._process.kill()
            return output.readlines(), self._process.wait(20)

    def until(self, enough: Callable[[list[dict[str, object]]], object]) -> None:
        """Read on until it is."""
        assert self._process.stdout is not None
        while not enough(self.lines):
            line = self._process.stdout.readline()
            assert line, "the watcher ended"
            self.lines.append(json.loads(line))

    @property
    def readers(self) -> set[object]:
        """Who was read."""
        return {line["device"] for line in self.lines if line.get("readings") and line["came"]}


MISTAKES = [
    (("scan", "lin"), 'did you mean "line"?'),
    (("scan",), "name a LINK"),
    (("scan", "line", "--port", "/dev/x"), "name a LINK"),
    (("scan", "line", "--units", "0-300"), "write 1-247"),
    (("scan", "--hosts", "10.0.0.0/8"), "more than /22"),
    (("scan", "mqtt"), "is a broker"),
    (("probe", "line", "1", "holdings", "0"), "holding, input"),
    (("probe", "line", "1", "holding"), "LINK UNIT TABLE ADDRESS"),
    (("probe", "line", "1", "holding", "0", "--quantity", "nois"), "not a quantity"),
    (("probe", "wire", "1", "holding", "0"), "is no Modbus line"),
    (("watch",), "no hub runs here"),
    (("watch", "mqtt"), "start `zhian run` first"),
    (("capture", "--host", "127.0.0.1:1"), "one hears only what one asks for"),
    (("capture", "line", "--host", "127.0.0.1:x"), "write HOST or HOST:PORT"),
]


@pytest.mark.parametrize(("arguments", "right"), MISTAKES, ids=[" ".join(row[0]) for row in MISTAKES])
def test_mistakes_are_named_and_exit_2(
    bare: Installation,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
    right: str,
) -> None:
    """A wrong link, unit, table, network or quantity says what would be right."""
    monkeypatch.setattr("sys.argv", ["zhian", *arguments, "--site", str(bare.site), "--data", str(bare.data)])
    with pytest.raises(SystemExit) as ended:
        main()

    assert ended.value.code == 2
    assert right in " ".join(capsys.readouterr().err.split())


def test_a_scan_through_the_hub_misses_no_poll(running: Installation) -> None:
    """At the present setting the hub goes on polling between the questions: the units are found, no fault is made."""
    with Watching(running, "line") as watching:
        found = scanned(running, "line", "--units", "1-3,9")
    lines = watching.lines

    assert best(found) == LINE
    polls = [line for line in lines if line.get("device") == "meter-line" and line.get("readings")]
    assert len(polls) >= 3
    assert [line for line in lines if line.get("device") and "checksum" in str(line.get("faults"))] == []
    assert [line for line in lines if line.get("state")] == []


def test_a_killed_scan_gives_the_line_back(running: Installation) -> None:
    """With --speeds the line is lent and says so; SIGKILL on the asker, and the polls go on by themselves."""
    command = [
        sys.executable,
        "-m",
        "hub",
        "scan",
        "line",
        "--speeds",
        "--units",
        "100-247",
        "--data",
        str(running.data),
    ]
    lent = "line is down: line lent for a scan"
    before = running.output.read_text().count(lent)
    with running.output.open("ab") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output)
        wait_for(lambda: running.output.read_text().count(lent) > before)
        refused = running.zhian("order", "relay-line", "on_1", "--reason", "test", check=False)
        os.kill(process.pid, signal.SIGKILL)
        process.wait(20)
    wait_for(lambda: polled(running))

    assert "line lent for a scan" in refused.stdout + refused.stderr
    assert call(running, "probe", "line", "1", "holding", "0").returncode == 0


def test_a_scan_with_speeds_finds_the_line_and_returns_it(running: Installation) -> None:
    """The lent line is scanned like one without a hub, and polled again afterwards."""
    assert best(scanned(running, "line", "--speeds", "--units", "1-3,9")) == LINE
    wait_for(lambda: polled(running))


def test_a_port_that_speaks_by_itself_is_lent_and_listened_to(running: Installation) -> None:
    """A radar's port cannot be asked: without --speeds that is said; with it the radar is found, and goes on after."""
    refused = call(running, "scan", "wire")
    assert refused.returncode == 2
    assert "`--speeds` has it lent" in refused.stderr
    (found,) = [each for each in scanned(running, "wire", "--speeds") if each.get("guesses")]
    assert "water/hlk-ld2410" in str(found["guesses"])
    wait_for(lambda: running.output.read_text().rstrip().rpartition("wire is ")[2].startswith("up"))


def test_watch_of_a_running_hub_shows_every_transport(running: Installation) -> None:
    """Without a link all cables are seen, decoded, with the bytes that crossed them."""
    with Watching(running) as watching:
        running.zhian("order", "gate-mqtt", "open", "--reason", "test")
        watching.until(lambda _: watching.readers >= {"meter-line", "meter-net", "radar-wire", "gate-mqtt"})

    orders = [line for line in watching.lines if line["link"] == "mqtt" and line.get("asked")]
    assert [json.loads(str(line["asked"]))["do"] for line in orders] == ["open"]


def test_captures_of_a_running_hub_pass_the_door(running: Installation, tmp_path: Path) -> None:
    """Blocks written from live traffic, appended to the product's file, make a profile that loads."""
    out = tmp_path / "samples.toml"
    done = call(running, "capture", "line", "--device", "meter-two", "--seconds", "1.5", "--out", str(out))
    assert done.returncode == 0, done.stderr
    path = tmp_path / "noise" / "generic-rs485.toml"
    path.parent.mkdir()
    original = (ROOT / "noise" / "generic-rs485.toml").read_text(encoding="utf-8")
    path.write_text(original + "\n" + out.read_text(encoding="utf-8"), encoding="utf-8")

    fresh = [sample for sample in load(path).sample if sample.name.startswith("captured")]
    assert fresh
    assert all(sample.ask.startswith("01 03") and "unit renumbered" in sample.name for sample in fresh)


def test_a_link_that_nobody_can_ask_is_refused_by_the_hub(running: Installation) -> None:
    """A broker has no units, and a network no speeds."""
    broker, network = call(running, "scan", "mqtt"), call(running, "scan", "net", "--speeds")

    assert (broker.returncode, network.returncode) == (2, 2)
    assert "is no Modbus line" in broker.stderr
    assert "has no speeds" in network.stderr


def test_a_hub_that_starts_is_not_passed_by(tmp_path: Path, bare: Installation) -> None:
    """While the data folder is held and nobody answers yet, no second master opens the cable."""
    data = tmp_path / "data"
    data.mkdir()
    with (data / "lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        command = [sys.executable, "-m", "hub", "scan", "line", "--site", str(bare.site), "--data", str(data)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    assert done.returncode == 1
    assert "does not answer yet" in done.stderr
