"""What the documentation says is so: commands exist, examples run, links lead somewhere."""

import json
import re
import subprocess
import sys
from pathlib import Path

import click
import pytest

from device_profiles.load import load
from device_profiles.types import ModbusProfile
from firmware_bridge.links import sweep
from firmware_bridge.wire.decode import decode
from firmware_bridge.wire.modbus import Request, read_rtu
from hub.__main__ import COMMANDS, cli
from hub.control.lending import LENT
from hub.reading import Fault, Reading
from hub.rules.door import load_rules
from hub.settings.door import load_site
from hub.settings.site_voice import KINDS
from hub.speaking.route import check_routes

ROOT = Path(__file__).parents[1]
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md")),
    *ROOT.glob("docs/*.md"),
    *(ROOT / room / "README.md" for room in ("device_profiles", "firmware_bridge", "hub", "dashboard", "deploy")),
]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def name(page: Path) -> str:
    """A page's path inside the project."""
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_commands_exist(page: Path) -> None:
    """Every `zhian something` and `make something` in a page is one that exists."""
    text = page.read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))

    assert {word for word in re.findall(r"`zhian ([a-z-]+)", text)} <= set(COMMANDS)
    assert {word for word in re.findall(r"`make ([a-z]+)", text)} <= targets


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_options_of_shown_calls_exist(page: Path) -> None:
    """Every `zhian` call in a shell block, and every `zhian command --option` in a line, takes the options shown."""
    text = page.read_text(encoding="utf-8")
    shown = [line for block in re.findall(r"```sh\n(.*?)```", text, re.DOTALL) for line in block.splitlines()]
    shown += re.findall(r"`(zhian [^`]+)`", text)
    for call in (line.strip().partition("  #")[0] for line in shown if line.strip().startswith("zhian ")):
        command = cli.get_command(None, call.split()[1])  # type: ignore[arg-type]  # it needs no context
        if command is None or isinstance(command, click.Group) or "|" in call:
            continue
        known = {option for parameter in command.params for option in parameter.opts}
        assert set(re.findall(r"(?<!\S)--[a-z-]+", call)) <= known | {"--help", "--version"}, call


def test_commissioning_says_what_scan_tries_first() -> None:
    """The order of settings, the limit of a network and the units in the page are those of the program."""
    page = (ROOT / "docs" / "commissioning.md").read_text(encoding="utf-8")

    assert str(sweep.USUAL[0]) == "9600 8N1"
    assert len(sweep.hosts_of("10.0.0.0/22")) == sweep.MOST_HOSTS
    assert "`--hosts` takes a /22 at most" in page
    assert f"link down: {LENT}" in page


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_lead_somewhere(page: Path) -> None:
    """Every link to a file of the project is to one that is there."""
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text(encoding="utf-8"))

    assert [link for link in links if not (page.parent / link).exists()] == []


def test_readme_lists_every_command() -> None:
    """The table of commands has a row for each, and no more."""
    listed = set(re.findall(r"^\| `zhian ([a-z-]+)", README, re.MULTILINE))

    assert listed == set(cli.list_commands(None))  # type: ignore[arg-type]  # it needs no context


def test_readme_profile_is_a_driver(tmp_path: Path) -> None:
    """The profile that README shows loads, and reads its own samples."""
    text = re.search(r"```toml\n(profile = 1\n.*?)```", README, re.DOTALL)
    assert text
    path = tmp_path / "noise" / "my-meter.toml"
    path.parent.mkdir()
    path.write_text(text[1], encoding="utf-8")
    profile = load(path)
    assert isinstance(profile, ModbusProfile)

    for sample in profile.sample:
        answer = read_rtu(Request.from_rtu(bytes.fromhex(sample.ask)), bytes.fromhex(sample.answer))
        assert answer is not None
        results = decode("meter", profile, answer, 0)
        wanted = {result.quantity: result.value for result in results if isinstance(result, Reading)}
        faults = [result.kind for result in results if isinstance(result, Fault)]
        assert wanted == sample.want
        assert faults == ([sample.fault] if sample.fault else [])


def test_manual_decodes_as_it_says() -> None:
    """The call of `zhian decode` in docs/profiles.md prints what stands behind it."""
    page = (ROOT / "docs" / "profiles.md").read_text(encoding="utf-8")
    call = re.search(r'`zhian (decode \S+ --hex) "([^"]+)"`\s+prints `([^`]+)`', page)
    assert call

    command = [sys.executable, "-m", "hub", *call[1].split(), call[2]]
    printed = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT).stdout

    assert json.loads(printed) == json.loads(call[3])


def test_voices_of_the_manual_load(tmp_path: Path) -> None:
    """Every `[[voice]]` table of docs/voices.md is one that `site.toml` takes, and every kind has one."""
    page = (ROOT / "docs" / "voices.md").read_text(encoding="utf-8")
    tables = re.findall(r"```toml\n(.*?)```", page, re.DOTALL)
    site = (ROOT / "deploy" / "site.example.toml").read_text(encoding="utf-8")
    path = tmp_path / "site.toml"
    yard = '[[link]]\nid = "yard"\nkind = "modbus-tcp"\nhost = "127.0.0.1"\n[[link.device]]\nid = "yard-relay"\n'
    yard += 'profile = "relay/waveshare-8ch"\n[[link]]\nid = "air"\nkind = "mqtt"\nurl = "mqtt://127.0.0.1:1"\n'
    yard += '[[link.device]]\nid = "lake-column"\nprofile = "speech/json-mqtt"\n'
    path.write_text(f"{site}\n{yard}{''.join(tables)}", encoding="utf-8")

    site_read = load_site(path)
    rules = {rule.id for rule in load_rules(site_read, path)}

    assert {voice.kind for voice in site_read.voices} == set(KINDS)
    check_routes(site_read, rules, path)
