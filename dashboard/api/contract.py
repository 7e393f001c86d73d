"""What a route of the API promises, said once: path, parameters, body, answer, permission. Reads and checks by it.

The decorators here register the view and keep its Operation, of which `document.py` makes the OpenAPI document.
"""

import hashlib
import re
from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

import msgspec
from flask import Blueprint, Response, request

from dashboard.access.permissions import Permission, allow
from dashboard.api.problem import Problem
from device_profiles.door import nearest

PREFIX = "/api/v1"
bp = Blueprint("api", __name__, url_prefix=PREFIX)
LARGEST = 2**63 - 1  # what SQLite keeps as an integer
KEY = "Idempotency-Key"
_KEY = re.compile(r"[\x21-\x7e]{1,64}")
_AT = re.compile(r" - at `\$?\.?(?P<path>[^`]*)`$")
_UNKNOWN = re.compile(r"Object contains unknown field `(?P<name>[^`]*)`")
_MISSING = re.compile(r"Object missing required field `(?P<name>[^`]*)`")

View = Callable[..., Any]  # Any: a struct of the operation's own, or a whole Response
V = TypeVar("V", bound=View)


class Query(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of what may stand in an address behind the question mark."""


class Input(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of what a request's body may say."""


class Operation(msgspec.Struct, frozen=True, kw_only=True):
    """One route with one method. `media` is that of the answer; `headers` are those that it reads, with why."""

    name: str
    method: str
    path: str  # as Flask writes it
    summary: str
    about: str
    needs: Permission
    query: type[Query] | None = None
    body: type[Input] | None = None
    answer: Any = None  # Any: a type of msgspec's
    status: int = 200
    media: str = "application/json"
    also: str = ""  # another medium of the answer
    errors: tuple[int, ...] = ()
    headers: dict[str, str] = {}


OPERATIONS: list[Operation] = []


def get(
    path: str,
    answer: Any,
    needs: Permission,
    *,
    query: type[Query] | None = None,
    errors: tuple[int, ...] = (),
    also: str = "",
) -> Callable[[V], V]:
    """Declare a view that tells something. It gets what stands in the path, and `query` where it takes one."""

    def mark(view: V) -> V:
        _register(_operation(view, "GET", path, needs, query=query, answer=answer, errors=errors, also=also), view)
        return view

    return mark


def post(
    path: str, body: type[Input], answer: Any, needs: Permission, *, errors: tuple[int, ...] = ()
) -> Callable[[V], V]:
    """Declare a view that orders something: it answers 202, and the same Idempotency-Key is the same order."""

    def mark(view: V) -> V:
        more = (*errors, 409, 415, 422)
        _register(_operation(view, "POST", path, needs, body=body, answer=answer, status=202, errors=more), view)
        return view

    return mark


def declare(view: View, path: str, needs: Permission, **more: Any) -> None:  # Any: fields of Operation
    """Document a route that another part of the office answers."""
    OPERATIONS.append(_operation(view, "GET", path, needs, **more))


def idempotency_key() -> str:
    """The request's own key. Raises Problem."""
    found = request.headers.get(KEY, "")
    if not _KEY.fullmatch(found):
        right = "1 to 64 printable ASCII characters without blanks, new for each order, the same when it is sent again"
        raise Problem(400, "is missing" if not found else "is no key", at=("header", KEY), right=right)
    return found


def wrong(place: str, name: str, detail: str, right: str = "") -> Problem:
    """One part of the request cannot be so."""
    return Problem(400, f"{name}: {detail}", at=(place, name), right=right)


def _operation(view: View, method: str, path: str, needs: Permission, **more: Any) -> Operation:
    summary, _, about = (view.__doc__ or "").strip().partition("\n")
    about = " ".join(about.split())
    name = view.__name__
    return Operation(name=name, method=method, path=path, summary=summary, about=about, needs=needs, **more)


def _register(operation: Operation, view: View) -> None:
    OPERATIONS.append(operation)

    @wraps(view)
    def answer(**path: Any) -> Response:  # Any: what Flask read from the path
        for name, value in path.items():
            if isinstance(value, int) and value > LARGEST:
                raise Problem(404, f"{name}: there is none of this number", at=("path", name))
        if operation.method == "POST":
            idempotency_key()
        if operation.query is not None:
            path["query"] = _read_query(operation.query)
        elif request.args:
            raise wrong("query", min(request.args), "there is no such parameter", "this address takes none")
        if operation.body is not None:
            path["body"] = _read_body(operation.body)
        return _said(operation, view(**path))

    rule, methods = operation.path, [operation.method]
    bp.add_url_rule(rule, view.__name__, allow(operation.needs)(answer), methods=methods)


def _said(operation: Operation, found: Any) -> Response:
    if isinstance(found, Response):
        return found
    response = Response(
        msgspec.json.encode(found), status=operation.status, content_type=f"{operation.media}; charset=utf-8"
    )
    if operation.method == "GET":
        response.set_etag(hashlib.sha256(response.get_data()).hexdigest()[:32])
        return response.make_conditional(request)  # type: ignore[return-value]  # the same object
    return response


def _read_query(kind: type[Query]) -> Query:
    for name in request.args:
        if len(request.args.getlist(name)) > 1:
            raise wrong("query", name, "is given more than once", "give it once")
    found: Query = _converted(kind, request.args.to_dict(), "query")
    return found


def _read_body(kind: type[Input]) -> Input:
    if request.mimetype != "application/json":
        raise Problem(415, "the body must be JSON", at=("header", "Content-Type"), right="application/json")
    try:
        table = msgspec.json.decode(request.get_data())
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Problem(400, f"the body is no JSON: {error}", right="an object, as {}") from None
    found: Input = _converted(kind, table, "body")
    return found


def _converted(kind: type[Any], table: object, place: str) -> Any:
    """The struct, or a Problem that names the field. Texts become numbers in a query only."""
    try:
        return msgspec.convert(table, kind, strict=place == "body")
    except msgspec.ValidationError as error:
        raise _refused(kind, place, str(error)) from None


def _refused(kind: type[Any], place: str, message: str) -> Problem:
    at = _AT.search(message)
    said = message[: at.start()] if at else message
    fields = {field.encode_name: field for field in msgspec.structs.fields(kind)}
    if unknown := _UNKNOWN.search(said):
        right = nearest(unknown["name"], fields) if fields else "it takes none"
        return wrong(place, unknown["name"], "there is no such parameter", right)
    missing = _MISSING.search(said)
    name = missing["name"] if missing else (at["path"] if at else "")
    right = meaning(kind, name) if name in fields else "a JSON object"
    return wrong(place, name or "body", "is missing" if missing else said[:1].lower() + said[1:], right)


def meaning(kind: type[Any], name: str) -> str:
    """What a field of a struct wants, in words, from the same schema as the document."""
    _, components = msgspec.json.schema_components([kind])
    schema = components[kind.__name__].get("properties", {}).get(name, {})
    schema = components.get(schema.get("$ref", "").rpartition("/")[2], schema)
    if "description" in schema:
        return str(schema["description"])
    if "enum" in schema:
        return "one of " + ", ".join(str(word) for word in schema["enum"])
    return " ".join(f"{key} {schema[key]}" for key in ("type", "minimum", "maximum", "maxLength") if key in schema)
