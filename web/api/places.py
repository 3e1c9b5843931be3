"""Platforms and instruments: the public catalogue."""

from typing import Annotated, Any, Literal

from litestar import Request, Response, get
from litestar.params import PathParameter, QueryParameter

from twin.interface import Instrument, Platform
from web.catalogue import CatalogueEntry, entry_of, find, instrument_of
from web.paging import Page, page_of
from web.shared import ThePart, TheQuery, TheService
from web.tables import CSV_TYPE, csv_response

Format = Annotated[
    Literal["json", "csv"] | None,
    QueryParameter(name="format", description="Asks for CSV as `Accept: text/csv` does."),
]
Code = Annotated[str, PathParameter(max_length=64, description="The instrument's code.")]


def wants_csv(request: Request[Any, Any, Any], form: str | None) -> bool:
    """Does the caller want a table rather than JSON?"""
    return form == "csv" or (form is None and request.accept.best_match(["application/json", CSV_TYPE]) == CSV_TYPE)


@get("/platforms", summary="Platforms of three levels", tags=["catalogue"], sync_to_thread=False)
def list_platforms(request: Request[Any, Any, Any], service: TheService, part: ThePart) -> Page[Platform]:
    """Give all platforms, parents before their children."""
    return page_of(request, service.platforms(), lambda platform: platform, part)


@get("/instruments", summary="Search the catalogue", tags=["catalogue"], sync_to_thread=False)
def list_instruments(
    request: Request[Any, Any, Any], service: TheService, wanted: TheQuery, part: ThePart, form: Format = None
) -> Page[CatalogueEntry] | Response[bytes]:
    """Give the listed instruments by code, each with the present state of its twin. Public."""
    page = page_of(request, find(service, wanted), lambda instrument: entry_of(service, instrument), part)
    return _table(page.items) if wants_csv(request, form) else page


@get("/instruments/{code:str}", summary="One instrument", tags=["catalogue"], sync_to_thread=False)
def get_instrument(service: TheService, code: Code) -> CatalogueEntry:
    """Give a catalogue entry with the present state of its twin. Public."""
    return entry_of(service, instrument_of(service, code))


def _table(entries: list[CatalogueEntry]) -> Response[bytes]:
    columns = (*Instrument.__struct_fields__, "state")
    return csv_response("instruments", columns, ([getattr(entry, c) for c in columns] for entry in entries))
