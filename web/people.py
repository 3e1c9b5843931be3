"""Signing in and out, and who is asking."""

import asyncio
import math
from typing import Any, TypeAlias

from litestar import Request
from litestar.connection import ASGIConnection
from litestar.datastructures import Cookie

from twin.interface import Person, Service
from web.brake import Brake
from web.problems import Code, Problem

SESSION_COOKIE = "twin_session"
SESSION_S = 12 * 3600
Connection: TypeAlias = ASGIConnection[Any, Any, Any, Any]


class Door:
    """Lets people in by user name and password, with a brake on guessing."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._by_account = Brake(free=5)
        self._by_address = Brake(free=50)
        self._at_once = asyncio.Semaphore(2)  # a password check is expensive on purpose

    async def sign_in(self, address: str, username: str, password: str) -> str:
        """A new token.

        Raises:
            Problem: WRONG_CREDENTIALS or TOO_MANY_ATTEMPTS.

        """
        account = (address, username.casefold())
        self._check(account, address)
        now_ms = self._service.now_ms()
        self._by_account.count(account, now_ms)
        self._by_address.count(address, now_ms)
        async with self._at_once:
            token = await self._service.sign_in(username, password)
        if token is None:
            raise Problem(Code.WRONG_CREDENTIALS, "No account has this user name and this password.")
        self._by_account.clear(account)
        self._by_address.clear(address)
        return token

    def _check(self, account: tuple[str, str], address: str) -> None:
        now_ms = self._service.now_ms()
        wait_ms = max(self._by_account.wait_ms(account, now_ms), self._by_address.wait_ms(address, now_ms))
        if wait_ms:
            wait_s = math.ceil(wait_ms / 1000)
            raise Problem(Code.TOO_MANY_ATTEMPTS, f"Try again in {wait_s} s.", headers={"retry-after": str(wait_s)})


def session_cookie(connection: Connection, token: str) -> Cookie:
    """The cookie that keeps a browser signed in; an empty token takes it away."""
    return Cookie(
        key=SESSION_COOKIE,
        value=token,
        max_age=SESSION_S if token else 0,
        path="/",
        httponly=True,
        samesite="strict",
        secure=connection.url.scheme in {"https", "wss"},
    )


def token_of(connection: Connection) -> str | None:
    """The token that a request carries, as a bearer or in the cookie."""
    scheme, _, bearer = connection.headers.get("authorization", "").partition(" ")
    if scheme.casefold() == "bearer" and bearer.strip():
        return bearer.strip()
    return connection.cookies.get(SESSION_COOKIE) or None


def address_of(connection: Connection) -> str:
    """Where a request comes from, as the server sees it."""
    return connection.client.host if connection.client else ""


async def person_of(service: Service, connection: Connection) -> Person | None:
    """Who is asking; None where nobody is signed in."""
    token = token_of(connection)
    return None if token is None else await service.person(token)


async def signed_in(service: Service, request: Request[Any, Any, Any]) -> Person:
    """Who is asking.

    Raises:
        Problem: NOT_SIGNED_IN.

    """
    person = await person_of(service, request)
    if person is None:
        raise Problem(Code.NOT_SIGNED_IN, "The request carries no valid token.", headers={"www-authenticate": "Bearer"})
    return person
