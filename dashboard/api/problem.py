"""What the API answers when it does not do what was asked: RFC 9457 problem+json, which names what would be right.

Nothing here decides; `contract.py` raises these, and `create_app` turns every other error under /api/ into one.
"""

from http import HTTPStatus
from typing import Literal

import msgspec
from flask import Response

MEDIA = "application/problem+json"


class Parameter(msgspec.Struct, frozen=True):
    """Which part of the request is meant; `place` says where it stands."""

    place: Literal["path", "query", "header", "body"]
    name: str


class Body(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A problem. `parameter`: what is wrong in the request; `right`: what would be right there."""

    title: str
    status: int
    detail: str = ""
    parameter: Parameter | None = None
    right: str = ""


class Problem(Exception):
    """The request cannot be answered as it is. The asker's to mend."""

    def __init__(self, status: int, detail: str, *, at: tuple[str, str] | None = None, right: str = "") -> None:
        """`at`: ("query", "limit"), ("body", "text") ..."""
        super().__init__(detail)
        self.body = body(status, detail, at=at, right=right)

    def response(self) -> Response:
        """As an answer."""
        return response(self.body)


def body(status: int, detail: str = "", *, at: tuple[str, str] | None = None, right: str = "") -> Body:
    """A problem whose title is the status's own phrase (RFC 9457, 4.2.1: about:blank)."""
    where = Parameter(*at) if at is not None else None  # type: ignore[arg-type]  # the four places
    return Body(title=HTTPStatus(status).phrase, status=status, detail=detail, parameter=where, right=right)


def text(problem: Body) -> bytes:
    """As JSON."""
    return msgspec.json.encode({"type": "about:blank", **msgspec.to_builtins(problem)})


def response(problem: Body, headers: dict[str, str] | None = None) -> Response:
    """As an answer."""
    return Response(text(problem), status=problem.status, content_type=MEDIA, headers=headers)
