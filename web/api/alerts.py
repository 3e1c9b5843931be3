"""Alerts: those that fire, those that are over, and what people do about them."""

from datetime import datetime
from typing import Annotated, Any, Literal

from litestar import Request, Response, get, post
from litestar.params import JSONBody, PathParameter, QueryParameter
from litestar.status_codes import HTTP_200_OK

from twin.alerts import AlertKind, Severity
from twin.interface import AlertView, SilenceView, SilenceWish
from web import alerts
from web.api.places import Format, wants_csv
from web.clock import stretch_ms
from web.paging import Page, page_of, page_with
from web.people import signed_in
from web.shared import ThePart, TheService
from web.tables import csv_response

Key = Annotated[str, PathParameter(max_length=64, description="The alert's id.")]


@get("/alerts", summary="Alerts", tags=["alerts"])
async def list_alerts(
    *,
    request: Request[Any, Any, Any],
    service: TheService,
    part: ThePart,
    standing: Annotated[
        Literal["firing", "resolved"], QueryParameter(name="state", description="Those that fire, or that are over.")
    ] = "firing",
    instrument: Annotated[str | None, QueryParameter(max_length=64, description="An instrument's code.")] = None,
    kind: Annotated[AlertKind | None, QueryParameter(description="What they are about.")] = None,
    severity: Annotated[Severity | None, QueryParameter(description="How bad they are.")] = None,
    start: Annotated[datetime | None, QueryParameter(name="from", description="Not over by then.")] = None,
    end: Annotated[datetime | None, QueryParameter(name="to", description="Fired before then.")] = None,
    form: Format = None,
) -> Page[AlertView] | Response[bytes]:
    """Give the alerts that one may see: those that fire, the worst first, or those that are over, the newest first."""
    person = await signed_in(service, request)
    start_ms, end_ms = stretch_ms(start, end)
    wanted = alerts.Wanted(instrument=instrument, kind=kind, severity=severity, start_ms=start_ms, end_ms=end_ms)
    if standing == "firing":
        page = page_of(request, alerts.firing(service, person, wanted), lambda alert: alert, part)
    else:
        found, total = await service.past_alerts(alerts.past_query(person, wanted, part))
        page = page_with(request, list(found), total, part)
    return _table(page.items) if wants_csv(request, form) else page


@post("/alerts/{id:str}/acknowledge", summary="Acknowledge an alert", tags=["alerts"], status_code=HTTP_200_OK)
async def acknowledge(request: Request[Any, Any, Any], service: TheService, id: Key) -> AlertView:  # noqa: A002
    """Take an alert upon oneself: it is not repeated any more."""
    return await alerts.acknowledge(service, await signed_in(service, request), id)


@post("/alerts/{id:str}/resolve", summary="Resolve an alert", tags=["alerts"], status_code=HTTP_200_OK)
async def resolve(request: Request[Any, Any, Any], service: TheService, id: Key) -> AlertView:  # noqa: A002
    """Say that an alert is over; it fires anew if its condition begins again."""
    return await alerts.resolve(service, await signed_in(service, request), id)


@post("/alerts/silences", summary="Silence alerts for a while", tags=["alerts"])
async def silence(request: Request[Any, Any, Any], service: TheService, data: JSONBody[SilenceWish]) -> SilenceView:
    """Have nobody told of the alerts that match, until a moment and for a reason."""
    return await alerts.silence(service, await signed_in(service, request), data)


def _table(found: list[AlertView]) -> Response[bytes]:
    columns = AlertView.__struct_fields__
    rows = ([_cell(getattr(alert, column)) for column in columns] for alert in found)
    return csv_response("alerts", columns, rows)


def _cell(value: object) -> object:
    return ", ".join(value) if isinstance(value, tuple) else value
