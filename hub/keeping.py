"""Which readings tell who went where, and how long they are kept. Figures only; hub/retention.py deletes by them."""

TRACES = ("passage", "chip")
"""Who went where is sensitive personal information (PIPL, article 28): kept KEEP_TRACES_MS, then really gone."""
KEEP_TRACES_MS = 30 * 24 * 3_600_000
