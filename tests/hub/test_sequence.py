"""A device's own count of its messages: gaps, duplicates, late ones, roll-over and restarts of either end."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.devices.numbering import Sequences
from hub.devices.sequence import GRACE, MOST_GAP, WINDOW, Count, Word
from hub.outcome import Sequence
from hub.reading import Fault, FaultKind, Quality, Reading, Serial

NEWS, LATE, REPEATED = Word.NEWS, Word.LATE, Word.REPEATED
TOP = 1 << 32


def message(seq: int, boot: str = "b", words: int | None = None) -> Serial:
    """A message; each number says something of its own, unless the test wants the same words."""
    return Serial(boot, seq, words if words is not None else hash((boot, seq)) & 0xFFFFFFFF)


class Hub:
    """A count with its journal row and its clock."""

    def __init__(self) -> None:
        """Nothing heard."""
        self.now = 1_000_000
        self.row: Sequence | None = None
        self.count = Count("d", None, self.now)
        self.faults: list[Fault] = []

    def hear(self, *seqs: int, boot: str = "b", words: int | None = None) -> list[Word]:
        """These messages; what each is."""
        said = []
        for seq in seqs:
            said.append(self.count.hear(message(seq, boot, words), self.now))
            self._keep()
        return said

    def wait(self, ms: int = GRACE) -> None:
        """So long, then a tick."""
        self.now += ms
        self.faults += self.count.settle(self.now)
        self._keep()

    def restart(self) -> None:
        """The hub is killed, and starts from its journal."""
        self.count = Count("d", self.row, self.now)

    def told(self, kind: FaultKind = FaultKind.GAP) -> int:
        """So many messages were told as missing (or said again)."""
        return sum(fault.count for fault in self.faults if fault.kind is kind)

    def _keep(self) -> None:
        self.faults += self.count.lost
        self.count.lost = []
        self.row = self.count.row()


def test_an_unbroken_count_says_nothing() -> None:
    """From any first number on; across a restart of the hub too."""
    hub = Hub()
    assert hub.hear(17, 18, 19) == [NEWS] * 3
    hub.restart()
    assert hub.hear(20, 21) == [NEWS] * 2
    hub.wait()
    assert hub.faults == []


def test_missing_messages_are_counted_and_named() -> None:
    """After the time in which they could still come; the numbers are in the words."""
    hub = Hub()
    hub.hear(1, 2, 6)
    hub.wait(GRACE - 1)
    assert hub.faults == []
    hub.wait(1)
    assert [(fault.kind, fault.count, fault.detail) for fault in hub.faults] == [
        (FaultKind.GAP, 3, "3 messages are missing, 3 to 5")
    ]
    hub.hear(8)
    hub.wait()
    assert hub.faults[-1].detail == "message 7 is missing"
    assert hub.row is not None
    assert hub.row.missing == 4


def test_a_gap_is_known_across_a_restart_of_the_hub() -> None:
    """What was skipped before the kill is told after it, once; what was lost meanwhile too."""
    hub = Hub()
    hub.hear(1, 3)
    hub.restart()
    hub.hear(6)
    hub.wait()
    assert hub.told() == 3
    hub.restart()
    hub.wait()
    assert hub.told() == 3


def test_late_messages_within_the_window_are_no_gap() -> None:
    """Overtaken by up to 63 others they are taken, as late ones; and once more they are repeated."""
    hub = Hub()
    assert hub.hear(100, 102, 101) == [NEWS, NEWS, LATE]
    assert hub.hear(102 + WINDOW, 103) == [NEWS, LATE]
    assert hub.hear(103, 102 + WINDOW) == [REPEATED] * 2
    hub.wait()
    assert hub.told() == WINDOW - 2
    assert hub.row is not None
    assert (hub.row.late, hub.row.repeated) == (2, 2)


def test_duplicates_are_dropped_and_counted() -> None:
    """By device, boot and number; after a restart of the hub too."""
    hub = Hub()
    hub.hear(1, 2, 3)
    assert hub.hear(3, 1, 2) == [REPEATED] * 3
    hub.restart()
    assert hub.hear(3, 2) == [REPEATED] * 2
    assert hub.hear(4) == [NEWS]
    hub.wait()
    assert hub.told(FaultKind.REPEATED) >= 2
    assert hub.told() == 0


def test_a_device_that_starts_anew_says_so() -> None:
    """Another boot: the count begins again, wherever it does, and no gap is invented."""
    hub = Hub()
    hub.hear(500, 501, boot="a")
    assert hub.hear(0, 1, boot="b") == [NEWS] * 2
    assert hub.hear(501, boot="a") == [REPEATED]
    assert hub.hear(502, boot="a") == [LATE]
    assert hub.hear(2, boot="b") == [NEWS]
    hub.wait()
    assert hub.told() == 0


def test_a_boot_that_comes_back_is_believed_at_the_second_message() -> None:
    """A device that names its two firmware slots is not silenced: only the first message after is called late."""
    hub = Hub()
    hub.hear(10, 11, boot="slot-a")
    hub.hear(0, 1, boot="slot-b")
    assert hub.hear(20, 21, 22, boot="slot-a") == [LATE, NEWS, NEWS]


@pytest.mark.parametrize("boot", ["", "always-the-same"])
@pytest.mark.parametrize("before", [1, 5, 40, 63, 64, 65, 5000])
def test_a_restart_that_is_not_said_is_recognised(boot: str, before: int) -> None:
    """A count from 0 with other words is a restart: nothing that a person waits for is taken for a duplicate."""
    hub = Hub()
    for seq in range(before + 1):
        hub.hear(seq, boot=boot, words=seq)
    for seq in range(5):
        assert hub.hear(seq, boot=boot, words=1_000_000 + seq) == [NEWS]
    hub.wait()
    assert hub.told() == 0


def test_one_number_with_other_words_is_news_and_no_restart() -> None:
    """A device that mends a message as it repeats it: twice is better than never, and no gap comes of it."""
    hub = Hub()
    hub.hear(1, 2, 3)
    assert hub.hear(2, words=99) == [NEWS]
    assert hub.hear(2, words=99) == [REPEATED]
    assert hub.hear(4) == [NEWS]
    hub.wait()
    assert hub.told() == 0


def test_without_a_boot_a_number_alone_drops_nothing() -> None:
    """After a restart of the hub nobody knows the words any more: twice is better than never."""
    hub = Hub()
    hub.hear(1, 2, 3, boot="")
    assert hub.hear(3, boot="") == [REPEATED]
    hub.restart()
    assert hub.hear(3, boot="") == [NEWS]


def test_a_number_before_the_first_is_a_restart() -> None:
    """The hub came in at 30; a device that then says 0 has started anew, and is news."""
    hub = Hub()
    hub.hear(30)
    assert hub.hear(0, 1, 2) == [NEWS] * 3


@pytest.mark.parametrize("top", [TOP, 1 << 40])
def test_roll_over(top: int) -> None:
    """After the largest number of 32 bits comes 0; larger counters go on."""
    hub = Hub()
    assert hub.hear(top - 3, top - 1, top - 2) == [NEWS, NEWS, LATE]
    again = 0 if top == TOP else top
    assert hub.hear(again, again + 2, again + 1) == [NEWS, NEWS, LATE]
    assert hub.hear(top - 1) == [REPEATED]
    hub.wait()
    assert hub.told() == 0


def test_years_of_counting_do_not_turn_late_into_restarted() -> None:
    """Half the numbers after the first one, a message that was overtaken is still that."""
    hub = Hub()
    hub.hear(7)
    for n in range(1, TOP * 3 // 4 // MOST_GAP):
        hub.count.hear(message(7 + n * MOST_GAP), hub.now)
        if n % 10_000 == 0:
            hub.row = hub.count.row()
            hub.restart()
    last = 7 + (TOP * 3 // 4 // MOST_GAP - 1) * MOST_GAP
    assert hub.hear(last + 2, last + 1) == [NEWS, LATE]


def test_a_counter_of_16_bits_rolls_over_like_a_restart() -> None:
    """65535 and then 0: news, no gap."""
    hub = Hub()
    assert hub.hear(65534, 65535, 0, 1) == [NEWS] * 4
    hub.wait()
    assert hub.told() == 0


def test_old_numbers_are_history_until_they_go_on() -> None:
    """One message from far behind is late; a count that goes on there is a device that starts from a saved number."""
    hub = Hub()
    hub.hear(10_000)
    assert hub.hear(5_000) == [LATE]
    assert hub.hear(10_001) == [NEWS]
    assert hub.hear(6_000, 6_001, 6_002) == [LATE, NEWS, NEWS]
    hub.wait()
    assert hub.told() == 0


def test_a_great_gap_and_an_unbelievable_one() -> None:
    """Those beyond the window are told at once; a step past all belief is another count."""
    hub = Hub()
    hub.hear(0, 1000)
    assert hub.told() == 1000 - WINDOW
    hub.wait()
    assert hub.told() == 999
    assert hub.hear(1001 + MOST_GAP) == [NEWS]
    hub.wait()
    assert hub.told() == 999


def test_what_was_skipped_before_a_restart_of_the_device_is_lost() -> None:
    """It cannot come any more, and is told."""
    hub = Hub()
    hub.hear(1, 4, boot="a")
    hub.hear(0, boot="b")
    assert hub.told() == 2


@st.composite
def _traffic(draw: st.DrawFn) -> tuple[list[int], list[int], set[int]]:
    """What arrives of 0 to 199 (some lost, some twice, some overtaken by few), at which steps the hub is killed."""
    size = draw(st.integers(2, 200))
    lost = draw(st.sets(st.integers(1, size - 2), max_size=40)) if size > 2 else set()
    order = [(seq + draw(st.integers(0, 20)), seq) for seq in range(size) if seq not in lost]
    order += [(seq + draw(st.integers(0, 30)), seq) for seq in draw(st.lists(st.integers(0, size - 1), max_size=20))]
    arrived = [seq for _, seq in sorted(order) if seq not in lost]
    start = draw(st.sampled_from([0, 1, 65_500, TOP - 100]))
    kills = set(draw(st.lists(st.integers(0, len(arrived)), max_size=4)))
    return [(start + seq) % TOP for seq in [0, *arrived, size - 1]], [(start + seq) % TOP for seq in lost], kills


@given(_traffic())
def test_each_message_counts_once_and_each_lost_one_is_missing(case: tuple[list[int], list[int], set[int]]) -> None:
    """However it is mixed, and however often the hub is killed: taken once each, and missing is what was lost."""
    arrived, lost, kills = case
    hub, taken, seen = Hub(), [], set()
    for step, seq in enumerate(arrived):
        if step in kills:
            hub.restart()
        (word,) = hub.hear(seq)
        assert (word is REPEATED) == (seq in seen)
        seen.add(seq)
        taken += [seq] if word is not REPEATED else []
    hub.wait()
    assert sorted(taken) == sorted(set(arrived))
    assert hub.row is not None
    assert hub.told() == hub.row.missing == len(lost)


@given(st.lists(st.tuples(st.sampled_from(["", "a", "b"]), st.integers(0, (1 << 63) - 1) | st.integers(0, 200))))
def test_any_numbers_are_borne(said: list[tuple[str, int]]) -> None:
    """Nonsense raises nothing, what waits stays bounded, and each row is what it was made from."""
    hub = Hub()
    for boot, seq in said:
        hub.hear(seq, boot=boot)
        assert len(hub.count._owed) < WINDOW
        assert hub.row is not None
        assert Count("d", hub.row, hub.now).row() == hub.row
        assert all(-(1 << 63) <= value < 1 << 63 for value in (hub.row.seen, hub.row.owed, hub.row.seen_before))


# --- what becomes of the message ---------------------------------------------------------------------------------


def reading(quantity: str, value: str | float, ts: int = 5000) -> Reading:
    """One reading, received at 5000."""
    return Reading(device="d", quantity=quantity, value=value, ts=ts, rx=5000)


def test_a_repeated_message_leaves_nothing_and_a_late_one_is_history() -> None:
    """Without a clock of the device only the order tells what is news; its own dates and events stay as they are."""
    hub = Sequences([], 0)
    said = [reading("presence", "present"), reading("laeq", 50.0, ts=4000), reading("passage", "granted")]
    assert hub.take("d", message(1), said, 0) == said
    assert hub.take("d", message(1), said, 0) == []
    hub.take("d", message(3), said, 0)
    presence, laeq, passage = hub.take("d", message(2), said, 0)
    assert isinstance(presence, Reading)
    assert presence.quality is Quality.LATE
    assert [laeq, passage] == said[1:]


def test_rows_faults_and_receipts_are_handed_out_once() -> None:
    """Each for the transaction, the tick and the cable that it belongs to."""
    hub = Sequences([], 0)
    hub.take("d", Serial("b", 1, 0, wants_receipt=True), [], 0)
    hub.take("d", Serial("b", 1, 0, wants_receipt=True), [], 0)
    hub.take("e", Serial("b", 5, 0), [], 0)
    assert [(row.device, row.last) for row in hub.rows()] == [("d", 1), ("e", 5)]
    assert hub.receipts() == [("d", 1), ("d", 1)]
    assert (hub.rows(), hub.receipts()) == ([], [])
    (fault,) = hub.tick(1000)
    assert isinstance(fault, Fault)
    assert (fault.source, fault.kind, fault.count) == ("d", FaultKind.REPEATED, 1)
    assert hub.tick(2000) == []
    again = Sequences(hub.rows(), 0)
    assert again.take("d", Serial("b", 1, 0), [reading("laeq", 1.0)], 0) == []
