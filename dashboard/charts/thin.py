"""In which stretches of a chart readings were given up because the disk was nearly full. Reads only."""

from dashboard.office import Office

_THINNED = "SELECT since, until FROM thinned WHERE readings > 0 AND until >= ? AND since < ? ORDER BY since"


def given_up(office: Office, since: int, until: int) -> list[tuple[int, int]]:
    """Within [since, until) in ms, put together where they overlap. Raises JournalUnreadable."""
    found: list[tuple[int, int]] = []
    for first, last in office.view.rows(_THINNED, (since, until)):
        begin, end = max(first, since), min(last + 1, until)
        if found and begin <= found[-1][1]:
            found[-1] = found[-1][0], max(found[-1][1], end)
        else:
            found.append((begin, end))
    return found
