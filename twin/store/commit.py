"""One transaction for what was heard and everything that follows from it.

A commit whose answer is lost may have happened or not. So each batch has a name that is written with it: when it is
tried again and its name is found, it has been stored already. The same connection holds the lock that makes this
process the only writer; should another have had the lock while this connection was lost, the name found is not ours.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, NamedTuple, TypeAlias

import asyncpg
import structlog

from twin.decisions import Mark, Rewrite
from twin.events import Ack, Arrival, Reading
from twin.instrument import order_key
from twin.requests import Request
from twin.rules.ledger import DEATHS_BACK_MS, comes_after, overlaid
from twin.rules.outcome import Bill, Billed, ChargeRecord, Consequences, Outcome, Refold
from twin.state import NEW_BOOK, Book, Span, Visit
from twin.station import NEW_SITE, Station
from twin.store import records, rows
from twin.store.connections import left
from twin.store.names import Ids, Names
from twin.store.rows import EVENT_COLUMNS, READING_COLUMNS, VERSION, packed, to_time

log = structlog.get_logger(__name__)


class Confirmation(NamedTuple):
    """The answer to a command, and whose it is."""

    controller_id: int
    controller: str
    ack: Ack


class Past(NamedTuple):
    """What a ledger is computed anew from: a book, the messages after it, all sessions, and those to be charged."""

    base: Book
    told: Sequence[tuple[int, Arrival]]
    visits: tuple[Visit, ...]
    bills: tuple[Bill, ...]


Fold: TypeAlias = Callable[[str, Past], tuple[Outcome, Sequence[Billed]]]
"""Computes a controller's ledger anew: `Fleet.refold` at a given time."""

_BROKEN: Final = (
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    OSError,
    TimeoutError,
)
"""What makes a connection useless. asyncpg calls it an internal error when a COPY is cut off at the wrong moment."""

UNAVAILABLE: Final = (asyncpg.PostgresError, *_BROKEN)
"""What a database that is away, full or refusing raises; trying again later may help."""

WRITER_LOCK: Final = 0x75736572735F7477
"""Advisory lock: whoever holds it is the only writer."""
_EVENTS_AFTER = "SELECT * FROM event WHERE controller_id = $1 AND (time >= $2 OR (kind = 'death' AND time >= $3))"
_LAST_BATCH = "SELECT batch FROM writer WHERE name = 'service'"


class AnotherWriterError(Exception):
    """Another service already writes to this database."""


class OvertakenError(Exception):
    """Another service has written to this database in the meantime: what this one believes is out of date."""


class Batch:
    """What one transaction will hold. Rewrites of one ledger are laid over each other as they come."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.readings: list[tuple[Any, ...]] = []
        self.events: list[tuple[Any, ...]] = []
        self.quarantine: list[tuple[Any, ...]] = []
        self.spans: dict[str, tuple[Span, ...]] = {}
        self.marks: list[Mark] = []
        self.changed: dict[str, None] = {}
        self.stations: dict[str, Station] = {}
        """Those changed, as they were when the batch was closed: the fleet may be ahead by the time it is stored."""
        self.site = NEW_SITE
        """As it was then."""
        self.snapshots: list[str] = []
        """Controllers whose station is kept for replays as well."""
        self.number = 0
        """Of the last event in it."""
        self.at_ms = 0
        self.requests: list[Request] = []
        self.follows: list[Consequences] = []
        self.acks: list[Confirmation] = []
        self.refolds: dict[str, Refold] = {}
        """Ledgers to be computed anew."""

    def __bool__(self) -> bool:
        return bool(self.readings or self.events or self.quarantine or self.changed or self.requests or self.follows)

    @property
    def rows(self) -> int:
        """How many messages it holds."""
        return len(self.readings) + len(self.events) + len(self.quarantine)

    def record(self, arrival: Arrival, at_ms: int, controller_id: int) -> None:
        """Add a message to the log."""
        message = arrival.message
        if isinstance(message, Reading):
            self.readings.append(rows.reading_row(message, arrival, controller_id, at_ms))
            return
        self.events.append(rows.event_row(arrival, controller_id, at_ms))
        if isinstance(message, Ack):
            self.acks.append(Confirmation(controller_id, arrival.controller, message))

    def add(self, outcome: Outcome) -> None:
        """Add the consequences of an event."""
        for controller in outcome.changed:
            self.changed[controller] = None
        for rewrite in outcome.rewrites:
            self._rewrite(rewrite)
        self.marks += outcome.marks
        self.follows += outcome.consequences
        for refold in outcome.refolds:
            self.refolds[refold.controller] = refold.joined(self.refolds.get(refold.controller))

    def refolded(self, controller: str, since_ms: int, outcome: Outcome) -> None:
        """A ledger has been computed anew from a moment on; what the batch says of the time before stands."""
        for rewrite in outcome.rewrites:
            self._rewrite(rewrite)
        kept = (each for each in self.marks if each.controller != controller or each.at_ms <= since_ms)
        self.marks = [*kept, *outcome.marks]

    def _rewrite(self, rewrite: Rewrite) -> None:
        before = self.spans.get(rewrite.controller, ())
        self.spans[rewrite.controller] = overlaid(before, rewrite.spans)


class Store:
    """The only writer of the log and the books."""

    def __init__(self, database_url: str) -> None:
        self._url = database_url
        self._connection: asyncpg.Connection | None = None
        self._last: str | None = None

    async def open(self) -> int:
        """Take the writer's place: what is stored now is what this writer goes on from. Gives the last event's number.

        Raises:
            AnotherWriterError: another process has it.

        """
        connection = await self._connected()
        row = await connection.fetchrow("SELECT batch, number FROM writer WHERE name = 'service'")
        self._last = None if row is None else row["batch"]
        return 0 if row is None else int(row["number"])

    async def _connected(self) -> asyncpg.Connection:
        """The connection that holds the writer's lock, made anew where it was lost."""
        if self._connection is not None and not self._connection.is_closed():
            return self._connection
        connection = await asyncpg.connect(self._url, timeout=10, command_timeout=120)
        if not await connection.fetchval("SELECT pg_try_advisory_lock($1)", WRITER_LOCK):
            await connection.close()
            raise AnotherWriterError("another service writes to this database: stop it, or use another database")
        self._connection = connection
        return connection

    async def close(self) -> None:
        """Give the lock back."""
        if self._connection is not None:
            await left(self._connection.close())

    async def commit(self, batch: Batch, names: Names, fold: Fold) -> list[ChargeRecord]:
        """Store a batch, once, however often it is tried; gives the lines that only the ledger computed anew led to.

        Raises:
            AnotherWriterError, and those of UNAVAILABLE: not now.
            OvertakenError: never again.

        """
        connection = await self._connected()
        try:
            async with connection.transaction():
                lines = [] if await self._is_stored(connection, batch) else await _write(connection, batch, names, fold)
        except _BROKEN:
            connection.terminate()
            self._connection = None
            raise
        self._last = batch.name
        return lines

    async def _is_stored(self, connection: asyncpg.Connection, batch: Batch) -> bool:
        stored = await connection.fetchval(_LAST_BATCH)
        if stored not in {batch.name, self._last}:
            raise OvertakenError("another service has written to this database meanwhile: this one must start anew")
        return bool(stored == batch.name)


async def _write(connection: asyncpg.Connection, batch: Batch, names: Names, fold: Fold) -> list[ChargeRecord]:
    await _copy(connection, batch)
    await records.write_requests(connection, batch.requests)
    await records.write_consequences(connection, batch.follows, names)
    await records.write_acks(connection, [(each.controller_id, each.ack) for each in batch.acks])
    lines = [
        line
        for controller in batch.refolds
        for line in await _refold(connection, batch, controller, names.controller(controller), fold)
    ]
    await _write_books(connection, batch, names.controller)
    await connection.execute(
        "INSERT INTO writer (name, batch, number, version, site) VALUES ('service', $1, $2, $3, $4) "
        "ON CONFLICT (name) DO UPDATE SET batch = $1, number = $2, version = $3, site = $4",
        batch.name,
        batch.number,
        VERSION,
        packed(batch.site),
    )
    return lines


async def _copy(connection: asyncpg.Connection, batch: Batch) -> None:
    if batch.readings:
        await connection.copy_records_to_table("reading", records=batch.readings, columns=READING_COLUMNS)
    if batch.events:
        await connection.copy_records_to_table("event", records=batch.events, columns=EVENT_COLUMNS)
    if batch.quarantine:
        await connection.copy_records_to_table(
            "quarantine", records=batch.quarantine, columns=("received", "topic", "reason", "detail", "payload")
        )


async def _refold(
    connection: asyncpg.Connection, batch: Batch, controller: str, ids: Ids, fold: Fold
) -> list[ChargeRecord]:
    """Let the ledger be computed anew with what has just been written; marks that it overtakes are dropped."""
    refold = batch.refolds[controller]
    base = refold.base or await _mark_before(connection, ids.controller_id, refold.at_ms)
    since_ms = base.physics.newest[0]
    past = Past(
        base,
        await _told_after(connection, ids.controller_id, controller, base),
        await records.visits_of(connection, ids.instrument_id, since_ms),
        await records.bills_of(connection, ids.instrument_id, refold.at_ms),
    )
    outcome, billed = fold(controller, past)
    await connection.execute(
        "DELETE FROM mark WHERE controller_id = $1 AND at > $2", ids.controller_id, to_time(since_ms)
    )
    batch.refolded(controller, since_ms, outcome)
    return await records.write_bills(connection, billed, batch.at_ms)


async def _mark_before(connection: asyncpg.Connection, controller_id: int, at_ms: int) -> Book:
    row = await connection.fetchrow(
        "SELECT version, book FROM mark WHERE controller_id = $1 AND at < $2 ORDER BY at DESC LIMIT 1",
        controller_id,
        to_time(at_ms),
    )
    return NEW_BOOK if row is None else rows.unpacked_book(row["version"], row["book"])


async def _told_after(
    connection: asyncpg.Connection, controller_id: int, controller: str, base: Book
) -> list[tuple[int, Arrival]]:
    since_ms = base.physics.newest[0]
    readings = await connection.fetch(
        "SELECT * FROM reading WHERE controller_id = $1 AND time >= $2", controller_id, to_time(since_ms)
    )
    events = await connection.fetch(_EVENTS_AFTER, controller_id, to_time(since_ms), to_time(since_ms - DEATHS_BACK_MS))
    told = [rows.reading_of(dict(row), controller) for row in readings] + [
        rows.event_of(dict(row), controller) for row in events
    ]
    keyed = [(order_key(at_ms, arrival), at_ms, arrival) for at_ms, arrival in told]
    keyed.sort(key=lambda item: item[0])
    return [(at_ms, arrival) for key, at_ms, arrival in keyed if comes_after(base, key, arrival)]


async def _write_books(connection: asyncpg.Connection, batch: Batch, ids: Callable[[str], Ids]) -> None:
    if batch.stations:
        await connection.execute(
            "INSERT INTO checkpoint SELECT id, $1, state FROM unnest($2::int[], $3::bytea[]) AS t (id, state) "
            "ON CONFLICT (controller_id) DO UPDATE SET version = excluded.version, state = excluded.state",
            VERSION,
            [ids(controller).controller_id for controller in batch.stations],
            [packed(station) for station in batch.stations.values()],
        )
    if batch.snapshots:
        await connection.execute(
            "INSERT INTO snapshot SELECT id, $1, $2, $3, state FROM unnest($4::int[], $5::bytea[]) AS t (id, state) "
            "ON CONFLICT DO NOTHING",
            batch.number,
            to_time(batch.at_ms),
            VERSION,
            [ids(each).controller_id for each in batch.snapshots],
            [packed(batch.stations[each]) for each in batch.snapshots],
        )
    if batch.spans:
        await _write_segments(connection, {ids(each).instrument_id: spans for each, spans in batch.spans.items()})
    if batch.marks:
        latest = {(ids(each.controller).controller_id, each.at_ms): each for each in batch.marks}
        await connection.execute(
            "INSERT INTO mark SELECT id, at, $1, book "
            "FROM unnest($2::int[], $3::timestamptz[], $4::bytea[]) AS t (id, at, book) "
            "ON CONFLICT (controller_id, at) DO UPDATE SET version = excluded.version, book = excluded.book",
            VERSION,
            [controller_id for controller_id, _ in latest],
            [to_time(at_ms) for _, at_ms in latest],
            [packed(each.book) for each in latest.values()],
        )


async def _write_segments(connection: asyncpg.Connection, spans: dict[int, tuple[Span, ...]]) -> None:
    """Let each ledger consist of these spans from the start of the first one on."""
    instruments, starts = list(spans), [to_time(each[0].start_ms) for each in spans.values()]
    changed = "unnest($1::int[], $2::timestamptz[]) AS t (id, start) WHERE instrument_id = t.id"
    await connection.execute(
        f"DELETE FROM segment USING {changed} AND segment.start >= t.start",  # noqa: S608
        instruments,
        starts,
    )
    await connection.execute(
        f"UPDATE segment SET until = t.start FROM {changed} "  # noqa: S608
        "AND segment.start < t.start AND (until IS NULL OR until > t.start)",
        instruments,
        starts,
    )
    await connection.copy_records_to_table(
        "segment", records=[row for each, own in spans.items() for row in _segment_rows(each, own)]
    )


def _segment_rows(instrument_id: int, spans: tuple[Span, ...]) -> Iterable[tuple[Any, ...]]:
    ends = [*(to_time(span.start_ms) for span in spans[1:]), None]
    return ((instrument_id, to_time(s.start_ms), end, s.category.value) for s, end in zip(spans, ends, strict=True))
