"""What a session costs: one function for the cost so far, the final charge, the estimate and what late data changes.

    price(minute) = rate_per_hour / 60 x band% (local time of the minute's start) x kind%
    gross         = min(session_cap, startup_fee + max(sum of minutes, min_minutes x rate_per_hour / 60))
    allowance     = the price of the first minutes, as many as are left of the payer's free hours
    subsidy       = min(share x (gross - allowance), what is left of the fund's cap)
    net           = gross - allowance - subsidy

All arithmetic is in whole numbers and fractions. Gross, allowance and subsidy are rounded once, when they become a
line; net is what remains between them. So lines always add up, to the fen.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction
from zoneinfo import ZoneInfo

import msgspec

from twin.rules.minutes import Run, first_minutes, minute_runs
from twin.state import Span
from twin.tariffs import NO_ALLOWANCE, NO_FUND, NOTHING, Allowance, Fund, Kind, Payer, Tariff

FUNDS_WARNINGS_PERCENT = (80, 100)
"""The user is told when a running session has used so much of what its account had left."""
_RATE_UNITS = 60 * 100 * 100  # minutes an hour, percent of the band, percent of the kind


class LineCause(StrEnum):
    """Why a line stands in an account."""

    SESSION = "session"
    NO_SHOW = "no_show"
    CORRECTION = "correction"


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """What an account is charged; in a correction, by how much that changes. Lines are never edited."""

    cause: LineCause
    gross_cny: Decimal
    allowance_cny: Decimal = NOTHING
    subsidy_cny: Decimal = NOTHING
    allowance_min: int = 0
    """Free minutes used up."""
    reason: str = ""
    author: str = ""

    @property
    def net_cny(self) -> Decimal:
        """What the payer pays."""
        return self.gross_cny - self.allowance_cny - self.subsidy_cny


class Charge(msgspec.Struct, frozen=True):
    """What a session costs, and the minutes behind it: one part for each price."""

    line: Line
    minutes: int
    parts: tuple[Run, ...]


def charge(
    spans: Sequence[Span],
    start_ms: int,
    end_ms: int,
    tariff: Tariff,
    payer: Payer,
    *,
    zone: ZoneInfo,
    allowance: Allowance = NO_ALLOWANCE,
    fund: Fund = NO_FUND,
) -> Charge:
    """What a session from `start_ms` until `end_ms` costs; until now, while it runs.

    `spans` is the ledger from the session's start on, or from before. A booking's estimate is the charge for one span
    of use. To charge a session anew, for late data, give the allowance and the fund as they were the first time.

    Raises:
        ValueError: the spans do not reach back to the start, or hold what no session has; the session ends before it
            starts; the tariff is not in force yet when it starts.

    """
    if not tariff.from_ms <= start_ms <= end_ms:
        raise ValueError(f"tariff from {tariff.from_ms}, session from {start_ms} until {end_ms}: not in this order")
    runs = list(minute_runs(spans, start_ms, end_ms, tariff, zone))
    minutes = sum(run.minutes for run in runs)
    free_min = min(allowance.left_min, minutes)
    rate = Fraction(tariff.rates.of(payer))
    gross = _gross(_price(runs, rate, tariff), rate, tariff)
    free = min(_price(first_minutes(runs, free_min), rate, tariff), gross)
    return Charge(_line(gross, free, fund, free_min), minutes, _parts(runs))


def correction(lines: Iterable[Line], new: Charge, reason: str, author: str) -> Line | None:
    """The line that turns what has been charged for a session so far into its new charge; None where nothing changes.

    Raises:
        ValueError: the reason or the author is not said.

    """
    if not (reason.strip() and author.strip()):
        raise ValueError("a correction has a reason and an author")
    charged, wanted = list(lines), new.line
    change = Line(
        cause=LineCause.CORRECTION,
        gross_cny=wanted.gross_cny - sum(line.gross_cny for line in charged),
        allowance_cny=wanted.allowance_cny - sum(line.allowance_cny for line in charged),
        subsidy_cny=wanted.subsidy_cny - sum(line.subsidy_cny for line in charged),
        allowance_min=wanted.allowance_min - sum(line.allowance_min for line in charged),
        reason=reason,
        author=author,
    )
    changed = change.gross_cny or change.allowance_cny or change.subsidy_cny or change.allowance_min
    return change if changed else None


def no_show(estimate_cny: Decimal, tariff: Tariff) -> Line | None:
    """What a booking costs that was neither used nor cancelled in time; None where that is nothing."""
    gross_cny = _in_fen(Fraction(estimate_cny) * tariff.no_show_percent / 100)
    return Line(cause=LineCause.NO_SHOW, gross_cny=gross_cny) if gross_cny else None


def funds_warning(net_cny: Decimal, left_cny: Decimal) -> int | None:
    """The highest of `FUNDS_WARNINGS_PERCENT` that a running cost has reached of what was left when it began."""
    reached = [percent for percent in FUNDS_WARNINGS_PERCENT if net_cny * 100 >= left_cny * percent]
    return max(reached, default=None) if net_cny else None


def _price(runs: Iterable[Run], rate: Fraction, tariff: Tariff) -> Fraction:
    """The sum of the price of each minute."""
    percents = tariff.percents()
    return rate * sum(run.minutes * run.band_percent * percents[run.kind] for run in runs) / _RATE_UNITS


def _gross(minutes_cost: Fraction, rate: Fraction, tariff: Tariff) -> Fraction:
    total = Fraction(tariff.startup_fee_cny) + max(minutes_cost, tariff.min_minutes * rate / 60)
    return total if tariff.session_cap_cny is None else min(Fraction(tariff.session_cap_cny), total)


def _line(gross: Fraction, free: Fraction, fund: Fund, free_min: int) -> Line:
    """Amounts become money here. No subsidy exceeds what the rounded amounts before it leave to pay."""
    subsidy = min(fund.share_percent * (gross - free) / 100, Fraction(fund.left_cny))
    gross_cny, allowance_cny = _in_fen(gross), _in_fen(free)
    return Line(
        cause=LineCause.SESSION,
        gross_cny=gross_cny,
        allowance_cny=allowance_cny,
        subsidy_cny=min(_in_fen(subsidy), gross_cny - allowance_cny),
        allowance_min=free_min,
    )


def _in_fen(amount: Fraction) -> Decimal:
    """Rounded half up to 0.01; the amount is not negative."""
    return Decimal((200 * amount.numerator + amount.denominator) // (2 * amount.denominator)).scaleb(-2)


def _parts(runs: Iterable[Run]) -> tuple[Run, ...]:
    minutes: Counter[tuple[Kind, int]] = Counter()
    for run in runs:
        minutes[run.kind, run.band_percent] += run.minutes
    return tuple(Run(kind, percent, count) for (kind, percent), count in minutes.items())
