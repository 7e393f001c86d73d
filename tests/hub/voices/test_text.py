"""What people read: what, where, since when, how much, what was done and what to do; whole at any length."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from hub.reading import Label
from hub.voices import Announcement
from hub.voices.text import blanks, compose, cut, headline, spoken


def test_everything_stands_in_the_text(said: Announcement) -> None:
    """Chinese first, then English where it is wanted; the announcement's id and the page come last."""
    text = compose(said, ["zh", "en"], 10_000)

    assert text.splitlines() == [
        "【P1 告警】水边有人", "位置：景观湖 · 湖边雷达", "自 2025-10-09 16:53:20 起", "数值：71.5 dB（限值 55）",
        "系统已执行：声光报警器指令已发出", "处置：立即派人到现场。",
        "【P1 alarm】Somebody at the water", "Where: Lake · Lake radar", "since 2025-10-09 16:53:20",
        "Value: 71.5 dB (limit 55)", "Done: siren ordered", "To do: Send somebody at once.",
        "#garden-7-raised https://garden.example/alarms/7",
    ]  # fmt: skip


def test_one_language_has_no_word_of_the_other(said: Announcement) -> None:
    """A guard who reads Chinese reads Chinese."""
    assert "Somebody" not in compose(said, ["zh"], 10_000)
    assert "水边" not in compose(said, ["en"], 10_000)


def test_a_cleared_notice_wants_nothing_done(said: Announcement) -> None:
    """What is over says so first, and sends nobody out."""
    text = compose(replace(said, kind="cleared"), ["zh"], 10_000)

    assert text.startswith("【P1 解除】")
    assert "处置" not in text


def test_english_goes_before_chinese_and_the_remedy_before_the_place(said: Announcement) -> None:
    """What is cut first is what the page has too."""
    whole = len(compose(said, ["zh", "en"], 10_000).encode())

    shorter = compose(said, ["zh", "en"], whole - 1)
    shortest = compose(said, ["zh", "en"], 130)

    assert "To do" not in shorter
    assert "处置" in shorter
    assert "处置" not in shortest
    assert "【P1 告警】水边有人\n位置：景观湖 · 湖边雷达" in shortest


def test_a_digest_tells_how_many_are_left_out(said: Announcement) -> None:
    """Folded is not forgotten: what does not fit is counted."""
    items = tuple(
        Label(zh=f"16:{n:02} P4 电池电量低 · 门禁 {n}", en=f"16:{n:02} P4 Battery low · gate {n}") for n in range(60)
    )
    digest = replace(said, kind="digest", severity="P4", title=Label(zh="60 条通知合并为一条", en=""), items=items)

    text = compose(digest, ["zh"], 1000)
    listed = text.count("电池电量低")

    assert len(text.encode()) <= 1000
    assert 0 < listed < 60
    assert f"……另有 {60 - listed} 条" in text


@given(st.integers(3, 2000), st.text(max_size=400), st.lists(st.sampled_from(["zh", "en"]), min_size=1, max_size=2))
def test_no_length_is_passed_and_no_character_is_halved(most: int, words: str, tongues: list[str]) -> None:
    """Bytes of UTF-8 count, whatever is said."""
    label = Label(zh=words, en=words)
    said = Announcement(
        id="a-1-raised", kind="raised", site="a", rule="r", title=label, severity="P2", source="s", zone="z",
        occurrence=1, at=0, value=None, response=label, zone_name=label, source_name=label, value_text=label,
    )  # fmt: skip

    try:
        words.encode()
    except UnicodeEncodeError:
        return
    assert len(compose(said, tongues, most).encode()) <= most
    assert len(headline(said, "zh", most).encode()) <= most


@pytest.mark.parametrize(("most", "wanted"), [(6, "水边"), (5, "…"), (4, "…"), (3, "…"), (7, "水边"), (2, "")])
def test_cut_keeps_whole_characters(most: int, wanted: str) -> None:
    """An ellipsis shows that something is gone."""
    assert cut("水边", most) == wanted


def test_blanks_of_a_template_are_plain_and_short(said: Announcement) -> None:
    """A carrier takes 【】 for a signature, and a template has no line breaks; an empty variable is refused by them."""
    odd = replace(said, title=Label(zh="【水】\n边" * 30, en=""), zone_name=Label(zh="", en=""), zone="", time="")

    words = blanks(odd, "zh", 20)

    assert all(0 < len(word) <= 20 for word in words.values())
    assert not any(mark in word for word in words.values() for mark in "【】\n")
    assert words["zone"] == "-"


def test_what_is_read_aloud_is_for_ears(said: Announcement) -> None:
    """How urgent, where, what, what to do; no number of the alarm, no address, no person, no sign that is read out."""
    note, done = Label(zh="呼叫 李四", en="call for Li Si"), (Label(zh="声光报警器", en="siren"),)
    told = replace(said, note=note, done=done, to="13800138000", first_out=Label(zh="首发：门", en="first-out: gate"))
    assert spoken(told, ["zh"], 120) == "紧急告警：景观湖，水边有人。立即派人到现场。"
    assert spoken(told, ["en"], 120) == "Emergency: Lake, Somebody at the water. Send somebody at once."
    assert spoken(replace(told, kind="cleared"), ["zh"], 120) == "解除：景观湖，水边有人。"
    assert spoken(replace(told, severity="P3"), ["zh"], 120).startswith("告警：景观湖，")
    gone = replace(told, zone_name=Label(zh="", en=""), source_name=Label(zh="radar-1", en="radar-1"))
    assert spoken(gone, ["zh"], 120) == "紧急告警：水边有人。立即派人到现场。"


def test_both_languages_are_read_where_they_fit(said: Announcement) -> None:
    """Else the first one; what to do goes before the first sentence is cut."""
    assert spoken(said, ["zh", "en"], 200) == spoken(said, ["zh"], 200) + " " + spoken(said, ["en"], 200)
    assert spoken(said, ["zh", "en"], 60) == spoken(said, ["zh"], 60)
    assert spoken(said, ["zh"], 16) == "紧急告警：景观湖，水边有人。"


@given(st.text(max_size=60), st.text(max_size=60), st.integers(8, 200))
def test_it_is_never_too_long_and_never_a_command_to_the_module(title: str, zone: str, most: int) -> None:
    """Square brackets set the volume of some modules; names come from a site file."""
    words = Label(zh=title, en=title)
    announcement = Announcement(
        id="x", kind="raised", site="s", rule="r", title=words, severity="P1", source="d", zone="z", occurrence=1, at=1,
        value=None, zone_name=Label(zh=zone, en=zone), response=words,
    )  # fmt: skip
    text = spoken(announcement, ["zh"], most)
    assert 1 <= len(text) <= most
    assert not set(text) & set("[]【】<>\n\r\t")
