"""The twins: their present state, ledger and power."""

from datetime import date as Date  # noqa: N812 - the parameter is called date
from datetime import datetime, timedelta
from typing import Annotated, Any

import msgspec
from litestar import Request, Response, get
from litestar.params import QueryParameter

from twin.interface import LedgerDay, PowerSeries
from twin.views import TwinView
from web.api.places import Code, Format, wants_csv
from web.catalogue import find, twin_of
from web.clock import local_today, moment_ms
from web.paging import Page, page_of
from web.problems import Code as ProblemCode
from web.problems import Problem
from web.recent import RecentPowerView
from web.shared import ThePart, TheQuery, TheRecentPower, TheService
from web.tables import csv_response

LONGEST = timedelta(days=366)


@get("/twins", summary="All twins as they are now", tags=["twins"], sync_to_thread=False)
def list_twins(request: Request[Any, Any, Any], service: TheService, wanted: TheQuery, part: ThePart) -> Page[TwinView]:
    """Give the live state of the instruments that have a controller, by code."""
    found = find(service, msgspec.structs.replace(wanted, connected=True))
    return page_of(request, found, lambda instrument: twin_of(service, instrument.code), part)


@get("/twins/{code:str}", summary="One twin as it is now", tags=["twins"], sync_to_thread=False)
def get_twin(service: TheService, code: Code) -> TwinView:
    """Give the live state of one instrument."""
    return twin_of(service, code)


@get("/twins/{code:str}/ledger", summary="A local day in the ledger", tags=["twins"])
async def get_ledger(
    request: Request[Any, Any, Any],
    service: TheService,
    code: Code,
    date: Annotated[Date | None, QueryParameter(description="A day of the site's time zone; by default today.")] = None,
    form: Format = None,
) -> LedgerDay | Response[bytes]:
    """Give segments and minutes per category; every minute of the day falls in exactly one category."""
    twin_of(service, code)
    day = await service.ledger(code, date or local_today(service))
    return _table(day) if wants_csv(request, form) else day


@get("/twins/{code:str}/power", summary="Power over time", tags=["twins"])
async def get_power(
    service: TheService,
    code: Code,
    start: Annotated[datetime | None, QueryParameter(name="from", description="RFC 3339 with offset.")] = None,
    end: Annotated[datetime | None, QueryParameter(name="to", description="RFC 3339 with offset.")] = None,
    points: Annotated[int, QueryParameter(ge=1, le=2000, description="The highest number of buckets.")] = 288,
) -> PowerSeries:
    """Give mean and highest power (W) in equal buckets; the last 24 hours if no time is named."""
    twin_of(service, code)
    end_ms = service.now_ms() if end is None else moment_ms("to", end)
    start_ms = end_ms - 24 * 3_600_000 if start is None else moment_ms("from", start)
    if not 0 < end_ms - start_ms <= LONGEST / timedelta(milliseconds=1):
        raise Problem(ProblemCode.INVALID_PARAMETER, "`from` must lie before `to`, by a year at most.")
    return await service.power(code, start_ms, end_ms, points)


@get("/power", summary="The recent power of all twins", tags=["twins"])
async def get_recent_power(
    recent_power: TheRecentPower,
    minutes: Annotated[int, QueryParameter(ge=1, le=240, description="How many minutes back.")] = 60,
) -> RecentPowerView:
    """Give the mean power (W) a minute of every twin, oldest first; None where nothing was read."""
    return await recent_power.get(minutes)


def _table(day: LedgerDay) -> Response[bytes]:
    rows = ([day.instrument, s.start, s.end, s.category.value, s.minutes] for s in day.segments)
    return csv_response(f"ledger-{day.date}", ("instrument", "from", "to", "category", "minutes"), rows)
