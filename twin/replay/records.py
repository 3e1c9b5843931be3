"""What follows from a log, as plain rows that can be compared: as stored, or as a replay has it."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal

import msgspec

from twin.state import Category
from twin.tariffs import NOTHING


class _Row(msgspec.Struct, frozen=True, gc=False):
    """Immutable and compact."""


class Window(_Row, frozen=True):
    """The time that is looked at, ms since the epoch; `until_ms` is exclusive."""

    from_ms: int
    until_ms: int

    def holds(self, at_ms: int | None) -> bool:
        """Is a moment within it?"""
        return at_ms is not None and self.from_ms <= at_ms < self.until_ms


class SessionRow(_Row, frozen=True, kw_only=True):
    """A session as it stood at a moment."""

    instrument: str
    user: str
    project: str | None
    booking: str | None
    state: str
    requested_ms: int
    opened_ms: int | None
    ended_ms: int | None
    reason: str | None

    def as_of(self, until_ms: int) -> "SessionRow":
        """As it stood just before a moment."""
        if self.ended_ms is not None and self.ended_ms < until_ms:
            return self
        opened_ms = self.opened_ms if self.opened_ms is not None and self.opened_ms < until_ms else None
        state = "opening" if opened_ms is None else "open"
        return msgspec.structs.replace(self, state=state, opened_ms=opened_ms, ended_ms=None, reason=None)


class AlertRow(_Row, frozen=True, kw_only=True):
    """An alert that has fired; `instrument` is None for the site's."""

    instrument: str | None
    kind: str
    fired_ms: int
    resolved_ms: int | None


class ChargeRow(_Row, frozen=True, kw_only=True):
    """The sum of what has been charged for one session, or for one booking that nobody came to."""

    instrument: str
    gross_cny: Decimal = NOTHING
    allowance_cny: Decimal = NOTHING
    subsidy_cny: Decimal = NOTHING
    allowance_min: int = 0
    minutes: int = 0

    @property
    def net_cny(self) -> Decimal:
        """What the payer pays."""
        return self.gross_cny - self.allowance_cny - self.subsidy_cny


class Segments:
    """The ledger of one instrument: from each start on, a category."""

    def __init__(self, stretches: Iterable[tuple[int, Category]] = ()) -> None:
        self._stretches = list(stretches)

    def overlay(self, stretches: Iterable[tuple[int, Category]]) -> None:
        """Let these take the place of everything from the start of the first one on."""
        new = list(stretches)
        del self._stretches[bisect_left(self._stretches, new[0][0], key=lambda each: each[0]) :]
        self._stretches += new

    def within(self, window: Window) -> list[tuple[int, Category]]:
        """What is in force in a window, neighbours that say the same as one; the first begins where it begins."""
        first = max(0, bisect_right(self._stretches, window.from_ms, key=lambda each: each[0]) - 1)
        found: list[tuple[int, Category]] = []
        for start_ms, category in self._stretches[first:]:
            if start_ms < window.until_ms and (not found or found[-1][1] is not category):
                found.append((max(start_ms, window.from_ms), category))
        return found


@dataclass
class Records:
    """What can be compared: sessions by id, ledgers by instrument, alerts by id, charges by their subject."""

    sessions: dict[str, SessionRow] = field(default_factory=dict)
    segments: dict[str, Segments] = field(default_factory=dict)
    alerts: dict[str, AlertRow] = field(default_factory=dict)
    charges: dict[str, ChargeRow] = field(default_factory=dict)
