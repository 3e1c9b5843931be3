"""What projects have been charged and people's credit has lost or won, as known at a moment.

They belong to the fleet, like the directory; what the directory says of a project or a person is without them.
"""

from collections import defaultdict
from collections.abc import Sequence
from decimal import Decimal
from zoneinfo import ZoneInfo

import msgspec
from msgspec.structs import replace

from twin.directory import ProjectFact, UserFact
from twin.parties import Project, User
from twin.policy import Policy
from twin.rules import billing
from twin.rules.billing import Charge
from twin.rules.credit import CreditCause, CreditLine, changed, good_month, no_bookings_until_ms
from twin.state import Span
from twin.station import Terms
from twin.tariffs import NO_ALLOWANCE, NO_FUND, NOTHING, Allowance, Fund


class Charged(msgspec.Struct, frozen=True):
    """The sum of a project's lines."""

    net_cny: Decimal = NOTHING
    allowance_min: int = 0
    subsidy_cny: Decimal = NOTHING


class Accounts:
    """Sums and lines, restored from the store and moved on by every charge."""

    def __init__(self) -> None:
        self._charged: dict[str, Charged] = {}
        self._credit: defaultdict[str, list[CreditLine]] = defaultdict(list)

    def charge(self, project: str, net_cny: Decimal, allowance_min: int, subsidy_cny: Decimal) -> None:
        """Add a line to a project's sums."""
        sums = self._charged.get(project, Charged())
        self._charged[project] = Charged(
            sums.net_cny + net_cny, sums.allowance_min + allowance_min, sums.subsidy_cny + subsidy_cny
        )

    def note(self, user: str, line: CreditLine) -> None:
        """Add a line to a person's credit."""
        self._credit[user].append(line)

    def next_line(self, user: str, cause: CreditCause, at_ms: int, about: str, policy: Policy) -> CreditLine:
        """The line that this would be."""
        return changed(self._credit[user], cause, at_ms, about, policy)

    def good_months(self, start_ms: int, end_ms: int, policy: Policy) -> list[tuple[str, CreditLine]]:
        """Who has won credit back by a month without offence, and the line for it."""
        found = ((user, good_month(lines, start_ms, end_ms, policy)) for user, lines in sorted(self._credit.items()))
        return [(user, line) for user, line in found if line is not None]

    def no_bookings_until_ms(self, user: str, policy: Policy) -> int | None:
        """Until when somebody may book nothing, if that is so."""
        return no_bookings_until_ms(self._credit.get(user, ()), policy)

    def project(self, fact: ProjectFact) -> Project:
        """A project with what is left."""
        charged = self._charged.get(fact.project.id)
        if charged is None:
            return fact.project
        return replace(fact.project, balance_cny=fact.project.balance_cny - charged.net_cny)

    def allowance(self, fact: ProjectFact) -> Allowance:
        """What is left of a project's free hours."""
        return Allowance(max(0, fact.free_min - self._charged.get(fact.project.id, Charged()).allowance_min))

    def fund(self, fact: ProjectFact) -> Fund:
        """What is left of the fund that pays a share for a project."""
        charged = self._charged.get(fact.project.id, Charged())
        return replace(fact.fund, left_cny=max(NOTHING, fact.fund.left_cny - charged.subsidy_cny))

    def cost(
        self,
        spans: Sequence[Span],
        times_ms: tuple[int, int],
        terms: Terms,
        project: ProjectFact | None,
        zone: ZoneInfo,
    ) -> tuple[Charge, Terms]:
        """What a session costs from when until when, and the terms by which: what is left now, unless they say."""
        tariff = terms.tariff
        assert tariff is not None  # noqa: S101 - what has no tariff costs nothing
        if terms.allowance is None or terms.fund is None:
            allowance = self.allowance(project) if project else NO_ALLOWANCE
            terms = replace(terms, allowance=allowance, fund=self.fund(project) if project else NO_FUND)
        charge = billing.charge(
            spans,
            *times_ms,
            tariff,
            terms.payer,
            zone=zone,
            allowance=terms.allowance or NO_ALLOWANCE,
            fund=terms.fund or NO_FUND,
        )
        return charge, terms

    def user(self, fact: UserFact) -> User:
        """A person with the credit that is left."""
        lines = self._credit.get(fact.user.id)
        if not lines:
            return fact.user
        return replace(fact.user, credit=fact.user.credit + sum(line.points for line in lines))
