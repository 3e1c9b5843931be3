"""Board, catalogue and instrument: what is shown at which address."""

from datetime import date as Date  # noqa: N812 - the parameter is called date
from typing import Annotated, Any
from urllib.parse import urlencode

from litestar import Request, Response, get
from litestar.params import PathParameter, QueryParameter

from twin.interface import Instrument, Platform
from twin.state import Category
from web.catalogue import Query, entry_of, find, instrument_of
from web.clock import local_today
from web.pages.bench import bench_of
from web.pages.day import day_view
from web.pages.platforms import branches
from web.paging import Part, page_of
from web.people import person_of
from web.shared import ThePages, TheService

PAGE_LENGTH = 50
OUTCOMES = {"granted", "denied", "ended", "stopped"}
"""What may have come of the form that led back to an instrument's page."""
HTML = Response[str]


@get("/", include_in_schema=False)
async def show_board(request: Request[Any, Any, Any], service: TheService, pages: ThePages) -> HTML:
    """The live board."""
    unconnected = len(find(service, Query(connected=False)))
    return await pages.render(
        request, "board.html", branches=list(branches(service.platforms())), unconnected=unconnected
    )


@get("/instruments", include_in_schema=False)
async def show_catalogue(
    request: Request[Any, Any, Any],
    service: TheService,
    pages: ThePages,
    offset: Annotated[int, QueryParameter(ge=0, le=2**31)] = 0,
) -> HTML:
    """The catalogue, searched and filtered."""
    found = find(service, _wanted(request))
    page = page_of(request, found, lambda instrument: entry_of(service, instrument), Part(PAGE_LENGTH, offset))
    platforms = service.platforms()
    return await pages.render(
        request,
        "catalogue.html",
        page=page,
        branches=list(branches(platforms)),
        platforms={platform.code: platform for platform in platforms},
        csv=f"/api/v1/instruments?{urlencode([*_asked(request), ('format', 'csv'), ('limit', 5000)])}",
    )


@get("/instruments/{code:str}", include_in_schema=False)
async def show_instrument(
    request: Request[Any, Any, Any],
    service: TheService,
    pages: ThePages,
    code: Annotated[str, PathParameter(max_length=64)],
    date: Annotated[Date | None, QueryParameter()] = None,
) -> HTML:
    """One instrument: its facts, its live state, its power and its day in the ledger."""
    instrument = instrument_of(service, code)
    today = local_today(service)
    connected = service.view(code) is not None
    ledger = await service.ledger(code, date or today) if connected else None
    person = await person_of(service, request)
    outcome = request.query_params.get("outcome")
    return await pages.render(
        request,
        "instrument.html",
        instrument=instrument,
        lineage=_lineage(service, instrument),
        day=None if ledger is None else day_view(ledger, service.timezone, today),
        bench=await bench_of(service, person, code, pages.voice(request)) if connected else None,
        outcome=outcome if outcome in OUTCOMES else None,
    )


def _wanted(request: Request[Any, Any, Any]) -> Query:
    """What the search form asks for. Its empty fields come as empty text; what makes no sense does not matter."""
    asked = dict(_asked(request))
    state = asked.get("state")
    connected = {"true": True, "false": False}.get(asked.get("connected", ""))
    category = Category(state) if state in tuple(Category) else None
    return Query(asked.get("q"), asked.get("platform"), category, connected)


def _asked(request: Request[Any, Any, Any]) -> list[tuple[str, str]]:
    kept = {"q", "platform", "state", "connected"}
    return [(key, value) for key, value in request.query_params.multi_items() if key in kept and value]


def _lineage(service: TheService, instrument: Instrument) -> list[Platform]:
    """The platforms that an instrument belongs to, the widest first."""
    platforms = {platform.code: platform for platform in service.platforms()}
    line: list[Platform] = []
    code: str | None = instrument.platform
    while code in platforms:
        line.insert(0, platforms[code])
        code = platforms[code].parent
    return line
