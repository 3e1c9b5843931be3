"""The money of a turn: lines for sessions and for bookings that nobody came to, and credit."""

from decimal import Decimal

from twin.local_time import MINUTE_MS
from twin.parties import Booking
from twin.rules import billing
from twin.rules.credit import CreditCause
from twin.rules.outcome import (
    ChargeRecord,
    CreditRecord,
)
from twin.rules.turn.state import Turn
from twin.sessions import Open, Use
from twin.state import FOREVER_MS
from twin.station import Terms
from twin.tariffs import Payer


def charge_session(turn: Turn, use: Use, opened_ms: int, ended_ms: int) -> Terms | None:
    """The line for a session that is over. Where the ledger is to be computed anew, the line waits for that."""
    terms = turn.station.terms
    if terms is None or terms.tariff is None or turn.scene.refolding or turn.follows.refold_ms is not None:
        return terms
    project = turn.scene.directory.projects.get(use.project or "")
    charge, terms = turn.scene.accounts.cost(turn.book.spans, (opened_ms, ended_ms), terms, project, turn.scene.zone)
    _book_line(
        turn,
        ChargeRecord(
            at_ms=ended_ms, user=use.user.id, project=use.project, line=charge.line, session=use.id, charge=charge
        ),
    )
    return terms


def agree(turn: Turn, use: Use, opened_ms: int) -> None:
    """By what a session that opens will be charged; from then on its cost is watched."""
    holder = turn.scene.directory.users.get(use.user.id)
    project = turn.scene.directory.projects.get(use.project or "")
    tariff = None if use.maintenance else turn.scene.fact.prices.in_force(opened_ms)
    left_cny = turn.scene.accounts.project(project).available_cny if project else None
    terms = Terms(holder.payer if holder else Payer.INTERNAL, tariff, left_cny=left_cny)
    is_watched = tariff is not None and project is not None
    due_ms = opened_ms + MINUTE_MS if is_watched else FOREVER_MS
    turn.put(terms=terms, funds_told_percent=0, funds_due_ms=due_ms)


def look_at_funds(turn: Turn, at_ms: int) -> int | None:
    """The warning that is due: how much of what its project had left the open session has used, in percent."""
    state, terms = turn.station.control.state, turn.station.terms
    if not isinstance(state, Open) or terms is None or terms.tariff is None or terms.left_cny is None:
        turn.put(funds_due_ms=FOREVER_MS)
        return None
    if turn.scene.refolding or turn.follows.refold_ms is not None or turn.book.spans[0].start_ms > state.opened_ms:
        turn.put(funds_due_ms=at_ms + MINUTE_MS)  # the ledger is about to change
        return None
    project = turn.scene.directory.projects.get(state.use.project or "")
    times_ms = (state.opened_ms, at_ms)
    charge, _ = turn.scene.accounts.cost(turn.book.spans, times_ms, terms, project, turn.scene.zone)
    told, reached = turn.station.funds_told_percent, billing.funds_warning(charge.line.net_cny, terms.left_cny) or 0
    turn.put(funds_told_percent=max(told, reached))
    turn.put(funds_due_ms=_next_look_ms(turn, terms, charge.line.net_cny, at_ms))
    return reached if reached > told else None


def _next_look_ms(turn: Turn, terms: Terms, net_cny: Decimal, at_ms: int) -> int:
    """No session costs more than the dearest of its minutes, so nothing can be reached before."""
    told = turn.station.funds_told_percent
    percent = next((each for each in billing.FUNDS_WARNINGS_PERCENT if each > told), None)
    tariff, left_cny = terms.tariff, terms.left_cny
    if percent is None or tariff is None or left_cny is None:
        return FOREVER_MS
    dearest = max(100, *(band.percent for band in tariff.bands), 0) * max(tariff.percents().values())
    price_cny = tariff.rates.of(terms.payer) * dearest / (60 * 100 * 100)
    if not price_cny:
        return FOREVER_MS
    minutes = int((left_cny * percent / 100 - net_cny) / price_cny)
    return at_ms + max(1, minutes) * MINUTE_MS


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
