"""What is stored of a stretch of time: to be compared, and to begin a replay with."""

from collections.abc import Collection
from typing import Any, Final

from twin.replay.records import AlertRow, ChargeRow, Records, Segments, SessionRow, Window
from twin.rules.accounts import Accounts
from twin.rules.credit import CreditCause, CreditLine
from twin.state import Category
from twin.store.log import Log

_SESSIONS = """
SELECT * FROM session WHERE instrument_id = ANY($1)
    AND (requested >= $2 AND requested < $3 OR ended >= $2 AND ended < $3)
"""
_SEGMENTS = """
SELECT instrument_id, start, category FROM segment
WHERE instrument_id = ANY($1) AND start < $3 AND (until IS NULL OR until > $2) ORDER BY instrument_id, start
"""
_ALERTS = """
SELECT id, instrument_id, kind, since, resolved FROM alert
WHERE (instrument_id = ANY($1) OR $4 AND instrument_id IS NULL)
    AND (since >= $2 AND since < $3 OR resolved >= $2 AND resolved < $3)
"""
_SUBJECTS: Final = """
SELECT coalesce('session ' || session_id, 'booking ' || charge_line.booking) AS subject,
    coalesce(session.instrument_id, booking.instrument_id) AS instrument_id, charge_line.*
FROM charge_line LEFT JOIN session ON session.id = session_id
    LEFT JOIN booking ON booking.id::text = charge_line.booking
WHERE charge_line.at < $2 AND (author = '' OR author = 'system')
"""
_CHARGES = f"""
WITH line AS ({_SUBJECTS})
SELECT subject, instrument_id, sum(gross_cny) AS gross_cny, sum(allowance_cny) AS allowance_cny,
    sum(subsidy_cny) AS subsidy_cny, sum(allowance_min)::int AS allowance_min,
    (array_agg(minutes ORDER BY id DESC))[1] AS minutes
FROM line WHERE instrument_id = ANY($1) GROUP BY subject, instrument_id HAVING max(at) >= $3
"""  # noqa: S608
_CHARGED = """
SELECT project, sum(gross_cny - allowance_cny - subsidy_cny) AS net_cny, sum(allowance_min)::int AS allowance_min,
    sum(subsidy_cny) AS subsidy_cny FROM charge_line WHERE at < $1 AND project IS NOT NULL GROUP BY project
"""


async def read_records(log: Log, codes: Collection[str], window: Window, *, with_site: bool) -> Records:
    """What is stored about these instruments in a window, as of its end; `with_site`: the site's alert, too."""
    ids = [number for number, code in log.instruments.items() if code in codes]
    span = (ids, window.from_ms, window.until_ms)
    fetch = log.connection.fetch
    records = Records(
        sessions={
            str(row["id"]): session_row(log, row).as_of(window.until_ms) for row in await fetch(_SESSIONS, *span)
        },
        alerts={row["id"]: _alert(log, row, window) for row in await fetch(_ALERTS, *span, with_site)},
        charges=await read_charges(log, ids, window),
    )
    stretches: dict[int, list[tuple[int, Category]]] = {}
    for row in await fetch(_SEGMENTS, *span):
        stretches.setdefault(row["instrument_id"], []).append((row["start"], Category(row["category"])))
    records.segments = {log.instruments[number]: Segments(each) for number, each in stretches.items()}
    return records


async def read_charges(log: Log, instrument_ids: Collection[int], window: Window) -> dict[str, ChargeRow]:
    """What had been charged at the end of a window for everything that was charged within it, by its subject."""
    rows = await log.connection.fetch(_CHARGES, instrument_ids, window.until_ms, window.from_ms)
    names = [name for name in ChargeRow.__struct_fields__ if name != "instrument"]
    return {
        row["subject"]: ChargeRow(
            instrument=log.instruments[row["instrument_id"]], **{name: row[name] for name in names}
        )
        for row in rows
    }


async def read_accounts(log: Log, until_ms: int) -> Accounts:
    """What had been charged and what credit had moved before a moment."""
    accounts = Accounts()
    for row in await log.connection.fetch(_CHARGED, until_ms):
        accounts.charge(row["project"], row["net_cny"], row["allowance_min"], row["subsidy_cny"])
    for row in await log.connection.fetch("SELECT * FROM credit_line WHERE at < $1 ORDER BY number", until_ms):
        accounts.note(row["username"], _credit_line(row))
    return accounts


def session_row(log: Log, row: Any) -> SessionRow:
    """A row of `session`, as it stands."""
    return SessionRow(
        instrument=log.instruments[row["instrument_id"]],
        user=row["username"],
        project=row["project"],
        booking=row["booking"],
        state=row["state"],
        requested_ms=row["requested"],
        opened_ms=row["opened"],
        ended_ms=row["ended"],
        reason=row["reason"],
    )


def _alert(log: Log, row: Any, window: Window) -> AlertRow:
    number, resolved_ms = row["instrument_id"], row["resolved"]
    return AlertRow(
        instrument=None if number is None else log.instruments[number],
        kind=row["kind"],
        fired_ms=row["since"],
        resolved_ms=resolved_ms if resolved_ms is not None and resolved_ms < window.until_ms else None,
    )


def _credit_line(row: Any) -> CreditLine:
    return CreditLine(
        number=row["number"],
        at_ms=row["at"],
        cause=CreditCause(row["cause"]),
        points=row["points"],
        about=row["about"],
        author=row["author"],
        reverses=row["reverses"],
    )
