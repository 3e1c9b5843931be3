"""Unlocking and locking by form, without any script: people do it on the phone."""

from typing import Annotated, Any
from urllib.parse import quote

import msgspec
from litestar import Request, Response, post
from litestar.params import PathParameter
from litestar.response import Redirect
from msgspec import Meta

from twin.interface import UnlockWish
from web import control
from web.pages.forms import Form, go_on
from web.people import signed_in
from web.shared import TheService

Code = Annotated[str, PathParameter(max_length=64)]


class UnlockForm(msgspec.Struct, frozen=True):
    """What the unlock form sends; empty fields come as empty text."""

    override_reason: Annotated[str, Meta(max_length=500)] = ""
    maintenance: bool = False


class LockForm(msgspec.Struct, frozen=True):
    """Which of the two buttons was pressed."""

    emergency: bool = False


@post("/instruments/{code:str}/unlock", include_in_schema=False)
async def unlock(
    request: Request[Any, Any, Any],
    service: TheService,
    code: Code,
    data: Form[UnlockForm],
) -> Response[Any]:
    """Ask for the instrument, and go back to its page, which says what came of it."""
    wish = UnlockWish(override_reason=data.override_reason.strip() or None, maintenance=data.maintenance)
    answer = await control.unlock(service, await signed_in(service, request), code, wish)
    return _back(code, answer.decision)


@post("/instruments/{code:str}/lock", include_in_schema=False)
async def lock(
    request: Request[Any, Any, Any],
    service: TheService,
    code: Code,
    data: Form[LockForm],
) -> Response[Any]:
    """End the session, or cut the power in an emergency, and go back to the instrument's page."""
    person = await signed_in(service, request)
    if data.emergency:
        await control.stop(service, person, code)
        return _back(code, "stopped")
    await control.lock(service, person, code)
    return _back(code, "ended")


def _back(code: str, outcome: str) -> Redirect:
    return go_on(f"/instruments/{quote(code)}?outcome={outcome}#session")
