"""What the service has in its books, read from the tables as they are."""

from collections import defaultdict
from decimal import Decimal
from typing import Any

import asyncpg
import msgspec

from twin.store.rows import to_ms

_SESSIONS = """
SELECT session.id, code, username, session.state, requested, opened, ended, reason, booking.until AS slot_end
FROM session
JOIN instrument ON instrument.id = session.instrument_id
LEFT JOIN booking ON booking.id::text = session.booking ORDER BY session.id
"""
_LINES = "SELECT session_id, booking, cause, gross_cny, allowance_cny + subsidy_cny AS paid_cny FROM charge_line"
_CARDS = """
SELECT code, received, body ->> 'card' AS card FROM event JOIN controller ON controller.id = controller_id
JOIN instrument ON instrument.id = instrument_id WHERE kind = 'card'
"""
_COMMANDS = """
SELECT controller.name, command.id, at FROM command JOIN controller ON controller.id = controller_id
WHERE body ->> 'do' = 'relay'
"""
_BOOKINGS = """
SELECT booking.id, code, username, start, until, coalesce(told.at, start) AS told FROM booking
LEFT JOIN (SELECT key, min(at) AS at FROM fact WHERE starts_with(key, 'booking:') GROUP BY key) AS told
    ON told.key = 'booking:' || booking.id
JOIN instrument ON instrument.id = booking.instrument_id JOIN person ON person.id = person_id
"""
_TIMES = ("start", "until", "told")
_ALERTS = """
SELECT code, kind, since, resolved FROM alert JOIN instrument ON instrument.id = instrument_id
"""
# Opened at once, though the relay was not on by what the service had heard last, nor by what came late of that time.
_UNFOUNDED = """
WITH said AS (
    SELECT controller_id, number, time, received, relay FROM reading WHERE relay IS NOT NULL
    UNION ALL
    SELECT controller_id, number, time, received, (body ->> 'relay')::boolean FROM event
    WHERE kind IN ('ack', 'birth') AND body ->> 'relay' IS NOT NULL)
SELECT session.id FROM session JOIN controller ON controller.instrument_id = session.instrument_id
WHERE opened = requested AND NOT coalesce((
    SELECT relay FROM said WHERE controller_id = controller.id AND received <= requested ORDER BY number DESC LIMIT 1
), false) AND NOT EXISTS (
    SELECT FROM said WHERE controller_id = controller.id AND relay AND received >= requested AND time <= requested
    AND time > requested - INTERVAL '2 minutes')
"""
# Neighbours touch, only the last one is open, and no two neighbours say the same.
_BROKEN = """
SELECT code, start, until, neighbours.category, next_start FROM (
    SELECT *, lead(start) OVER own AS next_start, lead(category) OVER own AS next_category
    FROM segment WINDOW own AS (PARTITION BY instrument_id ORDER BY start)) AS neighbours
JOIN instrument ON instrument.id = instrument_id
WHERE until IS DISTINCT FROM next_start OR neighbours.category = next_category
"""


class Session(msgspec.Struct, frozen=True):
    """A session on record; ms since the epoch."""

    id: str
    instrument: str
    user: str
    state: str
    requested_ms: int
    opened_ms: int | None
    ended_ms: int | None
    reason: str | None
    slot_end_ms: int | None = None
    """Of the booking that it is for."""


class Tapped(msgspec.Struct, frozen=True):
    """A card that the service heard of."""

    instrument: str
    received_ms: int
    digest: str


class Booking(msgspec.Struct, frozen=True):
    """A booking on record."""

    id: str
    instrument: str
    user: str
    start_ms: int
    end_ms: int
    told_ms: int = 0
    """When the rules were told of it."""


class AlertSpan(msgspec.Struct, frozen=True):
    """An alert on record, and until when it was."""

    instrument: str
    kind: str
    from_ms: int
    until_ms: int | None


class Books(msgspec.Struct, frozen=True):
    """All of it."""

    sessions: tuple[Session, ...]
    charges: dict[str, list[tuple[str, Decimal]]]
    """Cause and gross of the lines of each session."""
    foreign_lines: int
    """Lines that belong to no session."""
    cards: tuple[Tapped, ...]
    commands: dict[tuple[str, str], int]
    """When the relay was commanded, by controller and id."""
    bookings: tuple[Booking, ...]
    alerts: tuple[AlertSpan, ...]
    broken_segments: tuple[str, ...]
    unfounded: frozenset[str]
    """Sessions that opened at once though the service had no reason to believe that the relay was on."""


async def read_books(connection: asyncpg.Connection) -> Books:
    """The books at one moment."""
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        lines = await connection.fetch(_LINES)
        charges: defaultdict[str, list[tuple[str, Decimal]]] = defaultdict(list)
        for row in lines:
            charges[str(row["session_id"])].append((row["cause"], row["gross_cny"]))
        return Books(
            sessions=tuple(_session(row) for row in await connection.fetch(_SESSIONS)),
            charges=dict(charges),
            foreign_lines=sum(row["session_id"] is None for row in lines),
            cards=tuple(
                Tapped(row["code"], to_ms(row["received"]), row["card"]) for row in await connection.fetch(_CARDS)
            ),
            commands={(row["name"], row["id"]): to_ms(row["at"]) for row in await connection.fetch(_COMMANDS)},
            bookings=tuple(
                Booking(
                    str(row["id"]),
                    row["code"],
                    row["username"],
                    to_ms(row["start"]),
                    to_ms(row["until"]),
                    to_ms(row["told"]),
                )
                for row in await connection.fetch(_BOOKINGS)
            ),
            alerts=tuple(
                AlertSpan(row["code"], row["kind"], to_ms(row["since"]), _ms(row["resolved"]))
                for row in await connection.fetch(_ALERTS)
            ),
            broken_segments=tuple(str(dict(row)) for row in await connection.fetch(_BROKEN)),
            unfounded=frozenset(str(row["id"]) for row in await connection.fetch(_UNFOUNDED)),
        )


def _session(row: asyncpg.Record) -> Session:
    return Session(
        id=str(row["id"]),
        instrument=row["code"],
        user=row["username"],
        state=row["state"],
        requested_ms=to_ms(row["requested"]),
        opened_ms=_ms(row["opened"]),
        ended_ms=_ms(row["ended"]),
        reason=row["reason"],
        slot_end_ms=_ms(row["slot_end"]),
    )


def _ms(time: Any) -> int | None:
    return None if time is None else to_ms(time)
