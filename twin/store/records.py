"""Writing what follows from events: sessions, lines, alerts, commands; reading sessions back for their bills."""

from collections.abc import Iterable, Sequence
from typing import Any

import asyncpg
import msgspec

from twin import directory
from twin.alerts import RULES, AlertState
from twin.events import Ack
from twin.requests import Learnt, Request, Silenced
from twin.rules.billing import Line, LineCause, correction
from twin.rules.outcome import (
    AlertRecord,
    Bill,
    Billed,
    ChargeRecord,
    Command,
    Consequences,
    CreditRecord,
    SessionRecord,
    SessionStatus,
)
from twin.state import FOREVER_MS, Visit
from twin.station import Terms
from twin.store.names import Names
from twin.store.rows import fact_digest, to_ms, to_time

LATE_DATA = "late data"
SYSTEM = "system"
_VISITS_BACK_MS = 8 * 24 * 3_600_000
"""An instrument cools down for 7 days at the most: no older session is of any interest to the ledger."""


class SessionBody(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a session is charged by; not asked for by any query."""

    overrun_ms: int | None = None
    terms: Terms | None = None


_BODY = msgspec.json.Decoder(SessionBody)


def _time(at_ms: int | None) -> Any:
    return None if at_ms is None else to_time(at_ms)


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()


async def write_requests(connection: asyncpg.Connection, requests: Sequence[Request]) -> None:
    """Log what people asked for and the facts that have changed."""
    facts = [each for each in requests if isinstance(each, Learnt)]
    others = [each for each in requests if not isinstance(each, Learnt)]
    if facts:
        columns = ("key", "number", "at", "body", "digest")
        await connection.copy_records_to_table("fact", records=map(_fact_row, facts), columns=columns)
    if others:
        rows_ = [(each.number, to_time(each.at_ms), type(each).__name__.lower(), _json(each)) for each in others]
        await connection.copy_records_to_table("request", records=rows_, columns=("number", "at", "kind", "body"))
    await _write_silences(connection, [each for each in others if isinstance(each, Silenced)])


def _fact_row(learnt: Learnt) -> tuple[Any, ...]:
    body = directory.packed(learnt.fact)
    return learnt.fact.key, learnt.number, to_time(learnt.at_ms), body.decode(), fact_digest(body)


async def _write_silences(connection: asyncpg.Connection, silences: Sequence[Silenced]) -> None:
    rows = [
        (
            to_time(each.at_ms),
            to_time(said.until_ms),
            said.author,
            said.reason,
            said.instrument,
            said.platform,
            said.kind,
        )
        for each in silences
        for said in (each.silence,)
    ]
    if rows:
        columns = ("at", "until", "author", "reason", "instrument", "platform", "kind")
        await connection.copy_records_to_table("silence", records=rows, columns=columns)


async def write_consequences(connection: asyncpg.Connection, follows: Sequence[Consequences], names: Names) -> None:
    """Store everything that follows from a batch, in an order that no constraint minds."""
    await _write_sessions(connection, [each for one in follows for each in one.sessions], names)
    await write_lines(connection, [each for one in follows for each in one.charges])
    await _write_credit(connection, [each for one in follows for each in one.credit])
    await _write_alerts(connection, [each for one in follows for each in one.alerts], names)
    await _write_notices(connection, follows)
    await _write_commands(connection, [each for one in follows for each in one.commands], names)
    freed = [(int(each.id), each.state.value) for one in follows for each in one.bookings if each.id.isdigit()]
    if freed:
        await connection.executemany("UPDATE booking SET state = $2 WHERE id = $1", freed)


async def _write_sessions(connection: asyncpg.Connection, records: Sequence[SessionRecord], names: Names) -> None:
    latest = {each.id: each for each in records}
    running = {SessionStatus.OPENING, SessionStatus.OPEN}
    # What is over first: an instrument has one running session at a time.
    rows = [_session_row(each, names) for each in sorted(latest.values(), key=lambda each: each.status in running)]
    if rows:
        await connection.executemany(
            "INSERT INTO session (id, instrument_id, username, project, booking, state, requested, opened, ended, "
            "reason, override_reason, maintenance, body) "
            "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) "
            "ON CONFLICT (id) DO UPDATE SET state = excluded.state, opened = excluded.opened, "
            "ended = excluded.ended, reason = excluded.reason, body = excluded.body",
            rows,
        )


def _session_row(record: SessionRecord, names: Names) -> tuple[Any, ...]:
    return (
        int(record.id),
        names.instrument(record.instrument).instrument_id,
        record.user,
        record.project,
        record.booking,
        record.status.value,
        to_time(record.requested_ms),
        _time(record.opened_ms),
        _time(record.ended_ms),
        None if record.reason is None else record.reason.value,
        record.override_reason,
        record.maintenance,
        _json(SessionBody(record.overrun_ms, record.terms)),
    )


async def write_lines(connection: asyncpg.Connection, records: Sequence[ChargeRecord]) -> None:
    """Add lines to accounts; none is ever changed."""
    if records:
        await connection.copy_records_to_table(
            "charge_line",
            records=[_line_row(each) for each in records],
            columns=(
                *("session_id", "booking", "username", "project", "at", "cause", "gross_cny", "allowance_cny"),
                *("subsidy_cny", "allowance_min", "minutes", "reason", "author", "parts"),
            ),
        )


def _line_row(record: ChargeRecord) -> tuple[Any, ...]:
    line, charge = record.line, record.charge
    return (
        None if record.session is None else int(record.session),
        record.booking,
        record.user,
        record.project,
        to_time(record.at_ms),
        line.cause.value,
        line.gross_cny,
        line.allowance_cny,
        line.subsidy_cny,
        line.allowance_min,
        0 if charge is None else charge.minutes,
        line.reason,
        line.author,
        _json(() if charge is None else charge.parts),
    )


async def _write_credit(connection: asyncpg.Connection, records: Sequence[CreditRecord]) -> None:
    if records:
        rows = [
            (
                each.user,
                line.number,
                to_time(line.at_ms),
                line.cause.value,
                line.points,
                line.about,
                line.author,
                line.reverses,
            )
            for each in records
            for line in (each.line,)
        ]
        await connection.copy_records_to_table(
            "credit_line",
            records=rows,
            columns=("username", "number", "at", "cause", "points", "about", "author", "reverses"),
        )


async def _write_alerts(connection: asyncpg.Connection, records: Sequence[AlertRecord], names: Names) -> None:
    latest = {each.id: each for each in records}
    # What is over first: there is one active alert of a kind at a time.
    ordered = sorted(latest.values(), key=lambda each: each.alert.state is AlertState.FIRING)
    if ordered:
        await connection.executemany(
            "INSERT INTO alert (id, instrument_id, kind, severity, state, since, resolved, acknowledged, "
            "acknowledged_by, body) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT (id) DO UPDATE SET "
            "state = excluded.state, resolved = excluded.resolved, acknowledged = excluded.acknowledged, "
            "acknowledged_by = excluded.acknowledged_by, body = excluded.body",
            [_alert_row(each, names) for each in ordered],
        )


def _alert_row(record: AlertRecord, names: Names) -> tuple[Any, ...]:
    alert, seen = record.alert, record.alert.acknowledged
    return (
        record.id,
        None if record.instrument is None else names.instrument(record.instrument).instrument_id,
        alert.kind.value,
        RULES[alert.kind].severity.value,
        alert.state.value,
        to_time(record.fired_ms),
        to_time(alert.since_ms) if alert.state is AlertState.RESOLVED else None,
        _time(None if seen is None else seen.at_ms),
        None if seen is None else seen.by,
        _json(alert),
    )


async def _write_notices(connection: asyncpg.Connection, follows: Iterable[Consequences]) -> None:
    rows = [
        (
            each.alert,
            to_time(each.notice.at_ms),
            each.notice.step.value,
            [role.value for role in each.notice.to],
            None if each.notice.withheld is None else each.notice.withheld.value,
        )
        for one in follows
        for each in one.notices
    ]
    if rows:
        await connection.copy_records_to_table(
            "notice", records=rows, columns=("alert_id", "at", "step", "recipients", "withheld")
        )


async def _write_commands(connection: asyncpg.Connection, commands: Sequence[Command], names: Names) -> None:
    if commands:
        await connection.executemany(
            "INSERT INTO command VALUES ($1, $2, $3, $4, $5, 'waiting') ON CONFLICT DO NOTHING",
            [
                (
                    names.controller(each.controller).controller_id,
                    each.id,
                    to_time(each.at_ms),
                    to_time(each.expires_ms),
                    _json(each),
                )
                for each in commands
            ],
        )


async def write_acks(connection: asyncpg.Connection, acks: Sequence[tuple[int, Ack]]) -> None:
    """What controllers answered to commands; `acks`: controller ids with their answers."""
    if acks:
        await connection.executemany(
            "UPDATE command SET state = $3 WHERE controller_id = $1 AND id = $2",
            [(controller_id, ack.cmd, "done" if ack.ok else "refused") for controller_id, ack in acks],
        )


async def visits_of(connection: asyncpg.Connection, instrument_id: int, since_ms: int) -> tuple[Visit, ...]:
    """The sessions of an instrument that may still matter to its ledger from a moment on."""
    rows = await connection.fetch(
        "SELECT id, opened, ended, maintenance, body FROM session WHERE instrument_id = $1 AND opened IS NOT NULL "
        "AND (ended IS NULL OR ended >= $2) ORDER BY opened, id",
        instrument_id,
        to_time(max(0, since_ms - _VISITS_BACK_MS)),
    )
    return tuple(_visit(row) for row in rows)


def _visit(row: asyncpg.Record) -> Visit:
    body = _BODY.decode(row["body"])
    return Visit(
        to_ms(row["opened"]),
        FOREVER_MS if row["ended"] is None else to_ms(row["ended"]),
        FOREVER_MS if body.overrun_ms is None else body.overrun_ms,
        row["maintenance"],
        str(row["id"]),
    )


async def bills_of(connection: asyncpg.Connection, instrument_id: int, since_ms: int) -> tuple[Bill, ...]:
    """The sessions of an instrument that are over, and ended after a moment or have not been charged."""
    rows = await connection.fetch(
        "SELECT id, username, project, opened, ended, body FROM session WHERE instrument_id = $1 AND state = 'closed' "
        "AND (ended >= $2 OR NOT EXISTS (SELECT FROM charge_line WHERE session_id = session.id AND ended >= $3)) "
        "AND ended >= $3 ORDER BY id",
        instrument_id,
        to_time(since_ms),
        to_time(max(0, since_ms - 24 * 3_600_000)),
    )
    return tuple(bill for row in rows if (bill := _bill(row)) is not None)


def _bill(row: asyncpg.Record) -> Bill | None:
    terms = _BODY.decode(row["body"]).terms
    if terms is None or terms.tariff is None:
        return None
    return Bill(
        session=str(row["id"]),
        user=row["username"],
        project=row["project"],
        start_ms=to_ms(row["opened"]),
        end_ms=to_ms(row["ended"]),
        terms=terms,
    )


async def write_bills(connection: asyncpg.Connection, billed: Sequence[Billed], now_ms: int) -> list[ChargeRecord]:
    """Charge what has not been charged, and correct what late data has changed; gives the new lines."""
    records = [record for each in billed if (record := await _settled(connection, each, now_ms)) is not None]
    await write_lines(connection, records)
    for each in billed:
        await connection.execute(
            "UPDATE session SET body = $2 WHERE id = $1", int(each.bill.session), await _body_with(connection, each)
        )
    return records


async def _settled(connection: asyncpg.Connection, billed: Billed, now_ms: int) -> ChargeRecord | None:
    bill, charge = billed.bill, billed.charge
    lines = [
        _line(row)
        for row in await connection.fetch("SELECT * FROM charge_line WHERE session_id = $1", int(bill.session))
    ]
    line = correction(lines, charge, LATE_DATA, SYSTEM) if lines else charge.line
    if line is None:
        return None
    at_ms = now_ms if lines else bill.end_ms
    return ChargeRecord(
        at_ms=at_ms, user=bill.user, project=bill.project, line=line, session=bill.session, charge=charge
    )


async def _body_with(connection: asyncpg.Connection, billed: Billed) -> str:
    body = _BODY.decode(await connection.fetchval("SELECT body FROM session WHERE id = $1", int(billed.bill.session)))
    return _json(msgspec.structs.replace(body, terms=billed.bill.terms))


def _line(row: asyncpg.Record) -> Line:
    return Line(
        cause=LineCause(row["cause"]),
        gross_cny=row["gross_cny"],
        allowance_cny=row["allowance_cny"],
        subsidy_cny=row["subsidy_cny"],
        allowance_min=row["allowance_min"],
        reason=row["reason"],
        author=row["author"],
    )
