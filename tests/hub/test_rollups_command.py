"""`zhian rollups` makes the history's figures again, and says why when it cannot."""

import subprocess
import sys
from pathlib import Path

from click.testing import CliRunner

from hub.__main__ import cli
from hub.clock import Clock
from hub.history.duck import DuckStore
from hub.journal.batches import Row

T = 1_760_000_000_000


def test_lost_figures_are_made_again(tmp_path: Path) -> None:
    """As many minutes and hours as there were."""
    store = DuckStore(tmp_path / "history.duckdb", Clock())
    store.append([Row(n, "noise-1", "laeq", T + n * 10_000, T, 50.0, "good") for n in range(1000)], 999)
    store.compact(1)
    store.write(lambda db: db.execute("DELETE FROM minute"))
    store.close()
    ran = CliRunner().invoke(cli, ["rollups", "--data", str(tmp_path)])
    assert (ran.exit_code, "167 minutes and 4 hours" in ran.output) == (0, True), ran.output


def test_it_says_why_not(tmp_path: Path) -> None:
    """No file; or a process that holds it."""
    missing = CliRunner().invoke(cli, ["rollups", "--data", str(tmp_path)])
    assert missing.exit_code == 2
    assert "there is no history here" in missing.output
    code = (
        f"import duckdb; db = duckdb.connect({str(tmp_path / 'history.duckdb')!r}); print('held', flush=True); input()"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        held = CliRunner().invoke(cli, ["rollups", "--data", str(tmp_path)])
        holder.communicate(b"\n")
    assert held.exit_code == 1
    assert f"process {holder.pid} holds the lock" in held.output
