"""Chinese and English. English is the source; `translations/<language>/LC_MESSAGES/messages.po` holds the rest.

The catalogues are compiled in memory at the start, so that only the .po files are kept. The language is the reader's
choice (`?lang=`, remembered in a cookie), else the browser's, else Chinese.
"""

from functools import cache, lru_cache
from io import BytesIO
from pathlib import Path
from typing import Any

from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.support import NullTranslations, Translations
from flask import Flask, Response, g, request
from flask_babel import Babel, Domain  # type: ignore[import-untyped]
from markupsafe import Markup
from werkzeug.datastructures import LanguageAccept
from werkzeug.http import parse_accept_header

from hub.reading import Label

LANGUAGES = ("zh", "en")
COOKIE = "lang"
YEAR_S = 365 * 24 * 3600
FOLDER = Path(__file__).parents[1] / "translations"


class Catalogue(Domain):  # type: ignore[misc]  # flask_babel is untyped
    """Flask-Babel's domain, with catalogues from memory."""

    def get_translations(self) -> NullTranslations:
        """The catalogue of the request's language."""
        return catalogue(language())


_CATALOGUE = Catalogue()


@cache
def catalogue(lang: str) -> NullTranslations:
    """The compiled catalogue of one language."""
    path = FOLDER / lang / "LC_MESSAGES" / "messages.po"
    if not path.exists():
        return NullTranslations()
    compiled = BytesIO()
    with path.open("rb") as source:
        write_mo(compiled, read_po(source, locale=lang))
    compiled.seek(0)
    return Translations(compiled)


def gettext(text: str, **values: object) -> str:
    """The text in the request's language, %(name)s filled in."""
    return str(_CATALOGUE.gettext(text, **values))


def lazy_gettext(text: str) -> Any:  # Any: flask_babel's lazy string, a text once it is shown
    """For tables that are made before anybody asks: translated when it is shown."""
    return _CATALOGUE.lazy_gettext(text)


def language() -> str:
    """The request's language."""
    found = getattr(g, "language", None)
    if found is None:
        accepted = request.headers.get("Accept-Language", "")
        found = g.language = chosen(request.args.get("lang"), request.cookies.get(COOKIE), accepted)
    return str(found)


def chosen(asked: str | None, remembered: str | None, accepted: str) -> str:
    """The language of who asks for it, else chose it once, else has a browser that accepts (Accept-Language) it."""
    found = next((lang for lang in (asked, remembered) if lang in LANGUAGES), None)
    return found or _best(accepted)


@lru_cache(256)
def _best(accepted: str) -> str:
    return parse_accept_header(accepted, LanguageAccept).best_match(LANGUAGES) or LANGUAGES[0]


def _in_template(text: str, /, **values: object) -> Markup:
    """`gettext` as templates call it, hundreds of times a page: each text is looked up and marked once."""
    return _filled(text, language()) if not values else _raw(text, language()) % values


@lru_cache(8192)
def _raw(text: str, lang: str) -> Markup:
    return Markup(catalogue(lang).ugettext(text))  # noqa: S704  # texts of the program, as Jinja's own `_` takes them


@lru_cache(8192)
def _filled(text: str, lang: str) -> Markup:
    return _raw(text, lang) % {}


def say(label: Label) -> str:
    """A label in the request's language."""
    return label.zh if language() == "zh" else label.en


def init(app: Flask, *, secure: bool) -> None:
    """Give the app its languages."""
    Babel(app, default_locale="en", locale_selector=language)

    @app.before_request
    def choose() -> None:
        _CATALOGUE.as_default()

    @app.after_request
    def remember(response: Response) -> Response:
        wanted = request.args.get("lang")
        if wanted in LANGUAGES:
            response.set_cookie(COOKIE, wanted, max_age=YEAR_S, secure=secure, httponly=True, samesite="Lax")
        return response

    app.jinja_env.globals["_"] = _in_template
    app.jinja_env.filters["say"] = say
    app.jinja_env.globals["language"] = language
