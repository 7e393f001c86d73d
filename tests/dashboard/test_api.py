"""The API's promises: one document of all routes, problems that name what is right, orders once, gates shut."""

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]  # ships no types
from sqlalchemy import text

from dashboard.access import clients
from dashboard.access.roles import SCOPES
from dashboard.api.contract import OPERATIONS, PREFIX
from dashboard.asgi import STREAMS

if TYPE_CHECKING:
    from flask import Flask

    from dashboard.office import Office
    from tests.dashboard.conftest import Browser, Field, ListHistory, StillClock

Program = Callable[..., Any]  # Any: the JSON of its answers has no type

DUTY = """
[[person]]
id = "p1"
name = "甲"
[person.address]
log = "13800000000"
[[shift]]
id = "day"
name = { zh = "白班", en = "Day shift" }
role = "guard"
hours = "00:00-24:00"
people = ["p1"]
"""


@pytest.fixture
def program(app: "Flask", office: "Office", clock: "StillClock") -> Program:
    """Makes a program with these scopes: a client that sends its token, and a new key with each order."""

    def make(*scopes: str) -> Any:
        client: Any = app.test_client()
        token = clients.make(office.users, "-".join(scopes), scopes, "admin", clock.at)
        client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {token}"
        return client

    return make


def order(client: Any, path: str, key: str = "k1", **body: object) -> Any:
    """Ask for something to be done."""
    return client.post(f"{PREFIX}{path}", json=body, headers={"Idempotency-Key": key})


def test_every_route_stands_in_the_document_and_back(app: "Flask", admin: "Browser") -> None:
    """With its method; the stream too, which another part of the office answers."""
    document = admin.client.get(f"{PREFIX}/openapi.json").json
    said = {(path, method.upper()) for path, item in document["paths"].items() for method in item}
    real = {
        (re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule.removeprefix(PREFIX)), method)
        for rule in app.url_map.iter_rules()
        if rule.rule.startswith("/api/")
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    assert said - real == {(STREAMS[1].removeprefix(PREFIX), "GET")}
    assert real <= said
    assert document["openapi"].startswith("3.1")


def test_the_document_says_what_the_code_wants(app: "Flask", admin: "Browser") -> None:
    """Its schemas are schemas; its scopes are those whose tokens the view lets in."""
    document = admin.client.get(f"{PREFIX}/openapi.json").json
    for schema in document["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)
    for operation in OPERATIONS:
        path = re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", operation.path)
        said = document["paths"][path][operation.method.lower()]["security"]
        assert {scope for one in said for scope in one.get("token", [])} == {
            name for name, grants in SCOPES.items() if operation.needs in grants
        }
        view: Any = app.view_functions.get(f"api.{operation.name}")  # Any: the mark is an attribute of a function
        assert view is None or view.permission is operation.needs


@pytest.mark.parametrize(
    ("path", "name", "right"),
    [
        ("/alarms?limit=0", "limit", "how many a page, 1 to 200"),
        ("/alarms?limt=5", "limt", 'did you mean "limit"?'),
        ("/alarms?state=opn", "state", "one of , closed, open"),
        ("/alarms?limit=1&limit=2", "limit", "give it once"),
        ("/alarms?cursor=x", "cursor", "as it stands in `next`"),
        ("/devices/noise-east/series?quantity=laq", "quantity", 'did you mean "laeq"?'),
        (
            "/devices/noise-east/series?quantity=laeq&from=2026-01-01&range=1h",
            "from",
            "range, or since and until, or from and to",
        ),
        ("/devices/noise-est", "name", 'did you mean "noise-east"?'),
        ("/zones?x=1", "x", "this address takes none"),
    ],
)
def test_a_problem_names_the_parameter_and_what_is_right(
    path: str, name: str, right: str, admin: "Browser", field: "Field"
) -> None:
    """RFC 9457, with its own media type."""
    field.all_well()
    answer = admin.client.get(PREFIX + path)
    assert answer.status_code in (400, 404, 422)
    assert answer.mimetype == "application/problem+json"
    assert answer.json["status"] == answer.status_code
    assert answer.json["parameter"]["name"] == name
    assert answer.json["right"] == right


def test_pages_by_cursor_miss_nothing_and_repeat_nothing(admin: "Browser", field: "Field") -> None:
    """Also when alarms of one instant meet the end of a page, and new ones come meanwhile."""
    field.all_well()
    wanted = [field.alarm("gate-held", "gate-east", occurrence=at, raised=at // 4) for at in range(30)]
    found, address = [], f"{PREFIX}/alarms?limit=7&rule=gate-held"
    while address:
        page = admin.client.get(address).json
        found += [alarm["id"] for alarm in page["alarms"]]
        field.alarm("gate-held", "gate-east", occurrence=100 + len(found), raised=10_000 + len(found))
        address = page["next"]
    assert found == sorted(wanted, reverse=True)


def test_an_alarm_with_its_timeline(admin: "Browser", field: "Field") -> None:
    """What happened, in order, and what to do."""
    field.all_well()
    number = field.alarm("gate-held", "gate-east")
    field.flip(number, "comment", actor="lin", note="a van")
    found = admin.client.get(f"{PREFIX}/alarms/{number}").json
    assert [line["event"] for line in found["timeline"]] == ["raised", "comment"]
    assert found["alarm"]["title"]["zh"]
    assert admin.client.get(f"{PREFIX}/alarms/999").status_code == 404


def test_an_order_is_put_in_and_its_outcome_told(program: Program, field: "Field", office: "Office") -> None:
    """202 and an address; the occurrence that was seen is named; who asked stands in the audit trail."""
    field.all_well()
    number, guard = field.alarm("gate-held", "gate-east", occurrence=3), program("acknowledge")
    answer = order(guard, f"/alarms/{number}/ack", text="seen")
    assert answer.status_code == 202
    (row,) = field.orders()
    assert (row["kind"], row["occurrence"], row["actor"], row["text"]) == ("ack", 3, "api:acknowledge", "seen")
    assert guard.get(answer.headers["Location"]).json["state"] == "requested"
    field.db.execute("UPDATE orders SET state = 'refused', outcome = 'occurrence-over', ended = 5")
    assert guard.get(answer.headers["Location"]).json["outcome"] == "occurrence-over"
    with office.users.connect() as db:
        assert db.execute(text("SELECT count(*) FROM audit WHERE event = 'ack'")).scalar() == 1


def test_the_same_key_is_the_same_order(program: Program, field: "Field", office: "Office") -> None:
    """A program that does not know whether it was heard may ask again; one key for two orders is refused."""
    field.all_well()
    number, guard = field.alarm("gate-held", "gate-east"), program("acknowledge")
    first, again = (order(guard, f"/alarms/{number}/comment", text="a").json for _ in range(2))
    assert first["id"] == again["id"]
    other = order(guard, f"/alarms/{number}/comment", text="b")
    assert other.status_code == 422
    assert other.json["parameter"] == {"place": "header", "name": "Idempotency-Key"}
    assert order(guard, f"/alarms/{number}/comment", key="k2", text="b").json["id"] != first["id"]
    assert order(program("acknowledge", "read"), f"/alarms/{number}/comment", text="b").status_code == 202
    assert len(field.orders()) == 3
    assert order(guard, f"/alarms/{number}/comment", key="", text="b").status_code == 400
    with office.users.connect() as db:
        assert db.execute(text("SELECT count(*) FROM audit WHERE event = 'comment'")).scalar() == 3


def test_a_gate_is_not_moved_by_any_token(program: Program, field: "Field") -> None:
    """A program types no password: what a person is asked twice for needs the scope `gates`."""
    field.all_well()
    refused = order(program("command"), "/devices/gate-east/commands/open", text="van")
    assert refused.status_code == 403
    assert refused.json["right"] == "a token with the scope gates"
    assert field.orders() == []
    assert order(program("gates"), "/devices/gate-east/commands/open", text="van").status_code == 202
    (row,) = field.orders()
    assert (row["kind"], row["target"], row["command"], row["text"]) == ("command", "gate-east", "open", "van")
    assert row["expires"] - row["issued"] <= 10_000
    unknown = order(program("gates", "read"), "/devices/gate-east/commands/opne", text="van")
    assert unknown.json["right"] == 'did you mean "open"?'


def test_a_session_gives_form_token_and_fresh_password(admin: "Browser", field: "Field", clock: "StillClock") -> None:
    """As on the page: a write without X-CSRFToken is refused, and a gate five minutes after the password, too."""
    field.all_well()
    path = "/devices/gate-east/commands/open"
    refused = order(admin.client, path, text="van")
    assert (refused.status_code, refused.json["parameter"]["name"]) == (400, "X-CSRFToken")
    admin.client.environ_base["HTTP_X_CSRFTOKEN"] = admin.client.get(f"{PREFIX}/me").json["csrf_token"]
    assert order(admin.client, path, text="van").status_code == 202
    clock.at += 6 * 60_000
    field.all_well(clock.at)
    assert order(admin.client, path, key="k2", text="van").status_code == 403
    assert len(field.orders()) == 1


def test_p1_is_not_shelved(program: Program, field: "Field") -> None:
    """And nothing for longer than its priority allows."""
    field.all_well()
    grave, light = (field.alarm("gate-held", "gate-east", severity=p, key=p) for p in ("P1", "P3"))
    commander = program("command")
    assert order(commander, f"/alarms/{grave}/shelve", seconds=600, text="drill").json["right"] == (
        "P1 cannot be shelved"
    )
    assert order(commander, f"/alarms/{light}/shelve", seconds=600, text="drill").status_code == 202
    assert order(program("acknowledge"), f"/alarms/{light}/shelve", seconds=600, text="drill").status_code == 403


def test_what_is_not_json_is_refused(program: Program, field: "Field") -> None:
    """By its media type, by its form, by each field, and by its length."""
    field.all_well()
    guard, path = program("acknowledge"), f"{PREFIX}/alarms/{field.alarm('gate-held', 'gate-east')}/comment"
    key = {"Idempotency-Key": "k"}
    assert guard.post(path, data="text=a", headers=key).status_code == 415
    assert guard.post(path, data="{", content_type="application/json", headers=key).status_code == 400
    assert guard.post(path, json=[], headers=key).status_code == 400
    assert guard.post(path, json={"text": 5}, headers=key).json["parameter"] == {"place": "body", "name": "text"}
    assert guard.post(path, json={"text": "x" * 70_000}, headers=key).status_code == 413
    assert field.orders() == []


def test_a_series_by_since_until_and_step(admin: "Browser", field: "Field", history: "ListHistory", clock: "StillClock") -> None:  # noqa: E501  # fmt: skip
    """One point a step, nothing beyond the end, and not more than 2,000 points."""
    field.all_well()
    history.kept = [("noise-east", "laeq", clock.at - 7_200_000 + at * 60_000, 50.0 + at) for at in range(10)]
    field.read("noise-east", "laeq", 80.0, clock.at)
    path = f"{PREFIX}/devices/noise-east/series?quantity=laeq"
    begin = clock.at - 7_200_000
    found = admin.client.get(f"{path}&since={begin}&until={begin + 600_000}&step=60000").json
    assert [value for value in found["mean"] if value is not None] == [50.0 + at for at in range(10)]
    assert admin.client.get(f"{path}&range=24h&step=1000").json["parameter"]["name"] == "step"
    assert admin.client.get(f"{path}&since={begin}").json["parameter"]["name"] == "since"


def test_what_has_not_changed_is_not_sent_again(admin: "Browser", field: "Field") -> None:
    """By ETag; and nothing on the way may store it."""
    field.all_well()
    first = admin.client.get(f"{PREFIX}/zones")
    assert first.headers["Cache-Control"] == "no-store"
    again = admin.client.get(f"{PREFIX}/zones", headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.data) == (304, b"")


def test_who_asks_and_who_may_not(app: "Flask", program: Program, field: "Field") -> None:
    """401 says how to be known, 403 says which scope is missing, 405 which methods there are."""
    field.all_well()
    nobody = app.test_client().post(f"{PREFIX}/alarms/1/ack")
    assert (nobody.status_code, nobody.headers["WWW-Authenticate"]) == (401, "Bearer")
    reader = program("read")
    assert reader.get(f"{PREFIX}/me").json["permissions"] == ["review", "see"]
    assert order(reader, "/alarms/1/ack").json["right"] == "a token with a scope of acknowledge"
    assert set(reader.put(f"{PREFIX}/alarms").headers["Allow"].split(", ")) == {"GET", "HEAD", "OPTIONS"}


def test_orders_of_other_kinds_are_not_told(admin: "Browser", field: "Field") -> None:
    """What people put on lists stays there."""
    field.all_well()
    assert admin.client.get(f"{PREFIX}/orders/{field.order('list-add', 'dogs')}").status_code == 404
    assert admin.client.get(f"{PREFIX}/orders/{field.order('ack', 'x')}").status_code == 200


def test_no_passage_tells_who(admin: "Browser", field: "Field") -> None:
    """Of a passage neither credential nor direction."""
    field.all_well()
    field.read("gate-east", "passage", "granted", credential="c-7f3a")
    for path in ("/devices", "/devices/gate-east", "/now"):
        assert "c-7f3a" not in admin.client.get(PREFIX + path).text


def test_a_meter_that_nobody_hears_has_no_level(admin: "Browser", field: "Field") -> None:
    """The last one that it said is not the level now."""
    field.all_well()
    field.read("noise-east", "laeq", 70.0)

    def meter() -> Any:
        return next(one for one in admin.client.get(f"{PREFIX}/noise").json["meters"] if one["device"] == "noise-east")

    assert (meter()["laeq_db"], meter()["over"]) == (70.0, True)
    field.health("noise-east", "silent")
    assert (meter()["laeq_db"], meter()["over"]) == (None, None)


def test_incidents_and_duty(admin: "Browser", field: "Field", office: "Office") -> None:
    """Newest first with their log; who is on duty by name, without telephone numbers."""
    field.all_well()
    for at in range(3):
        field.put("incident", key=f"a{at}", occurrence=1, severity="P1", opened=at, state="new", since=at)
    field.put("incident_log", incident=3, at=5, event="opened", state="new")
    page = admin.client.get(f"{PREFIX}/incidents?limit=2").json
    rest = admin.client.get(page["next"]).json
    assert [one["id"] for one in (*page["incidents"], *rest["incidents"])] == [3, 2, 1]
    assert admin.client.get(f"{PREFIX}/incidents/3").json["log"][0]["event"] == "opened"
    assert admin.client.get(f"{PREFIX}/duty/now").json["roster"] is False
    (office.data / "duty.toml").write_text(DUTY)
    found = admin.client.get(f"{PREFIX}/duty/now")
    assert [post["name"] for post in found.json["posts"]] == ["甲"]
    assert "138" not in found.text
    (office.data / "duty.toml").write_text(DUTY.replace("guard", "3 +"))
    assert "shift[0].role" in admin.client.get(f"{PREFIX}/duty/now").json["detail"]
