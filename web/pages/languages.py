"""Chinese and English: which one somebody reads, and the words in it."""

import gettext
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, TypeAlias, cast, get_args

from babel import negotiate_locale
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from litestar import Request
from litestar.datastructures import Cookie

Language: TypeAlias = Literal["en", "zh"]
LANGUAGES: tuple[Language, ...] = get_args(Language)
LOCALE = Path(__file__).parents[1] / "locale"
COOKIE = "lang"
_YEAR_S = 365 * 24 * 3600


def translations(language: Language) -> gettext.NullTranslations:
    """The words of a language, compiled from its catalogue. English stands in the sources themselves."""
    catalogue = LOCALE / language / "LC_MESSAGES" / "web.po"
    if not catalogue.exists():
        return gettext.NullTranslations()
    compiled = io.BytesIO()
    with catalogue.open("rb") as file:
        write_mo(compiled, read_po(file, locale=language))
    compiled.seek(0)
    return gettext.GNUTranslations(compiled)


def language_of(request: Request[Any, Any, Any]) -> Language:
    """By choice (`?lang=`), by an earlier choice (cookie), by what the browser asks for; else English."""
    for asked in (chosen_language(request), request.cookies.get(COOKIE)):
        if asked in LANGUAGES:
            return asked
    preferred = list(_preferred(request.headers.get("accept-language", "")))
    found = negotiate_locale(preferred + [tag.partition("-")[0] for tag in preferred], LANGUAGES, sep="-")
    return cast("Language", found or "en")


def chosen_language(request: Request[Any, Any, Any]) -> Language | None:
    """The language that this very request asks to switch to."""
    asked = request.query_params.get("lang")
    return asked if asked in LANGUAGES else None


def language_cookie(language: Language) -> Cookie:
    """Remembers a choice."""
    return Cookie(key=COOKIE, value=language, max_age=_YEAR_S, path="/", samesite="lax")


def _preferred(header: str) -> Iterator[str]:
    """The language tags of an Accept-Language header, the best liked first."""
    weighted = []
    for part in header.split(","):
        tag, _, quality = part.strip().partition(";q=")
        try:
            weighted.append((-float(quality or 1), tag))
        except ValueError:
            continue
    yield from (tag for _, tag in sorted(weighted, key=lambda pair: pair[0]) if tag)
