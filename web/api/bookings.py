"""Bookings of instruments."""

from datetime import datetime
from typing import Annotated, Any

from litestar import Request, delete, get, post
from litestar.params import JSONBody, PathParameter, QueryParameter
from litestar.status_codes import HTTP_200_OK

from twin.interface import BookingQuery, BookingView, BookingWish
from web import bookings
from web.clock import stretch_ms
from web.paging import Page, page_with
from web.people import signed_in
from web.shared import ThePart, TheService

Key = Annotated[str, PathParameter(max_length=64, description="The booking's id.")]


@get("/bookings", summary="One's own bookings", tags=["bookings"])
async def list_bookings(
    *,
    request: Request[Any, Any, Any],
    service: TheService,
    part: ThePart,
    instrument: Annotated[str | None, QueryParameter(max_length=64, description="An instrument's code.")] = None,
    standing: Annotated[
        str | None, QueryParameter(name="state", max_length=64, description="Where they stand.")
    ] = None,
    start: Annotated[datetime | None, QueryParameter(name="from", description="Not over by then.")] = None,
    end: Annotated[datetime | None, QueryParameter(name="to", description="Begun before then.")] = None,
) -> Page[BookingView]:
    """Give the bookings of whoever asks, by their start."""
    person = await signed_in(service, request)
    start_ms, end_ms = stretch_ms(start, end)
    query = BookingQuery(
        instruments=None if instrument is None else frozenset({instrument}),
        user=person.username,
        state=standing,
        start_ms=start_ms,
        end_ms=end_ms,
        limit=part.limit,
        offset=part.offset,
    )
    found, total = await service.bookings(query)
    return page_with(request, list(found), total, part)


@post("/bookings", summary="Book an instrument", tags=["bookings"])
async def book(request: Request[Any, Any, Any], service: TheService, data: JSONBody[BookingWish]) -> BookingView:
    """Keep an instrument for a stretch of time. Where that cannot be, the answer names stretches that could."""
    return await bookings.book(service, await signed_in(service, request), data)


@get("/bookings/{id:str}", summary="One booking", tags=["bookings"])
async def get_booking(request: Request[Any, Any, Any], service: TheService, id: Key) -> BookingView:  # noqa: A002
    """Give one of one's own bookings."""
    return await bookings.booking_of(service, await signed_in(service, request), id)


@delete("/bookings/{id:str}", summary="Cancel a booking", tags=["bookings"], status_code=HTTP_200_OK)
async def cancel(request: Request[Any, Any, Any], service: TheService, id: Key) -> BookingView:  # noqa: A002
    """Give a booking back."""
    return await bookings.cancel(service, await signed_in(service, request), id)
