"""The money of a turn: lines for sessions and for bookings that nobody came to, and credit."""

from msgspec.structs import replace as _replace

from twin.parties import Booking
from twin.rules import billing
from twin.rules.credit import CreditCause
from twin.rules.outcome import (
    ChargeRecord,
    CreditRecord,
)
from twin.rules.turn.state import Turn
from twin.sessions import (
    Use,
)
from twin.station import Terms
from twin.tariffs import NO_ALLOWANCE, NO_FUND


def charge_session(turn: Turn, use: Use, opened_ms: int, ended_ms: int) -> Terms | None:
    """The line for a session that is over. Where the ledger is to be computed anew, the line waits for that."""
    terms = turn.station.terms
    if terms is None or terms.tariff is None or turn.scene.refolding or turn.follows.refold_ms is not None:
        return terms
    fact = turn.scene.directory.projects.get(use.project or "")
    allowance = turn.scene.accounts.allowance(fact) if fact else NO_ALLOWANCE
    fund = turn.scene.accounts.fund(fact) if fact else NO_FUND
    charge = billing.charge(
        turn.book.spans,
        opened_ms,
        ended_ms,
        terms.tariff,
        terms.payer,
        zone=turn.scene.zone,
        allowance=allowance,
        fund=fund,
    )
    _book_line(
        turn,
        ChargeRecord(
            at_ms=ended_ms, user=use.user.id, project=use.project, line=charge.line, session=use.id, charge=charge
        ),
    )
    return _replace(terms, allowance=allowance, fund=fund)


def charge_no_show(turn: Turn, booking: Booking, at_ms: int) -> None:
    """The line for a booking that nobody came to, if the tariff asks for one."""
    tariff = turn.scene.fact.prices.in_force(booking.start_ms)
    line = billing.no_show(booking.estimate_cny, tariff) if tariff else None
    if line is not None:
        _book_line(
            turn, ChargeRecord(at_ms=at_ms, user=booking.user, project=booking.project, line=line, booking=booking.id)
        )


def _book_line(turn: Turn, record: ChargeRecord) -> None:
    turn.follows.charges.append(record)
    if record.project is not None:
        line = record.line
        turn.scene.accounts.charge(record.project, line.net_cny, line.allowance_min, line.subsidy_cny)


def lose_credit(turn: Turn, user: str, cause: CreditCause, at_ms: int, about: str) -> None:
    """A line in the credit of a person."""
    line = turn.scene.accounts.next_line(user, cause, at_ms, about, turn.policy)
    turn.scene.accounts.note(user, line)
    turn.follows.credit.append(CreditRecord(user, line))
