"""The signed link: what was signed opens, and nothing else does."""

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from hub.durable import secret_key
from hub.duty.brieflink import Pass, Wrong, open_link, sign

KEY, NOW = b"k" * 32, 1_790_000_000_000
PASS = Pass(17, 2, "p1", NOW // 1000 + 60)
TOKEN = sign(KEY, "court", PASS)
passes = st.builds(Pass, st.integers(1, 10**12), st.integers(1, 99), st.sampled_from(["p1", "a-b-3", "x" * 64]), st.just(NOW // 1000 + 60))  # noqa: E501  # fmt: skip


@given(passes)
def test_what_was_signed_opens(carried: Pass) -> None:
    """For the same key and site, until its end."""
    token = sign(KEY, "court", carried)
    assert open_link(KEY, "court", token, NOW) == carried
    assert open_link(KEY, "court", token, NOW + 59_999) == carried
    assert open_link(KEY, "court", token, NOW + 60_000) is Wrong.EXPIRED


@given(st.integers(0, len(TOKEN) - 1), st.characters(min_codepoint=33, max_codepoint=126))
def test_no_character_can_be_changed(at: int, character: str) -> None:
    """Occurrence, run, person, end and signature: all of it is covered."""
    changed = TOKEN[:at] + character + TOKEN[at + 1 :]
    opened = open_link(KEY, "court", changed, NOW)
    assert opened is Wrong.FORGED if changed != TOKEN else opened == PASS


def test_another_key_or_site_opens_nothing() -> None:
    """A district's hubs cannot open each other's links."""
    assert open_link(b"x" * 32, "court", TOKEN, NOW) is Wrong.FORGED
    assert open_link(KEY, "garden", TOKEN, NOW) is Wrong.FORGED
    assert open_link(KEY, "court", "", NOW) is Wrong.FORGED
    assert open_link(KEY, "court", "１７" + TOKEN[2:], NOW) is Wrong.FORGED


def test_a_key_is_made_once_and_for_its_owner_alone(tmp_path: Path) -> None:
    """Mode 0600, and the same at each start."""
    key = secret_key(tmp_path / "duty.key")
    assert len(key) == 32
    assert secret_key(tmp_path / "duty.key") == key
    assert (tmp_path / "duty.key").stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["duty.key"]
