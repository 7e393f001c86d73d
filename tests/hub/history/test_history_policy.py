"""What becomes of a batch for each answer of a history server, or none: nothing is lost, nothing is there twice."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.history import server as server_module
from hub.history.delivery import AT_MOST, Answer, Delivery
from hub.history.influx import InfluxStore
from hub.history.verdict import LONGEST_S, PAUSE_S, POLICY, Unavailable, Verdict, all_too_old, asked_pause_s, judge
from hub.journal.batches import Row
from tests.hub.history.conftest import Refusals, Said

if TYPE_CHECKING:
    from tests.hub.history.conftest import V2Server

MakeRow = Callable[..., Row]


@pytest.fixture
def store(v2: "V2Server", refused: Refusals, monkeypatch: pytest.MonkeyPatch) -> Iterator[InfluxStore]:
    """A store on the v2 server that waits for an answer for a second."""
    monkeypatch.setattr(server_module, "TIMEOUT_S", 1.0)
    made = InfluxStore(v2.url, "district", "zhian", "secret", site="zhongshan", refused=refused)
    yield made
    made.close()


def wrong(*numbers: int) -> Callable[[list[str]], Said]:
    """A judge that rejects every batch with one of these readings in it, and says which is the first."""

    def judge_(lines: list[str]) -> Said:
        found = [n for n in numbers if any(f"seq={n}i" in text for text in lines)]
        return Said(422, f"partial write: field type conflict at {found[0]} dropped={len(found)}") if found else Said()

    return judge_


def test_every_status_has_a_verdict() -> None:
    """The table, and what it does not name: 3xx and other 4xx are no such server, 1xx and 5xx are for later."""
    assert all(judge(status) is verdict for status, verdict in POLICY.items())
    assert {judge(status) for status in range(500, 600)} == {Verdict.LATER}
    assert {judge(status) for status in range(300, 400)} == {Verdict.ADDRESS}
    assert {judge(status) for status in range(402, 500) if status not in POLICY} == {Verdict.ADDRESS}
    assert [status for status in range(100, 600) if judge(status) is Verdict.STORED] == [200, 204]


@pytest.mark.parametrize("status", [400, 422])
def test_a_bad_point_stands_alone_with_the_servers_words(
    v2: "V2Server", store: InfluxStore, refused: Refusals, row: MakeRow, status: int
) -> None:
    """Halved down to the points; all others are stored, and each bad one is told once."""
    v2.judge = wrong(1, 77, 300)
    store.append([row(n) for n in range(1, 301)], 300)
    assert [seq for seq, _ in refused] == [1, 77, 300]
    assert all("field type conflict" in words for _, words in refused)
    assert v2.stored() == [n for n in range(1, 301) if n not in (1, 77, 300)]


def test_a_delivery_broken_off_tells_no_bad_point_twice(
    v2: "V2Server", store: InfluxStore, refused: Refusals, row: MakeRow
) -> None:
    """The server dies while a batch is halved: nothing was told yet, and the next time everything is told once."""
    asked = 0

    def dies(lines: list[str]) -> Said:
        nonlocal asked
        asked += 1
        return Said(503, "shutting down") if asked == 12 else wrong(5, 90)(lines)

    v2.judge = dies
    rows = [row(n) for n in range(1, 101)]
    with pytest.raises(Unavailable, match="503: shutting down"):
        store.append(rows, 100)
    assert refused == []
    store.append(rows, 100)
    assert [seq for seq, _ in refused] == [5, 90]
    assert v2.stored() == [n for n in range(1, 101) if n not in (5, 90)]


@pytest.mark.parametrize("status", [400, 413, 422])
def test_a_server_that_refuses_everything_takes_nothing_away(
    v2: "V2Server", store: InfluxStore, refused: Refusals, row: MakeRow, status: int
) -> None:
    """When even a plain point is rejected the server is wrong: no row is given up, and it is tried again later."""
    v2.judge = lambda _: Said(status, "go away")
    with pytest.raises(Unavailable, match=r"takes no points at all: .*go away"):
        store.append([row(n) for n in range(1, 101)], 100)
    assert refused == []
    assert len(v2.sent) == 2


def test_a_server_that_goes_mad_while_a_batch_is_halved_takes_nothing_away(
    v2: "V2Server", store: InfluxStore, refused: Refusals, row: MakeRow
) -> None:
    """Sane at the first doubt and mad at the last: before a point is given up the server is proved once more."""
    v2.judge = lambda lines: Said() if len(v2.sent) == 2 else Said(400, "mad")
    with pytest.raises(Unavailable, match="takes no points at all"):
        store.append([row(n) for n in range(1, 9)], 8)
    assert refused == []


def test_too_much_at_once_is_halved_and_no_more_than_that_is_sent(
    v2: "V2Server", store: InfluxStore, refused: Refusals, row: MakeRow
) -> None:
    """413: halves until it fits; the next batch begins with what fitted."""
    v2.judge = lambda lines: Said(413, "too large") if len(lines) > 100 else Said()
    rows = [row(n) for n in range(1, 1001)]
    store.append(rows, 1000)
    assert v2.stored() == list(range(1, 1001))
    v2.sent.clear()
    store.append(rows, 1000)
    assert len(v2.sent[0].lines) <= 200
    assert (refused, v2.stored()) == ([], list(range(1, 1001)))


def test_one_reading_that_is_too_large_alone_is_set_apart(
    v2: "V2Server", store: InfluxStore, refused: Refusals, row: MakeRow
) -> None:
    """It would hold up all that comes after it; its neighbours are stored."""
    v2.judge = lambda lines: Said(413, "too large") if any(len(text) > 5000 for text in lines) else Said()
    store.append([row(1), row(2, "x" * 6000, quantity="passage"), row(3)], 3)
    assert (v2.stored(), [seq for seq, _ in refused]) == ([1, 3], [2])


@pytest.mark.parametrize(
    ("status", "help_"),
    [(401, "history.token_file"), (403, "history.token_file"), (404, "history.bucket"), (405, "history.url")],
)
def test_what_a_person_must_mend_says_what(
    v2: "V2Server", store: InfluxStore, refused: Refusals, row: MakeRow, status: int, help_: str
) -> None:
    """The server's words, and the key of the site file; asked again a minute later, not sooner."""
    v2.judge = lambda _: Said(status, "not you")
    with pytest.raises(Unavailable, match=f"{status}: not you .*{help_}") as told:
        store.append([row(1)], 1)
    assert (told.value.pause_s, refused, len(v2.sent)) == (PAUSE_S, [], 1)


@pytest.mark.parametrize("status", [408, 429, 500, 503])
def test_a_server_that_cannot_now_is_left_alone_as_long_as_it_asks(
    v2: "V2Server", store: InfluxStore, refused: Refusals, row: MakeRow, status: int
) -> None:
    """Retry-After is honoured; one request, nothing refused, all stored the next time."""
    v2.judge = lambda _: Said(status, "busy", {"Retry-After": "37"})
    with pytest.raises(Unavailable, match=f"{status}: busy") as told:
        store.append([row(1)], 1)
    assert (told.value.pause_s, refused, len(v2.sent)) == (37.0, [], 1)
    v2.judge = lambda _: Said()
    store.append([row(1)], 1)
    assert v2.stored() == [1]


def test_how_long_a_server_may_ask_to_be_left_alone() -> None:
    """Seconds, within bounds; a date or nonsense counts as a minute; nothing asks for nothing."""
    told = {None: 0.0, "": 0.0, "0": 0.0, "7": 7.0, "-5": 0.0, "999999": LONGEST_S, "nan": PAUSE_S, "inf": PAUSE_S}
    assert {word: asked_pause_s(word) for word in told} == told
    assert asked_pause_s("Wed, 21 Oct 2026 07:28:00 GMT") == PAUSE_S


@pytest.mark.parametrize("fault", ["hang", "reset"])
@pytest.mark.parametrize("kept", [False, True])
def test_no_answer_is_no_verdict(
    v2: "V2Server", store: InfluxStore, refused: Refusals, row: MakeRow, fault: str, kept: bool
) -> None:
    """Whether the server kept the batch before it fell silent or not: sent again, each reading is there once."""
    v2.judge = lambda _: Said(fault=fault, kept=kept, status=500)
    rows = [row(n) for n in range(1, 51)]
    with pytest.raises(Unavailable, match="does not answer"):
        store.append(rows, 50)
    v2.judge = lambda _: Said()
    store.append(rows, 50)
    assert (v2.stored(), refused) == (list(range(1, 51)), [])


def test_a_redirect_is_not_followed(v2: "V2Server", store: InfluxStore, row: MakeRow) -> None:
    """Readings and token go where the site file says, and nowhere else."""
    v2.judge = lambda _: Said(307, "over there", {"Location": f"{v2.url}/api/v2/write?org=o&bucket=b&precision=ns"})
    with pytest.raises(Unavailable, match=r"307: .*history\.url"):
        store.append([row(1)], 1)
    assert len(v2.sent) == 1


def test_points_that_are_all_too_old_are_not_halved(
    v2: "V2Server", store: InfluxStore, refused: Refusals, row: MakeRow
) -> None:
    """A retention shorter than the outage: all are told at once, with the server's words, and nothing is held up."""

    def short(lines: list[str]) -> Said:
        old = sum("seq=" in text or "cursor=" in text for text in lines)
        words = f"failure writing points: partial write: points beyond retention policy dropped={old}"
        return Said(422, words) if old else Said()

    v2.judge = short
    store.append([row(n) for n in range(1, 401)], 400)
    assert len(v2.sent) < 5
    assert [seq for seq, _ in refused] == list(range(1, 401))
    assert not all_too_old("partial write: points beyond retention policy dropped=3", 4)


@given(
    bad=st.sets(st.integers(0, 60)),
    size=st.integers(1, 60),
    at_most=st.integers(1, 80),
    breaks=st.lists(st.integers(0, 40), max_size=4),
)
def test_whatever_a_server_rejects_and_whenever_it_breaks_off(
    bad: set[int], size: int, at_most: int, breaks: list[int]
) -> None:
    """Bad points, a size that is too much, requests that break off: in the end each row is stored or told once."""
    stored: set[str] = set()
    told: list[int] = []
    count = 0

    def post(lines: object) -> Answer:
        nonlocal count
        count += 1
        texts = list(lines)  # type: ignore[call-overload]  # a sequence of lines
        if count in breaks:
            raise Unavailable("gone")
        if len(texts) > at_most:
            return Answer(Verdict.SIZE, "too large")
        stored.update(text for text in texts if text not in {str(n) for n in bad})
        return (
            Answer(Verdict.POINT, "bad")
            if any(text in {str(n) for n in bad} for text in texts)
            else Answer(Verdict.STORED)
        )

    delivery = Delivery(post, "probe", lambda row, _: told.append(row.seq))
    rows = [(Row(n, "d", "q", 0, 0, 1.0, "good"), str(n)) for n in range(size)]
    for _ in range(6):
        try:
            delivery.bring(rows, "mark")
        except Unavailable:
            continue
        break
    assert told == sorted(bad & set(range(size)))
    assert {int(text) for text in stored if text.isdigit()} == set(range(size)) - bad
    assert "mark" in stored
    assert 1 <= delivery.at_most <= AT_MOST


def test_a_client_per_thread_is_not_needed(v2: "V2Server", store: InfluxStore, row: MakeRow) -> None:
    """The page asks while the shipper writes: both at once get through."""
    asking = threading.Thread(target=store.forgot)
    asking.start()
    store.append([row(n) for n in range(1, 101)], 100)
    asking.join()
    assert v2.stored() == list(range(1, 101))


def test_the_page_of_the_manual_has_the_same_table() -> None:
    """Every status of the policy stands in docs/history-servers.md, in the row of its verdict."""
    page = (Path(__file__).parents[3] / "docs" / "history-servers.md").read_text(encoding="utf-8")
    section = page.partition("## What an answer means")[2].partition("## ")[0]
    rows = [row.split("|")[1:3] for row in section.splitlines() if row.startswith("| ")]
    words = {
        Verdict.STORED: "stored",
        Verdict.POINT: "quarantine",
        Verdict.SIZE: "no more than that",
        Verdict.TOKEN: "token_file",
        Verdict.PLACE: "database",
        Verdict.ADDRESS: "history.url",
        Verdict.LATER: "Retry-After",
    }
    for status, verdict in POLICY.items():
        said = [what for statuses, what in rows if str(status) in statuses] or [
            what for statuses, what in rows if "other" in statuses
        ]
        assert any(words[verdict] in what for what in said), status
