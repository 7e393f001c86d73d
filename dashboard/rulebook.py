"""The rules of the office's site as their files have them, read once at the start: a reload starts another office."""

from collections.abc import Mapping

from flask import Flask, current_app

from dashboard.office import EXTENSION
from hub.rules.door import Rule, plain_rules
from hub.rules.limits import SITE

_PLAIN = "zhian-plain-rules"


def init(app: Flask) -> None:
    """Read them. Raises Refusal."""
    app.extensions[_PLAIN] = plain_rules(app.extensions[EXTENSION].site, SITE)


def plain() -> Mapping[str, Rule]:
    """By id, before the site's numbers and what was set since."""
    found: Mapping[str, Rule] = current_app.extensions[_PLAIN]
    return found
