"""A large site with a day behind it: a small one lives through that day, and is then copied as often as it takes.

So checkpoints, facts and bookings are as large and as varied as real ones: sessions are open, others are over, somebody
is late. Every copy of an instrument is one of its own, with its controller and tariff. Of five copies one is as busy as
the site that was copied, with its open sessions and a day's bookings; the others have a day behind them and nobody
there. Of ten copies one has people of its own.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import cycle
from zoneinfo import ZoneInfo

import asyncpg
import msgspec

from benchmarks.lived.living import live_through
from twin.demo import community, site, week
from twin.demo.prices import tariffs
from twin.directory import packed as packed_fact
from twin.facts import open_tables
from twin.parties import Booking
from twin.registration import (
    make_grant_keys,
    register_controllers,
    register_instruments,
    register_platforms,
    register_site,
    register_tariffs,
)
from twin.servers.packages import Progress
from twin.service import open_database
from twin.sessions import Cooldown, Free, Opening, SessionState, Use
from twin.sessions import Open as InUse
from twin.station import Station
from twin.store.rows import VERSION, fact_digest, packed, to_ms, unpacked_station

LIVED = site.CONNECTED
"""Instruments that live through the day."""
NOON_H = 11
"""The hour at which they are left: the instruments are busy then."""
BUSY_ONE_IN = 5
"""Of the copies."""
_AT_ONCE = 10_000

_INSTRUMENTS = """
INSERT INTO instrument (code, name_zh, name_en, model, place, category, value_cny, platform_id, policy, opening)
SELECT code || '-' || n, name_zh, name_en, model, place, category, value_cny, platform_id, policy, opening
FROM instrument, generate_series(1, $1) AS n WHERE id IN (SELECT instrument_id FROM controller)
"""
_CONTROLLERS = """
INSERT INTO controller (name, instrument_id, password_hash, registered)
SELECT controller.name || '-' || n, copy.id, password_hash, registered
FROM controller JOIN instrument ON instrument.id = instrument_id, generate_series(1, $1) AS n, instrument AS copy
WHERE copy.code = instrument.code || '-' || n
"""
_TARIFFS = """
INSERT INTO tariff (instrument_id, "from", body)
SELECT copy.id, tariff."from", tariff.body
FROM tariff JOIN instrument ON instrument.id = instrument_id, generate_series(1, $1) AS n, instrument AS copy
WHERE copy.code = instrument.code || '-' || n
"""
_BOOKINGS = """
INSERT INTO booking (id, instrument_id, person_id, group_id, project_id, start, until, estimate_cny, state)
SELECT booking.id + n * $2, copy.id, person_id, group_id, project_id, start, until, estimate_cny, state
FROM booking JOIN instrument ON instrument.id = instrument_id,
    generate_series($4::int, $1::int, $4::int) AS n, instrument AS copy
WHERE copy.code = instrument.code || '-' || n AND state IN ('confirmed', 'used')
    AND until > $3::timestamptz - INTERVAL '6 hours' AND start < $3::timestamptz + INTERVAL '18 hours'
"""
_SESSIONS = """
INSERT INTO session (id, instrument_id, username, project, booking, state, requested, opened, override_reason,
    maintenance, body)
SELECT session.id + n * $2, copy.id, username, project, booking::bigint + n * $3, session.state, requested, opened,
    override_reason, maintenance, session.body
FROM session JOIN instrument ON instrument.id = instrument_id,
    generate_series($4::int, $1::int, $4::int) AS n, instrument AS copy
WHERE copy.code = instrument.code || '-' || n AND session.state IN ('opening', 'open')
"""
_PEOPLE = """
WITH copied AS (
    INSERT INTO person (username, password_hash, name, role, category, active, valid_until, payer)
    SELECT username || '-' || n, '', name, role, category, active, valid_until, payer
    FROM person, generate_series(1, $1, 10) AS n RETURNING id, username
), pair AS (
    SELECT person.id, copied.id AS copy, n FROM person, generate_series(1, $1, 10) AS n, copied
    WHERE copied.username = person.username || '-' || n
), carded AS (
    INSERT INTO card (digest, person_id)
    SELECT encode(sha256((digest || n)::bytea), 'hex'), copy FROM card JOIN pair ON pair.id = person_id
), grouped AS (
    INSERT INTO person_group SELECT copy, group_id FROM person_group JOIN pair ON pair.id = person_id
)
INSERT INTO qualification (person_id, instrument_id, level, "from", until)
SELECT copy, instrument_id, level, "from", until FROM qualification JOIN pair ON pair.id = person_id
"""
_CHECKPOINTS = """
SELECT code, checkpoint.version, state FROM checkpoint
JOIN controller ON controller.id = controller_id JOIN instrument ON instrument.id = instrument_id
"""


class Multiplied(msgspec.Struct, frozen=True):
    """How large it has become."""

    twins: int
    open_sessions: int
    bookings: int
    people: int
    checkpoint_bytes: float
    """On average."""


async def make(database_url: str, twins: int, progress: Progress) -> Multiplied:
    """Fill an empty database with so many twins, as they are now; a few more where it does not come out even."""
    connection = await asyncpg.connect(database_url)
    try:
        async with open_database(database_url):
            await _live(database_url, progress)
            if copies := max(0, -(-twins // LIVED) - 1):
                await _multiply(connection, copies, progress)
                await _log_facts(connection, progress)
            await make_grant_keys()
        await connection.execute("ANALYZE")
        await connection.execute("CHECKPOINT")
        return await _counted(connection)
    finally:
        await connection.close()


async def _live(database_url: str, progress: Progress) -> None:
    now = datetime.now(UTC)
    zone = ZoneInfo(_zone_at(NOON_H, now))
    await register_site(site.university(zone.key))
    await register_platforms(site.platforms())
    await register_instruments(site.instruments())
    await register_tariffs(tariffs())
    await community.enrol()
    await register_controllers({controller: code for controller, (code, _) in site.connected().items()}, {})
    await week.register_week(zone, now)
    await week.register_past(zone, now, 1)
    since_ms = to_ms(now - timedelta(days=1))
    await live_through(database_url, zone, since_ms, lambda: to_ms(now), staff="manager", progress=progress)


def _zone_at(hour: int, now: datetime) -> str:
    """A time zone in which it is that hour of the day. In its name the sign is the other way round."""
    ahead = (hour - now.hour + 12) % 24 - 12
    return f"Etc/GMT{-ahead:+d}"


async def _multiply(connection: asyncpg.Connection, copies: int, progress: Progress) -> None:
    booking_step = 1 + await connection.fetchval("SELECT max(id) FROM booking")
    number = await connection.fetchval("SELECT number FROM writer")
    lived_at = await connection.fetchval("SELECT max(start) FROM segment")
    steps = (
        (_INSTRUMENTS, (copies,)),
        (_CONTROLLERS, (copies,)),
        (_TARIFFS, (copies,)),
        (_BOOKINGS, (copies, booking_step, lived_at, BUSY_ONE_IN)),
        (_SESSIONS, (copies, number + 1, booking_step, BUSY_ONE_IN)),
        (_PEOPLE, (copies,)),
    )
    for done, (statement, arguments) in enumerate(steps):
        progress("Copying the site", done / (len(steps) + 1))
        await connection.execute(statement, *arguments)
        await connection.execute("ANALYZE instrument, booking")
    await _copy_checkpoints(connection, copies, number + 1, booking_step)
    await connection.execute("UPDATE writer SET number = (1 + $1::bigint) * $2", copies, number + 1)
    await connection.execute("SELECT setval('booking_id_seq', (SELECT max(id) FROM booking))")


async def _log_facts(connection: asyncpg.Connection, progress: Progress) -> None:
    """As a service has logged them that has run until now."""
    number, at = await connection.fetchval("SELECT number FROM writer"), datetime.now(UTC)
    await connection.execute("TRUNCATE fact")
    tables = await open_tables()
    for kind in (tables.instruments, tables.projects, tables.users, tables.bookings):
        progress(f"Logging {kind.__name__}", None)
        rows = []
        async for fact in kind():
            body = packed_fact(fact)
            rows.append((fact.key, number, at, body.decode(), fact_digest(body)))
            if len(rows) == _AT_ONCE:
                await _copy_facts(connection, rows)
                rows.clear()
        await _copy_facts(connection, rows)
    body = packed_fact(tables.site)
    await _copy_facts(connection, [(tables.site.key, number, at, body.decode(), fact_digest(body))])


async def _copy_facts(connection: asyncpg.Connection, rows: Sequence[tuple[object, ...]]) -> None:
    columns = ("key", "number", "at", "body", "digest")
    await connection.copy_records_to_table("fact", records=rows, columns=columns)


async def _copy_checkpoints(connection: asyncpg.Connection, copies: int, session_step: int, booking_step: int) -> None:
    lived = [
        (row["code"], unpacked_station(row["version"], row["state"])) for row in await connection.fetch(_CHECKPOINTS)
    ]
    found = await connection.fetch(
        "SELECT code, controller.id FROM controller JOIN instrument ON instrument.id = instrument_id"
    )
    ids = {row["code"]: row["id"] for row in found}
    left = cycle(_left(station) for _, station in lived if isinstance(station.control.state, Free))
    rows = [
        (
            ids[f"{code}-{copy}"],
            VERSION,
            packed(
                _copied(next(left) if copy % BUSY_ONE_IN else station, copy * session_step, copy * booking_step, copy)
            ),
        )
        for code, station in lived
        for copy in range(1, copies + 1)
    ]
    for first in range(0, len(rows), _AT_ONCE):
        await connection.copy_records_to_table("checkpoint", records=rows[first : first + _AT_ONCE])


def _left(station: Station) -> Station:
    """One that nobody uses, and nobody has booked."""
    return msgspec.structs.replace(station, attended=(), freed=())


def _copied(station: Station, session_step: int, booking_step: int, copy: int) -> Station:
    """The same with sessions and bookings of its own."""
    replace = msgspec.structs.replace
    book, control = station.twin.book, station.control
    lapsed = station.lapsed
    if lapsed is not None:
        lapsed = replace(lapsed, use=_copied_use(lapsed.use, session_step, booking_step, copy))
    visits = tuple(replace(each, session=_moved(each.session, session_step)) for each in book.visits)
    return replace(
        station,
        twin=replace(station.twin, book=replace(book, visits=visits)),
        control=replace(control, state=_copied_state(control.state, session_step, booking_step, copy)),
        lapsed=lapsed,
        attended=tuple(_moved(each, booking_step) for each in station.attended),
        freed=tuple(_moved(each, booking_step) for each in station.freed),
    )


def _copied_state(state: SessionState, session_step: int, booking_step: int, copy: int) -> SessionState:
    match state:
        case Free():
            return state
        case Opening() | InUse() | Cooldown():
            return msgspec.structs.replace(state, use=_copied_use(state.use, session_step, booking_step, copy))


def _copied_use(use: Use, session_step: int, booking_step: int, copy: int) -> Use:
    booking = None if use.booking is None else _copied_booking(use.booking, booking_step, copy)
    return msgspec.structs.replace(use, id=_moved(use.id, session_step), booking=booking)


def _copied_booking(booking: Booking, step: int, copy: int) -> Booking:
    instrument = f"{booking.instrument}-{copy}"
    return msgspec.structs.replace(booking, id=_moved(booking.id, step), instrument=instrument)


def _moved(number: str, step: int) -> str:
    return str(int(number) + step) if number.isdigit() else number


async def _counted(connection: asyncpg.Connection) -> Multiplied:
    row = await connection.fetchrow(
        "SELECT (SELECT count(*) FROM checkpoint) AS twins, (SELECT avg(length(state)) FROM checkpoint)::float "
        "AS checkpoint_bytes, (SELECT count(*) FROM session WHERE state IN ('opening', 'open')) AS open_sessions, "
        "(SELECT count(*) FROM booking WHERE state IN ('confirmed', 'used')) AS bookings, "
        "(SELECT count(*) FROM person) AS people"
    )
    return msgspec.convert(dict(row or {}), Multiplied)
