"""The list of alerts, and what people do about them, by form."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import msgspec
from litestar import Request, Response, get, post
from litestar.params import PathParameter, QueryParameter
from msgspec import Meta

from twin.interface import SilenceWish
from web import alerts
from web.pages.forms import Form, go_on, local_path
from web.paging import Part, page_of, page_with
from web.people import signed_in
from web.shared import ThePages, TheService

PAGE_LENGTH = 50
SILENCE = timedelta(hours=1)
Key = Annotated[str, PathParameter(max_length=64)]


class AnswerForm(msgspec.Struct, frozen=True):
    """Where to go after an alert was acknowledged or resolved."""

    next: str = "/alerts"


class SilenceForm(msgspec.Struct, frozen=True):
    """Which alerts not to hear of for an hour, and why."""

    reason: Annotated[str, Meta(min_length=1, max_length=500)]
    instrument: str = ""
    kind: str = ""
    next: str = "/alerts"


@get("/alerts", include_in_schema=False)
async def show_alerts(
    request: Request[Any, Any, Any],
    service: TheService,
    pages: ThePages,
    offset: Annotated[int, QueryParameter(ge=0, le=2**31)] = 0,
) -> Response[str]:
    """Those that fire, or those that are over."""
    person = await signed_in(service, request)
    asked = {key: value for key, value in request.query_params.items() if value}
    wanted = alerts.Wanted(instrument=asked.get("instrument"), kind=asked.get("kind"), severity=asked.get("severity"))
    part = Part(PAGE_LENGTH, offset)
    is_past = asked.get("state") == "resolved"
    if is_past:
        found, total = await service.past_alerts(alerts.past_query(person, wanted, part))
        page = page_with(request, list(found), total, part)
    else:
        page = page_of(request, alerts.firing(service, person, wanted), lambda alert: alert, part)
    return await pages.render(
        request,
        "alerts.html",
        page=page,
        is_past=is_past,
        is_filtered=bool({"instrument", "kind", "severity"} & set(asked)),
        firing=len(alerts.firing(service, person, alerts.Wanted())),
    )


@post("/alerts/{id:str}/acknowledge", include_in_schema=False)
async def acknowledge(
    request: Request[Any, Any, Any],
    service: TheService,
    id: Key,  # noqa: A002
    data: Form[AnswerForm],
) -> Response[Any]:
    """Take an alert upon oneself."""
    await alerts.acknowledge(service, await signed_in(service, request), id)
    return go_on(local_path(data.next))


@post("/alerts/{id:str}/resolve", include_in_schema=False)
async def resolve(
    request: Request[Any, Any, Any],
    service: TheService,
    id: Key,  # noqa: A002
    data: Form[AnswerForm],
) -> Response[Any]:
    """Say that an alert is over."""
    await alerts.resolve(service, await signed_in(service, request), id)
    return go_on(local_path(data.next))


@post("/alerts/silences", include_in_schema=False)
async def silence(
    request: Request[Any, Any, Any],
    service: TheService,
    data: Form[SilenceForm],
) -> Response[Any]:
    """Have nobody told of such alerts for an hour."""
    until = datetime.fromtimestamp(service.now_ms() / 1000, UTC) + SILENCE
    wish = SilenceWish(until, data.reason, instrument=data.instrument or None, kind=data.kind or None)
    await alerts.silence(service, await signed_in(service, request), wish)
    return go_on(local_path(data.next))
