"""Unlocking and locking instruments, and asking who may."""

from datetime import datetime
from typing import Annotated, Any

import msgspec
from litestar import Request, get, post
from litestar.params import JSONBody, QueryParameter
from litestar.status_codes import HTTP_200_OK

from twin.interface import AccessView, SessionView, Unlocked, UnlockWish
from web import control
from web.api.places import Code
from web.clock import moment_ms
from web.people import signed_in
from web.shared import TheService


class LockWish(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How to end a session; in an emergency the power is cut at once, session or not."""

    emergency: bool = False


class Locked(msgspec.Struct, frozen=True):
    """The session that was ended; None where an emergency stop found none."""

    session: SessionView | None


@get("/access", summary="May this person use this instrument?", tags=["access"])
async def get_access(
    request: Request[Any, Any, Any],
    service: TheService,
    instrument: Annotated[str, QueryParameter(max_length=64, description="The instrument's code.")],
    user: Annotated[
        str | None, QueryParameter(max_length=200, description="A user name; by default whoever asks.")
    ] = None,
    at: Annotated[datetime | None, QueryParameter(description="RFC 3339 with offset; by default now.")] = None,
) -> AccessView:
    """Give the decision without acting on it: every check, and what would make a refusal a grant."""
    person = await signed_in(service, request)
    at_ms = service.now_ms() if at is None else moment_ms("at", at)
    return control.access_of(service, person, instrument, user or person.username, at_ms)


@post("/twins/{code:str}/unlock", summary="Ask for an instrument", tags=["access"], status_code=HTTP_200_OK)
async def unlock(
    request: Request[Any, Any, Any], service: TheService, code: Code, data: JSONBody[UnlockWish]
) -> Unlocked:
    """Answer granted or denied with every check, once that is recorded; a grant begins a session."""
    person = await signed_in(service, request)
    return await control.unlock(service, person, code, data)


@post(
    "/twins/{code:str}/lock", summary="End a session, or stop in an emergency", tags=["access"], status_code=HTTP_200_OK
)
async def lock(
    request: Request[Any, Any, Any], service: TheService, code: Code, data: JSONBody[LockWish | None] = None
) -> Locked:
    """End the session of an instrument. An emergency cuts the power at once, session or not."""
    person = await signed_in(service, request)
    if data is not None and data.emergency:
        return Locked(await control.stop(service, person, code))
    return Locked(await control.lock(service, person, code))
