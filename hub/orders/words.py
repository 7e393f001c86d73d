"""Why a gate was not moved, in words for people, in both languages: for the page, the API and the command line alike.

The other outcomes of orders are worded by the page (dashboard/language/words.py).
"""

from collections.abc import Callable

from hub.orders.order import OrderWord
from hub.reading import Label

REASONS: dict[str, Label] = {
    OrderWord.FIRE: Label(
        zh="消防联动已释放此门，严禁远程关门",
        en="the fire system has released this gate: it is never closed from here",
    ),
    OrderWord.LOCKED_OPEN: Label(
        zh="门禁联锁：另一扇门没有关好，请先关闭",
        en="interlock: another gate is not shut, close it first",
    ),
    OrderWord.LOCKED_UNKNOWN: Label(
        zh="门禁联锁：另一扇门状态未知，请到现场查看",
        en="interlock: the state of another gate is unknown, go and look",
    ),
    OrderWord.LOCKED_ORDERED: Label(
        zh="门禁联锁：刚刚已令另一扇门打开，请等它重新关好",
        en="interlock: another gate was just ordered to open, wait until it is shut again",
    ),
}


def in_words(outcome: str, named: Callable[[str], Label] | None = None) -> Label | None:
    """An order's outcome ("interlock-open:gate-2") in both languages; None where it is another one.

    `named`: what a gate is called; without, it is told by its id.
    """
    word, _, gate = outcome.partition(":")
    found = REASONS.get(word)
    if found is None or not gate:
        return found
    name = named(gate) if named is not None else Label(zh=gate, en=gate)
    return Label(zh=f"{found.zh}：{name.zh}", en=f"{found.en}: {name.en}")
