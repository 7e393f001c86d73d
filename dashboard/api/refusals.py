"""What the office's door and Flask refuse under /api/ (401, 403, 404, 405, 413 ...), as problems in words.

The words only: what is refused was decided by `permissions.py`, Flask-WTF and werkzeug.
"""

from flask import Response, current_app, g, request
from flask_wtf.csrf import CSRFError
from werkzeug.exceptions import HTTPException

from dashboard.access.permissions import Permission
from dashboard.api import problem
from dashboard.api.document import scopes_of
from dashboard.office import office


def refusal(error: HTTPException) -> Response:
    """As an answer, with the headers that the status wants (Allow, WWW-Authenticate)."""
    code = error.code or 500
    headers = {name: value for name, value in error.get_headers() if name in ("Allow", "Retry-After")}
    if code == 401:
        headers["WWW-Authenticate"] = "Bearer"
    detail, right, at = _in_words(code, error)
    return problem.response(problem.body(code, detail, right=right, at=at), headers)


def _in_words(code: int, error: HTTPException) -> tuple[str, str, tuple[str, str] | None]:
    match code:
        case _ if isinstance(error, CSRFError):
            return str(error.description), "as /api/v1/me says", ("header", "X-CSRFToken")
        case 401:
            right = "Authorization: Bearer and a token that was not taken back, or a session's cookie"
            return "who asks is not known", right, ("header", "Authorization")
        case 403:
            return _forbidden()
        case 404:
            return "there is no such address", "one of /api/v1/openapi.json", None
        case 405:
            return f"not by {request.method}", "as Allow says", None
        case 413:
            return "the body is too long", f"{current_app.config['MAX_CONTENT_LENGTH']} bytes at most", None
    return str(error.description or ""), "", None


def _forbidden() -> tuple[str, str, None]:
    if office().setup.needed():
        return "this installation has no administrator yet", "see the console", None
    needs = getattr(current_app.view_functions.get(request.endpoint or ""), "permission", None)
    if not isinstance(needs, Permission):
        return "not allowed", "", None
    if not g.bearer:
        return f"the role lacks the permission {needs}", "", None
    return f"the token lacks the permission {needs}", "a token with a scope of " + ", ".join(scopes_of(needs)), None
