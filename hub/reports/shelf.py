"""The folder where reports stand: `reports/` in the data folder, one file for zone, month, language and format.

A file's time is when its figures were made, by the hub's clock. Files appear whole or not at all.
"""

import contextlib
import os
import re
from pathlib import Path
from typing import Literal, TypeAlias

import msgspec

from hub.reports.noise import NoiseReport
from hub.reports.words import LANGUAGES, Language, Words
from hub.settings.site import Site

FOLDER = "reports"
Format: TypeAlias = Literal["xlsx", "pdf"]
FORMATS: tuple[Format, ...] = ("xlsx", "pdf")
_NAME = re.compile(
    r"noise-(?P<zone>[a-z0-9]+(-[a-z0-9]+)*)-(?P<month>\d{4}-(0[1-9]|1[0-2]))-(?P<language>zh|en)\.(?P<format>xlsx|pdf)"
)


class Wanted(msgspec.Struct, frozen=True):
    """Which report: the noise of a zone in a month ("2026-10"), in a language and a format."""

    zone: str
    month: str
    language: Language
    format: Format

    @property
    def name(self) -> str:
        """Its file's name."""
        return f"noise-{self.zone}-{self.month}-{self.language}.{self.format}"


class Paper(msgspec.Struct, frozen=True):
    """A report on the shelf: its size in bytes, and when it was made in ms since 1970."""

    wanted: Wanted
    size: int
    made: int


def wanted_of(name: str) -> Wanted | None:
    """What a file's name says; None when it is not one of ours, so that no other file is ever handed out."""
    match = _NAME.fullmatch(name)
    return msgspec.convert(match.groupdict(), Wanted) if match else None


def all_of(zone: str, month: str) -> list[Wanted]:
    """Every language and format."""
    return [Wanted(zone, month, language, form) for language in LANGUAGES for form in FORMATS]


def papers(data: Path) -> list[Paper]:
    """What stands there, the newest month first."""
    found = []
    with contextlib.suppress(FileNotFoundError):
        for path in (data / FOLDER).iterdir():
            wanted = wanted_of(path.name)
            if wanted is not None:
                stat = path.stat()
                found.append(Paper(wanted, stat.st_size, int(stat.st_mtime * 1000)))
    order = sorted(found, key=lambda paper: (paper.wanted.zone, paper.wanted.language != "zh", paper.wanted.format))
    return sorted(order, key=lambda paper: paper.wanted.month, reverse=True)


def write_report(report: NoiseReport, site: Site, language: Language, path: Path) -> None:
    """Write one file, by the ending of its name, beside `path` first. Raises OSError."""
    words = Words(language, site.tz)
    part = path.with_name(f".{path.stem}.part{path.suffix}")
    try:
        if path.suffix == ".pdf":
            from hub.reports.pdf import write_pdf  # ReportLab, which a workbook need not load

            write_pdf(report, words, part)
        else:
            from hub.reports.xlsx import write_xlsx

            write_xlsx(report, words, part)
        with part.open("rb") as file:
            os.fsync(file.fileno())
        os.utime(part, (report.made / 1000, report.made / 1000))
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def shelve(report: NoiseReport, site: Site, wanted: Wanted, data: Path) -> Path:
    """Put the report on the shelf, in place of an older one. Raises OSError."""
    folder = data / FOLDER
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = folder / wanted.name
    write_report(report, site, wanted.language, path)
    return path
