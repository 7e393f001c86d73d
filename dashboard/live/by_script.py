"""What the page's script (htmx) asks: a form that it sends is answered in a word, not with the way to the next page.

Without script the same form leads to that page. The header gives no rights: it only makes the answer shorter.
"""

from flask import Flask, request
from werkzeug.wrappers import Response

_WAYS = (302, 303)


def by_script() -> bool:
    """Whether htmx asks, for a page that stays open."""
    return request.headers.get("HX-Request") == "true"


def init(app: Flask) -> None:
    """A form that was taken: 204. The page fetches itself anew; what it is told (`flash`) comes with that."""

    @app.after_request
    def in_a_word(response: Response) -> Response:
        if by_script() and request.method == "POST" and response.status_code in _WAYS:
            response.status_code = 204
            response.set_data(b"")
            response.headers.pop("Location", None)
        return response
