"""What is installed is what was locked: by version and SHA-256, nothing beside it, nothing less.

The small project below is installed by deploy/setup.sh itself, from wheels in a folder and without a network.
"""

import base64
import hashlib
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from deploy import lock
from hub import sbom

ROOT = Path(__file__).parents[1]
LOCKS = [ROOT / "deploy" / f"{name}.lock" for name in ("runtime", "development")]
PROJECT = """
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]

[project]
name = "zhian"
dependencies = ["leaf>=1"]

[project.optional-dependencies]
dev = ["twig"]
"""
BACKEND = """
import zipfile

def get_requires_for_build_editable(config_settings=None):
    return []

def build_editable(wheel_directory, config_settings=None, metadata_directory=None):
    name = "zhian-0.1.0-py3-none-any.whl"
    with zipfile.ZipFile(f"{wheel_directory}/{name}", "w") as file:
        file.writestr("zhian-0.1.0.dist-info/METADATA", "Metadata-Version: 2.1\\nName: zhian\\nVersion: 0.1.0\\n")
        file.writestr("zhian-0.1.0.dist-info/WHEEL", "Wheel-Version: 1.0\\nTag: py3-none-any\\n")
        file.writestr("zhian-0.1.0.dist-info/RECORD", "")
    return name
"""


class Project:
    """A project with the real deploy/, and a folder of wheels that is all that pip finds."""

    def __init__(self, folder: Path) -> None:
        """Nothing is locked or installed yet."""
        self.folder, self.wheels = folder / "project", folder / "wheels"
        (self.folder / "deploy").mkdir(parents=True)
        self.wheels.mkdir()
        for name in ("setup.sh", "lock.py"):
            shutil.copy(ROOT / "deploy" / name, self.folder / "deploy" / name)
        self.ask(PROJECT)
        (self.folder / "backend.py").write_text(BACKEND)
        self.lock = lock.Lock(self.folder)

    def ask(self, text: str) -> None:
        """What pyproject.toml says."""
        (self.folder / "pyproject.toml").write_text(text)

    def run(self, *command: str | Path) -> subprocess.CompletedProcess[str]:
        """A program in the project, with nothing but the wheels to install from."""
        own = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(self.wheels), "PIP_CONFIG_FILE": os.devnull}
        clean = {name: value for name, value in os.environ.items() if not name.startswith("PIP_")}
        return subprocess.run(
            command, cwd=self.folder, env=clean | own, capture_output=True, text=True, timeout=100, check=False
        )

    def locked(self, *words: str) -> subprocess.CompletedProcess[str]:
        """deploy/lock.py of this project."""
        return self.run(sys.executable, "deploy/lock.py", *words)

    def install(self, environment: Path) -> subprocess.CompletedProcess[str]:
        """By the project's own way, into an environment like the given one."""
        if not (self.folder / ".venv").exists():
            shutil.copytree(environment, self.folder / ".venv", symlinks=True)
        return self.run("deploy/setup.sh", "runtime")

    def installed(self) -> set[str]:
        """Names in its environment."""
        found = self.folder.glob(".venv/lib/python3*/site-packages/*.dist-info")
        return {path.name.partition("-")[0] for path in found}


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `python3 -m venv` makes, which takes its time: once for all."""
    made = tmp_path_factory.mktemp("environment") / ".venv"
    subprocess.run([sys.executable, "-m", "venv", made], check=True, timeout=100)
    return made


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """With wheels of what it asks for."""
    made = Project(tmp_path)
    wheel(made.wheels, "leaf", "1.0", "cp311-cp311-manylinux_2_28_x86_64")
    wheel(made.wheels, "leaf", "1.0", "cp311-cp311-manylinux_2_28_aarch64")
    wheel(made.wheels, "twig", "1.0")
    return made


def wheel(folder: Path, name: str, version: str, tag: str = "py3-none-any") -> str:
    """A package with one module. Its SHA-256."""
    file = folder / f"{name}-{version}-{tag}.whl"
    about = f"{name}-{version}.dist-info"
    parts = {
        f"{name}.py": f"MADE_FOR = {tag!r}\n",
        f"{about}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{about}/WHEEL": f"Wheel-Version: 1.0\nRoot-Is-Purelib: false\nTag: {tag}\n",
    }
    with zipfile.ZipFile(file, "w") as packed:
        for path, text in parts.items():
            packed.writestr(path, text)
        rows = [f"{path},sha256={_urlsafe(text)},{len(text)}\n" for path, text in parts.items()]
        packed.writestr(f"{about}/RECORD", "".join([*rows, f"{about}/RECORD,,\n"]))
    return hashlib.sha256(file.read_bytes()).hexdigest()


def _urlsafe(text: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()


def test_what_is_installed_here_is_what_is_locked() -> None:
    """Nothing that the lock does not hold, nothing less, no other version; all that the project asks for is in it."""
    assert lock.wanted(lock.Lock()) == []
    assert lock.installed(lock.Lock()) == []
    assert lock.unfit(lock.Lock()) == []


def test_the_bill_of_materials_is_the_lock() -> None:
    """The bill names each package of the lock in its version, and no other."""
    locked = {f"pkg:pypi/{name}@{each.version}" for name, each in lock.Lock().all().items()}

    assert {part.purl for part in sbom.python_parts()} == locked


@pytest.mark.parametrize("file", LOCKS, ids=lambda path: path.name)
def test_every_line_of_a_lock_is_a_hash_and_none_a_place(file: Path) -> None:
    """A package without a hash, or one with an address, would be taken from wherever that leads."""
    entries = [line for line in file.read_text().replace(" \\\n", "").splitlines() if not line.startswith("#")]

    assert len(entries) == len(set(lock.Lock().all()) & {line.partition("==")[0] for line in entries}) > 30
    assert all(re.fullmatch(r"[a-z0-9-]+==[\w.]+( {4}--hash=sha256:[0-9a-f]{64}){1,2}", line) for line in entries)


def test_the_lock_is_renewed_and_installed(project: Project, environment: Path) -> None:
    """The file of each kind of machine is locked, and installed; later releases wait until they are asked for."""
    renewed = project.locked("renew")
    assert renewed.returncode == 0, renewed.stderr
    assert len(project.lock.runtime()["leaf"].hashes) == 2
    for name in ("leaf", "twig"):
        wheel(project.wheels, name, "1.1")

    done = project.install(environment)
    assert done.returncode == 0, done.stderr
    assert {"leaf", "zhian"} <= project.installed()
    assert "twig" not in project.installed()
    assert project.locked("renew", "leaf").returncode == 0
    assert {name: each.version for name, each in project.lock.all().items()} == {"leaf": "1.1", "twig": "1.0"}


def test_a_wheel_with_another_hash_stops_the_build(project: Project, environment: Path) -> None:
    """One digit of the hash, as one bit of the file, and nothing at all is installed."""
    found = hashlib.sha256((project.wheels / "twig-1.0-py3-none-any.whl").read_bytes()).hexdigest()
    other = found[:-1] + ("0" if found[-1] != "0" else "1")
    project.ask(PROJECT.replace("leaf>=1", "twig"))
    project.lock.write(["twig"], {"twig": lock.Locked("1.0", (other,))})

    refused = project.install(environment)
    assert refused.returncode != 0
    assert "DO NOT MATCH THE HASHES" in refused.stderr
    assert not {"twig", "zhian"} & project.installed()

    project.lock.write(["twig"], {"twig": lock.Locked("1.0", (found,))})
    assert project.install(environment).returncode == 0
    assert {"twig", "zhian"} <= project.installed()


def test_a_package_without_a_hash_stops_the_build(project: Project, environment: Path) -> None:
    """A line that somebody added by hand is not installed."""
    project.ask(PROJECT.replace('"leaf>=1"', "").replace('"twig"', ""))
    (project.folder / "deploy" / "runtime.lock").write_text("twig==1.0\n")

    refused = project.install(environment)
    assert refused.returncode != 0
    assert "Hashes are required" in refused.stderr
    assert "twig" not in project.installed()


@pytest.mark.parametrize(("old", "new"), [('"leaf>=1"', '"leaf>=1", "bud<3"'), ('"twig"', '"twig", "Bud.x"')])
def test_a_need_that_is_not_locked_says_which_command_renews(project: Project, old: str, new: str) -> None:
    """Whoever adds a dependency hears its name, the file and the command, before anything is installed."""
    project.lock.write(["leaf"], {"leaf": lock.Locked("1.0", ("0" * 64,)), "twig": lock.Locked("1.0", ("0" * 64,))})
    assert project.locked("wanted").returncode == 0
    project.ask(PROJECT.replace(old, new))

    refused = project.locked("wanted")
    assert refused.returncode == 2
    assert "bud" in refused.stderr.lower()
    assert "pyproject.toml" in refused.stderr
    assert "`make lock`" in refused.stderr


def test_a_need_of_another_version_is_refused(project: Project) -> None:
    """What pyproject.toml no longer allows is not built with."""
    project.lock.write(["leaf"], {"leaf": lock.Locked("1.0", ("0" * 64,))})
    assert lock.unfit(project.lock) == []
    project.ask(PROJECT.replace("leaf>=1", "leaf>=2"))

    assert lock.unfit(project.lock) == ["leaf>=2"]


def test_an_unknown_package_is_named(project: Project) -> None:
    """Installed beside the lock, in another version, or not at all: each is a sentence, and what fits is none."""
    place = project.folder / "site-packages"
    for about in ("leaf-1.0", "Stranger_x-7.1", "twig-0.9", "zhian-0.1.0"):
        name, _, version = about.rpartition("-")
        (place / f"{about}.dist-info").mkdir(parents=True)
        (place / f"{about}.dist-info" / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        )
    entry = lock.Locked("1.0", ("0" * 64,))
    project.lock.write(["leaf"], {"leaf": entry, "twig": entry, "bud": entry})

    absent, strange, other = lock.installed(project.lock, [str(place)])
    assert absent.startswith("bud is not installed, and deploy/*.lock says 1.0")
    assert strange.startswith("stranger-x 7.1 is installed, and deploy/*.lock does not hold it")
    assert "`make lock`" in strange
    assert other.startswith("twig is 0.9, and deploy/*.lock says 1.0")


def test_make_check_looks() -> None:
    """What CI runs first fails on an unknown package, before it fails on anything else."""
    said = subprocess.run(["make", "--dry-run", "check"], cwd=ROOT, capture_output=True, text=True, check=True).stdout

    assert "deploy/lock.py installed" in said
    assert said.index("deploy/lock.py installed") < said.index("ruff")
