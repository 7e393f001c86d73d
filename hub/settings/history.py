"""`[history]` of the site file, judged: which keys belong to which store, what an address is. It asks nobody."""

from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from device_profiles.door import Refusal
from hub.settings.site import History
from hub.settings.voices import is_address

KEYS = ("url", "org", "bucket", "token_file")
NEEDED: Mapping[str, tuple[str, ...]] = {"duckdb": (), "influxdb": ("url", "bucket"), "victoriametrics": ("url",)}
TAKEN: Mapping[str, tuple[str, ...]] = {
    "duckdb": (),
    "influxdb": ("url", "org", "bucket", "token_file"),
    "victoriametrics": ("url", "token_file"),
}
_EXAMPLE = {"url": 'url = "http://127.0.0.1:8086"', "bucket": 'bucket = "zhian"'}


def check_history(history: History, path: Path) -> None:
    """Raise Refusal for a key that the store lacks or does not take, and for what is no address."""
    for key in KEYS:
        value = getattr(history, key)
        if value and key not in TAKEN[history.store]:
            takers = " or ".join(f'"{store}"' for store, keys in TAKEN.items() if key in keys)
            right = f"leave it out, or history.store = {takers}"
            raise Refusal(
                path, f"history.{key}", f'history.store = "{history.store}" has none', value=value, right=right
            )
        if not value and key in NEEDED[history.store]:
            wanted = f'history.store = "{history.store}" needs it'
            raise Refusal(path, f"history.{key}", wanted, value=value, right=f"as {_EXAMPLE[key]}")
    if history.url:
        _check_url(history.url, path)
    if history.org and not history.token_file:
        right = "the path of a file (mode 0600) that holds an API token which may read and write the bucket"
        raise Refusal(path, "history.token_file", "a server with organisations wants a token", value="", right=right)


def _check_url(url: str, path: Path) -> None:
    right = "http://HOST:PORT or https://HOST:PORT"
    if not is_address(url):
        raise Refusal(path, "history.url", "is no address of a server", value=url, right=right)
    parts = urlsplit(url)
    if parts.username is not None or parts.password is not None:
        shown = url.replace(f"{parts.netloc.rpartition('@')[0]}@", "")
        right = f'url = "{shown}", and "user:password" in the file that history.token_file names'
        raise Refusal(path, "history.url", "holds a password, and this file is no place for one", right=right)
    if parts.query or parts.fragment or parts.path.rstrip("/").endswith(("/write", "/query", "/api/v2", "/api/v3")):
        problem = "is the address of a single question, not of the server"
        raise Refusal(path, "history.url", problem, value=url, right=f"{parts.scheme}://{parts.netloc}")
