"""Form tokens (CSRF) without a request: read from the form cookie as Flask does, signed as Flask-WTF does, and kept.

Only of a cookie that holds nothing but what a token is made from: one that carries a message is left to Flask.
"""

from flask import Flask
from itsdangerous import BadSignature, URLSafeTimedSerializer

EXTENSION = "zhian.forms"
MOST = 2048
KEEP_S = 600.0  # then the cookie is read again: it may have become too old
SALT = "wtf-csrf-token"  # Flask-WTF's; a test compares
HELD = "csrf_token"


class Forms:
    """Used from any thread: each step is one operation on a dictionary."""

    def __init__(self, app: Flask) -> None:
        """None is known."""
        self.cookie: str = app.config["SESSION_COOKIE_NAME"]
        self._sessions: URLSafeTimedSerializer = app.session_interface.get_signing_serializer(app)  # type: ignore[attr-defined]  # Flask's default one
        self._tokens = URLSafeTimedSerializer(app.config["SECRET_KEY"], salt=SALT)
        self._lifetime_s = int(app.permanent_session_lifetime.total_seconds())
        self._kept: dict[str, tuple[str, float]] = {}

    def token(self, cookie: str, now_s: float) -> str | None:
        """The token of whoever sends this cookie; None where Flask has to see to it."""
        token, until_s = self._kept.get(cookie, ("", 0.0))
        if now_s < until_s:
            return token
        try:
            held = self._sessions.loads(cookie, max_age=self._lifetime_s)
        except BadSignature:
            return None
        if set(held) != {HELD}:
            return None
        token = str(self._tokens.dumps(held[HELD]))
        if len(self._kept) >= MOST:
            self._kept.clear()
        self._kept[cookie] = (token, now_s + KEEP_S)
        return token
