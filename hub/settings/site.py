"""What a site is: zones, links, devices, voices, as frozen structs. `door.py` makes one from `site.toml`."""

from collections.abc import Mapping
from typing import Annotated, Literal, TypeAlias
from zoneinfo import ZoneInfo

from msgspec import Meta, field

from device_profiles.types import Baud, LinkOptions, Profile
from hub.reading import Label
from hub.settings.site_share import HomeAssistant
from hub.settings.site_voice import Severity as Severity
from hub.settings.site_voice import Strict as Strict
from hub.settings.site_voice import Voice as Voice
from hub.settings.site_web import Web

NoiseClass: TypeAlias = Literal["0", "1", "2", "3", "4a", "4b"]


Windows: TypeAlias = str | tuple[str, ...]  # one span of hours, several, or none (the empty text)


class DayHours(Strict, frozen=True, kw_only=True):
    """Hours by the kind of the day. Left out: `holiday` is as `weekend`, `adjusted` (a worked weekend) as `workday`."""

    workday: Windows
    weekend: Windows
    holiday: Windows | None = None
    adjusted: Windows | None = None


class Siren(Strict, frozen=True, kw_only=True):
    """Which device sounds for a zone, by which command, for how long (the device itself ends it)."""

    device: str
    command: str
    seconds: float | None = None


class Zone(Strict, frozen=True, kw_only=True):
    """A place. `at` = (x, y) on the site plan, 0 to 1 from the top left. `closed` = hours when nobody should be there.

    `siren` is what sounds there; `camera` is the address at which a person sees the place, opened by his own browser.
    """

    id: str
    name: Label
    at: tuple[float, float] = (0.5, 0.5)
    noise_class: NoiseClass | None = None
    closed: str | DayHours = ""
    siren: Siren | None = None
    camera: str = ""


class Interlock(Strict, frozen=True, kw_only=True):
    """Gates of which no two are ever open by our orders, as the two doors of an airlock. The fire release overrides."""

    gates: tuple[str, ...]


class Packs(Strict, frozen=True, kw_only=True):
    """Which rule packs the site leaves out (`off`), and its own rule `files` (whole paths)."""

    off: tuple[str, ...] = ()
    files: tuple[str, ...] = ()


Days = Annotated[int, Meta(ge=0, le=36_500)]


class Keep(Strict, frozen=True, kw_only=True):
    """For how many days readings of a quantity stay, and their figures by minute and hour; 0 = for ever."""

    raw_days: Days = 0
    minute_days: Days = 0
    hour_days: Days = 0


class History(Strict, frozen=True, kw_only=True):
    """Where readings are kept for years, and how long. The token stands in a file of mode 0600, never here."""

    store: Literal["duckdb", "influxdb", "victoriametrics"] = "duckdb"
    url: str = ""
    org: str = ""
    bucket: str = ""
    token_file: str = ""
    trace_days: Annotated[int, Meta(ge=1, le=365)] = 30  # passages and chips: PIPL, article 19
    raw_days: Days = 0
    minute_days: Days = 0
    hour_days: Days = 0
    keep: dict[str, Keep] = {}  # by quantity, instead of the three above


class JournalSpace(Strict, frozen=True, kw_only=True):
    """Disk space of the journal in MB (2^20 bytes): what it may fill, and what alarms keep when the disk is full.

    `budget_mb` 0: by the disk's size (hub/journal/reserve.py).
    """

    budget_mb: Annotated[int, Meta(ge=0)] = 0
    reserve_mb: Annotated[int, Meta(ge=4)] = 32


class Device(Strict, frozen=True, kw_only=True):
    """One device of the site, with its profile and the profile's link options as this site overrides them."""

    id: str
    profile: Profile
    options: LinkOptions
    zone: str = ""
    name: Label
    names: dict[str, Label] = {}  # what hangs on a channel: relay_1 -> barrier
    link: str
    order_key_file: str = ""  # a whole path; empty: in the data folder, where the profile wants signed orders


class Devices(tuple[Device, ...]):
    """The devices of a link. A type of its own, so that the file's parser leaves them to `hub/settings/door.py`."""


class _LinkCommon(Strict, frozen=True, kw_only=True):
    id: str
    devices: Devices = field(default=Devices(), name="device")


class ModbusRtuLink(_LinkCommon, frozen=True, kw_only=True, tag_field="kind", tag="modbus-rtu"):
    """An RS-485 line; its devices share port, baud, parity and stop bits."""

    port: str
    baud: Baud = 9600
    parity: Literal["N", "E", "O"] = "N"
    stop_bits: Literal[1, 2] = 1


class ModbusAsciiLink(_LinkCommon, frozen=True, kw_only=True, tag_field="kind", tag="modbus-ascii"):
    """An RS-485 line that speaks Modbus ASCII: 7 data bits and even parity, unless its devices were set otherwise."""

    port: str
    baud: Baud = 9600
    data_bits: Literal[7, 8] = 7
    parity: Literal["N", "E", "O"] = "E"
    stop_bits: Literal[1, 2] = 1


class ModbusRtuOverTcpLink(_LinkCommon, frozen=True, kw_only=True, tag_field="kind", tag="modbus-rtu-over-tcp"):
    """An RS-485 line behind a serial server that passes RTU frames on as they are.

    Baud, parity and stop bits are those that were set in the serial server: they say how long a frame takes.
    """

    host: str
    port: Annotated[int, Meta(ge=1, le=65535)]
    baud: Baud = 9600
    parity: Literal["N", "E", "O"] = "N"
    stop_bits: Literal[1, 2] = 1


class ModbusTcpLink(_LinkCommon, frozen=True, kw_only=True, tag_field="kind", tag="modbus-tcp"):
    """A Modbus TCP device or gateway, on one connection. `outstanding` = questions that it takes at a time."""

    host: str
    port: Annotated[int, Meta(ge=1, le=65535)] = 502
    outstanding: Annotated[int, Meta(ge=1, le=16)] = 1


class SerialPortLink(_LinkCommon, frozen=True, kw_only=True, tag_field="kind", tag="serial"):
    """A port whose devices speak by themselves. Line settings are theirs, and the same for all."""

    port: str


class MqttBrokerLink(_LinkCommon, frozen=True, kw_only=True, tag_field="kind", tag="mqtt"):
    """A broker. Without `url`, `zhian run` starts a mosquitto of its own that listens on `listen`."""

    url: str = ""
    listen: str = "127.0.0.1:1883"
    username: str = ""
    password_file: str = ""
    ca_file: str = ""
    certificate_file: str = ""
    key_file: str = ""


ModbusSerialLine: TypeAlias = ModbusRtuLink | ModbusAsciiLink | ModbusRtuOverTcpLink  # has baud, parity, stop bits
ModbusLine: TypeAlias = ModbusSerialLine | ModbusTcpLink
SiteLink: TypeAlias = ModbusLine | SerialPortLink | MqttBrokerLink
LINK_KINDS: dict[str, type[SiteLink]] = {
    str(kind.__struct_config__.tag): kind
    for kind in (ModbusRtuLink, ModbusAsciiLink, ModbusRtuOverTcpLink, ModbusTcpLink, SerialPortLink, MqttBrokerLink)
}
DEVICE_KIND = {
    "modbus-rtu": "modbus",
    "modbus-ascii": "modbus",
    "modbus-rtu-over-tcp": "modbus",
    "modbus-tcp": "modbus",
    "serial": "serial",
    "mqtt": "mqtt",
}


class Site(Strict, frozen=True, kw_only=True):
    """The whole community. `night` is the noise night: 22:00-06:00 unless the county says otherwise (GB 3096-2008).

    `noise_valid_share` is the least share of an hour, day or night that has to be measured for its figure to count.
    """

    id: str
    name: Label
    timezone: str
    noise_class: NoiseClass = "2"
    night: str = "22:00-06:00"
    noise_valid_share: float = 0.75
    plan: str = ""  # a picture of the site; empty: a plain drawing
    page: str = ""  # the dashboard's address as people reach it, for links in announcements
    zones: tuple[Zone, ...]
    links: tuple[SiteLink, ...]
    voices: tuple[Voice, ...] = ()
    interlocks: tuple[Interlock, ...] = ()
    history: History = History()
    journal: JournalSpace = JournalSpace()
    rules: Mapping[str, Mapping[str, object]] = {}  # rule id -> number -> value, where the site differs from the pack
    packs: Packs = Packs()
    web: Web = Web()
    home_assistant: HomeAssistant | None = None

    @property
    def tz(self) -> ZoneInfo:
        """The site's time zone."""
        return ZoneInfo(self.timezone)

    def devices(self) -> dict[str, Device]:
        """All devices by id, in the order of the file."""
        return {device.id: device for link in self.links for device in link.devices}

    def zones_by_id(self) -> dict[str, Zone]:
        """All zones by id."""
        return {zone.id: zone for zone in self.zones}
