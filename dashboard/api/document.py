"""The OpenAPI 3.1 document of what `contract.py` has registered. Pure: structs become JSON Schema by msgspec.

Nothing is written here that a route does not do: what every route has (errors, headers) stands in one place below.
"""

import re
from collections.abc import Iterable
from http import HTTPStatus
from typing import Any

import msgspec

from dashboard.access.roles import SCOPES, Permission
from dashboard.api.contract import KEY, LARGEST, PREFIX, Operation
from dashboard.api.problem import MEDIA, Body

Json = dict[str, Any]  # Any: JSON
EVERY = (400, 401, 403, 404, 429, 503)
"""What any route may answer. 404 too: before the first administrator there is nothing, and no number is endless."""
_PLACE = re.compile(r"<(?:(?P<kind>int):)?(?P<name>\w+)>")
_ABOUT = """\
What the pages show and do, for programs. Instants are ms since 1970 (UTC); labels come in Chinese and English; units
are those of the vocabulary. A program sends `Authorization: Bearer` with a token of its own (Users and roles,
Programs), a browser its session; a session's writes need the header X-CSRFToken (its value: /me). Nothing is to be
stored (Cache-Control: no-store); an ETag saves the way of what has not changed.
"""


def document(operations: Iterable[Operation]) -> Json:
    """The whole document."""
    known = list(operations)
    schemas, components = _schemas(known)
    paths: dict[str, Json] = {}
    for operation in known:
        paths.setdefault(path_of(operation), {})[operation.method.lower()] = _operation(operation, schemas, components)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Zhian", "version": "1", "description": _ABOUT},
        "servers": [{"url": PREFIX}],
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer", "description": f"scopes: {', '.join(SCOPES)}"},
                "session": {"type": "apiKey", "in": "cookie", "name": "__Host-zhian"},
            },
        },
    }


def path_of(operation: Operation) -> str:
    """As OpenAPI writes it."""
    return _PLACE.sub(r"{\g<name>}", operation.path)


def scopes_of(needs: Permission) -> list[str]:
    """The scopes of a token that allow it."""
    return [name for name, grants in SCOPES.items() if needs in grants]


def _schemas(operations: list[Operation]) -> tuple[dict[str, Json], dict[str, Json]]:
    """The schema of each operation's answer, and all named ones. Queries stay apart: they become parameters."""
    kinds = [kind for one in operations for kind in (one.body, one.answer) if kind is not None]
    answers, components = msgspec.json.schema_components([*kinds, Body], ref_template="#/components/schemas/{name}")
    for schema in components.values():
        _tuples(schema)
    by_kind = dict(zip(map(repr, kinds), answers, strict=False))
    components["Body"]["properties"] = {"type": {"type": "string"}, **components["Body"]["properties"]}
    components["Problem"] = components.pop("Body")
    return by_kind, components


def _tuples(schema: object) -> None:
    """Say of pairs of one kind what older readers of JSON Schema understand as well, without `prefixItems`."""
    if isinstance(schema, dict):
        parts = schema.get("prefixItems")
        if parts and all(part == parts[0] for part in parts):
            schema["items"] = schema.pop("prefixItems")[0]
        for part in schema.values():
            _tuples(part)
    elif isinstance(schema, list):
        for part in schema:
            _tuples(part)


def _operation(operation: Operation, schemas: dict[str, Json], components: dict[str, Json]) -> Json:
    found: Json = {
        "operationId": operation.name,
        "summary": operation.summary,
        "description": f"{operation.about}\n\nNeeds the permission `{operation.needs}`.".strip(),
        "parameters": [*_places(operation), *_query(operation), *_headers(operation)],
        "security": [{"token": [scope]} for scope in scopes_of(operation.needs)] + [{"session": []}],
        "responses": _responses(operation, schemas),
    }
    if operation.body is not None:
        content = {"application/json": {"schema": schemas[repr(operation.body)]}}
        found["requestBody"] = {"required": True, "content": content}
    return found


def _places(operation: Operation) -> list[Json]:
    integer = {"type": "integer", "minimum": 0, "maximum": LARGEST}
    return [
        {
            "name": place["name"],
            "in": "path",
            "required": True,
            "schema": integer if place["kind"] else {"type": "string", "minLength": 1, "pattern": "^[^/]+$"},
        }
        for place in _PLACE.finditer(operation.path)
    ]


def _query(operation: Operation) -> list[Json]:
    if operation.query is None:
        return []
    _, components = msgspec.json.schema_components([operation.query])
    shape = components[operation.query.__name__]
    required = shape.get("required", [])
    return [
        {"name": name, "in": "query", "required": name in required, "schema": schema}
        for name, schema in shape["properties"].items()
    ]


def _headers(operation: Operation) -> list[Json]:
    found = [
        {"name": name, "in": "header", "required": False, "description": about, "schema": {"type": "string"}}
        for name, about in operation.headers.items()
    ]
    if operation.method == "POST":
        about = "New for each order; the same again is the same order, and its answer comes again."
        schema = {"type": "string", "pattern": "^[!-~]{1,64}$", "minLength": 1, "maxLength": 64}
        found.append({"name": KEY, "in": "header", "required": True, "description": about, "schema": schema})
    return found


def _responses(operation: Operation, schemas: dict[str, Json]) -> Json:
    good: Json = {
        "description": "put in; not done yet" if operation.status == 202 else "as described",
        "content": {operation.media: {"schema": schemas[repr(operation.answer)]}},
    }
    if operation.also:
        good["content"][operation.also] = {"schema": {"type": "string"}}
    if operation.status == 202:
        good["headers"] = {"Location": {"description": "where its outcome is", "schema": {"type": "string"}}}
    found: Json = {str(operation.status): good}
    if operation.method == "GET" and operation.media == "application/json":
        found["304"] = {"description": "as If-None-Match says"}
    problems = [*EVERY, *operation.errors, *([413, 507] if operation.body is not None else [])]
    for status in sorted(set(problems)):
        content = {MEDIA: {"schema": {"$ref": "#/components/schemas/Problem"}}}
        found[str(status)] = {"description": HTTPStatus(status).phrase, "content": content}
    return found
