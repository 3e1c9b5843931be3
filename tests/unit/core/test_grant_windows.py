"""What a controller may allow while it is cut off: the answers of access, worked out ahead, and what is told when."""

from decimal import Decimal

import pytest
from msgspec.structs import replace

from twin.alerts import Conflict
from twin.directory import BookingFact, Fact, GrantsFact, InstrumentFact, ProjectFact, UserFact
from twin.fleet import Fleet
from twin.grants import Window
from twin.parties import (
    Ban,
    Booking,
    Downtime,
    DowntimeCause,
    Level,
    Project,
    Qualification,
    User,
    UserCategory,
)
from twin.permission import AccessCode, Standing
from twin.policy import Cut, Policy
from twin.requests import Learnt, Unlock
from twin.rules import grants

NOW = 1_700_000_000_000
MIN, HOUR, DAY = 60_000, 3_600_000, 24 * 3_600_000
EARLY = 10 * MIN
START, END = NOW + 2 * HOUR, NOW + 4 * HOUR
QUALIFIED = (Qualification("SEM", Level.INDEPENDENT),)
LI = UserFact(
    user=User("li", UserCategory.TEACHER, 100, groups=frozenset({"lab"})), cards=("c1",), qualifications=QUALIFIED
)
ZHAO = UserFact(
    user=User("zhao", UserCategory.STUDENT, 100, groups=frozenset({"lab"})),
    cards=("c2", "c3"),
    qualifications=QUALIFIED,
)
WANG = UserFact(user=User("wang", UserCategory.STUDENT, 100), cards=("c4",), qualifications=QUALIFIED)
PROJECT = ProjectFact(project=Project("P", frozenset({"li", "zhao", "wang"}), Decimal(1000)))
SEM = InstrumentFact(code="SEM", controller="c")
BOOKING = Booking("1", "SEM", "li", START, END, project="P")


class Lab:
    """One instrument with its controller, and people with bookings."""

    def __init__(self, *changed: Fact, booked: tuple[Booking, ...] = (BOOKING,)) -> None:
        self.fleet = Fleet()
        self.fleet.seat(SEM)
        for fact in (LI, ZHAO, WANG, PROJECT, *(BookingFact(id=each.id, booking=each) for each in booked)):
            self.fleet.learn(fact)
        self.number = 0
        for fact in changed:
            self.learn(fact)

    def learn(self, fact: Fact, at_ms: int = NOW) -> None:
        self.number += 1
        self.fleet.handle(Learnt(number=self.number, at_ms=at_ms, fact=fact))

    def issue(self, at_ms: int = NOW) -> GrantsFact | None:
        fact = self.fleet.grants("c", at_ms)
        if fact is not None:
            self.learn(fact, at_ms)
        return fact

    def windows(self, at_ms: int = NOW) -> tuple[Window, ...]:
        fact = self.fleet.grants("c", at_ms)
        return () if fact is None else fact.windows

    def times(self, user: str = "li") -> list[tuple[int, int]]:
        """When somebody is let in, minutes after the booking begins."""
        own = (each for each in self.windows() if user in {holder.user for holder in each.holders})
        return [((each.from_ms - START) // MIN, (each.to_ms - START) // MIN) for each in own]


def test_who_has_booked_is_let_in_from_early_until_the_end() -> None:
    (window,) = Lab().windows()
    assert (window.booking, window.from_ms, window.to_ms) == ("1", START - EARLY, END)
    assert [(each.user, each.cards) for each in window.holders] == [("li", ("c1",))]


def test_the_cards_of_the_whole_group_share_a_window() -> None:
    (window,) = Lab(booked=(replace(BOOKING, group="lab"),)).windows()
    assert [(each.user, each.cards) for each in window.holders] == [("li", ("c1",)), ("zhao", ("c2", "c3"))]


def test_who_left_the_group_is_not_let_in() -> None:
    lab = Lab(replace(ZHAO, user=replace(ZHAO.user, groups=frozenset())), booked=(replace(BOOKING, group="lab"),))
    assert lab.times("zhao") == []
    assert lab.times("li") == [(-10, 120)]


@pytest.mark.parametrize(
    ("fact", "times"),
    [
        (replace(LI, cards=()), []),
        (replace(LI, user=replace(LI.user, active=False)), []),
        (replace(LI, user=replace(LI.user, credit=59)), []),
        (replace(LI, user=replace(LI.user, valid_until_ms=START + 30 * MIN)), [(-10, 30)]),
        (replace(LI, user=replace(LI.user, bans=(Ban("SEM", START, START + 20 * MIN),))), [(-10, 0), (20, 120)]),
        (replace(LI, qualifications=()), []),
        (replace(LI, qualifications=(Qualification("SEM", Level.NIGHT, START + 5 * MIN),)), [(5, 120)]),
        (replace(LI, qualifications=(Qualification("SEM", Level.NIGHT, 0, START),)), [(-10, 0)]),
        (replace(PROJECT, project=replace(PROJECT.project, payers=frozenset())), []),
        (replace(PROJECT, project=replace(PROJECT.project, balance_cny=Decimal(-1))), []),
        (replace(PROJECT, project=replace(PROJECT.project, until_ms=START + HOUR)), [(-10, 60)]),
        (replace(SEM, downtimes=(Downtime(DowntimeCause.FAULT, NOW),)), []),
        (replace(SEM, downtimes=(Downtime(DowntimeCause.OUTAGE, START, START + HOUR),)), [(-10, 0), (60, 120)]),
        (replace(SEM, policy=Policy(early_ms=0)), [(0, 120)]),
        (replace(SEM, policy=Policy(grants_ahead_ms=HOUR)), []),
        (BookingFact(id="1", booking=None), []),
    ],
)
def test_each_check_of_access_counts_at_each_moment(fact: Fact, times: list[tuple[int, int]]) -> None:
    assert Lab(fact).times() == times


def test_it_is_the_answer_that_access_gives_at_every_minute() -> None:
    ban = Ban("SEM", START + 7 * MIN, START + 33 * MIN)
    lab = Lab(replace(LI, user=replace(LI.user, bans=(ban,), valid_until_ms=START + 95 * MIN)))
    times = lab.times()
    for minute in range(-15, 125):
        wish = Unlock(number=0, at_ms=START + minute * MIN, instrument="SEM", user="li")
        decision = lab.fleet.access(wish)
        assert decision is not None
        refused = {each.refusal.code for each in decision.checks if each.standing is Standing.FAILED and each.refusal}
        is_in = refused <= {AccessCode.CONTROLLER_OFFLINE}
        assert any(begin <= minute < end for begin, end in times) is is_in, minute


def test_nobody_is_let_in_without_a_booking() -> None:
    walk_in = replace(SEM, policy=Policy(walk_in=True))
    staff = replace(WANG, user=User("wang", UserCategory.STAFF, 100, operates=frozenset({"SEM"})))
    assert Lab(walk_in, staff).times("wang") == []


def test_of_two_own_bookings_the_first_lets_in_until_it_ends() -> None:
    lab = Lab(booked=(BOOKING, Booking("2", "SEM", "li", END, END + HOUR)))
    assert lab.times() == [(-10, 120), (120, 180)]
    assert len({each.grant for each in lab.windows()}) == 2


def test_what_does_not_change_is_not_told_again_before_a_fifth_of_its_time() -> None:
    lab = Lab()
    first = lab.issue()
    assert first is not None
    assert (first.issued_ms, first.expires_ms) == (NOW, NOW + 5 * DAY)
    assert lab.issue(NOW + HOUR) is None
    lab = Lab(booked=(replace(BOOKING, start_ms=NOW + 3 * DAY, end_ms=NOW + 3 * DAY + HOUR),))
    first = lab.issue()
    assert first is not None
    assert lab.issue(NOW + DAY - 1) is None
    second = lab.issue(NOW + DAY)
    assert second is not None
    assert (second.version > first.version, second.windows) == (True, first.windows)


def test_a_window_that_is_over_is_no_news() -> None:
    lab = Lab()
    assert lab.issue() is not None
    assert lab.issue(END + 1) is None


def test_a_controller_without_bookings_is_told_nothing() -> None:
    assert Lab(booked=()).issue() is None


def test_what_comes_into_sight_is_told() -> None:
    lab = Lab(booked=(replace(BOOKING, start_ms=NOW + 5 * DAY + HOUR, end_ms=NOW + 5 * DAY + 2 * HOUR),))
    assert lab.issue() is None
    assert lab.issue(NOW + 51 * MIN) is not None


def test_versions_count_up_and_follow_the_clock() -> None:
    lab = Lab()
    first = lab.issue()
    lab.learn(BookingFact(id="1", booking=None))
    second = lab.issue()
    lab.learn(BookingFact(id="1", booking=BOOKING))
    third = lab.issue(NOW - HOUR)  # the clock was set back
    assert first is not None
    assert second is not None
    assert third is not None
    assert [each.version - NOW // 1000 for each in (first, second, third)] == [0, 1, 2]


def test_how_a_session_ends_is_news() -> None:
    lab = Lab()
    lab.issue()
    lab.learn(replace(SEM, policy=Policy(cut=Cut.NEVER, active_w=99.5)))
    fact = lab.issue()
    assert fact is not None
    assert (fact.cut, fact.active_w) == (Cut.NEVER, 100)


def _used(lab: Lab, grant: str | None, user: str, at_ms: int) -> Conflict | None:
    return grants.misuse(lab.fleet.directory.grants.get("c"), grant, user, at_ms, Policy())


def test_a_grant_is_good_for_its_person_and_time() -> None:
    lab = Lab()
    assert _used(lab, "any", "li", START) is Conflict.NOT_ISSUED
    fact = lab.issue()
    assert fact is not None
    grant = fact.windows[0].grant
    assert _used(lab, grant, "li", START) is None
    assert _used(lab, grant, "wang", START) is Conflict.NOT_ISSUED
    assert _used(lab, None, "li", START) is Conflict.NOT_ISSUED
    assert _used(lab, "another", "li", START) is Conflict.NOT_ISSUED
    assert _used(lab, grant, "li", START - EARLY - 5 * MIN) is None, "clocks may be off by so much"
    assert _used(lab, grant, "li", START - EARLY - 5 * MIN - 1) is Conflict.OUTSIDE
    assert _used(lab, grant, "li", END + 5 * MIN) is Conflict.OUTSIDE


def test_a_grant_that_was_withdrawn_is_known_for_what_it_was() -> None:
    lab = Lab()
    fact = lab.issue()
    assert fact is not None
    grant = fact.windows[0].grant
    lab.learn(BookingFact(id="1", booking=None), START + HOUR)
    withdrawn = lab.issue(START + HOUR)
    assert withdrawn is not None
    assert withdrawn.windows == ()
    assert _used(lab, grant, "li", START + 30 * MIN) is None, "it stood then"
    assert _used(lab, grant, "li", START + HOUR + 5 * MIN) is Conflict.REVOKED


def test_one_of_a_group_may_lose_it_alone() -> None:
    lab = Lab(booked=(replace(BOOKING, group="lab"),))
    fact = lab.issue()
    assert fact is not None
    lab.learn(replace(ZHAO, qualifications=()))
    lab.issue(NOW + 1)
    assert _used(lab, fact.windows[0].grant, "li", START) is None
    assert _used(lab, fact.windows[0].grant, "zhao", START) is Conflict.REVOKED


def test_what_is_over_is_remembered_for_as_long_as_it_is_told_ahead() -> None:
    lab = Lab()
    fact = lab.issue()
    assert fact is not None
    later = Booking("2", "SEM", "li", END + 4 * DAY, END + 4 * DAY + HOUR)
    lab.learn(BookingFact(id="2", booking=later), END + HOUR)
    lab.issue(END + HOUR)
    assert _used(lab, fact.windows[0].grant, "li", START) is None
    lab.learn(BookingFact(id="2", booking=None), END + 5 * DAY)
    last = lab.issue(END + 5 * DAY)
    assert last is None or last.former == ()
