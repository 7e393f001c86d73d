"""About: the bill of materials is what is installed, a backup is made, checked and fetched by administrators alone."""

import importlib.metadata
import json
import time
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest

from dashboard.access import tls
from dashboard.access.sessions import PROOF_MS
from dashboard.backups import Backups
from dashboard.office import EXTENSION
from hub import authority, sbom
from hub.clock import Clock
from hub.keeping import sealed_file
from hub.settings.site import BackupSettings

if TYPE_CHECKING:
    from collections.abc import Callable

    from flask import Flask

    from dashboard.office import Office
    from tests.dashboard.conftest import Browser, Field, StillClock

PASSWORD = "correct horse battery"


def done(backups: Backups) -> None:
    """Wait until nothing is under way."""
    until = time.monotonic() + 60
    while backups.running:
        assert time.monotonic() < until
        time.sleep(0.02)


def test_the_bill_has_what_is_installed() -> None:
    """Each distribution with its version, the vendored code, and every reference leads somewhere, once."""
    bill = json.loads(sbom.written())
    found = {part["name"]: part["version"] for part in bill["components"]}
    assert found["Flask"] == importlib.metadata.version("flask")
    assert (Path(sbom.VENDORED) / "uplot" / "LICENSE").exists()
    assert (found["uplot"], found["htmx.org"]) == ("1.6.32", "2.0.11")
    refs = [part["bom-ref"] for part in bill["components"]]
    assert len(refs) == len(set(refs))
    listed = {*refs, bill["metadata"]["component"]["bom-ref"]}
    assert {each["ref"] for each in bill["dependencies"]} == listed
    assert {need for each in bill["dependencies"] for need in each["dependsOn"]} <= listed
    flask = next(each for each in bill["dependencies"] if each["ref"].startswith("pkg:pypi/flask@"))
    assert any(need.startswith("pkg:pypi/werkzeug@") for need in flask["dependsOn"])
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.5")


def test_every_vendored_folder_is_in_the_bill() -> None:
    """No browser code without its name, version, licence text and row."""
    folders = {path.name for path in sbom.VENDORED.iterdir() if path.is_dir()}
    assert folders == {part.name for part in sbom.vendored()}
    assert all((sbom.VENDORED / name / "LICENSE").exists() for name in folders)


def test_the_same_bill_twice_is_the_same_file() -> None:
    """Two machines with the same parts can be compared byte for byte."""
    assert sbom.written() == sbom.written()


def test_the_page_names_versions_and_certificate(
    admin: "Browser", field: "Field", office: "Office", tmp_path: Path
) -> None:
    """What runs here, and the fingerprint that a browser shows."""
    field.all_well()
    pair = tls.pair_of(office.site, tmp_path, Clock().now())
    office.watchman.pair = pair
    text = admin.client.get("/about").text
    assert pair.fingerprint in text
    assert importlib.metadata.version("zhian") in text
    assert "SQLite" in text
    answer = admin.client.get("/about/sbom.json")
    assert msgspec.json.decode(answer.data)["bomFormat"] == "CycloneDX"


def test_the_authority_is_given_to_who_is_signed_in(browser: "Browser", field: "Field", office: "Office") -> None:
    """A telephone's owner needs no more than a login; without a certificate of our own there is none to give."""
    field.all_well()
    browser.enter("guard")
    assert browser.client.get("/about/authority.crt").status_code == 404
    office.watchman.pair = tls.pair_of(office.site, office.data, Clock().now())
    answer = browser.client.get("/about/authority.crt")
    assert (answer.status_code, answer.mimetype) == (200, "application/x-x509-ca-cert")
    assert answer.text == authority.told(office.data).pem
    assert answer.text in office.watchman.pair.certificate.read_text()


def test_a_lost_authority_says_nothing_of_the_certificate(admin: "Browser", field: "Field", office: "Office") -> None:
    """The page's fingerprint stands there as before; there is nothing to download."""
    field.all_well()
    pair = office.watchman.pair = tls.pair_of(office.site, office.data, Clock().now())
    assert "/about/authority.crt" in admin.client.get("/about").text
    authority.forget(office.data)
    text = admin.client.get("/about").text
    assert (pair.fingerprint in text, "/about/authority.crt" in text) == (True, False)


def test_a_backup_now(admin: "Browser", field: "Field", app: "Flask", office: "Office") -> None:
    """It is made in the background, read again, listed, and comes out whole."""
    from dashboard.pages import about

    field.all_well()
    admin.post("/about/backup")
    with app.app_context():
        backups = about.backups()
    done(backups)
    (archive,) = backups.listed()
    assert backups.work is not None
    assert backups.work.state == "done", backups.work.words
    assert archive.size > 0
    text = admin.client.get("/about").text
    assert "read again without a fault" in text
    assert archive.name in text
    answer = admin.post(f"/about/backup/{archive.name}/download")
    assert answer.data == (office.data / "backups" / archive.name).read_bytes()


def test_a_backup_of_a_site_with_a_passphrase(
    admin: "Browser", field: "Field", app: "Flask", office: "Office", tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The page makes an encrypted one and reads it again, says so, and says in words when the passphrase is gone."""
    from dashboard.pages import about

    field.all_well()
    assert "New ones are not encrypted" in admin.client.get("/about").text
    monkeypatch.setattr(sealed_file, "LOG_N", 10)
    secret = tmp_path / "passphrase"
    secret.touch(0o600)
    secret.write_text("correct horse battery staple")
    settings = BackupSettings(passphrase_file=str(secret))
    site = msgspec.structs.replace(office.site, backup=settings)
    monkeypatch.setitem(app.extensions, EXTENSION, msgspec.structs.replace(office, site=site))
    admin.post("/about/backup")
    with app.app_context():
        backups = about.backups()
    done(backups)
    (archive,) = backups.listed()
    assert (archive.sealed, sealed_file.is_sealed(office.data / "backups" / archive.name)) == (True, True)
    assert "New ones are encrypted" in admin.client.get("/about").text
    for state, words in (("done", "files"), ("failed", str(secret))):
        admin.post(f"/about/backup/{archive.name}/check")
        done(backups)
        assert backups.work is not None
        assert (backups.work.state, words in backups.work.words) == (state, True)
        secret.unlink(missing_ok=True)
    assert len(backups.listed()) == 1


def test_a_damaged_archive_is_found(admin: "Browser", field: "Field", app: "Flask", office: "Office") -> None:
    """Reading one again tells one flipped byte from none."""
    from dashboard.pages import about

    field.all_well()
    with app.app_context():
        backups = about.backups()
    backups.make(office.site, office.clock.now())
    done(backups)
    (archive,) = backups.listed()
    for damage, state in ((False, "done"), (True, "failed")):
        path = office.data / "backups" / archive.name
        if damage:
            whole = bytearray(path.read_bytes())
            whole[len(whole) // 2] ^= 1
            path.write_bytes(whole)
        admin.post(f"/about/backup/{archive.name}/check")
        done(backups)
        assert backups.work is not None
        assert backups.work.state == state
    assert "It cannot be used" in admin.client.get("/about").text


def test_only_administrators_with_a_fresh_password(
    app: "Flask",
    new_browser: "Callable[[Flask], Browser]",
    admin: "Browser",
    field: "Field",
    office: "Office",
    clock: "StillClock",
) -> None:
    """A backup holds every secret: others get none, and an administrator gives his password again."""
    from dashboard.pages import about

    field.all_well()
    manager = new_browser(app)
    manager.enter("manager")
    assert "Back up now" not in manager.client.get("/about").text
    assert manager.post("/about/backup").status_code == 403
    assert manager.post("/about/backup/zhian-20250101T000000Z.tar.gz/download").status_code == 403
    clock.at += PROOF_MS + 1
    field.beat(clock.at)
    admin.post("/about/backup")
    with app.app_context():
        backups = about.backups()
    assert backups.work is None
    admin.post("/about/backup", password=PASSWORD)
    done(backups)
    assert len(backups.listed()) == 1


def test_no_other_file_comes_out(admin: "Browser", field: "Field", office: "Office") -> None:
    """Only an archive's name is a name."""
    field.all_well()
    (office.data / "backups").mkdir()
    (office.data / "backups" / "office.key").write_text("secret")
    for name in ("office.key", "..%2foffice.key", "zhian-20250101T000000Z.tar.gz", "zhian-x.tar.gz"):
        assert admin.post(f"/about/backup/{name}/download").status_code == 404
