"""The REST API under /api/v1: what the pages show and do, for programs. Each route says all it promises in one place.

The same permissions as the pages, by session or token; `contract.py` checks requests, `document.py` describes them.
"""

from dashboard.api import alarms, orders, people, place, system
from dashboard.api.contract import bp

__all__ = ["alarms", "bp", "orders", "people", "place", "system"]
