"""Questions about sessions and alerts that are on record."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import asyncpg
import msgspec

from twin.alerts import RULES, Alert
from twin.interface import (
    AlertQuery,
    AlertView,
    ChargeView,
    ConflictView,
    LineView,
    PartView,
    SessionQuery,
    SessionView,
)
from twin.store.rows import to_ms, to_time
from twin.views import rfc3339

_SESSIONS = """
FROM session JOIN instrument ON instrument.id = session.instrument_id
WHERE ($1::text[] IS NULL OR code = ANY($1)) AND ($2::text IS NULL OR username = $2)
AND ($3::text IS NULL OR state = $3)
AND ($4::timestamptz IS NULL OR ended IS NULL OR ended > $4) AND ($5::timestamptz IS NULL OR requested < $5)
"""
_ALERTS = """
FROM alert LEFT JOIN instrument ON instrument.id = alert.instrument_id
WHERE ($1::text[] IS NULL OR code = ANY($1)) AND ($2::text IS NULL OR kind = $2) AND ($3::text IS NULL OR severity = $3)
AND ($4::timestamptz IS NULL OR resolved IS NULL OR resolved > $4) AND ($5::timestamptz IS NULL OR since < $5)
"""
_SESSION_COLUMNS = "session.*, code"
_ALERT_COLUMNS = "alert.*, code"
_PARTS = msgspec.json.Decoder(tuple[PartView, ...])


class Lookup:
    """Reads what the writer has stored, by a pool of its own connections."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def sessions(self, wanted: SessionQuery) -> tuple[Sequence[SessionView], int]:
        """Sessions, the one that was asked for last first, and how many there are in all."""
        asked = (_list(wanted.instruments), wanted.user, wanted.state, _time(wanted.start_ms), _time(wanted.end_ms))
        total = await self._pool.fetchval(f"SELECT count(*) {_SESSIONS}", *asked)
        rows = await self._pool.fetch(
            f"SELECT {_SESSION_COLUMNS} {_SESSIONS} ORDER BY requested DESC, session.id DESC LIMIT $6 OFFSET $7",
            *asked,
            wanted.limit,
            wanted.offset,
        )
        lines = await self._lines([row["id"] for row in rows])
        return [_session(row, lines.get(row["id"], [])) for row in rows], int(total)

    async def session(self, session: str) -> SessionView | None:
        """One session with its lines."""
        if not (session.isdecimal() and int(session) < 2**63):
            return None
        row = await self._pool.fetchrow(
            "SELECT session.*, code FROM session JOIN instrument ON instrument.id = session.instrument_id "
            "WHERE session.id = $1",
            int(session),
        )
        if row is None:
            return None
        return _session(row, (await self._lines([row["id"]])).get(row["id"], []))

    async def _lines(self, sessions: Sequence[int]) -> dict[int, list[asyncpg.Record]]:
        lines: dict[int, list[asyncpg.Record]] = {}
        for row in await self._pool.fetch(
            "SELECT * FROM charge_line WHERE session_id = ANY($1::bigint[]) ORDER BY id", list(sessions)
        ):
            lines.setdefault(row["session_id"], []).append(row)
        return lines

    async def alerts(self, wanted: AlertQuery) -> tuple[Sequence[AlertView], int]:
        """Alerts that are over, the one that fired last first, and how many there are in all."""
        over = f"{_ALERTS} AND state = 'resolved'"
        asked = (_list(wanted.instruments), wanted.kind, wanted.severity, _time(wanted.start_ms), _time(wanted.end_ms))
        total = await self._pool.fetchval(f"SELECT count(*) {over}", *asked)
        rows = await self._pool.fetch(
            f"SELECT {_ALERT_COLUMNS} {over} ORDER BY since DESC, alert.id LIMIT $6 OFFSET $7",
            *asked,
            wanted.limit,
            wanted.offset,
        )
        return [_alert(row) for row in rows], int(total)

    async def alert(self, alert: str) -> AlertView | None:
        """One alert as it is on record."""
        row = await self._pool.fetchrow(
            "SELECT alert.*, code FROM alert LEFT JOIN instrument ON instrument.id = alert.instrument_id "
            "WHERE alert.id = $1",
            alert,
        )
        return None if row is None else _alert(row)


def alert_view(id_: str, instrument: str | None, fired_ms: int, alert: Alert) -> AlertView:
    """An alert as the outside sees it."""
    rule, seen, is_over = RULES[alert.kind], alert.acknowledged, alert.state.value == "resolved"
    return AlertView(
        id=id_,
        instrument=instrument,
        kind=alert.kind.value,
        severity=rule.severity.value,
        state="resolved" if is_over else "firing",
        since=rfc3339(fired_ms),
        resolved=rfc3339(alert.since_ms) if is_over else None,
        acknowledged=None if seen is None else rfc3339(seen.at_ms),
        acknowledged_by=None if seen is None else seen.by,
        to=tuple(role.value for role in rule.to[: max(1, alert.told)]),
        conflicts=tuple(ConflictView(each.conflict.value, rfc3339(each.at_ms), each.user) for each in alert.clashes),
    )


def _alert(row: asyncpg.Record) -> AlertView:
    return alert_view(row["id"], row["code"], to_ms(row["since"]), msgspec.json.decode(row["body"], type=Alert))


def _session(row: asyncpg.Record, lines: Sequence[asyncpg.Record]) -> SessionView:
    return SessionView(
        id=str(row["id"]),
        instrument=row["code"],
        user=row["username"],
        project=row["project"],
        booking=row["booking"],
        state=row["state"],
        requested=_text(row["requested"]),
        opened=_text_or_none(row["opened"]),
        ended=_text_or_none(row["ended"]),
        due=None,
        reason=row["reason"],
        override_reason=row["override_reason"],
        maintenance=row["maintenance"],
        charge=_charge(lines) if lines else None,
    )


def _charge(lines: Sequence[asyncpg.Record]) -> ChargeView:
    """The sum of the lines; minutes and parts are those that the last one was computed from."""
    gross, allowance, subsidy = (
        sum((line[name] for line in lines), Decimal(0)) for name in ("gross_cny", "allowance_cny", "subsidy_cny")
    )
    return ChargeView(
        gross=f"{gross:.2f}",
        allowance=f"{allowance:.2f}",
        subsidy=f"{subsidy:.2f}",
        net=f"{gross - allowance - subsidy:.2f}",
        minutes=lines[-1]["minutes"],
        parts=_PARTS.decode(lines[-1]["parts"]),
        lines=tuple(_line(line) for line in lines),
    )


def _line(row: asyncpg.Record) -> LineView:
    gross, allowance, subsidy = row["gross_cny"], row["allowance_cny"], row["subsidy_cny"]
    return LineView(
        cause=row["cause"],
        at=_text(row["at"]),
        gross=f"{gross:.2f}",
        allowance=f"{allowance:.2f}",
        subsidy=f"{subsidy:.2f}",
        net=f"{gross - allowance - subsidy:.2f}",
        reason=row["reason"],
        author=row["author"],
    )


def _list(names: frozenset[str] | None) -> list[str] | None:
    return None if names is None else sorted(names)


def _time(at_ms: int | None) -> Any:
    return None if at_ms is None else to_time(at_ms)


def _text(moment: Any) -> str:
    return rfc3339(to_ms(moment))


def _text_or_none(moment: Any) -> str | None:
    return None if moment is None else _text(moment)
