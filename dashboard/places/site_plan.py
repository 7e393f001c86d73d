"""The site plan as people set it on the page: where each zone stands, and the picture below. Over the site file's own.

Kept in `office.sqlite`, so that it is in every backup. What it is drawn with is `plan.py`; nothing here knows Flask.
"""

from collections.abc import Mapping

from sqlalchemy import delete, select
from sqlalchemy.engine import Engine
from sqlalchemy.orm import Session

from dashboard.access.tables import PlanPicture, PlanPlace

LARGEST = 4 * 1024 * 1024  # bytes of a picture: a phone opens it at 2 a.m. over a weak link
# By their first bytes (PNG specification 5.2, JPEG ISO/IEC 10918-1 B.1, WebP container specification); SVG can hold
# scripts and is taken from the site file alone, which an installer writes.
_KINDS = ((b"\x89PNG\r\n\x1a\n", 0, "image/png"), (b"\xff\xd8\xff", 0, "image/jpeg"), (b"WEBP", 8, "image/webp"))


class NoPicture(ValueError):
    """The bytes are no PNG, JPEG or WebP."""


def kind_of(picture: bytes) -> str:
    """The picture's media type by its first bytes. Raises NoPicture."""
    for mark, at, mimetype in _KINDS:
        if picture[at : at + len(mark)] == mark:
            return mimetype
    raise NoPicture


def places(engine: Engine) -> dict[str, tuple[float, float]]:
    """Where zones were dragged to, by zone: 0 to 1 from the left and from the top."""
    with Session(engine) as session:
        return {row.zone: (row.x, row.y) for row in session.scalars(select(PlanPlace))}


def keep_places(engine: Engine, wanted: Mapping[str, tuple[float, float]]) -> None:
    """Exactly these from now on; a zone that is not named stands where the site file says."""
    with Session(engine) as session, session.begin():
        session.execute(delete(PlanPlace))
        session.add_all(PlanPlace(zone=zone, x=x, y=y) for zone, (x, y) in wanted.items())


def picture(engine: Engine) -> tuple[bytes, str, int] | None:
    """The picture, its media type, and when it was given; None when the page was given none."""
    with Session(engine) as session:
        found = session.get(PlanPicture, 1)
        return None if found is None else (found.picture, found.mimetype, found.at)


def picture_at(engine: Engine) -> int | None:
    """When the picture was given, without reading it."""
    with Session(engine) as session:
        return session.scalar(select(PlanPicture.at))


def keep_picture(engine: Engine, given: bytes, at: int) -> None:
    """This picture from now on. Raises NoPicture."""
    made = PlanPicture(id=1, mimetype=kind_of(given), picture=given, at=at)
    with Session(engine) as session, session.begin():
        session.merge(made)


def forget_picture(engine: Engine) -> None:
    """Back to the site file's picture, or the drawing."""
    with Session(engine) as session, session.begin():
        session.execute(delete(PlanPicture))
