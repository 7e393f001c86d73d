"""Lines brought to a history server by the policy of `verdict`: halved, set apart, told. It knows no transport.

What the server will never take is told only after the rest is stored, so that a delivery that is broken off and made
again tells it once.
"""

from collections.abc import Callable, Sequence
from typing import TypeAlias

import msgspec

from hub.history.store import Refused
from hub.history.verdict import PAUSE_S, Unavailable, Verdict, all_too_old
from hub.journal.batches import Row

AT_MOST = 20_001  # lines a request: a page and its mark; less once a server said 413

Points: TypeAlias = Sequence[tuple[Row | None, str]]
Post: TypeAlias = Callable[[Sequence[str]], "Answer"]
"""One request. Raises Unavailable for every verdict that is not about the lines."""


class Answer(msgspec.Struct, frozen=True):
    """What became of the lines: STORED, POINT or SIZE, and the server's words."""

    verdict: Verdict
    words: str = ""


class Delivery:
    """Brings points by `post`; `probe` is one harmless line, which only a server in trouble rejects."""

    def __init__(self, post: Post, probe: str, refused: Refused) -> None:
        """Nothing is sent yet."""
        self._post, self._probe, self._refused = post, probe, refused
        self.at_most = AT_MOST

    def bring(self, rows: Sequence[tuple[Row, str]], last: str = "") -> bool:
        """Store all rows by their lines, and the line `last`; or raise Unavailable, and bring them again later.

        False when the server does not want `last`: of the rows nothing is said by that.
        """
        points: Points = [*rows, (None, last)] if last else rows
        told: list[tuple[Row | None, str]] = []
        at = 0
        while at < len(points):
            part = points[at : at + self.at_most]
            at += len(part)
            self._bring(part, told)
        for row, words in told:
            if row is not None:
                self._refused(row, words)
        self.at_most = min(AT_MOST, self.at_most + self.at_most // 8 + 1)
        return bool(last) and all(row is not None for row, _ in told)

    def _bring(self, points: Points, told: list[tuple[Row | None, str]], *, doubted: bool = False) -> None:
        answer = self._post([line for _, line in points])
        if answer.verdict is Verdict.STORED:
            return
        alone = len(points) == 1 or all_too_old(answer.words, len(points))
        if alone or not doubted:  # a server that rejects even a plain point is wrong, not our rows
            self._prove_sane(answer.words)
        if alone:
            told += [(row, answer.words) for row, _ in points]
            return
        half = (len(points) + 1) // 2
        if answer.verdict is Verdict.SIZE:
            self.at_most = min(self.at_most, half)
        for part in (points[:half], points[half:]):
            self._bring(part, told, doubted=True)

    def _prove_sane(self, words: str) -> None:
        if self._post([self._probe]).verdict is not Verdict.STORED:
            raise Unavailable(f"takes no points at all: {words}", PAUSE_S)
