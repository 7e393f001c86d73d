"""Readings kept for years, behind the journal: the interface, two stores, and the shipper that feeds them.

Nothing here is on the alarm path: every store may be down, slow or gone without anyone noticing in the yard.
"""

from pathlib import Path

from device_profiles.door import Refusal
from hub.clock import Clock
from hub.history.store import HistoryStore, Refused, on_server
from hub.settings.secret import SecretError, read_secret
from hub.settings.site import History, Site


def open_store(site: Site, data: Path, clock: Clock, refused: Refused) -> HistoryStore:
    """The store that the site names: DuckDB in the data folder, or one on a server; `refused` hears of what it rejects.

    Raises StoreError when it cannot be opened now, Refusal when the token file is wrong.
    """
    # Imported here: whoever only needs the interface must not load a database engine.
    if site.history.store == "duckdb":
        from hub.history.duck import DuckStore

        return DuckStore(data / "history.duckdb", clock)
    history = site.history
    token = read_token(history)
    if site.history.store == "victoriametrics":
        from hub.history.duck import DuckStore
        from hub.history.victoria import VictoriaStore

        beside = DuckStore(data / "history.duckdb", clock)
        return VictoriaStore(history.url, token, site=site.id, refused=refused, beside=beside)
    from hub.history.influx import InfluxStore

    return InfluxStore(history.url, history.org, history.bucket, token, site=site.id, refused=refused)


def kept_here(history: History) -> bool:
    """True where some of the history lies in the data folder, and is in its backups."""
    return history.store != "influxdb"


def elsewhere(history: History) -> str:
    """What of it lies on which server, as its store says; empty where nothing does."""
    what = {"duckdb": "", "victoriametrics": "its numbers are"}.get(history.store, "it is")
    return what and on_server(what, history.url)


def read_token(history: History) -> str:
    """The token, or "user:password"; empty where the site names no file. Raises Refusal, which names the file."""
    if not history.token_file:
        return ""
    try:
        return read_secret(history.token_file)
    except SecretError as error:
        raise Refusal(history.token_file, "history.token_file", error.problem, right=error.right) from None
