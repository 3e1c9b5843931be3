"""Credit is won back by a month without offence, when the month ends where the site is."""

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from twin.directory import SiteFact
from twin.events import Tick
from twin.fleet import Fleet
from twin.local_time import month_of
from twin.rules.credit import CreditCause, CreditLine
from twin.rules.outcome import CreditRecord, Outcome

BEIJING, BERLIN = ZoneInfo("Asia/Shanghai"), ZoneInfo("Europe/Berlin")


def ms(zone: ZoneInfo, *date: int) -> int:
    return int(datetime(*date, tzinfo=zone).timestamp() * 1000)  # type: ignore[arg-type, misc]  # year, month, day, hour


@pytest.mark.parametrize(
    ("zone", "moment", "start", "end"),
    [
        (BEIJING, (2026, 3, 17, 5), (2026, 3, 1), (2026, 4, 1)),
        (BEIJING, (2026, 3, 1), (2026, 3, 1), (2026, 4, 1)),
        (BEIJING, (2026, 12, 31, 23), (2026, 12, 1), (2027, 1, 1)),
        (BEIJING, (2028, 2, 29), (2028, 2, 1), (2028, 3, 1)),
        (BERLIN, (2026, 3, 29, 12), (2026, 3, 1), (2026, 4, 1)),
    ],
)
def test_a_month_is_the_local_one(
    zone: ZoneInfo, moment: tuple[int, ...], start: tuple[int, ...], end: tuple[int, ...]
) -> None:
    assert month_of(ms(zone, *moment), zone) == (ms(zone, *start), ms(zone, *end))


def credit_of(outcome: Outcome) -> list[CreditRecord]:
    return [record for follows in outcome.consequences for record in follows.credit]


def test_credit_is_won_back_at_the_end_of_each_good_month() -> None:
    fleet = Fleet()
    fleet.learn(SiteFact(zone=BEIJING))
    offence = CreditLine(number=1, at_ms=ms(BEIJING, 2026, 3, 10), cause=CreditCause.NO_SHOW, points=-10)
    fleet.accounts.note("li", offence)
    assert credit_of(fleet.handle(Tick(ms(BEIJING, 2026, 3, 10)))) == []
    assert credit_of(fleet.handle(Tick(ms(BEIJING, 2026, 4, 30, 23)))) == []
    (won,) = credit_of(fleet.handle(Tick(ms(BEIJING, 2026, 5, 1))))
    assert (won.user, won.line.points, won.line.at_ms) == ("li", 5, ms(BEIJING, 2026, 5, 1))
    (again,) = credit_of(fleet.handle(Tick(ms(BEIJING, 2026, 9, 1))))
    assert (again.line.points, again.line.at_ms) == (5, ms(BEIJING, 2026, 6, 1))
    assert fleet.next_due_ms() == ms(BEIJING, 2026, 10, 1)
