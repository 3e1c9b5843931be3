"""The log read again, in the order in which the fleet was told, in one transaction that sees one moment and only reads.

Times are integer milliseconds here from the wire on: at millions of rows a value made for nothing is what it costs.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from itertools import chain
from operator import attrgetter
from typing import Any, Final, TypeAlias

import asyncpg
import msgspec

from twin.directory import Fact, unpacked
from twin.events import Arrival, Door, Reading
from twin.requests import Learnt, Request
from twin.rules.ledger import DEATHS_BACK_MS
from twin.store import rows
from twin.store.names import Ids

Logged: TypeAlias = Arrival | Request
"""What is logged: all but the passing of time."""

_EPOCH_MS: Final = 946_684_800_000
"""PostgreSQL counts from 2000 on."""
_DOOR: Final[Mapping[bool | None, Door | None]] = {None: None, True: "open", False: "closed"}
_REQUEST: Final[msgspec.json.Decoder[Request]] = msgspec.json.Decoder(Request)
_ROWS_A_SLICE: Final = 200_000
_FIRST_SLICE_MS: Final = 3_600_000
_LONGEST_SLICE_MS: Final = 24 * 3_600_000
_HISTORY_MS: Final = 401 * 24 * 3_600_000

_COLUMNS = "number, received, controller_id, time, boot, seq, power_w, energy_wh, relay, occupied, door_open, hist, ts"
_READINGS = f"""
SELECT {_COLUMNS} FROM reading WHERE controller_id = ANY($1) AND number > $2
    AND received >= $3 AND received < $4 AND time >= $5 AND time < $6 AND NOT hist
UNION ALL
SELECT {_COLUMNS} FROM reading WHERE controller_id = ANY($1) AND number > $2
    AND received >= $3 AND received < $4 AND time >= $7 AND hist
ORDER BY number
"""  # noqa: S608
_EVENTS = """
SELECT number, received, controller_id, time, kind, body FROM event
WHERE controller_id = ANY($1) AND number > $2 AND received < $3 ORDER BY number
"""
_REQUESTS = """
SELECT number, at, body, false AS is_fact FROM request WHERE number > $1 AND at < $2
UNION ALL SELECT number, at, body, true FROM fact WHERE number > $1 AND at < $2 ORDER BY number
"""
_OWN_READINGS = f"SELECT {_COLUMNS} FROM reading WHERE controller_id = $1 AND time >= $2 AND number <= $3"  # noqa: S608
_OWN_EVENTS = """
SELECT * FROM event WHERE controller_id = $1 AND number <= $3 AND (time >= $2 OR (kind = 'death' AND time >= $4))
"""
_TOLERANCE = "SELECT max((body -> 'policy' ->> 'clock_tolerance_ms')::bigint) FROM fact WHERE key LIKE 'instrument:%'"


class Log:
    """Reads what was told; every answer is of the same moment."""

    def __init__(self, connection: asyncpg.Connection, ids: Mapping[str, Ids], codes: Mapping[str, str]) -> None:
        self.connection = connection
        self.ids = ids
        """Of every registered controller."""
        self.codes = codes
        """Their instruments."""
        self.controllers = {each.controller_id: name for name, each in ids.items()}
        self.instruments = {each.instrument_id: codes[name] for name, each in ids.items()}

    async def facts(self, number: int) -> Sequence[Fact]:
        """The newest fact of each key, as known when the fleet had been told so much."""
        rows_ = await self.connection.fetch(
            "SELECT DISTINCT ON (key) body, number FROM fact WHERE number <= $1 ORDER BY key, number DESC", number
        )
        return [unpacked(row["body"]) for row in sorted(rows_, key=lambda row: row["number"])]

    async def slices(
        self, ids: Sequence[int], number: int, start_ms: int, end_ms: int
    ) -> AsyncIterator[tuple[int, list[Logged]]]:
        """Everything after a number, received in `[start_ms, end_ms)`: (until when, in the order of the numbers)."""
        tolerance_ms = await self.connection.fetchval(_TOLERANCE) or 0
        events = _Ahead(await self.connection.cursor(_EVENTS, ids, number, end_ms), self._event)
        requests = _Ahead(await self.connection.cursor(_REQUESTS, number, end_ms), _request)
        step_ms, since_ms = _FIRST_SLICE_MS, start_ms
        while since_ms < end_ms:
            until_ms = min(since_ms + step_ms, end_ms)
            around = (since_ms - tolerance_ms, until_ms + tolerance_ms, since_ms - _HISTORY_MS)
            found = await self.connection.fetch(_READINGS, ids, number, since_ms, until_ms, *around)
            told: list[Logged] = self._readings(found)
            others = [*await events.until(until_ms), *await requests.until(until_ms)]
            if others:
                told = sorted(chain(told, others), key=attrgetter("number"))
            yield until_ms, told
            since_ms = until_ms
            step_ms = _next_step(step_ms, len(found))

    async def told_after(self, controller_id: int, since_ms: int, number: int) -> list[tuple[int, Arrival]]:
        """The messages of a controller from a moment of their own time on, told up to a number; and deaths before."""
        wanted = (controller_id, since_ms, number)
        readings = await self.connection.fetch(_OWN_READINGS, *wanted)
        events = await self.connection.fetch(_OWN_EVENTS, *wanted, since_ms - DEATHS_BACK_MS)
        told = [*zip((row["time"] for row in readings), self._readings(readings), strict=True)]
        return [*told, *((row["time"], self._event(row)) for row in events)]

    def _readings(self, found: Sequence[asyncpg.Record]) -> list[Any]:
        names, door = self.controllers, _DOOR
        return [
            Arrival(
                names[own],
                received,
                Reading(boot, seq, at if ts is None else ts, watts, wh, relay, occupied, door[opened], hist),
                number,
            )
            for number, received, own, at, boot, seq, watts, wh, relay, occupied, opened, hist, ts in found
        ]

    def _event(self, row: asyncpg.Record) -> Arrival:
        message = rows.message_of(row["kind"], row["body"])
        return Arrival(self.controllers[row["controller_id"]], row["received"], message, row["number"])


class _Ahead:
    """A cursor that is read as far as a moment, and keeps what it has read beyond."""

    def __init__(self, cursor: Any, value: Any) -> None:
        self._cursor = cursor
        self._value = value
        self._kept: list[Any] = []
        self._ended = False

    async def until(self, end_ms: int) -> list[Logged]:
        """What was told before a moment and has not been given yet."""
        found: list[Logged] = []
        while True:
            while self._kept and self._kept[-1][0] < end_ms:
                found.append(self._kept.pop()[1])
            if self._kept or self._ended:
                return found
            fetched = await self._cursor.fetch(2_000)
            self._ended = not fetched
            values = [self._value(row) for row in fetched]
            self._kept = [(_moment(each), each) for each in reversed(values)]


def _moment(logged: Logged) -> int:
    return logged.received_ms if isinstance(logged, Arrival) else logged.at_ms


def _request(row: asyncpg.Record) -> Request:
    if row["is_fact"]:
        return Learnt(number=row["number"], at_ms=row["at"], fact=unpacked(row["body"]))
    request: Request = _REQUEST.decode(row["body"])
    return request


def _next_step(step_ms: int, found: int) -> int:
    """How long the next slice is to be, by how much was in this one: memory stays bounded, questions few."""
    if found > 2 * _ROWS_A_SLICE:
        return max(60_000, step_ms // 2)
    return min(_LONGEST_SLICE_MS, step_ms * 2) if found < _ROWS_A_SLICE // 2 else step_ms


@asynccontextmanager
async def open_log(database_url: str) -> AsyncIterator[Log]:
    """The log as it is now. Raises asyncpg.PostgresError or OSError."""
    connection = await asyncpg.connect(database_url, timeout=10)
    try:
        await connection.set_type_codec(
            "timestamptz",
            schema="pg_catalog",
            format="tuple",
            encoder=lambda at_ms: ((at_ms - _EPOCH_MS) * 1000,),
            decoder=lambda stored: stored[0] // 1000 + _EPOCH_MS,
        )
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            found = await connection.fetch(
                "SELECT controller.id, controller.name, instrument_id, code "
                "FROM controller JOIN instrument ON instrument.id = instrument_id ORDER BY code"
            )
            ids = {row["name"]: Ids(row["id"], row["instrument_id"]) for row in found}
            yield Log(connection, ids, {row["name"]: row["code"] for row in found})
    finally:
        await connection.close()
