"""Which readings tell who went where, and how long they are kept. Figures only; retention.py deletes by them."""

from device_profiles import vocabulary

TRACES = tuple(name for name, quantity in vocabulary.quantities().items() if quantity.trace)
"""Who went where is sensitive personal information (PIPL, article 28): kept KEEP_TRACES_MS, then really gone."""
KEEP_TRACES_MS = 30 * 24 * 3_600_000  # unless the site says otherwise (history.trace_days)
