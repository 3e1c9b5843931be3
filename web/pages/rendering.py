"""Templates in two languages, and what every page needs."""

from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import msgspec
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from litestar import MediaType, Request, Response
from litestar.status_codes import HTTP_200_OK

from twin.interface import Instrument, Person, Platform, Service
from web.pages.forms import go_on
from web.pages.languages import (
    LANGUAGES,
    Language,
    chosen_language,
    language_cookie,
    language_of,
    translations,
)
from web.pages.terms import TERMS
from web.pages.voice import Voice, local_moment
from web.pages.words import LEVELS, STATES, script_words
from web.people import person_of
from web.problems import Code, answer, document_of, heed
from web.rights import Deed, may, where
from web.settings import WebSettings

_HERE = Path(__file__).parents[1]
STATIC = _HERE / "static"
TEMPLATES = _HERE / "templates"
THEMES = ("light", "dark")


def static_version() -> str:
    """A short digest of all static files, part of their address, so that browsers may keep them for ever."""
    digest = sha256()
    for file in sorted(STATIC.iterdir()):
        digest.update(file.name.encode() + file.read_bytes())
    return digest.hexdigest()[:12]


class Pages:
    """Renders pages for one service."""

    def __init__(self, service: Service, settings: WebSettings) -> None:
        self._service = service
        self._settings = settings
        self.static_path = f"/static/{static_version()}"
        self._words = {language: translations(language) for language in LANGUAGES}
        self._environments = {language: self._environment(language) for language in LANGUAGES}

    async def render(
        self, request: Request[Any, Any, Any], name: str, status_code: int = HTTP_200_OK, **context: object
    ) -> Response[str]:
        """A page in the language of whoever asks."""
        person = await person_of(self._service, request)
        return self._render(request, name, status_code, person, **context)

    def answer(self, request: Request[Any, Any, Any], error: Exception) -> Response[Any]:
        """Litestar's exception handler: a page for people, a problem document for programs."""
        problem = heed(request, error)
        if problem.code is Code.NOT_SIGNED_IN and _is_for_people(request):
            return go_on(f"/sign-in?{urlencode({'next': request.url.path})}")
        if not _is_for_people(request):
            return answer(request, problem)
        document = document_of(problem, request.url.path)
        return self._render(request, "problem.html", document.status, None, problem=document)

    def voice(self, request: Request[Any, Any, Any]) -> Voice:
        """Speaks the language of whoever asks, now."""
        translate = self._words[language_of(request)].gettext
        return Voice(translate, self._service.timezone, self._service.now_ms())

    def _when(self, moment: str) -> str:
        return local_moment(moment, self._service.timezone, self._service.now_ms())

    def _dated(self, moment: str) -> str:
        return f"{datetime.fromisoformat(moment).astimezone(self._service.timezone):%Y-%m-%d %H:%M}"

    def _render(
        self, request: Request[Any, Any, Any], name: str, status_code: int, person: Person | None, **context: object
    ) -> Response[str]:
        language = language_of(request)
        template = self._environments[language].get_template(name)
        theme = request.cookies.get("theme")
        html = template.render(
            path=request.url.path,
            query=request.query_params,
            theme=theme if theme in THEMES else None,
            timezone=str(self._service.timezone),
            here=str(request.url.path) + (f"?{request.url.query}" if request.url.query else ""),
            sees_alerts=where(person, Deed.SEE_ALERTS) != frozenset(),
            may=lambda deed, instrument: may(person, Deed[deed], instrument),
            person=person,
            **context,
        )
        chosen = chosen_language(request)
        cookies = [language_cookie(chosen)] if chosen else []
        return Response(html, status_code=status_code, media_type=MediaType.HTML, cookies=cookies)

    def _environment(self, language: Language) -> Environment:
        environment = Environment(
            loader=FileSystemLoader(TEMPLATES),
            autoescape=True,
            undefined=StrictUndefined,
            extensions=["jinja2.ext.i18n"],
            trim_blocks=True,
            lstrip_blocks=True,
        )
        words = self._words[language]
        environment.install_gettext_translations(words, newstyle=True)  # type: ignore[attr-defined]  # by the extension
        environment.globals |= {
            "language": language,
            "static": self.static_path,
            "title": self._settings.title_zh if language == "zh" else self._settings.title_en,
            "states": {state.value: words.gettext(name) for state, name in STATES.items()},
            "levels": {level: words.gettext(name) for level, name in LEVELS.items()},
            "terms": {name: _spoken(names, words.gettext) for name, names in TERMS.items()},
            "script_words": msgspec.to_builtins(script_words(words.gettext)),
        }
        environment.filters |= {
            "name": _named(language),
            "other_name": _named("en" if language == "zh" else "zh"),
            "money": _money,
            "when": self._when,
            "dated": self._dated,
        }
        return environment


def _spoken(names: Mapping[str, str], translate: Callable[[str], str]) -> dict[str, str]:
    return {str(key): translate(name) for key, name in names.items()}


def _money(amount: str) -> str:
    return f"{Decimal(amount):,.2f}"


def _is_for_people(request: Request[Any, Any, Any]) -> bool:
    is_page = request.url.path.split("/")[1] not in {"api", "health", "metrics", "schema", "static"}
    return is_page and "text/html" in request.headers.get("accept", "")


def _named(language: Language) -> Any:
    def name(thing: Instrument | Platform) -> str:
        first, second = (thing.name_zh, thing.name_en) if language == "zh" else (thing.name_en, thing.name_zh)
        return first or second

    return name
