"""The history from outside of the office process: through its door while it runs, else the store itself. Reads only.

Half an answer never looks like a whole one: whatever breaks off ends in StoreError.
"""

import contextlib
import socket
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Protocol, TypeVar

import msgspec

from hub.clock import Clock
from hub.history import open_store
from hub.history.door import (
    SOCKET,
    Ask,
    AskBefore,
    AskReadings,
    AskRebuild,
    AskSamples,
    AskSnapshot,
    AskState,
    Before,
    Mended,
    Page,
    State,
    Taken,
    state_of,
)
from hub.history.store import HistoryStore, Said, Sample, StoreError
from hub.journal.batches import Row
from hub.settings.site import Site

PATIENCE_S = 60.0  # how long the command line waits for the next line
FILE = "history.duckdb"

T = TypeVar("T")


class Kept(Protocol):
    """What the command line may ask of the history. Every method raises StoreError when it cannot be answered."""

    def state(self) -> State:
        """The store's own cursor and its devices."""

    def readings(self, device: str, since: int, until: int, quantities: Collection[str] = ()) -> Iterator[Row]:
        """Every reading with since <= ts < until (ms since 1970), oldest first; without quantities: all."""

    def samples(self, device: str, quantity: str, since_ms: int, until_ms: int) -> Iterator[Sequence[Sample]]:
        """As HistoryStore says."""

    def last_before(self, device: str, quantity: str, before_ms: int) -> Sample | Said | None:
        """As HistoryStore says."""


@contextlib.contextmanager
def reach(data: Path, site: Site | None) -> Iterator[Kept]:
    """The history of a data folder. Without a site, and where nothing was ever kept, no file is made."""
    door = data / SOCKET
    if _answers(door):
        yield AtDoor(door)
        return
    if (site is None or site.history.store == "duckdb") and not (data / FILE).exists():
        yield Nothing()
        return
    store = hold(data, site)
    try:
        yield Held(store)
    finally:
        store.close()


def hold(data: Path, site: Site | None) -> HistoryStore:
    """The store itself, for this process. Raises StoreError, as while an office process holds it."""
    if site is not None:
        return open_store(site, data, Clock(), lambda _row, _why: None)
    from hub.history.duck import DuckStore  # which whoever asks at the door need not load

    return DuckStore(data / FILE, Clock())


def ask_snapshot(data: Path) -> Taken | None:
    """Have the office process take a fresh snapshot; None when no office answers. Raises StoreError."""
    door = data / SOCKET
    return next(_asked(door, AskSnapshot(), Taken)) if _answers(door) else None


def ask_rebuild(data: Path, *, snapshot: bool) -> Mended | None:
    """Have the office process put back what is missing; None when no office answers. Raises StoreError."""
    door = data / SOCKET
    return next(_asked(door, AskRebuild(snapshot), Mended)) if _answers(door) else None


class AtDoor:
    """The history that the running office process holds."""

    def __init__(self, path: Path) -> None:
        """`path`: its socket."""
        self._path = path

    def state(self) -> State:
        """As Kept says."""
        return next(_asked(self._path, AskState(), State))

    def readings(self, device: str, since: int, until: int, quantities: Collection[str] = ()) -> Iterator[Row]:
        """As Kept says."""
        return _asked(self._path, AskReadings(device, since, until, tuple(quantities)), Row)

    def samples(self, device: str, quantity: str, since_ms: int, until_ms: int) -> Iterator[Sequence[Sample]]:
        """As Kept says."""
        return (page.samples for page in _asked(self._path, AskSamples(device, quantity, since_ms, until_ms), Page))

    def last_before(self, device: str, quantity: str, before_ms: int) -> Sample | Said | None:
        """As Kept says."""
        found = next(_asked(self._path, AskBefore(device, quantity, before_ms), Before))
        if found.ts is None:
            return None
        return found.ts, found.value  # type: ignore[return-value]  # one of the two tuples


class Held:
    """A store that this process holds itself."""

    def __init__(self, store: HistoryStore) -> None:
        """Closed by whoever opened it."""
        self._store = store

    def state(self) -> State:
        """As Kept says."""
        return state_of(self._store)

    def readings(self, device: str, since: int, until: int, quantities: Collection[str] = ()) -> Iterator[Row]:
        """As Kept says."""
        rows = self._store.readings(device, since, until)
        return (row for row in rows if not quantities or row.quantity in quantities)

    def samples(self, device: str, quantity: str, since_ms: int, until_ms: int) -> Iterator[Sequence[Sample]]:
        """As Kept says."""
        return self._store.samples(device, quantity, since_ms, until_ms)

    def last_before(self, device: str, quantity: str, before_ms: int) -> Sample | Said | None:
        """As Kept says."""
        return self._store.last_before(device, quantity, before_ms)


class Nothing:
    """A data folder in which no history was ever kept."""

    def state(self) -> State:
        """No cursor, no devices."""
        return State(cursor=None, devices=[])

    def readings(self, device: str, since: int, until: int, quantities: Collection[str] = ()) -> Iterator[Row]:
        """None."""
        return iter(())

    def samples(self, device: str, quantity: str, since_ms: int, until_ms: int) -> Iterator[Sequence[Sample]]:
        """None."""
        return iter(())

    def last_before(self, device: str, quantity: str, before_ms: int) -> Sample | Said | None:
        """Nothing."""
        return None


def _answers(path: Path) -> bool:
    with contextlib.closing(socket.socket(socket.AF_UNIX)) as door:
        try:
            door.connect(str(path))
        except OSError:
            return False
    return True


def _asked(path: Path, ask: Ask, kind: type[T]) -> Iterator[T]:
    """The objects of an answer. Whoever is told the last line, a text, knows that there are no more."""
    decode = msgspec.json.Decoder(kind | str | None).decode
    with contextlib.closing(socket.socket(socket.AF_UNIX)) as door:
        door.settimeout(PATIENCE_S)
        try:
            door.connect(str(path))
            with door.makefile("rb") as lines:
                door.sendall(msgspec.json.encode(ask) + b"\n")
                for line in lines:
                    said = decode(line)
                    if isinstance(said, kind):
                        yield said
                    elif isinstance(said, str):
                        if said:
                            raise StoreError(said)
                        return
        except OSError as error:
            raise StoreError(f"{SOCKET}: {error}") from error
        except msgspec.MsgspecError as error:
            raise StoreError(f"{SOCKET}: said something else than was asked: {error}") from error
    raise StoreError(f"{SOCKET}: the answer broke off")
