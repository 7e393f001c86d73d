"""All script together stays small: what a phone in the yard has to load."""

import gzip
from pathlib import Path

from dashboard.access.headers import FILES

MOST = 150_000  # bytes, each file compressed for itself


def compressed(folder: Path) -> int:
    """Bytes of all scripts below, each as a server sends it."""
    return sum(len(gzip.compress(path.read_bytes(), 6)) for path in folder.rglob("*.js"))


def test_all_script_is_at_most_150_kb_compressed() -> None:
    """Vendored script counts, too."""
    assert 0 < compressed(FILES) <= MOST


def test_the_measure_sees_a_large_script(tmp_path: Path) -> None:
    """A script beyond the wall is found, in a folder of its own as well."""
    (tmp_path / "vendor").mkdir()
    (tmp_path / "vendor" / "big.js").write_bytes(b"".join(i.to_bytes(4, "little") for i in range(0, 10**9, 7919)))
    assert compressed(tmp_path) > MOST
