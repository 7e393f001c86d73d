"""What may be installed: runtime.lock and development.lock beside this file, each package by version and SHA-256.

`renew` writes them by pip's own word, from the index that pip is set up for; `wanted` and `installed` refuse what does
not fit. What the project needs stands in pyproject.toml alone. Not for a site: a box takes signed wheels.
"""

import argparse
import json
import platform
import re
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Collection, Iterable, Mapping
from importlib.metadata import distributions
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).parents[1]
MACHINES = ("x86_64", "aarch64")
PYTHON = (3, 11)  # Debian 12's
GLIBC = 36  # Debian 12 has 2.36, and runs what was built for any before it
RENEW = "`make lock` renews deploy/*.lock"
AGAIN = "touch pyproject.toml, then `make check`"
HEAD = "# Made by `make lock` from pyproject.toml: each package by the SHA-256 of its files for {}, Python {}.\n"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_ENTRY = re.compile(r"^([a-z0-9-]+)==(\S+)((?: \\\n {4}--hash=sha256:[0-9a-f]{64})+)$", re.MULTILINE)
_PIP = ("-m", "pip", "install", "--dry-run", "--ignore-installed", "--no-build-isolation", "--quiet")
_SOURCES = (".tar.gz", ".zip")


class Locked(NamedTuple):
    """A package of a lock: its version, and the SHA-256 (hex, sorted) of its files, one a kind of machine."""

    version: str
    hashes: tuple[str, ...]


class LockError(Exception):
    """What does not fit, and what would be right."""


class Lock:
    """The two files of the project in a folder: what runs it, and what develops it beside that."""

    def __init__(self, root: Path = ROOT) -> None:
        """`root` holds pyproject.toml and deploy/. Nothing is read yet."""
        self._files = root / "deploy" / "runtime.lock", root / "deploy" / "development.lock"
        self._project = root / "pyproject.toml"

    def runtime(self) -> dict[str, Locked]:
        """What the hub needs, and what installs it, by name. Empty where there is no file yet."""
        return _read(self._files[0])

    def all(self) -> dict[str, Locked]:
        """Both files, by name."""
        return self.runtime() | _read(self._files[1])

    def needs(self) -> tuple[list[str], list[str]]:
        """What pyproject.toml asks for: to install and run it; to develop it."""
        said = tomllib.loads(self._project.read_text(encoding="utf-8"))
        project, groups = said["project"], said.get("dependency-groups", {})
        run = [*project.get("dependencies", []), *said["build-system"]["requires"], *_flat(groups)]
        return run, _flat(project.get("optional-dependencies", {}))

    def write(self, running: Collection[str], packages: Mapping[str, Locked]) -> None:
        """Both files: those named in `running`, and the rest."""
        for file, mine in zip(self._files, (running, packages.keys() - set(running)), strict=True):
            text = HEAD.format(" and ".join(MACHINES), ".".join(map(str, PYTHON)))
            for name in sorted(mine):
                digests = [f"--hash=sha256:{digest}" for digest in packages[name].hashes]
                text += " \\\n    ".join([f"{name}=={packages[name].version}", *digests]) + "\n"
            file.write_text(text, encoding="utf-8")


def name_of(need: str) -> str:
    """The name in a requirement, as PEP 503 compares names. Raises LockError."""
    match = _NAME.match(need)
    if match is None:
        raise LockError(f"pyproject.toml: {need!r} names no package")
    return re.sub(r"[-_.]+", "-", match[0]).lower()


def wanted(lock: Lock) -> list[str]:
    """What is amiss before anything is installed: another kind of machine, or a need that the lock does not hold."""
    here, told = (platform.machine(), sys.version_info[:2]), []
    if here[0] not in MACHINES or here[1] != PYTHON:
        told.append(
            f"deploy/*.lock holds no files for Python {here[1]} on {here[0]}: add it in deploy/lock.py. {RENEW}"
        )
    for needs, held in zip(lock.needs(), (lock.runtime(), lock.all()), strict=True):
        lacking = [need for need in needs if name_of(need) not in held]
        told += [f"pyproject.toml asks for {need!r}, and deploy/*.lock does not hold it: {RENEW}" for need in lacking]
    return told


def installed(lock: Lock, path: list[str] | None = None) -> list[str]:
    """What is installed (in `path`; left out: here) and is not what the lock says."""
    places = sys.path if path is None else path
    found = {name_of(each.metadata["Name"]): each.version for each in distributions(path=places)}
    locked = {name: each.version for name, each in lock.all().items()}
    told = []
    for name in sorted((found.keys() | locked.keys()) - {"zhian"}):
        there, right = found.get(name), locked.get(name)
        if right is None:
            told.append(
                f"{name} {there} is installed, and deploy/*.lock does not hold it. If the project needs it, name it in "
                f"pyproject.toml: {RENEW}. If not: .venv/bin/pip uninstall {name}"
            )
        elif there != right:
            told.append(f"{name} is {there or 'not installed'}, and deploy/*.lock says {right}: {AGAIN}")
    return told


def unfit(lock: Lock) -> list[str]:
    """What pyproject.toml asks for in a version that is not the lock's."""
    from packaging.requirements import Requirement  # of the lock itself: not there before it is installed

    locked = lock.all()
    asked = [Requirement(need) for needs in lock.needs() for need in needs]
    known = [(need, locked[name_of(need.name)].version) for need in asked if name_of(need.name) in locked]
    return [str(need) for need, version in known if not need.specifier.contains(version, prereleases=True)]


def renew(lock: Lock, newer: Iterable[str], *, all_newer: bool = False) -> None:
    """Write both files. Versions stay, but of `newer` and of what pyproject.toml no longer allows. Raises LockError."""
    to_run, to_develop = lock.needs()
    free = {name_of(each) for each in [*newer, *unfit(lock)]}
    kept = {name: each.version for name, each in lock.all().items() if name not in free and not all_newer}
    versions = _versions(_pip(*to_run, *to_develop, bounds=kept))
    running = _versions(_pip(*to_run, bounds=versions))
    hashes = _hashes(versions)
    lock.write(running.keys(), {name: Locked(version, hashes[name]) for name, version in versions.items()})


def _hashes(versions: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """Of each package the file that pip takes on each kind of machine: a wheel, or the source where there is none."""
    found: dict[str, set[str]] = {name: set() for name in versions}
    exact = [f"{name}=={version}" for name, version in versions.items()]
    for machine in MACHINES:
        for item in _pip("--no-deps", "--target", "nowhere", *_platform(machine), *exact):
            name, file = name_of(item["metadata"]["name"]), item["download_info"]
            found[name].add(file["archive_info"]["hashes"]["sha256"])
            if file["url"].endswith(_SOURCES):
                _say(f"{machine} has no wheel of {name}: its source is built where it is installed")
    return {name: tuple(sorted(digests)) for name, digests in found.items()}


def _platform(machine: str) -> list[str]:
    """Pip's words for a Debian 12 on such a machine, what fits it best first."""
    tags = [f"manylinux_2_{minor}_{machine}" for minor in range(GLIBC, 4, -1)]
    tags += [f"{old}_{machine}" for old in ("manylinux2014", "manylinux2010", "manylinux1", "linux")]
    major, minor = PYTHON
    fixed = ["--python-version", f"{major}.{minor}", "--implementation", "cp"]
    fixed += ["--abi", f"cp{major}{minor}", "--abi", "abi3", "--abi", "none"]
    return [*fixed, *(word for tag in tags for word in ("--platform", tag))]


def _pip(*words: str, bounds: Mapping[str, str] | None = None) -> list[dict[str, Any]]:  # its report is JSON
    """What pip would install, and from which files. Raises LockError."""
    with tempfile.TemporaryDirectory() as folder:
        report, constraints = Path(folder) / "report.json", Path(folder) / "constraints.txt"
        constraints.write_text("".join(f"{name}=={version}\n" for name, version in (bounds or {}).items()))
        call = [sys.executable, *_PIP, "--report", str(report), "--constraint", str(constraints), *words]
        if subprocess.run(call, check=False).returncode:
            raise LockError(
                "pip finds no versions that fit together, and says why above; ARGS=NAME frees one, --all all"
            )
        return list(json.loads(report.read_text(encoding="utf-8"))["install"])


def _versions(items: Iterable[dict[str, Any]]) -> dict[str, str]:
    return {name_of(item["metadata"]["name"]): item["metadata"]["version"] for item in items}


def _flat(groups: Mapping[str, list[str]]) -> list[str]:
    return [need for group in groups.values() for need in group]


def _read(file: Path) -> dict[str, Locked]:
    text = file.read_text(encoding="utf-8") if file.exists() else ""
    found = _ENTRY.findall(text)
    return {name: Locked(version, tuple(re.findall(r"sha256:(\w+)", rest))) for name, version, rest in found}


def _say(text: str) -> None:
    print(text, file=sys.stderr)  # noqa: T201  # a program of the command line


def main(words: list[str], root: Path = ROOT) -> int:
    """0, or 2 where something does not fit."""
    parser = argparse.ArgumentParser(prog="deploy/lock.py", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("what", choices=["wanted", "installed", "renew"])
    parser.add_argument("newer", nargs="*", metavar="NAME", help="renew: packages of which the newest is taken")
    parser.add_argument("--all", action="store_true", help="renew: the newest of all")
    asked, lock = parser.parse_args(words), Lock(root)
    told = []
    try:
        if asked.what == "renew":
            renew(lock, asked.newer, all_newer=asked.all)
        else:
            told = wanted(lock)
            told += [*installed(lock), *_too_old(lock)] if asked.what == "installed" else []
    except LockError as error:
        told = [str(error)]
    for line in told:
        _say(f"zhian: {line}")
    return 2 if told else 0


def _too_old(lock: Lock) -> list[str]:
    return [
        f"pyproject.toml asks for {need!r}, and deploy/*.lock holds another version: {RENEW}" for need in unfit(lock)
    ]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
