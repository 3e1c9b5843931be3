"""Searching the catalogue: by words, platform, state; with or without a controller."""

from collections.abc import Callable, Iterator
from typing import Annotated

import msgspec
from litestar.params import QueryParameter

from twin.interface import Instrument, Service
from twin.state import Category
from twin.views import TwinView
from web.problems import Code, Problem
from web.scopes import Scope, with_children


class CatalogueEntry(Instrument, frozen=True):
    """A catalogue entry with the state that its twin is in; `state` is None where no controller is fitted."""

    state: Category | None = None


class Query(msgspec.Struct, frozen=True):
    """What to look for; what is None does not matter."""

    q: str | None = None
    platform: str | None = None
    state: Category | None = None
    connected: bool | None = None


def query_of(
    q: Annotated[str | None, QueryParameter(max_length=200, description="Words in code, name, model or place.")] = None,
    platform: Annotated[str | None, QueryParameter(max_length=64, description="A platform and all below it.")] = None,
    category: Annotated[Category | None, QueryParameter(name="state", description="The twin's present state.")] = None,
    connected: Annotated[bool | None, QueryParameter(description="Only those with, or without, a controller.")] = None,
) -> Query:
    """What a request's parameters ask for."""
    return Query(q, platform, category, connected)


def find(service: Service, query: Query) -> list[Instrument]:
    """The instruments that a query asks for, by code.

    Raises:
        Problem: UNKNOWN_PLATFORM.

    """
    wanted = tuple(_tests(service, query))
    return [instrument for instrument in service.instruments() if all(test(instrument) for test in wanted)]


def entry_of(service: Service, instrument: Instrument) -> CatalogueEntry:
    """An instrument together with its present state."""
    view = service.view(instrument.code)
    return CatalogueEntry(**msgspec.structs.asdict(instrument), state=None if view is None else view.state)


def instrument_of(service: Service, code: str) -> Instrument:
    """One instrument.

    Raises:
        Problem: UNKNOWN_INSTRUMENT.

    """
    instrument = service.instrument(code)
    if instrument is None:
        raise Problem(Code.UNKNOWN_INSTRUMENT, f"No instrument has the code {code!r}.")
    return instrument


def twin_of(service: Service, code: str) -> TwinView:
    """One twin as it is now.

    Raises:
        Problem: UNKNOWN_INSTRUMENT or NO_CONTROLLER.

    """
    instrument_of(service, code)
    view = service.view(code)
    if view is None:
        raise Problem(Code.NO_CONTROLLER, f"The instrument {code!r} has no controller.")
    return view


def scope_of(service: Service, platform: str | None) -> Scope:
    """The scope of a platform with all below it, or of the whole site.

    Raises:
        Problem: UNKNOWN_PLATFORM.

    """
    if platform is None:
        return Scope()
    platforms = with_children(service.platforms(), platform)
    if platforms is None:
        raise Problem(Code.UNKNOWN_PLATFORM, f"No platform has the code {platform!r}.")
    return Scope(platforms)


def _tests(service: Service, query: Query) -> Iterator[Callable[[Instrument], bool]]:
    """The tests of a query, the cheap ones first."""
    if query.connected is not None:
        yield lambda instrument: (instrument.controller is not None) is query.connected
    if query.platform is not None:
        yield scope_of(service, query.platform).has
    if query.q:
        words = query.q.casefold().split()
        yield lambda instrument: all(word in _text(instrument) for word in words)
    if query.state is not None:
        yield lambda instrument: _state(service, instrument) is query.state


def _text(instrument: Instrument) -> str:
    parts = (instrument.code, instrument.name_zh, instrument.name_en, instrument.model, instrument.place)
    return "\n".join(parts).casefold()


def _state(service: Service, instrument: Instrument) -> Category | None:
    view = service.view(instrument.code)
    return None if view is None else view.state
