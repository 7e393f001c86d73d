"""What templates say of the machine itself: a field process that keeps ending, and readings that had to be thinned.

It reads what the supervisor and the hub have noted; what that means was decided there.
"""

import os
import time

from dashboard.office import office
from hub.journal.thinning import Thinned
from hub.processes.state import Process, read_board
from hub.rows import to_struct

MOST = 50


def field_process() -> Process | None:
    """The field process, while it does not run as it should (and may not tell it itself); None: it is well."""
    board = read_board(office().data, os.getppid())
    field = board.processes.get("field") if board else None
    return field if field is not None and field.state != "up" and field.how else None


def ended_lately(process: Process) -> int:
    """How often it ended by itself in the last ten minutes; at least the once that is told of."""
    return max(1, process.ended_lately(time.monotonic()))


def thinned() -> list[Thinned]:
    """The newest passes over the journal that took readings out, newest first."""
    rows = office().view.rows("SELECT * FROM thinned WHERE readings > 0 ORDER BY id DESC LIMIT ?", (MOST,))
    return [to_struct(Thinned, row) for row in rows]
