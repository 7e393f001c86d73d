"""Draws the state machines from their tables, as Mermaid, into the pages of docs/: `python -m hub.alarms.diagram`.

Between `<!-- drawn: NAME -->` and `<!-- end -->` the page is generated; a test keeps it as the tables are.
"""

import re
from collections.abc import Callable, Iterable
from pathlib import Path

from hub.alarms.alarm import FILTER, OPERATOR, SHELF, FilterCell, OperatorCell, OperatorState, Shelf, Truth
from hub.duty.escalate import TABLE as ESCALATION
from hub.duty.escalate import RunState, Take
from hub.duty.incident import ENDED, State
from hub.duty.incident import TABLE as INCIDENT
from hub.orders.order import OPEN, ORDER
from hub.outcome import OrderState
from hub.rules.door import load_pack
from hub.rules.noise import LIMITS_DB

PAGES = tuple(Path(__file__).parents[2] / "docs" / name for name in ("alarms.md", "duty.md"))
_MARKED = re.compile(r"(<!-- drawn: ([a-z-]+) -->\n).*?(<!-- end -->)", re.DOTALL)


def filter_diagram() -> str:
    """Machine 1."""
    arrows = []
    for (state, truth), cell in FILTER.items():
        arrows += _filter_arrows(state.value, truth, cell)
    return _mermaid("off", arrows)


def operator_diagram() -> str:
    """Machine 2; cells that stay where they are, are left out."""
    arrows = []
    for (state, event), cell in OPERATOR.items():
        arrows += _operator_arrow(state, event.value, cell, "")
        arrows += _operator_arrow(state, event.value, cell.latched, "latched")
        arrows += _operator_arrow(state, event.value, cell.no_ack, "no ack needed")
    return _mermaid("normal", arrows)


def shelf_diagram() -> str:
    """The shelf of machine 3."""
    moves = [(was.value, now.value, event.value) for (was, event), now in SHELF.items() if was is not now]
    return _mermaid(Shelf.NONE.value, moves)


def order_diagram() -> str:
    """An order's way."""
    moves = [(was.value, now.value, event.value) for (was, event), now in ORDER.items() if was is not now]
    ends = [(state.value, "[*]", "") for state in OrderState if state not in OPEN]
    return _mermaid(OrderState.REQUESTED.value, moves + ends)


def rule_table() -> str:
    """Every rule of the packs, with what people have to know of it."""
    lines = [
        "| rule | severity | what it watches | after | ends after | ack | title |",
        "|---|---|---|---|---|---|---|",
    ]
    for file in sorted((Path(__file__).parents[1] / "rules").glob("*.toml")):
        for rule in load_pack(file):
            what = " ".join(word for word in (rule.kind, rule.quantity, ", ".join(rule.states)) if word)
            delays = f"{rule.on_delay:g} s | {rule.hold + rule.off_delay:g} s"
            title = f"{rule.title.zh} · {rule.title.en}"
            lines.append(f"| `{rule.id}` | {rule.severity} | {what} | {delays} | {rule.ack} | {title} |")
    return "\n".join(lines) + "\n"


def noise_table() -> str:
    """The limits of GB 3096-2008, table 1."""
    lines = ["| class | day, dB(A) | night, dB(A) |", "|---|---|---|"]
    lines += [f"| {name} | {day:g} | {night:g} |" for name, (day, night) in LIMITS_DB.items()]
    return "\n".join(lines) + "\n"


def escalation_diagram() -> str:
    """Who is called next; that the last step leads to exhausted is the step's own doing."""
    moves = [
        (was.value, cell.next.value, f"{event.value}{f', {cell.take.value}' if cell.take is not Take.NOTHING else ''}")
        for (was, event), cell in ESCALATION.items()
        if cell.next is not was or cell.take is not Take.NOTHING
    ]
    last = (RunState.CALLING.value, RunState.EXHAUSTED.value, "due, the last step of the last round")
    return _mermaid(RunState.IDLE.value, [*moves, last])


def incident_diagram() -> str:
    """An incident's way, without what only adds to its log."""
    moves = [
        (was.value, cell.next.value, event.value) for (was, event), cell in INCIDENT.items() if cell.next is not was
    ]
    return _mermaid(State.NEW.value, [*moves, *((state.value, "[*]", "") for state in State if state in ENDED)])


DRAWN: dict[str, Callable[[], str]] = {
    "filter": filter_diagram,
    "operator": operator_diagram,
    "shelf": shelf_diagram,
    "order": order_diagram,
    "rules": rule_table,
    "noise": noise_table,
    "escalation": escalation_diagram,
    "incident": incident_diagram,
}


def drawn(page: str) -> str:
    """The page with every marked part as the tables have it now."""
    return _MARKED.sub(lambda match: f"{match[1]}{DRAWN[match[2]]()}{match[3]}", page)


def main() -> None:
    """Bring the pages up to date."""
    for page in PAGES:
        page.write_text(drawn(page.read_text(encoding="utf-8")), encoding="utf-8")


def _filter_arrows(state: str, truth: Truth, cell: FilterCell) -> list[tuple[str, str, str]]:
    said = f", {cell.edge.value}" if cell.edge is not None else ""
    if cell.wait is None:
        frozen = " (time stands still)" if truth is Truth.UNKNOWN and cell.since.value == "frozen" else ""
        return [(state, cell.next.value, f"{truth.value}{frozen}{said}")] if frozen or cell.next != state else []
    over = (state, cell.next.value, f"{truth.value} for the {cell.wait.value}{said}")
    return [over] if cell.meanwhile == state else [over, (state, cell.meanwhile.value, truth.value)]


def _operator_arrow(
    state: OperatorState, event: str, cell: OperatorCell | None, which: str
) -> list[tuple[str, str, str]]:
    if cell is None or cell.next is state:
        return []
    closed = f", closed {cell.closed.value}" if cell.closed is not None else ""
    return [(state.value, cell.next.value, f"{event}{f' ({which})' if which else ''}{closed}")]


def _mermaid(start: str, moves: Iterable[tuple[str, str, str]]) -> str:
    lines = ["```mermaid", "stateDiagram-v2", f"    [*] --> {_name(start)}"]
    lines += [f"    {_name(was)} --> {_name(now)}" + (f" : {word}" if word else "") for was, now, word in moves]
    return "\n".join([*lines, "```", ""])


def _name(state: str) -> str:
    """Mermaid takes no hyphen in the name of a state."""
    return state.replace("-", "_")


if __name__ == "__main__":
    main()
