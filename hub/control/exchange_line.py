"""One exchange on a cable as people see it, in words that need no cable: what `zhian watch` and the page show."""

import msgspec


class Line(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One exchange, as `zhian watch --json` prints it. `age_s`: since this device was heard last. `lost`: before it."""

    at: int
    link: str
    device: str = ""
    unit: int = 0
    topic: str = ""
    asked: str = ""
    came: str = ""
    took_ms: float = 0.0
    age_s: float | None = None
    readings: dict[str, float | str] = {}
    faults: list[str] = []
    state: str = ""
    lost: int = 0
