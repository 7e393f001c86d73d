"""Cables pulled from a running installation: the alarm path does not notice, everything heals, the page says so.

One installation for the whole file; each test leaves it healed.
"""

import contextlib
import json
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Iterator

import pytest
from click import ClickException
from playwright.sync_api import Page, expect

from hub.clock import Clock
from hub.history.reach import reach
from hub.history.store import StoreError
from tests.e2e.conftest import QUIET, Installation, wait_for
from tests.e2e.test_transports import SITE

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]

ALL = ("meter-line", "meter-net", "radar-wire", "gate-mqtt")


@pytest.fixture(scope="module")
def court(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """A site with one device on each transport, none of which worries; devices that are silent show it soon."""
    site = SITE.replace("[rule.gate-held]\non_delay = 1.0\n", "")
    for profile in ("gate/json-mqtt", "noise/generic-rs485", "water/hlk-ld2410"):
        site = site.replace(f'profile = "{profile}"', f'profile = "{profile}"\n  silent_after = 4.0')
    with Installation(tmp_path_factory.mktemp("court"), site, QUIET) as installation:
        installation.start()
        wait_for(lambda: healed(installation))
        yield installation


def health(court: Installation) -> dict[str, object]:
    """What /healthz says; nothing while nobody answers."""
    try:
        with urllib.request.urlopen(f"{court.address}healthz", timeout=2) as answer:
            found: dict[str, object] = json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            found = json.load(error)
    except OSError:
        return {}
    return found


def healed(court: Installation) -> bool:
    """Everything is well again."""
    return health(court).get("status") == "ok"


def newest(court: Installation, device: str) -> int:
    """When the newest reading of the device was received; 0 when there is none, or the office is just being killed."""
    with contextlib.suppress(ClickException):
        return max((int(str(line["ts"])) for line in court.lines("readings", device, "--since", "2m")), default=0)
    return 0


def goes_on(court: Installation, *devices: str) -> None:
    """Readings of these devices keep arriving."""
    now = Clock().now()
    wait_for(lambda: all(newest(court, device) > now for device in devices))


def test_broker_killed(court: Installation, open_page: Callable[[Installation], Page]) -> None:
    """SIGKILL on mosquitto: the other cables go on at once, the broker comes back, and so does its device."""
    before = court.process("mosquitto")
    court.kill("mosquitto")

    goes_on(court, "meter-line", "meter-net", "radar-wire")
    goes_on(court, "gate-mqtt")
    wait_for(lambda: healed(court))

    assert court.process("mosquitto") not in (0, before)


def test_every_cable_pulled(court: Installation, open_page: Callable[[Installation], Page]) -> None:
    """Ptys, sockets and clients gone: the page names what is unwatched, alarms say it; plugged in again all is well."""
    page = open_page(court)
    court.kill("simulate")

    wait_for(lambda: health(court).get("status") == "degraded")
    expect(page.locator("body")).to_contain_text("Radar on the wire", timeout=30_000)
    wait_for(lambda: court.alarms().get("water-unwatched/radar-wire") == "unacked")

    court.start_devices()
    goes_on(court, *ALL)
    wait_for(lambda: healed(court), 60)


def test_office_killed(court: Installation) -> None:
    """SIGKILL on the office process: readings go on, and the dashboard is back at the same address."""
    before = court.process("office")
    court.kill("office")

    goes_on(court, *ALL)
    wait_for(lambda: healed(court))

    assert court.process("office") not in (0, before)


def test_field_killed(court: Installation) -> None:
    """SIGKILL on the field process: it comes back, and nothing that was alarmed before is alarmed again."""
    before, alarms = court.process("field"), court.lines("alarms")
    court.kill("field")

    goes_on(court, *ALL)
    wait_for(lambda: healed(court))

    assert court.process("field") not in (0, before)
    known = {(line["rule"], line["device"]) for line in alarms}
    after = [line for line in court.lines("alarms") if (line["rule"], line["device"]) in known]
    assert [(line["rule"], line["raised"]) for line in after] == [(line["rule"], line["raised"]) for line in alarms]


def test_history_removed(court: Installation) -> None:
    """The history file deleted underneath: a new one is made and fed again from the journal."""
    file = court.data / "history.duckdb"
    before = {ts for (ts,) in court.ask("SELECT ts FROM reading WHERE device = 'meter-line'")}
    wait_for(lambda: kept(court, "meter-line") >= before)
    file.unlink()

    goes_on(court, *ALL)
    wait_for(file.exists, 60)
    wait_for(lambda: kept(court, "meter-line") >= before, 60)
    wait_for(lambda: healed(court) and float(str(health(court)["history"])) < 5.0, 60)


def kept(court: Installation, device: str) -> set[int]:
    """When the device's readings are from that the history itself gives out, through the office's door."""
    with contextlib.suppress(StoreError), reach(court.data, None) as history:
        return {row.ts for row in history.readings(device, 0, Clock().now())}
    return set()


def test_undecodable_payloads_are_kept_and_stop_nothing(court: Installation) -> None:
    """Nonsense from a device lies in the quarantine, with the reason, and the next good message is read."""
    nonsense = [b"\xff\xfe not json", b'{"gate": "ajar"}', b'{"gate": 1e400}', b"[" * 3000]
    court.say("gate-mqtt", *nonsense)

    wait_for(lambda: len(court.lines("quarantine")) >= len(nonsense))
    goes_on(court, "gate-mqtt")

    kept = court.lines("quarantine")
    assert {line["source"] for line in kept} == {"gate-mqtt"}
    assert {bytes.fromhex(str(line["hex"])) for line in kept} >= set(nonsense)
    assert all(line["detail"] for line in kept)


def test_an_order_is_confirmed_by_the_device(court: Installation) -> None:
    """`zhian order` ends well only when the gate itself says that it is open; a wrong word names the right one."""
    done = court.zhian("order", "gate-mqtt", "open", "--reason", "test", "--json")
    assert json.loads(done.stdout)["state"] == "confirmed"

    wrong = court.zhian("order", "gate-mqt", "open", check=False)
    assert wrong.returncode == 2
    assert 'did you mean "gate-mqtt"?' in wrong.stderr


def test_a_second_hub_is_refused(court: Installation) -> None:
    """Two hubs on one data folder would order every gate twice."""
    second = court.zhian("run", str(court.site), "--port", "0", check=False)

    assert second.returncode == 2
    assert "another zhian runs on this data folder" in second.stderr


def test_backup_while_running_and_restore(court: Installation, tmp_path_factory: pytest.TempPathFactory) -> None:
    """A backup of the running site gives the same alarms in another folder."""
    folder = tmp_path_factory.mktemp("restored")
    before = seen(court.lines("alarms"))
    court.zhian("backup", str(folder / "backup.tar.gz"))
    after = seen(court.lines("alarms"))
    other = folder / "data"
    command = ["restore", str(folder / "backup.tar.gz"), "--data", str(other)]

    subprocess.run([sys.executable, "-m", "hub", *command], check=True, capture_output=True)
    answer = subprocess.run(
        [sys.executable, "-m", "hub", "alarms", "--json", "--data", str(other)],
        check=True,
        capture_output=True,
        text=True,
    )

    restored = seen(json.loads(line) for line in answer.stdout.splitlines())
    assert restored[: len(before)] == before
    assert after[: len(restored)] == restored


def seen(lines: Iterable[dict[str, object]]) -> list[tuple[object, ...]]:
    """Which alarms were raised, and when."""
    return [(line["rule"], line["device"], line["raised"]) for line in lines]
