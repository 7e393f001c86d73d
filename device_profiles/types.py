"""What a profile file may say, as frozen structs; the JSON Schema for editors is generated from them.

Data says where a value stands on the wire; the named codecs of `firmware_bridge/wire` say how it is read.
Hexadecimal strings may hold blanks: "01 03 00 00".
"""

from typing import Annotated, ClassVar, Literal, TypeAlias, get_args

import msgspec
from msgspec import Meta

from hub.reading import FaultKind, Label, Value

Seconds: TypeAlias = Annotated[float, Meta(ge=0.0)]
Positive: TypeAlias = Annotated[float, Meta(gt=0.0)]
Unit: TypeAlias = Annotated[
    int, Meta(ge=1, le=247)
]  # 0 is broadcast, 248 to 255 are reserved (Modbus over serial line V1.02, 2.2)
Address: TypeAlias = Annotated[int, Meta(ge=0, le=0xFFFF)]
Baud: TypeAlias = Annotated[int, Meta(ge=1)]
Table: TypeAlias = Literal["coil", "discrete", "holding", "input"]
Raw: TypeAlias = int | str | bool
Bits: TypeAlias = tuple[Annotated[int, Meta(ge=0, le=63)], Annotated[int, Meta(ge=0, le=63)]]
Word: TypeAlias = Annotated[int, Meta(ge=0, le=0xFFFF)]
Channels: TypeAlias = Annotated[int, Meta(ge=1, le=64)]

TABLES: tuple[Table, ...] = get_args(Table)
BIT_TABLES = frozenset({"coil", "discrete"})
_BYTES = {"u8": 1, "i8": 1, "u16": 2, "i16": 2, "u32": 4, "i32": 4, "f32": 4, "u64": 8, "i64": 8, "f64": 8}
_BYTES |= {"bcd16": 2, "bcd32": 4}


def shifted(bits: Bits, n: int) -> Bits:
    """The n-th bits of the same width behind these."""
    first, last = bits
    width = last - first + 1
    return first + n * width, last + n * width


class _Strict(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base: immutable, by keyword, and a key that we do not know is refused."""


# --- [link]: what a site may override for one device ---------------------------------------------------------


class ModbusLink(_Strict, frozen=True, kw_only=True, tag_field="kind", tag="modbus"):
    """A unit that is asked. Times in seconds; `silent_after` = so long without a good answer is silence.

    `latency` = how long the device usually thinks before it answers: read plan and load of the line count with it.
    """

    unit: Unit = 1
    baud: Baud = 9600
    parity: Literal["N", "E", "O"] = "N"
    stop_bits: Literal[1, 2] = 1
    every: Positive = 1.0
    timeout: Positive = 0.5
    latency: Positive = 0.02
    silent_after: Positive = 10.0


class SerialLink(_Strict, frozen=True, kw_only=True, tag_field="kind", tag="serial"):
    """A device that speaks by itself. `silent_after` 0 = silent by nature, as a chip reader is."""

    baud: int = 9600
    parity: Literal["N", "E", "O"] = "N"
    stop_bits: Literal[1, 2] = 1
    silent_after: Seconds = 0.0
    address: Annotated[int, Meta(ge=0, le=0xFFFF)] | None = None  # where the profile's [frame] has one
    debounce: Seconds = 3.0  # of events: a tag that lies in the field is one event


class MqttLink(_Strict, frozen=True, kw_only=True, tag_field="kind", tag="mqtt"):
    """Topics may hold {site} and {device}. An empty `alive` topic: the device sets no last will."""

    topic: str = "{site}/{device}/up"
    orders: str = "{site}/{device}/do"
    alive: str = "{site}/{device}/alive"
    online: str = "online"
    offline: str = "offline"
    silent_after: Seconds = 90.0
    debounce: Seconds = 0.0  # of events, for a chip reader: two passages with one card are two


LinkOptions: TypeAlias = ModbusLink | SerialLink | MqttLink


# --- [reading.<quantity>]: where the value stands -------------------------------------------------------------


class _Field(_Strict, frozen=True, kw_only=True):
    """Common to all: value = raw x scale + offset, in `unit`, which restates the vocabulary's."""

    unit: str = ""
    scale: float = 1.0
    offset: float = 0.0
    range: tuple[float, float] | None = None  # narrower than the vocabulary's where the maker states it
    rolls_over: Positive | None = None  # of a counter: the value, in `unit`, at which it is 0 again
    choices: dict[str, list[Raw]] = {}  # our state -> the device's words for it
    absent: list[Raw] = []  # the device's words for "no value"


class RegisterField(_Field, frozen=True, kw_only=True):
    """In Modbus registers from `address`; `byte` skips bytes inside them; `count` n makes relay_1 ... relay_n.

    `bits` = [first, last] of an unsigned number, 0 the lowest; `length` = bytes of a text; bcd = a digit in four bits.
    """

    table: Table = "holding"
    address: Address
    type: Literal[
        "u8", "i8", "u16", "i16", "u32", "i32", "u64", "i64", "f32", "f64", "bit", "bcd16", "bcd32", "text"
    ] = "u16"
    order: Literal["ABCD", "CDAB", "BADC", "DCBA"] = "ABCD"
    byte: int = 0
    bits: Bits | None = None
    length: Annotated[int, Meta(ge=0, le=250)] = 0
    count: Channels = 1

    @property
    def width(self) -> int:
        """Bytes of it; 0 for a bit of a coil or discrete table."""
        return self.length if self.type == "text" else _BYTES.get(self.type, 0)

    def channel(self, n: int) -> "RegisterField":
        """Channel `n` of `count`, from 0: the next bits where it has `bits`, else the next address or addresses."""
        if self.bits is not None:
            return msgspec.structs.replace(self, bits=shifted(self.bits, n), count=1)
        return msgspec.structs.replace(self, address=self.address + n * max(1, (self.width + 1) // 2), count=1)

    @property
    def addresses(self) -> range:
        """All that must be read for it: registers, or bits in a coil or discrete table."""
        if self.table in BIT_TABLES or self.type == "bit":
            return range(self.address, self.address + 1 + self.byte // 2)
        return range(self.address, self.address + (self.byte + self.width + 1) // 2)


class HexText(_Strict, frozen=True, kw_only=True):
    """A number written as ASCII hexadecimal digits, `chars` of them from byte `at`."""

    at: int
    chars: int
    digits: Literal["most-significant-first", "least-significant-first"] = "most-significant-first"


class FixedBytes(_Strict, frozen=True, kw_only=True):
    """Bytes that stand at `at` in every frame (negative: from the end); more than one spelling may be right."""

    at: int
    one_of: list[str]


class FrameField(_Field, frozen=True, kw_only=True):
    """In a serial frame, from byte `at` (0 = the frame's first); with `only` just in frames that have these bytes.

    `iso11784` takes `country` and `national` instead; `fdxb` is the 8 bytes of the code, first bit on air lowest, and
    their CRC; `tag` is a tag of another `scheme`, whose digits are `code`.
    """

    type: Literal["u8", "i8", "u16le", "u16be", "i16le", "i16be", "u32le", "u32be", "iso11784", "fdxb", "tag"] = "u8"
    at: int = 0
    country: HexText | None = None
    national: HexText | None = None
    scheme: Literal["em4100", "fdx-a", "trovan"] | None = None
    code: HexText | None = None
    only: FixedBytes | None = None


class JsonField(_Field, frozen=True, kw_only=True):
    """In a JSON message at RFC 6901 `pointer` (default /<quantity>). `detail`: name -> pointer of what goes with it."""

    type: Literal["number", "choice", "text"] = "number"
    pointer: str = ""
    detail: dict[str, str] = {}


# --- [frame]: how a byte stream becomes frames ---------------------------------------------------------------


class FrameLength(_Strict, frozen=True, kw_only=True):
    """The frame's length is written in it: total = number at `at` + `plus`."""

    at: int
    bytes: Literal[1, 2] = 2
    order: Literal["little", "big"] = "little"
    plus: int = 0


class FrameCheck(_Strict, frozen=True, kw_only=True):
    """A checksum by name over bytes [over[0], over[1]), stored at `at`, and its complement at `inverse_at`.

    `hex-xor`: over the bytes that pairs of capital hexadecimal digits stand for, and stored as two such digits.
    """

    sum: Literal["xor", "sum8", "hex-xor"]
    over: tuple[int, int]
    at: int
    inverse_at: int | None = None


class FrameAddress(_Strict, frozen=True, kw_only=True):
    """Where the speaker's address stands in its frames; the site's `address` says which is meant."""

    at: int
    type: Literal["u8", "u16le", "u16be"] = "u8"


class Frame(_Strict, frozen=True, kw_only=True):
    """Start and end mark (hexadecimal), fixed or written length, what must be constant, address, and the checksum."""

    start: str
    end: str = ""
    length: int | FrameLength
    max_length: int = 256
    fixed: list[FixedBytes] = []
    address: FrameAddress | None = None
    check: FrameCheck | None = None


# --- [command.<name>] ----------------------------------------------------------------------------------------


class Duration(_Strict, frozen=True, kw_only=True):
    """The command takes a duration: `per_second` device ticks a second, within [min, max] seconds."""

    min: float
    max: float
    default: float
    per_second: float = 1.0


class Speech(_Strict, frozen=True, kw_only=True):
    """The command takes a text that the device speaks: `key` of its message, at most `most` characters."""

    most: Annotated[int, Meta(ge=8, le=1000)]
    key: str = "text"


class _Command(_Strict, frozen=True, kw_only=True):
    """`confirm`: quantity -> state that proves it, seen within `within` s. `expires`: not sent later than so many s."""

    label: Label
    confirm: dict[str, str]
    within: Positive
    expires: Positive = 10.0
    caution: Literal["none", "ask"] = "ask"  # ask: the page says what will happen and wants a reason
    seconds: Duration | None = None


class ModbusCommand(_Command, frozen=True, kw_only=True):
    """Write a coil (function 5) or register (6): `value`, or the duration's ticks. `count` n: name_1 ... name_n.

    15 and 16 write all `values` from `address` on (16: then the ticks); 22 sets only `bits` = [first, last] to `value`.
    """

    function: Literal[5, 6, 15, 16, 22]
    address: Address
    value: Word = 0
    values: list[Word] = []
    bits: Bits | None = None
    count: Channels = 1

    def channel(self, n: int) -> "ModbusCommand":
        """Channel `n` of `count`, from 0: the next bits where it has `bits`, else behind what the last one writes."""
        confirm = {f"{quantity}_{n + 1}": state for quantity, state in self.confirm.items()}
        if self.bits is not None:
            return msgspec.structs.replace(self, bits=shifted(self.bits, n), count=1, confirm=confirm)
        step = max(1, len(self.values) + (self.function == 16 and self.seconds is not None))
        return msgspec.structs.replace(self, address=self.address + n * step, count=1, confirm=confirm)


class SerialCommand(_Command, frozen=True, kw_only=True):
    """Send these bytes."""

    bytes: str


class MqttCommand(_Command, frozen=True, kw_only=True):
    """Publish this JSON object on the orders topic; the hub adds `id`, `expires` (ms since 1970), `seconds`, a text."""

    payload: dict[str, str | int | float | bool]
    text: Speech | None = None


# --- [[sample]] ----------------------------------------------------------------------------------------------


class Sample(_Strict, frozen=True, kw_only=True):
    """What really crosses the wire, checksums included: `answer` gives `want` or `fault`; or `command` gives `sends`.

    Modbus: `ask` and `answer` are RTU frames (hex). Serial: `answer` is hex. MQTT: `answer` and `sends` are JSON text.
    """

    name: str
    ask: str = ""
    answer: str = ""
    want: dict[str, Value] = {}
    detail: dict[str, str] = {}
    fault: FaultKind | None = None
    command: str = ""
    seconds: float | None = None
    text: str = ""
    sends: str = ""


# --- the file ------------------------------------------------------------------------------------------------


class _Profile(_Strict, frozen=True, kw_only=True):
    """One product. `source`: where the numbers come from, and whether they were seen on a live device."""

    profile: Literal[1]
    id: str
    title: Label
    source: str
    sample: list[Sample]
    caveats: list[Label] = []


class AddressRanges(_Strict, frozen=True, kw_only=True):
    """Addresses by table, as [first, last] ranges, both inclusive."""

    holding: list[tuple[Address, Address]] = []
    input: list[tuple[Address, Address]] = []
    coil: list[tuple[Address, Address]] = []
    discrete: list[tuple[Address, Address]] = []

    def ranges(self, table: Table) -> list[tuple[Address, Address]]:
        """Those of one table."""
        return {"holding": self.holding, "input": self.input, "coil": self.coil, "discrete": self.discrete}[table]

    def addresses(self, table: Table) -> frozenset[int]:
        """Every single address of one table."""
        return frozenset(address for first, last in self.ranges(table) for address in range(first, last + 1))


class ModbusProfile(_Profile, frozen=True, kw_only=True):
    """A product that is asked over Modbus, for `min_registers` to `max_registers` registers at a time.

    `gaps` = what stands between the fields: "unknown" is never read; "readable" may be read where one long read is
    cheaper than two. `forbidden` no read may touch; `read_to_clear` only one that wants it, and once.
    """

    link: ModbusLink
    reading: dict[str, RegisterField]
    command: dict[str, ModbusCommand] = {}
    max_registers: Annotated[int, Meta(ge=1, le=125)] = 125
    min_registers: Annotated[int, Meta(ge=1, le=125)] = 1  # some devices answer so many, whatever they are asked
    gaps: Literal["unknown", "readable"] = "unknown"  # readable only by the maker's table: one bad address refuses all
    forbidden: AddressRanges = AddressRanges()
    read_to_clear: AddressRanges = AddressRanges()
    KIND: ClassVar[str] = "modbus"


class SerialProfile(_Profile, frozen=True, kw_only=True):
    """A product that sends frames on a serial line."""

    link: SerialLink
    frame: Frame
    reading: dict[str, FrameField]
    command: dict[str, SerialCommand] = {}
    KIND: ClassVar[str] = "serial"


class MqttProfile(_Profile, frozen=True, kw_only=True):
    """A product that publishes JSON. `ts`: pointer to its time in ms since 1970, where it sends one.

    `seq` points to the number of the message (one more each time), `boot` to what changes when the device starts anew,
    `ack` to `true` in a message that wants a receipt; empty: it has no such thing. `signed`: how it wants its orders.
    """

    link: MqttLink
    reading: dict[str, JsonField]
    ts: str = "/ts"
    seq: str = ""
    boot: str = ""
    ack: str = ""
    signed: Literal["", "hmac-sha256"] = ""
    command: dict[str, MqttCommand] = {}
    KIND: ClassVar[str] = "mqtt"


Profile: TypeAlias = ModbusProfile | SerialProfile | MqttProfile
PROFILE_OF_LINK: dict[str, type[ModbusProfile] | type[SerialProfile] | type[MqttProfile]] = {
    "modbus": ModbusProfile,
    "serial": SerialProfile,
    "mqtt": MqttProfile,
}


def speech_of(profile: Profile, command: str) -> Speech | None:
    """What a command of this profile says of the text that it takes; None: it takes none, or there is no such."""
    found = profile.command.get(command)
    return found.text if isinstance(found, MqttCommand) else None
