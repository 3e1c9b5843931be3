"""Signing in and out."""

import asyncio
import hashlib
import secrets
import time
from datetime import UTC, datetime, timedelta

import anyio.to_thread
import asyncpg
from pwdlib import PasswordHash
from tortoise.exceptions import BaseORMException

from twin import interface
from twin.models.people import Person, SignIn

VALID_FOR = timedelta(hours=12)
LOOKUP_S = 3.0
KNOWN_S = 3600.0
"""A session must be ended, and power cut, though the database is away: so long after somebody was last seen."""
MOST_KNOWN = 10_000

_HASHER = PasswordHash.recommended()


class People:
    """Who may sign in. Tokens are random, given out once, and stored as digests."""

    def __init__(self) -> None:
        # Verified for unknown names too, so that the time of an answer does not tell which names exist.
        self._nobody = _HASHER.hash(secrets.token_hex())
        self._known: dict[str, tuple[interface.Person, float]] = {}
        """By digest, who was there lately and until when that counts, for the time of an outage of the database."""

    async def sign_in(self, username: str, password: str) -> str | None:
        """A new token for right credentials, else None."""
        person = await Person.get_or_none(username=username)
        stored = person.password_hash if person else ""
        right = await anyio.to_thread.run_sync(_HASHER.verify, password, stored or self._nobody)
        if person is None or not (person.active and stored and right):
            return None
        token = secrets.token_urlsafe(32)
        await SignIn.filter(expires__lt=datetime.now(UTC)).delete()
        await SignIn.create(digest=_digest(token), person=person, expires=datetime.now(UTC) + VALID_FOR)
        return token

    async def person(self, token: str) -> interface.Person | None:
        """Who a token belongs to, while it is valid; while nobody can look it up, who it belonged to last."""
        digest = _digest(token)
        try:
            async with asyncio.timeout(LOOKUP_S):
                person = await self._lookup(digest)
        except (TimeoutError, OSError, BaseORMException, asyncpg.PostgresError, asyncpg.InterfaceError):
            person, until_s = self._known.get(digest, (None, 0.0))
            return person if time.monotonic() < until_s else None
        self._known.pop(digest, None)
        if person is not None:
            self._known[digest] = person, time.monotonic() + KNOWN_S
            if len(self._known) > MOST_KNOWN:
                del self._known[next(iter(self._known))]
        return person

    async def _lookup(self, digest: str) -> interface.Person | None:
        found = await SignIn.get_or_none(
            digest=digest, expires__gt=datetime.now(UTC), person__active=True
        ).prefetch_related("person__operates")
        if found is None:
            return None
        person = found.person
        operates = frozenset(instrument.code for instrument in person.operates)
        return interface.Person(person.username, person.role, person.name, operates)

    async def sign_out(self, token: str) -> None:
        """End a token."""
        self._known.pop(_digest(token), None)
        await SignIn.filter(digest=_digest(token)).delete()


def password_hash(password: str) -> str:
    """A password as it is stored."""
    return _HASHER.hash(password)


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
