"""Credit: how much a person is trusted with bookings.

Every change is a line with its cause, holding the points that it really moved: a line that would lift credit above the
full number holds less. So credit is the full number and the sum of the lines, and a line once written never changes.
"""

from collections.abc import Sequence
from enum import StrEnum
from typing import TypeAlias, assert_never

import msgspec

from twin.policy import Policy


class CreditCause(StrEnum):
    """Why credit changes."""

    NO_SHOW = "no_show"
    LATE_CANCELLATION = "late_cancellation"
    OVERRUN = "overrun"
    """Into the slot of somebody else."""
    IDLE = "idle"
    """The session was ended because nobody used it."""
    GOOD_MONTH = "good_month"
    REVERSAL = "reversal"


OFFENCES = frozenset({CreditCause.NO_SHOW, CreditCause.LATE_CANCELLATION, CreditCause.OVERRUN, CreditCause.IDLE})


class CreditLine(msgspec.Struct, frozen=True, kw_only=True):
    """One change of a person's credit."""

    number: int
    """1 for a person's first line."""
    at_ms: int
    cause: CreditCause
    points: int
    about: str = ""
    """The booking or session that it is about; the reason of a reversal."""
    author: str = ""
    """The manager who reversed a line; nobody where the rules made it."""
    reverses: int | None = None
    """The number of the line that it undoes."""


Lines: TypeAlias = Sequence[CreditLine]
"""All lines of one person, in the order of their numbers."""


class ReversalError(ValueError):
    """A line cannot be reversed; the message says why."""


def credit(lines: Lines, policy: Policy) -> int:
    """The points that a person has."""
    return policy.credit_full_points + sum(line.points for line in lines)


def changed(lines: Lines, cause: CreditCause, at_ms: int, about: str, policy: Policy) -> CreditLine:
    """The line for an offence, by the policy of the instrument that it is about, or for a good month."""
    return CreditLine(
        number=len(lines) + 1,
        at_ms=at_ms,
        cause=cause,
        points=_capped(lines, _points(cause, policy), policy),
        about=about,
    )


def good_month(lines: Lines, start_ms: int, end_ms: int, policy: Policy) -> CreditLine | None:
    """The line for the calendar month `[start_ms, end_ms)` in which there was no offence, due at its end.

    None where there was one that has not been reversed, where the month has its line already, or credit is full.
    """
    if any(start_ms <= line.at_ms < end_ms for line in _standing(lines)):
        return None
    if any(line.cause is CreditCause.GOOD_MONTH and line.at_ms == end_ms for line in lines):
        return None
    line = changed(lines, CreditCause.GOOD_MONTH, end_ms, "", policy)
    return line if line.points else None


def reversal(lines: Lines, number: int, at_ms: int, policy: Policy, *, reason: str, author: str) -> CreditLine:
    """The line by which a manager undoes another one after an appeal.

    Raises:
        ReversalError: there is no such line, it is a reversal or has been reversed; the reason or author is not said.

    """
    if not (reason.strip() and author.strip()):
        raise ReversalError("a reversal has a reason and an author")
    if not 1 <= number <= len(lines):
        raise ReversalError(f"there is no line {number}")
    if lines[number - 1].cause is CreditCause.REVERSAL or number in {line.reverses for line in lines}:
        raise ReversalError(f"line {number} is a reversal, or has been reversed")
    return CreditLine(
        number=len(lines) + 1,
        at_ms=at_ms,
        cause=CreditCause.REVERSAL,
        points=_capped(lines, -lines[number - 1].points, policy),
        about=reason,
        author=author,
        reverses=number,
    )


def no_bookings_until_ms(lines: Lines, policy: Policy) -> int | None:
    """Until when a person whose credit is below the limit makes no new bookings; None where it is not.

    The time runs from the last offence that was not reversed, and may be over already. Whoever is back at the limit may
    book again at once.
    """
    if credit(lines, policy) >= policy.credit_limit_points:
        return None
    last_ms = max((line.at_ms for line in _standing(lines)), default=None)
    return None if last_ms is None else last_ms + policy.booking_ban_ms


def is_late_cancellation(cancelled_ms: int, starts_ms: int, policy: Policy) -> bool:
    """Was a booking cancelled inside `cancel_notice` before it starts?"""
    return starts_ms - cancelled_ms < policy.cancel_notice_ms


def _standing(lines: Lines) -> list[CreditLine]:
    """The offences that have not been reversed."""
    undone = {line.reverses for line in lines}
    return [line for line in lines if line.cause in OFFENCES and line.number not in undone]


def _points(cause: CreditCause, policy: Policy) -> int:
    match cause:
        case CreditCause.NO_SHOW:
            return -policy.no_show_points
        case CreditCause.LATE_CANCELLATION:
            return -policy.late_cancellation_points
        case CreditCause.OVERRUN:
            return -policy.overrun_points
        case CreditCause.IDLE:
            return -policy.idle_points
        case CreditCause.GOOD_MONTH:
            return policy.good_month_points
        case CreditCause.REVERSAL:
            raise ValueError("a reversal has the points of the line that it undoes")
        case _:
            assert_never(cause)


def _capped(lines: Lines, points: int, policy: Policy) -> int:
    return min(points, policy.credit_full_points - credit(lines, policy))
