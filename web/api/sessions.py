"""Sessions of people at instruments."""

from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, Any, Literal, TypeAlias

from litestar import Request, Response, get
from litestar.params import PathParameter, QueryParameter

from twin.interface import ChargeView, SessionView
from web.api.places import Format, wants_csv
from web.clock import stretch_ms
from web.paging import Page, page_with
from web.people import signed_in
from web.sessions import Wanted, query_for, session_of, veiled
from web.shared import ThePart, TheService
from web.tables import csv_response

Standing: TypeAlias = Literal["opening", "open", "closed", "void"]
_CHARGE = ("minutes", "gross", "allowance", "subsidy", "net")
_COLUMNS = tuple(name for name in SessionView.__struct_fields__ if name != "charge")


@get("/sessions", summary="Sessions", tags=["sessions"])
async def list_sessions(
    *,
    request: Request[Any, Any, Any],
    service: TheService,
    part: ThePart,
    instrument: Annotated[str | None, QueryParameter(max_length=64, description="An instrument's code.")] = None,
    user: Annotated[str | None, QueryParameter(max_length=200, description="A user name.")] = None,
    standing: Annotated[Standing | None, QueryParameter(name="state", description="Where they stand.")] = None,
    start: Annotated[datetime | None, QueryParameter(name="from", description="Not ended by then.")] = None,
    end: Annotated[datetime | None, QueryParameter(name="to", description="Asked for before then.")] = None,
    form: Format = None,
) -> Page[SessionView] | Response[bytes]:
    """Give sessions, the newest first: one's own, and those of instruments where one may see more."""
    person = await signed_in(service, request)
    start_ms, end_ms = stretch_ms(start, end)
    wanted = Wanted(instrument=instrument, user=user, state=standing, start_ms=start_ms, end_ms=end_ms)
    found, total = await service.sessions(query_for(person, wanted, part))
    items = [veiled(person, session) for session in found]
    return _table(items) if wants_csv(request, form) else page_with(request, items, total, part)


@get("/sessions/{id:str}", summary="One session with its charge", tags=["sessions"])
async def get_session(
    request: Request[Any, Any, Any],
    service: TheService,
    id: Annotated[str, PathParameter(max_length=64, description="The session's id.")],  # noqa: A002
) -> SessionView:
    """Give a session with what it costs: so far while it runs, with every line once it is over."""
    return await session_of(service, await signed_in(service, request), id)


def _table(sessions: list[SessionView]) -> Response[bytes]:
    return csv_response("sessions", (*_COLUMNS, *_CHARGE), map(list, map(_row, sessions)))


def _row(session: SessionView) -> Iterator[object]:
    yield from (getattr(session, column) for column in _COLUMNS)
    yield from _figures(session.charge)


def _figures(charge: ChargeView | None) -> tuple[object, ...]:
    return tuple(None if charge is None else getattr(charge, name) for name in _CHARGE)
