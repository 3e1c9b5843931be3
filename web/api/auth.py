"""Signing in and out by programs and scripts."""

from typing import Annotated, Any

import msgspec
from litestar import Request, Response, get, post
from litestar.params import JSONBody
from litestar.status_codes import HTTP_200_OK, HTTP_204_NO_CONTENT
from msgspec import Meta

from twin.interface import Person
from web.people import address_of, session_cookie, signed_in, token_of
from web.shared import TheDoor, TheService


class Credentials(msgspec.Struct, frozen=True):
    """What somebody signs in with."""

    username: Annotated[str, Meta(min_length=1, max_length=200)]
    password: Annotated[str, Meta(min_length=1, max_length=1000)]


class Token(msgspec.Struct, frozen=True):
    """To be sent as `Authorization: Bearer ...`."""

    token: str


@post("/auth/login", summary="Sign in", tags=["people"], status_code=HTTP_200_OK)
async def log_in(request: Request[Any, Any, Any], data: JSONBody[Credentials], door: TheDoor) -> Response[Token]:
    """Give a token, and set it as a session cookie for browsers."""
    token = await door.sign_in(address_of(request), data.username, data.password)
    return Response(Token(token), cookies=[session_cookie(request, token)])


@post("/auth/logout", summary="Sign out", tags=["people"], status_code=HTTP_204_NO_CONTENT)
async def log_out(request: Request[Any, Any, Any], service: TheService) -> Response[None]:
    """End the token that the request carries."""
    token = token_of(request)
    if token is not None:
        await service.sign_out(token)
    return Response(None, status_code=HTTP_204_NO_CONTENT, cookies=[session_cookie(request, "")])


@get("/auth/me", summary="Who is signed in", tags=["people"])
async def get_me(request: Request[Any, Any, Any], service: TheService) -> Person:
    """Tell to whom the request's token belongs."""
    return await signed_in(service, request)
