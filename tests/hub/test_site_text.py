"""A device put into a site file: what is written is read back as meant, and every other byte stays."""

import re
import tomllib
from pathlib import Path
from string import Template

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.commands.site import check_command
from hub.settings.door import load_site
from hub.settings.site_text import BEFORE, Changed, NoPlace, block, with_device, write_site

ROOT = Path(__file__).parents[2]
DEMO = Template((ROOT / "firmware_bridge" / "simulate" / "zhongshan.toml").read_text()).substitute(
    data="/nowhere", broker=18830, relay=15020
)
EXAMPLE = (ROOT / "deploy" / "site.example.toml").read_text()
HEAD = '[site]\nid = "a"\nname = { zh = "甲", en = "A" }\ntimezone = "Asia/Shanghai"\n'
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
GAPS = st.sampled_from(["", "\n", "\n\n", "# a comment [[link]]\n", "  # [[link.device]]\n", "\t\n"])


@st.composite
def site_texts(draw: st.DrawFn) -> tuple[str, list[str]]:
    """A site file as people write them: comments, blanks, indents, ends of lines, tables between; and its links."""
    parts, links = [HEAD], []
    for number in range(draw(st.integers(1, 4))):
        name = f"l{number}"
        links.append(name)
        indent = draw(st.sampled_from(["", "  ", "\t"]))
        parts += [draw(GAPS), f'[[link]]\nid = "{name}"\nkind = "modbus-tcp"\nhost = "h{number}"\n', draw(GAPS)]
        for unit in range(1, draw(st.integers(1, 4))):
            title = draw(TEXTS)
            parts.append(f'{indent}[[link.device]]\n{indent}id = "{name}-d{unit}"  # here\n')
            parts.append(f'{indent}profile = "noise/generic-rs485"\n{indent}unit = {unit}\n')
            if draw(st.booleans()):
                parts += [f"{indent}[link.device.name]\n", f"{indent}zh = 'x'\n", draw(GAPS), f"{indent}en = 'y'\n"]
            parts += [f"{indent}# {''.join(c for c in title if c.isprintable())}\n", draw(GAPS)]
        if draw(st.booleans()):
            zone = 'name = { zh = """[[link]]\n[[link.device]]\n""", en = "z" }'
            parts.append(f'[[zone]]\nid = "z{number}"\n{zone}\n')
    text = "".join(parts)
    text = text[:-1] if draw(st.booleans()) and text.endswith("\n") else text
    return ("\ufeff" if draw(st.booleans()) else "") + (
        text.replace("\n", "\r\n") if draw(st.booleans()) else text
    ), links


@settings(max_examples=150)
@given(site_texts(), st.data(), TEXTS, st.integers(1, 247), st.floats(0.1, 60))
def test_every_other_byte_stays(
    made: tuple[str, list[str]], data: st.DataObject, name: str, unit: int, every: float
) -> None:
    """What was there is there before and behind it, and what is read is what was meant, at the end of its link."""
    text, links = made
    link = data.draw(st.sampled_from(links))
    device = {
        "id": "new",
        "profile": "noise/generic-rs485",
        "name": {"zh": name, "en": name},
        "unit": unit,
        "every": every,
    }
    new = with_device(text, link, device)
    before, after = tomllib.loads(text.removeprefix("\ufeff")), tomllib.loads(new.removeprefix("\ufeff"))
    at = links.index(link)
    assert after["link"][at]["device"].pop() == device
    before["link"][at].setdefault("device", [])
    assert after == before
    start = next(n for n in range(len(text) + 1) if n == len(text) or text[n] != new[n])
    # The inserted text may begin with what follows it, so the common head may be longer than what stood before.
    grown = len(new) - len(text)
    assert any(new[:n] + new[n + grown :] == text for n in range(max(0, start - grown), start + 1))
    assert ("\r\n" in text) == ("\r\n" in new) or "\n" not in text
    assert "\r\n" not in text or new.count("\n") == new.count("\r\n")


@pytest.mark.parametrize("text", [DEMO, EXAMPLE], ids=["demo", "example"])
def test_what_is_written_passes_the_check(text: str, tmp_path: Path) -> None:
    """For each Modbus link of the project's own site files: `zhian check` finds the file right with the device."""
    path = tmp_path / "site.toml"
    for number, port in enumerate(sorted(set(re.findall(r'port = "(/[^"]+)"', text)))):
        (tmp_path / f"port{number}").touch()  # no such adapter is plugged in here
        text = text.replace(port, str(tmp_path / f"port{number}"))
    path.write_text(text)
    site = load_site(path)
    links = [link.id for link in site.links if str(type(link).__struct_config__.tag).startswith("modbus")]
    for number, link in enumerate(links):
        device = {"id": f"new-{number}", "profile": "noise/generic-rs485", "unit": 200 + number, "every": 5.0}
        text = with_device(text, link, device)
    path.write_text(text)
    assert {f"new-{number}" for number in range(len(links))} <= set(load_site(path).devices())
    done = CliRunner().invoke(check_command, [str(path), "--json"])
    assert done.exit_code == 0, (done.output, done.exception)


def test_a_file_of_inline_tables_is_left_alone() -> None:
    """Where nothing can be put behind the others, nothing is guessed: the lines are shown to be pasted."""
    text = HEAD + 'link = [{ id = "a", kind = "modbus-tcp", host = "h" }]\n'
    with pytest.raises(NoPlace):
        with_device(text, "a", {"id": "x", "profile": "p"})
    inner = HEAD + '[[link]]\nid = "a"\nkind = "modbus-tcp"\ndevice = [{ id = "d", profile = "p" }]\n'
    with pytest.raises(NoPlace):
        with_device(inner, "a", {"id": "x", "profile": "p"})
    with pytest.raises(NoPlace, match="no \\[\\[link\\]\\]"):
        with_device(DEMO, "nowhere", {"id": "x", "profile": "p"})


def test_text_cannot_break_out() -> None:
    """A name with quotes, line ends and brackets is a name, and nothing else."""
    hostile = 'x"\n[[voice]]\nid = "mine"\x7f\\'
    new = with_device(DEMO, "rs485-yard", {"id": "x", "profile": "p", "name": {"zh": hostile, "en": hostile}})
    assert tomllib.loads(new)["link"][0]["device"][-1]["name"]["en"] == hostile
    assert tomllib.loads(new)["voice"] == tomllib.loads(DEMO)["voice"]
    assert block({"odd key": True}) == '  [[link.device]]\n  "odd key" = true\n'


def test_the_old_file_is_kept_and_the_mode_stays(tmp_path: Path) -> None:
    """The file as it was lies in the data folder; owner's rights are as before; a link goes on being a link."""
    path, data = tmp_path / "site.toml", tmp_path / "data"
    data.mkdir()
    path.write_text("old = 1\n")
    path.chmod(0o640)
    alias = tmp_path / "alias.toml"
    alias.symlink_to(path)
    kept = write_site(alias, b"old = 1\n", b"new = 1\n", data, 1_760_000_000_000)
    assert (path.read_text(), kept.read_text()) == ("new = 1\n", "old = 1\n")
    assert path.stat().st_mode & 0o777 == 0o640
    assert alias.is_symlink()
    assert kept.parent == data / BEFORE
    assert kept.stat().st_mode & 0o777 == 0o600


def test_somebody_elses_change_is_not_lost(tmp_path: Path) -> None:
    """A file that was edited since it was read is not replaced."""
    path = tmp_path / "site.toml"
    path.write_text("edited = 1\n")
    with pytest.raises(Changed):
        write_site(path, b"old = 1\n", b"new = 1\n", tmp_path, 1)
    assert path.read_text() == "edited = 1\n"
