"""People at their screens: they unlock, work, lock and book over HTTP, and remember what they asked and were told.

What they were told is a promise of the service, and what they were not told is nothing: an answer that was lost on its
way may have been a yes.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, NoReturn

import httpx
import msgspec

from benchmarks.chaos.site import Person, Site
from benchmarks.chaos.vitals import now_ms
from benchmarks.processes import BenchError

TIMEOUT_S = 8.0
PAUSE_S = (0.3, 2.5)
"""Between two things that somebody does."""
BOOKING = 0.1
LOCKING = 0.4
_SLOT_S = (4, 15)


class Deed(StrEnum):
    """What somebody asks for."""

    UNLOCK = "unlock"
    LOCK = "lock"
    BOOK = "book"


class Outcome(StrEnum):
    """What they were told."""

    DONE = "done"
    REFUSED = "refused"
    NOT_RECORDED = "not recorded"
    """Nothing was unlocked, says the service; or: power goes off, and that the session has ended is recorded later."""
    UNKNOWN = "unknown"
    """No answer, or that something failed."""


class Attempt(msgspec.Struct, frozen=True):
    """What somebody asked for, from when until when, and what came of it; ms since the epoch."""

    deed: Deed
    user: str
    instrument: str
    sent_ms: int
    told_ms: int
    outcome: Outcome
    id: str | None = None
    """The session or booking that they were told of."""


class People:
    """Everybody with an account."""

    def __init__(self, site: Site, seed: int, client: httpx.AsyncClient, tokens: Mapping[str, str]) -> None:
        self._site = site
        self._seed = seed
        self._client = client
        self._tokens = tokens
        self.attempts: list[Attempt] = []

    async def live(self, number: int) -> NoReturn:
        """Do what people do, for ever; what by chance is decided by seed and round."""
        async with asyncio.TaskGroup() as group:
            for person in self._site.people:
                chance = random.Random(f"{self._seed} {number} {person.username}")
                group.create_task(self._live(person, chance))
        raise AssertionError("nobody stops by themselves")

    async def _live(self, person: Person, chance: random.Random) -> NoReturn:
        at: str | None = None
        while True:
            await asyncio.sleep(chance.uniform(*PAUSE_S))
            draw = chance.random()
            if at is not None and draw < LOCKING:
                await self.lock(person, at)
                at = None
            elif draw > 1 - BOOKING:
                await self._book(person, chance)
            elif at is None:
                code = chance.choice(list(self._site.instruments.values()))
                at = code if await self._unlock(person, code) else None

    async def _unlock(self, person: Person, code: str) -> bool:
        """Whether it may have been granted."""
        attempt = await self._ask(Deed.UNLOCK, person, code, f"/api/v1/twins/{code}/unlock", {})
        return attempt.outcome in {Outcome.DONE, Outcome.UNKNOWN}

    async def lock(self, person: Person, code: str) -> None:
        """End a session."""
        await self._ask(Deed.LOCK, person, code, f"/api/v1/twins/{code}/lock", None)

    async def _book(self, person: Person, chance: random.Random) -> None:
        start = datetime.now(UTC) + timedelta(seconds=chance.uniform(1, 5))
        end = start + timedelta(seconds=chance.randint(*_SLOT_S))
        code = chance.choice(list(self._site.instruments.values()))
        wish = {"instrument": code, "from": start.isoformat(), "to": end.isoformat()}
        await self._ask(Deed.BOOK, person, code, "/api/v1/bookings", wish)

    async def clear(self) -> bool:
        """Staff ends every session that runs; True once there is none."""
        with suppress(httpx.HTTPError, KeyError, ValueError):
            running = [
                each["instrument"]
                for state in ("opening", "open")
                for each in (await self._get("/api/v1/sessions", {"state": state}))["items"]
            ]
            for code in running:
                await self.lock(self._site.staff, code)
            return not running
        return False

    async def twins(self) -> Mapping[str, Any]:
        """The public state of each instrument; none where the service does not answer."""
        with suppress(httpx.HTTPError, KeyError, ValueError):
            return {each["instrument"]: each for each in (await self._get("/api/v1/twins", {}))["items"]}
        return {}

    async def _get(self, path: str, parameters: Mapping[str, str]) -> Any:
        answer = await self._client.get(path, params=dict(parameters), headers=self._headers(self._site.staff))
        return answer.raise_for_status().json()

    async def _ask(self, deed: Deed, person: Person, code: str, path: str, body: object) -> Attempt:
        sent_ms = now_ms()
        outcome, told = Outcome.UNKNOWN, None
        try:
            with suppress(httpx.HTTPError, ValueError):
                answer = await self._client.post(path, json=body, headers=self._headers(person))
                outcome, told = _understood(deed, answer)
        finally:  # who goes away does not hear the answer, and may be granted all the same
            attempt = Attempt(deed, person.username, code, sent_ms, now_ms(), outcome, told)
            self.attempts.append(attempt)
        return attempt

    def _headers(self, person: Person) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._tokens[person.username]}"}


@asynccontextmanager
async def signed_in(site: Site, http: str, seed: int) -> AsyncIterator[People]:
    """Everybody with a token, which holds through every crash."""
    tokens = {each.username: await _sign_in(http, each) for each in (*site.people, site.staff)}
    async with httpx.AsyncClient(base_url=http, timeout=TIMEOUT_S, trust_env=False) as client:
        yield People(site, seed, client, tokens)


async def _sign_in(http: str, person: Person) -> str:
    try:
        body = {"username": person.username, "password": person.password}
        async with httpx.AsyncClient(base_url=http, trust_env=False) as client:  # each with cookies of their own
            answer = await client.post("/api/v1/auth/login", json=body)
        return str(answer.raise_for_status().json()["token"])
    except httpx.HTTPError as error:
        raise BenchError(f"{person.username} cannot sign in: {error}") from error


def _understood(deed: Deed, answer: httpx.Response) -> tuple[Outcome, str | None]:
    told = answer.json()
    if answer.is_success:
        match deed:
            case Deed.UNLOCK:
                granted = told["decision"] == "granted"
                return (Outcome.DONE, told["session"]) if granted else (Outcome.REFUSED, None)
            case Deed.LOCK:
                return Outcome.DONE, told["session"]["id"]
            case Deed.BOOK:
                return Outcome.DONE, told["id"]
    if told.get("code") == "NOT_RECORDED":
        return Outcome.NOT_RECORDED, None
    return (Outcome.REFUSED if answer.is_client_error else Outcome.UNKNOWN), None
