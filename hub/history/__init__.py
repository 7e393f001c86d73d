"""Readings kept for years, behind the journal: the interface, two stores, and the shipper that feeds them.

Nothing here is on the alarm path: every store may be down, slow or gone without anyone noticing in the yard.
"""

from pathlib import Path

from device_profiles.door import Refusal
from hub.clock import Clock
from hub.history.store import HistoryStore, Refused
from hub.site import Site


def open_store(site: Site, data: Path, clock: Clock, refused: Refused) -> HistoryStore:
    """The store that the site names: DuckDB in the data folder, or InfluxDB. `refused` is told of points it rejects.

    Raises StoreError when it cannot be opened now, Refusal when the token file is wrong.
    """
    # Imported here: whoever only needs the interface must not load a database engine.
    if site.history.store == "duckdb":
        from hub.history.duck import DuckStore

        return DuckStore(data / "history.duckdb", clock)
    from hub.history.influx import InfluxStore

    history = site.history
    token = _token(Path(history.token_file)) if history.token_file else ""
    return InfluxStore(history.url, history.org, history.bucket, token, site=site.id, refused=refused)


def _token(path: Path) -> str:
    try:
        if path.stat().st_mode & 0o077:
            raise Refusal(path, "history.token_file", "can be read by others", right=f"chmod 600 {path}")
        return path.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise Refusal(path, "history.token_file", f"cannot be read: {error.strerror}") from None
