"""How one voice does, as the journal remembers it. Imports nothing of the hub, so that pages may use it, too."""

import msgspec


class VoiceState(msgspec.Struct, frozen=True, kw_only=True):
    """One row of the table `voice`; None where there is nothing new to say (`failing` None: it does not)."""

    id: str
    tried: int | None = None
    succeeded: int | None = None
    failing: int | None = None
    detail: str = ""
    tested: int | None = None
    passed: int | None = None
