"""The bill of materials: what is installed with Zhian, as a CycloneDX document. Made from what is there, never kept.

Python distributions come from their own metadata, vendored browser code from its README, programs from what they say.
"""

import platform
import re
import sqlite3
import subprocess
import sys
import uuid
from collections.abc import Iterator
from functools import cache
from importlib.metadata import Distribution, PackageMetadata, distributions, version
from pathlib import Path

import msgspec

from device_profiles.door import Refusal
from hub.processes import broker

SPEC = "1.5"
VENDORED = Path(__file__).parents[1] / "dashboard" / "static" / "vendor"
PATIENCE_S = 5.0
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_ROW = re.compile(r"\| `(?P<name>[\w.-]+)` \| VERSION (?P<version>\S+) \|[^|]*\| (?P<licence>[^|]+?) \|")
_SPACE = uuid.UUID("6ba7b811-9dad-11d1-80b4-00c04fd430c8")  # RFC 4122, appendix C: names that are URLs


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that is installed. `kind` as CycloneDX has it; `licence` as it says itself; `needs`: ids of others."""

    name: str
    version: str
    kind: str = "library"
    licence: str = ""
    purl: str = ""
    needs: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        """Its name in the document."""
        return self.purl or f"{self.name}@{self.version}"


def parts() -> list[Part]:
    """All of them: Python's distributions, vendored code, and what runs it."""
    return [*python_parts(), *vendored(), *programs()]


def python_parts() -> list[Part]:
    """Every installed distribution but Zhian itself, by name."""
    found = {_plain(name): each for each in distributions() if (name := each.metadata["Name"])}
    purls = {name: _purl(name, each.version) for name, each in found.items()}
    return [
        Part(
            name=each.metadata["Name"],
            version=each.version,
            licence=licence_of(each),
            purl=purls[name],
            needs=tuple(sorted(purls[need] for need in _needs(each) if need in purls)),
        )
        for name, each in sorted(found.items())
        if name != "zhian"
    ]


def vendored() -> list[Part]:
    """The browser code that comes with Zhian, as its README names it. Raises OSError."""
    rows = _ROW.finditer((VENDORED / "README.md").read_text(encoding="utf-8"))
    return [
        Part(
            name=row["name"],
            version=row["version"],
            licence=row["licence"],
            purl=f"pkg:npm/{row['name'].lower()}@{row['version']}",
        )
        for row in rows
    ]


@cache
def programs() -> tuple[Part, ...]:
    """Python, SQLite, mosquitto (where it is installed) and the system, as they say of themselves at the start."""
    found = [
        Part(name="Python", version=platform.python_version(), kind="platform", licence="PSF-2.0"),
        Part(name="SQLite", version=sqlite3.sqlite_version, licence="blessing"),
    ]
    if broker_version := mosquitto_version():
        found.append(Part(name="mosquitto", version=broker_version, kind="application", licence="EPL-2.0"))
    name, release = system()
    return (*found, Part(name=name, version=release, kind="operating-system"))


def mosquitto_version() -> str:
    """As the program says; empty where there is none, or it does not answer."""
    try:
        said = subprocess.run(  # our own search for a fixed name
            [broker.executable(), "-h"], capture_output=True, text=True, timeout=PATIENCE_S, check=False
        ).stdout
    except (Refusal, OSError, subprocess.SubprocessError):
        return ""
    match = re.match(r"mosquitto version (\S+)", said)
    return match[1] if match else ""


def system() -> tuple[str, str]:
    """Name and version of the system: Debian says its point release in a file of its own."""
    try:
        found = platform.freedesktop_os_release()
    except OSError:
        return platform.system(), platform.release()
    debian = Path("/etc/debian_version")
    point = debian.read_text(encoding="ascii", errors="replace").strip() if debian.exists() else ""
    exact = point if found.get("ID") == "debian" and point else found.get("VERSION_ID", "")
    return found.get("NAME", "Linux"), exact


def document() -> dict[str, object]:
    """The CycloneDX document. The same parts make the same document, its serial number included."""
    own, listed = _purl("zhian", version("zhian")), parts()
    needed = {own: sorted(_own_needs(listed)), **{part.id: list(part.needs) for part in listed}}
    return {
        "$schema": f"http://cyclonedx.org/schema/bom-{SPEC}.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": SPEC,
        "serialNumber": f"urn:uuid:{uuid.uuid5(_SPACE, own + ' '.join(sorted(part.id for part in listed)))}",
        "version": 1,
        "metadata": {
            "component": {
                "type": "application",
                "bom-ref": own,
                "name": "zhian",
                "version": version("zhian"),
                "purl": own,
            },
            "properties": [{"name": "zhian:machine", "value": f"{platform.machine()} {sys.platform}"}],
        },
        "components": [_component(part) for part in listed],
        "dependencies": [{"ref": ref, "dependsOn": needs} for ref, needs in needed.items()],
    }


def written() -> bytes:
    """The document as a file."""
    return msgspec.json.format(msgspec.json.encode(document()), indent=2) + b"\n"


def licence_of(distribution: Distribution) -> str:
    """What its metadata says: the SPDX expression (PEP 639), else the classifier, else a short `License` field."""
    about = distribution.metadata
    if expression := _field(about, "License-Expression"):
        return expression
    heads = [head for head in about.get_all("Classifier") or [] if head.startswith("License ::")]
    names = [head.rpartition(" :: ")[2] for head in heads if head != "License :: OSI Approved"]
    said = _field(about, "License").strip().partition("\n")[0]
    return " OR ".join(names) or (said if len(said) <= 60 else "")


def _field(about: PackageMetadata, name: str) -> str:
    """Empty where it is not there."""
    return str(about[name]) if name in about else ""


def _component(part: Part) -> dict[str, object]:
    made: dict[str, object] = {"type": part.kind, "bom-ref": part.id, "name": part.name, "version": part.version}
    if part.licence:
        made["licenses"] = [{"license": {"name": part.licence}}]
    return {**made, "purl": part.purl} if part.purl else made


def _own_needs(listed: list[Part]) -> Iterator[str]:
    wanted = {_plain(need) for each in distributions(name="zhian") for need in _needs(each)}
    yield from (part.id for part in listed if part.purl.startswith("pkg:pypi/") and _plain(part.name) in wanted)
    yield from (part.id for part in listed if part.purl.startswith("pkg:npm/"))


def _needs(distribution: Distribution) -> Iterator[str]:
    """Names of what it requires without any extra."""
    for text in distribution.requires or ():
        match = _NAME.match(text)
        if match and "extra ==" not in text:
            yield _plain(match[0])


def _purl(name: str, release: str) -> str:
    return f"pkg:pypi/{_plain(name)}@{release}"


def _plain(name: str) -> str:
    """As PEP 503 compares names."""
    return re.sub(r"[-_.]+", "-", name).lower()
