"""Device identification, function 43/14: pages, devices that go on for ever, and names as makers write them."""

import json
from pathlib import Path

import pytest

from firmware_bridge.raw import Registers, Trouble
from firmware_bridge.wire.modbus import Identification, Level, Request, crc16, page, read_rtu
from hub.reading import FaultKind

DEVICE_ID = json.loads((Path(__file__).parents[1] / "vectors" / "modbus.json").read_text())["device_id"]


def answer(request: Request, objects: dict[int, bytes], following: int | None = None) -> Registers | Trouble:
    """A device's answer, through the reader of RTU frames."""
    told = b"".join(bytes([number, len(data)]) + data for number, data in objects.items())
    more = b"\x00\x00" if following is None else bytes([0xFF, following])
    body = bytes([request.unit, 43, 14, request.value, 0x82]) + more + bytes([len(objects)]) + told
    said = read_rtu(request, body + crc16(body))
    assert said is not None
    return said


def question(asked: Identification) -> Request:
    """What it asks next."""
    assert asked.question is not None
    return asked.question


def test_the_published_answer() -> None:
    """A published identification: three objects, nothing follows."""
    asked = Identification(1)
    assert question(asked).pdu == bytes.fromhex(DEVICE_ID["request_pdu"])
    body = b"\x01" + bytes.fromhex(DEVICE_ID["response_pdu"])
    said = read_rtu(question(asked), body + crc16(body))
    assert isinstance(said, Registers)
    assert (page(said).conformity, page(said).following) == (0x83, None)
    asked.take(said)
    assert asked.question is None
    assert {str(number): text.decode() for number, text in asked.objects.items()} == DEVICE_ID["objects"]
    assert asked.texts == {"vendor": "Company", "product_code": "Product", "revision": "v2.1.12"}


def test_more_follows() -> None:
    """The next question begins with the object that the device names; the pages are put together."""
    asked = Identification(9, Level.REGULAR)
    assert question(asked) == Request.identify(9, 2, 0)
    asked.take(answer(question(asked), {0: b"a", 1: b"b"}, following=4))
    assert question(asked) == Request.identify(9, 2, 4)
    asked.take(answer(question(asked), {4: b"c", 0x80: b"\xff\xfe"}))
    assert (asked.question, asked.trouble) == (None, None)
    assert asked.objects == {0: b"a", 1: b"b", 4: b"c", 0x80: b"\xff\xfe"}
    assert list(asked.texts) == ["vendor", "product_code", "product_name", "object_128"]


@pytest.mark.parametrize("following", [0, 3])
def test_a_device_that_goes_round_in_circles(following: int) -> None:
    """'More follows' that does not go on is an end, and a fault; what came stays."""
    asked = Identification(1, Level.REGULAR, first=3)
    asked.take(answer(question(asked), {3: b"x"}, following))
    assert asked.question is None
    assert asked.trouble is not None
    assert asked.trouble.kind is FaultKind.MISMATCH
    assert asked.objects == {3: b"x"}


def test_a_device_that_never_ends() -> None:
    """One object a page for 255 pages is not believed: 32 are."""
    asked, pages = Identification(1, Level.EXTENDED), 0
    while asked.question:
        asked.take(answer(question(asked), {question(asked).address: b"x"}, question(asked).address + 1))
        pages += 1
    assert pages == 32
    assert asked.trouble is not None


def test_a_device_that_does_not_know_it() -> None:
    """A refusal or silence ends it, and is kept by its own name."""
    asked = Identification(1)
    asked.take(Trouble(FaultKind.REFUSED, "exception 01: illegal function"))
    assert (asked.question, asked.objects) == (None, {})
    assert asked.trouble == Trouble(FaultKind.REFUSED, "exception 01: illegal function")


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b"Zhian\0\0", "Zhian"),
        ("智安".encode(), "智安"),
        ("智安".encode("gb18030"), "智安"),
        (b"a\nb", "a?b"),
        (b"\xff\xff", "??"),
    ],
)
def test_names_for_people(raw: bytes, text: str) -> None:
    """ASCII, UTF-8 and GBK; what cannot be shown is a question mark, and never an exception."""
    asked = Identification(1, Level.ONE, 0)
    asked.take(answer(question(asked), {0: raw}))
    assert asked.texts == {"vendor": text}


def test_an_object_twice() -> None:
    """The first word counts."""
    data = bytes.fromhex("01 82 00 00 02 00 01 41 00 01 42")
    assert page(Registers("identification", 0, 2, data)).objects == {0: b"A"}
