"""The register of dogs: found by any spelling, changed by orders, owners for managers, sightings that are no track."""

from typing import TYPE_CHECKING

import pytest
from sqlalchemy.orm import Session

from dashboard.places import owners
from dashboard.places.owners import Owner
from hub.devices.kennel import LOST, OVERDUE, VACCINATED

if TYPE_CHECKING:
    from dashboard.office import Office
    from tests.dashboard.conftest import Browser, Field, ListHistory

NOW = 1_760_000_000_000  # 2025-10-09
HOUR, DAY = 3_600_000, 86_400_000
CHIP, OTHER = "999123456789012", "156000000000101"
SPELLINGS = ["999123456789012", "999.123.456.789.012", "3E7.1CBE991A14", "8000F9DCBE991A14", "2858997D3B9F0001"]


@pytest.fixture
def kennel(field: "Field", office: "Office") -> "Field":
    """Two dogs; one has an owner and an old certificate, the other is lost."""
    field.all_well()
    field.put("entry", list="dogs", id=CHIP, note="Doudou, corgi")
    field.put("entry", list="dogs", id=OTHER, note="Wangcai")
    field.put("entry", list=VACCINATED, id=CHIP, note="2025-10-01")
    field.put("entry", list=OVERDUE, id=CHIP)
    field.put("entry", list=LOST, id=OTHER, note="north gate")
    with Session(office.users) as db, db.begin():
        owners.put_all(db, [(CHIP, Owner("Owner Li", "13800000000"))])
    return field


def orders(field: "Field") -> list[tuple[str, str, str]]:
    """What the hub was told."""
    return [(order["kind"], order["target"], order["text"]) for order in field.orders()]


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_a_dog_is_found_by_each_spelling(spelling: str, kennel: "Field", admin: "Browser") -> None:
    """Decimal, in groups, dot-hex, left-64 and right-64 are the same chip."""
    page = admin.client.get("/dogs", query_string={"q": spelling}).text
    assert f'id="dog-{CHIP}"' in page
    assert f'id="dog-{OTHER}"' not in page


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_a_dog_is_registered_by_each_spelling(spelling: str, field: "Field", admin: "Browser") -> None:
    """The register holds its 15 digits; a certificate that is over goes on the hub's list at once."""
    field.all_well()
    form = {"chip": spelling, "note": "Doudou", "until": "2025-10-08", "owner": "Li", "fresh": "yes"}
    assert admin.post("/dogs", **form).headers["Location"] == f"/dogs/{CHIP}"
    assert orders(field) == [
        ("list-add", "dogs", f"{CHIP} Doudou"),
        ("list-add", VACCINATED, f"{CHIP} 2025-10-08"),
        ("list-add", OVERDUE, CHIP),
    ]


def test_a_mistyped_number_is_refused_with_what_is_wrong(field: "Field", admin: "Browser") -> None:
    """What was typed stays in the form, and nothing is stored."""
    field.all_well()
    answer = admin.post("/dogs", chip="15600000000010", note="D", until="2025-02-30", phone="abc", fresh="yes")
    assert answer.status_code == 400
    for words in ("a chip number has 15 digits, here are 14", "should be a day", "telephone", 'value="15600000000010"'):
        assert words in answer.text
    assert orders(field) == []


def test_a_change_orders_only_what_changes(kennel: "Field", admin: "Browser", office: "Office") -> None:
    """A new certificate takes the dog off the list of the overdue; the same form again changes nothing."""
    admin.post("/dogs", chip=CHIP, note="Doudou, corgi", until="2026-10-01", owner="Wang", phone="139")
    assert orders(kennel) == [("list-add", VACCINATED, f"{CHIP} 2026-10-01"), ("list-remove", OVERDUE, CHIP)]
    assert owners.owners(office.users)[CHIP] == Owner("Wang", "139")
    kennel.put("entry", list=VACCINATED, id=CHIP, note="2026-10-01")
    kennel.db.execute("DELETE FROM entry WHERE list = ?", (OVERDUE,))
    admin.post("/dogs", chip=CHIP, note="Doudou, corgi", until="2026-10-01", owner="Wang", phone="139")
    assert len(orders(kennel)) == 2


def test_lost_found_and_removed(kennel: "Field", admin: "Browser", office: "Office") -> None:
    """Each is an order; who takes a dog off the register forgets its owner, and it goes off all lists."""
    admin.post(f"/dogs/{CHIP}/lost", text="east gate,\n 8 pm")
    admin.post(f"/dogs/{OTHER}/found")
    admin.post(f"/dogs/{CHIP}/remove")
    assert orders(kennel) == [
        ("list-add", LOST, f"{CHIP} east gate, 8 pm"),
        ("list-remove", LOST, OTHER),
        ("list-remove", "dogs", CHIP),
        ("list-remove", VACCINATED, CHIP),
        ("list-remove", OVERDUE, CHIP),
    ]
    assert CHIP not in owners.owners(office.users)
    assert admin.post("/dogs/156000000000999/lost").status_code == 404


@pytest.mark.parametrize("role", ["viewer", "guard", "manager"])
def test_owners_are_for_managers(role: str, kennel: "Field", browser: "Browser") -> None:
    """Nobody else finds a name, in the list, on the dog's page, by searching or in a file; nor changes anything."""
    browser.enter(role)
    pages = [browser.client.get(path).text for path in ("/dogs", f"/dogs/{CHIP}")]
    found = browser.client.get("/dogs", query_string={"q": "Owner Li"}).text
    sees = role == "manager"
    assert [("Owner Li" in page) for page in pages] == [sees, sees]
    assert (f'id="dog-{CHIP}"' in found) is sees
    for path in ("/dogs/new", f"/dogs/{CHIP}/edit", "/dogs/export.csv", "/dogs/import"):
        assert browser.client.get(path).status_code == (200 if sees else 403)
    assert browser.post(f"/dogs/{CHIP}/lost").status_code == (302 if sees else 403)


def test_where_a_dog_was_is_no_track(kennel: "Field", admin: "Browser", history: "ListHistory") -> None:
    """Of a dog at home one time a place; of a lost one each; nothing older than 30 days; strangers apart."""
    for chip in (CHIP, OTHER, "156000000000977"):
        for hours in (1, 2, 3):
            history.happen("chip-north", "chip", NOW - hours * HOUR, chip)
        history.happen("chip-east", "chip", NOW - 31 * DAY, chip)
    home, lost = (admin.client.get(f"/dogs/{chip}").text for chip in (CHIP, OTHER))
    assert ("15:53:20" in home, "14:53:20" in home, "13:53:20" in home) == (True, False, False)
    assert ("15:53:20" in lost, "14:53:20" in lost, "13:53:20" in lost) == (True, True, True)
    assert "East gate" not in home + lost
    page = admin.client.get("/dogs").text
    assert "156.000.000.000.977" in page.partition('id="strangers"')[2]
    assert page.count(">15:53:20<") == 3
    assert "14:53:20" not in page


def test_vaccinations_due_are_shown_first(kennel: "Field", admin: "Browser") -> None:
    """Overdue before due before good; what nobody knows is said to be not known."""
    kennel.put("entry", list="dogs", id="156000000000118", note="Xueqiu")
    kennel.put("entry", list=VACCINATED, id="156000000000118", note="2025-11-01")
    page = admin.client.get("/dogs?show=due").text
    assert "vaccination overdue" in page
    assert "vaccination due soon" in page
    assert f'id="dog-{OTHER}"' not in page
    assert "vaccination not known" in admin.client.get("/dogs").text


def test_hostile_notes_are_text(kennel: "Field", admin: "Browser") -> None:
    """A name that looks like HTML is shown as it is."""
    kennel.put("entry", list="dogs", id=CHIP, note="<script>alert(1)</script>")
    for path in ("/dogs", f"/dogs/{CHIP}", f"/dogs/{CHIP}/edit"):
        assert "<script>alert" not in admin.client.get(path).text
