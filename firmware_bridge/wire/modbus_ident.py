"""Who a Modbus device says that it is: the objects of function 43/14, page by page, decoded (V1.1b3, 6.21).

Sans I/O: `Identification.question` is what to ask next, `take` is told the checked answer. It asks nobody itself.
"""

from enum import IntEnum

import msgspec

from firmware_bridge.raw import Registers, Trouble
from firmware_bridge.wire.modbus_pdu import Request
from hub.reading import FaultKind

NAMES = {
    0: "vendor",
    1: "product_code",
    2: "revision",
    3: "vendor_url",
    4: "product_name",
    5: "model_name",
    6: "application_name",
}
_MOST_PAGES = 32  # a device that goes on for ever is not believed
_LAST_OBJECT = 0xFF


class Level(IntEnum):
    """How much is asked for: objects 0 to 2, to 6, to 255, or one by its number."""

    BASIC = 1
    REGULAR = 2
    EXTENDED = 3
    ONE = 4


class Page(msgspec.Struct, frozen=True):
    """One answer. `conformity` is the device's own level (+ 0x80: it gives single objects too).

    `following`: object number to go on with; None when this was all. `objects`: number -> bytes.
    """

    conformity: int
    following: int | None
    objects: dict[int, bytes]


def page(answer: Registers) -> Page:
    """The objects in a checked answer to `Request.identify`. A number that comes twice keeps its first bytes."""
    _, conformity, more, following, count = answer.data[:5]
    objects: dict[int, bytes] = {}
    at = 5
    for _ in range(count):
        number, size = answer.data[at : at + 2]
        objects.setdefault(number, answer.data[at + 2 : at + 2 + size])
        at += 2 + size
    return Page(conformity, following if more else None, objects)


class Identification:
    """Asks one unit for all objects of a level. `trouble` is why it ended early; what came before stays."""

    def __init__(self, unit: int, level: Level = Level.BASIC, first: int = 0) -> None:
        """`first` is the object asked for by `Level.ONE`."""
        self.unit, self.level = unit, level
        self.objects: dict[int, bytes] = {}
        self.trouble: Trouble | None = None
        self._pages = 0
        self.question: Request | None = Request.identify(unit, level, first)

    def take(self, answer: Registers | Trouble) -> None:
        """The checked answer to `question`, which then is the next one, or None when all is told."""
        asked, self.question = self.question, None
        if isinstance(answer, Trouble):
            self.trouble = answer
            return
        told = page(answer)
        self.objects |= told.objects
        self._pages += 1
        if told.following is None or self.level is Level.ONE or asked is None:
            return
        if not asked.address < told.following <= _LAST_OBJECT or self._pages >= _MOST_PAGES:
            detail = f"after object {asked.address} the device wants to go on with {told.following}, without end"
            self.trouble = Trouble(FaultKind.MISMATCH, detail, answer.data)
            return
        self.question = Request.identify(self.unit, self.level, told.following)

    @property
    def texts(self) -> dict[str, str]:
        """By name (`vendor`, `product_code`, `revision` ...; `object_128` for private ones), as text for people."""
        return {NAMES.get(number, f"object_{number}"): _text(data) for number, data in sorted(self.objects.items())}


def _text(data: bytes) -> str:
    """ASCII by the standard, UTF-8 or GBK by many a maker; what cannot be shown is a question mark."""
    data = data.rstrip(b"\0 ")
    for encoding in ("utf-8", "gb18030"):
        try:
            text = data.decode(encoding)
        except UnicodeDecodeError:
            continue
        return "".join(letter if letter.isprintable() else "?" for letter in text)
    return data.decode("ascii", "replace").replace("\N{REPLACEMENT CHARACTER}", "?")
