"""Signing in and out by form, without any script."""

from typing import Any

import msgspec
from litestar import Request, Response, get, post

from web.pages.forms import Form, go_on, local_path
from web.people import address_of, session_cookie, token_of
from web.problems import Problem, document_of
from web.shared import TheDoor, ThePages, TheService


class SignInForm(msgspec.Struct, frozen=True):
    """What the sign-in page sends."""

    username: str = ""
    password: str = ""
    next: str = "/"


@get("/sign-in", include_in_schema=False)
async def show_sign_in(request: Request[Any, Any, Any], pages: ThePages) -> Response[str]:
    """The form to sign in with."""
    return await pages.render(
        request, "sign_in.html", next=local_path(request.query_params.get("next", "/")), problem=None, username=""
    )


@post("/sign-in", include_in_schema=False)
async def sign_in(
    request: Request[Any, Any, Any],
    pages: ThePages,
    door: TheDoor,
    data: Form[SignInForm],
) -> Response[Any]:
    """Sign in with the form, and go on to where one came from."""
    onward = local_path(data.next)
    try:
        token = await door.sign_in(address_of(request), data.username, data.password)
    except Problem as problem:
        document = document_of(problem, request.url.path)
        return await pages.render(
            request, "sign_in.html", document.status, next=onward, problem=document, username=data.username
        )
    return go_on(onward, session_cookie(request, token))


@post("/sign-out", include_in_schema=False)
async def sign_out(request: Request[Any, Any, Any], service: TheService) -> Response[Any]:
    """Sign out, and go to the board."""
    token = token_of(request)
    if token is not None:
        await service.sign_out(token)
    return go_on("/", session_cookie(request, ""))
