"""A value as a cell of a CSV file that a spreadsheet shows and never runs (OWASP CSV injection; ASVS 5.0 1.2.10)."""

_RUN = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")


def cell(value: object) -> object:
    """A text that a spreadsheet would take for a formula gets a quote in front, numbers stay numbers."""
    if isinstance(value, str) and value.lstrip(" ").startswith(_RUN):
        return "'" + value
    return value
