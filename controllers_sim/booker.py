"""One person who books through the service's HTTP interface now and then, and follows what was booked."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from random import Random
from typing import Annotated, TypeVar

import httpx
import msgspec

from controllers_sim.attendance import Attendance
from controllers_sim.client import wait_for
from controllers_sim.durations import duration_ms
from controllers_sim.manners import MIN_MS
from controllers_sim.plan import Booking
from controllers_sim.scenario import ServiceTable

T = TypeVar("T")
log = logging.getLogger("controllers_sim")

QUARTER_MS = 15 * MIN_MS
"""Slots begin and end on a quarter of an hour."""
NOTICE_QUARTERS = (1, 6)
"""How long ahead, so that what was booked is soon seen to be followed."""
LENGTH_QUARTERS = (2, 8)
ANSWER_WITHIN_S = 10.0
MOST_TWINS = 5000


class _Token(msgspec.Struct):
    token: str


class _Twin(msgspec.Struct):
    instrument: str
    controller: str


class _Twins(msgspec.Struct):
    items: list[_Twin]


class _Slot(msgspec.Struct):
    """A stretch of time that the service offers instead."""

    start: Annotated[datetime, msgspec.Meta(tz=True)] = msgspec.field(name="from")
    end: Annotated[datetime, msgspec.Meta(tz=True)] = msgspec.field(name="to")

    def __post_init__(self) -> None:
        if self.end <= self.start:
            raise ValueError("a slot ends before it begins")


class _Conflict(msgspec.Struct):
    free: list[_Slot] = []


@dataclass(frozen=True, slots=True)
class Booker:
    """Books one of the instruments whose people follow a plan. `clock` gives ms since the epoch."""

    table: ServiceTable
    people: Mapping[str, Attendance]
    rng: Random
    clock: Callable[[], int]
    stop: asyncio.Event

    async def run(self) -> None:
        """Book now and then until told to stop. What goes wrong is logged, and tried anew the next time."""
        mean_s = duration_ms(self.table.every) / 1000
        while True:
            await wait_for(self.stop, self.rng.expovariate(1 / mean_s))
            if self.stop.is_set():
                return
            try:
                await self._visit()
            except (httpx.HTTPError, msgspec.MsgspecError) as error:
                log.warning("%s could not book: %s", self.table.username, error)

    async def _visit(self) -> None:
        """Sign in, choose an instrument, book."""
        async with httpx.AsyncClient(base_url=self.table.url, trust_env=False, timeout=ANSWER_WITHIN_S) as http:
            credentials = {"username": self.table.username, "password": self.table.password}
            signed_in = await http.post("/api/v1/auth/login", json=credentials)
            http.headers["Authorization"] = f"Bearer {_read(signed_in, _Token).token}"
            listed = await http.get("/api/v1/twins", params={"limit": MOST_TWINS})
            known = [twin for twin in _read(listed, _Twins).items if twin.controller in self.people]
            if known:
                await self._book(http, self.rng.choice(known))

    async def _book(self, http: httpx.AsyncClient, twin: _Twin) -> None:
        slot = self._wish()
        answer = await _post(http, twin.instrument, slot)
        if answer.status_code == HTTPStatus.CONFLICT:
            free = msgspec.json.decode(answer.content, type=_Conflict).free
            if not free:
                return
            slot = self.rng.choice(free)
            answer = await _post(http, twin.instrument, slot)
        answer.raise_for_status()
        booking = Booking(self.table.card, _ms(slot.start), _ms(slot.end), self.table.username)
        self.people[twin.controller].book(booking)
        log.info("%s has booked %s from %s", self.table.username, twin.instrument, slot.start.isoformat())

    def _wish(self) -> _Slot:
        from_ms = (self.clock() // QUARTER_MS + self.rng.randint(*NOTICE_QUARTERS)) * QUARTER_MS
        return _Slot(_moment(from_ms), _moment(from_ms + self.rng.randint(*LENGTH_QUARTERS) * QUARTER_MS))


async def _post(http: httpx.AsyncClient, instrument: str, slot: _Slot) -> httpx.Response:
    wish = {"instrument": instrument, "from": slot.start.isoformat(), "to": slot.end.isoformat()}
    return await http.post("/api/v1/bookings", json=wish)


def _read(response: httpx.Response, kind: type[T]) -> T:
    return msgspec.json.decode(response.raise_for_status().content, type=kind)


def _moment(t_ms: int) -> datetime:
    return datetime.fromtimestamp(t_ms / 1000, UTC)


def _ms(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)
