"""The list of sessions, and each session with its minutes and its bill."""

from collections.abc import Iterator
from datetime import date as Date  # noqa: N812 - a form's field is a date
from datetime import datetime, time, timedelta
from typing import Annotated, Any
from urllib.parse import urlencode

from litestar import Request, Response, get
from litestar.params import PathParameter, QueryParameter

from twin.interface import Service
from web import rights
from web.pages.terms import SESSION_STATES
from web.paging import Part, page_with
from web.people import signed_in
from web.rights import Deed
from web.sessions import Wanted, query_for, session_of, veiled
from web.shared import ThePages, TheService

PAGE_LENGTH = 50


@get("/sessions", include_in_schema=False)
async def show_sessions(
    request: Request[Any, Any, Any],
    service: TheService,
    pages: ThePages,
    offset: Annotated[int, QueryParameter(ge=0, le=2**31)] = 0,
) -> Response[str]:
    """Sessions, filtered, the newest first."""
    person = await signed_in(service, request)
    asked = {key: value for key, value in request.query_params.items() if value and key in _FILTERS}
    part = Part(PAGE_LENGTH, offset)
    found, total = await service.sessions(query_for(person, _wanted(service, asked), part))
    return await pages.render(
        request,
        "sessions.html",
        page=page_with(request, [veiled(person, session) for session in found], total, part),
        is_filtered=bool(asked),
        may_name=rights.where(person, Deed.SEE_NAMES) != frozenset(),
        csv=f"/api/v1/sessions?{urlencode([*_csv_query(service, asked), ('format', 'csv'), ('limit', 5000)])}",
    )


@get("/sessions/{id:str}", include_in_schema=False)
async def show_session(
    request: Request[Any, Any, Any],
    service: TheService,
    pages: ThePages,
    id: Annotated[str, PathParameter(max_length=64)],  # noqa: A002
) -> Response[str]:
    """One session: when, who, how many minutes, what it costs and why."""
    session = await session_of(service, await signed_in(service, request), id)
    return await pages.render(
        request, "session.html", session=session, instrument=service.instrument(session.instrument)
    )


_FILTERS = {"instrument", "user", "state", "from", "to"}


def _wanted(service: Service, asked: dict[str, str]) -> Wanted:
    """What the form asks for; what makes no sense does not matter."""
    days = dict(_days(service, asked))
    state = asked.get("state")
    return Wanted(
        instrument=asked.get("instrument"),
        user=asked.get("user"),
        state=state if state in SESSION_STATES else None,
        start_ms=_ms(days.get("from")),
        end_ms=_ms(days.get("to")),
    )


def _csv_query(service: Service, asked: dict[str, str]) -> Iterator[tuple[str, str]]:
    yield from ((key, value) for key, value in asked.items() if key not in {"from", "to"})
    yield from ((key, moment.isoformat()) for key, moment in _days(service, asked))


def _days(service: Service, asked: dict[str, str]) -> Iterator[tuple[str, datetime]]:
    """The moments at which the first day begins and the last one ends."""
    for key in ("from", "to"):
        try:
            day = Date.fromisoformat(asked.get(key, ""))
        except ValueError:
            continue
        yield key, datetime.combine(day + timedelta(days=key == "to"), time(), service.timezone)


def _ms(moment: datetime | None) -> int | None:
    return None if moment is None else round(moment.timestamp() * 1000)
