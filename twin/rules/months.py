"""The end of each local month, when credit is won back by those who have given no offence in it."""

from zoneinfo import ZoneInfo

from twin.directory import SiteFact
from twin.local_time import month_of
from twin.rules.accounts import Accounts
from twin.rules.outcome import Consequences, CreditRecord
from twin.state import FOREVER_MS


class Months:
    """Which month it is, by the zone of the site. It belongs to the fleet."""

    def __init__(self) -> None:
        self._start_ms = 0
        self.due_ms = FOREVER_MS
        """When it ends; never, until somebody has said what time it is."""

    def begin(self, at_ms: int, zone: ZoneInfo) -> None:
        """Let it be the month of this moment."""
        self._start_ms, self.due_ms = month_of(at_ms, zone)

    def end(self, accounts: Accounts, site: SiteFact) -> Consequences:
        """What follows from the end of the month; the next one begins."""
        follows = Consequences()
        for user, line in accounts.good_months(self._start_ms, self.due_ms, site.policy):
            accounts.note(user, line)
            follows.credit.append(CreditRecord(user, line))
        self.begin(self.due_ms, site.zone)
        return follows
