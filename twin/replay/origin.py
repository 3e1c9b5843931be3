"""Where a replay begins: each station as its last snapshot before a moment has it, else with its first message."""

from collections.abc import Collection, Mapping
from typing import Any, Final

import msgspec

from twin.alerts import Silence
from twin.replay.stored import session_row
from twin.requests import Silenced
from twin.rules.outcome import SessionRecord, SessionStatus
from twin.sessions import CloseReason, VoidReason
from twin.station import Station
from twin.store.log import Log
from twin.store.records import SessionBody
from twin.store.rows import unpacked_station

_KEPT_MS: Final = 9 * 24 * 3_600_000
"""Sessions that ended longer before are of no interest to a ledger."""
_SNAPSHOTS = """
SELECT DISTINCT ON (controller_id) controller_id, number, at, version, state FROM snapshot
WHERE controller_id = ANY($1) AND at < $2 ORDER BY controller_id, number DESC
"""
_FIRST_HEARD = """
SELECT id, least(
    (SELECT min(time) FROM reading WHERE controller_id = id), (SELECT min(time) FROM event WHERE controller_id = id)
) AS at FROM unnest($1::int[]) AS controller (id)
"""
_BEGINNING = "SELECT least((SELECT min(at) FROM request), (SELECT min(at) FROM fact))"
_SESSIONS = """
SELECT session.* FROM session JOIN unnest($1::int[], $2::bigint[], $3::timestamptz[]) AS t (instrument, number, at)
    ON instrument_id = t.instrument AND id <= t.number AND (ended IS NULL OR ended >= t.at - $4 * interval '1 ms')
"""


class Seat(msgspec.Struct, frozen=True):
    """A station as it was when the fleet had been told so much, and sessions that its ledger may ask for."""

    controller: str
    number: int
    at_ms: int
    station: Station
    sessions: tuple[SessionRecord, ...] = ()


class Origin(msgspec.Struct, frozen=True):
    """From which event on a replay is told what happened."""

    number: int
    """The last event that is in the past of all stations."""
    at_ms: int
    seats: tuple[Seat, ...]
    """In the order of their numbers."""


async def find_origin(log: Log, controllers: Collection[str], before_ms: int) -> Origin:
    """Where to begin so that everything from a moment on is as it was. Raises IncompatibleVersionError."""
    ids = [log.ids[each].controller_id for each in controllers]
    seats = await _seats(log, ids, before_ms)
    heard = {log.controllers[row["id"]]: row["at"] for row in await log.connection.fetch(_FIRST_HEARD, ids)}
    seated = {each.controller for each in seats}
    unknown = [at_ms for name, at_ms in heard.items() if name not in seated and at_ms is not None]
    if seats and all(at_ms >= before_ms for at_ms in unknown):
        return Origin(seats[0].number, min(each.at_ms for each in seats), seats)
    first_ms = await log.connection.fetchval(_BEGINNING)
    moments = [at_ms for at_ms in (first_ms, *heard.values()) if at_ms is not None]
    return Origin(0, min(moments, default=before_ms), ())


async def silences(log: Log, origin: Origin) -> list[Silence]:
    """Those that were in force."""
    rows = await log.connection.fetch(
        "SELECT body FROM request WHERE kind = 'silenced' AND number <= $1", origin.number
    )
    told = [msgspec.json.decode(row["body"], type=Silenced).silence for row in rows]
    return [each for each in told if each.until_ms > origin.at_ms]


async def _seats(log: Log, ids: Collection[int], before_ms: int) -> tuple[Seat, ...]:
    found = await log.connection.fetch(_SNAPSHOTS, ids, before_ms)
    seats = [
        Seat(
            log.controllers[row["controller_id"]],
            row["number"],
            row["at"],
            unpacked_station(row["version"], row["state"]),
        )
        for row in found
    ]
    sessions = await _sessions(log, seats)
    with_sessions = (msgspec.structs.replace(each, sessions=sessions.get(each.controller, ())) for each in seats)
    return tuple(sorted(with_sessions, key=lambda each: each.number))


async def _sessions(log: Log, seats: Collection[Seat]) -> Mapping[str, tuple[SessionRecord, ...]]:
    at_ms = {log.ids[each.controller].instrument_id: each.at_ms for each in seats}
    numbers = [each.number for each in seats]
    found: dict[str, tuple[SessionRecord, ...]] = {}
    for row in await log.connection.fetch(_SESSIONS, list(at_ms), numbers, list(at_ms.values()), _KEPT_MS):
        record = session_record(log, row, at_ms[row["instrument_id"]])
        controller = next(name for name, each in log.ids.items() if each.instrument_id == row["instrument_id"])
        found[controller] = (*found.get(controller, ()), record)
    return found


def session_record(log: Log, row: Any, at_ms: int) -> SessionRecord:
    """A stored session as it was at a moment."""
    then, body = session_row(log, row).as_of(at_ms), msgspec.json.decode(row["body"], type=SessionBody)
    reason: CloseReason | VoidReason | None = None
    if then.reason is not None:
        reason = VoidReason(then.reason) if then.state == SessionStatus.VOID else CloseReason(then.reason)
    return SessionRecord(
        id=str(row["id"]),
        instrument=then.instrument,
        user=then.user,
        project=then.project,
        booking=then.booking,
        status=SessionStatus(then.state),
        requested_ms=then.requested_ms,
        opened_ms=then.opened_ms,
        ended_ms=then.ended_ms,
        overrun_ms=body.overrun_ms,
        reason=reason,
        override_reason=row["override_reason"],
        maintenance=row["maintenance"],
        terms=body.terms,
    )
