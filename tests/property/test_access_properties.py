"""Whoever asks, whatever there is: ten checks in order, and better facts never refuse what worse ones allow."""

from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from twin.hours import ALWAYS, Hours, Opening, OpeningHours
from twin.parties import (
    Ban,
    Booking,
    Downtime,
    DowntimeCause,
    Level,
    Project,
    Qualification,
    RunningSession,
    User,
    UserCategory,
)
from twin.permission import AccessDecision, Opened, SlotHeld, Standing
from twin.policy import Policy
from twin.rules.access import OVERRIDABLE, Origin, Question, Wish, decide
from twin.state import LinkState

HOUR_MS = 3_600_000
NOW_MS = 1_772_424_000_000  # noon
MOMENTS = st.integers(-6, 6).map(lambda hours: NOW_MS + hours * HOUR_MS) | st.integers(
    NOW_MS - 40 * 60_000, NOW_MS + 40 * 60_000
)
STRETCHES = st.lists(MOMENTS, min_size=2, max_size=2, unique=True).map(sorted)
INSTRUMENTS = st.sampled_from(["SEM-01", "SEM-01", "TEM-02"])
PEOPLE = st.sampled_from(["Li", "Li", "Wang"])
GROUPS = st.sampled_from([None, "G1", "G2"])
MONEY = st.integers(-20_000, 20_000).map(lambda fen: Decimal(fen) / 100)
DAYS = st.sampled_from([(), (Opening(8 * 60, 20 * 60),), (Opening(0, 11 * 60), Opening(13 * 60, 1440))])


def _of(value: type[Any], *before: st.SearchStrategy[Any], **after: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Values with a stretch of time between the first fields and the others."""
    return st.builds(
        lambda first, stretch, others: value(*first, *stretch, **others),
        st.tuples(*before),
        STRETCHES,
        st.fixed_dictionaries(after),
    )


USERS = st.builds(
    User,
    id=st.just("Li"),
    category=st.sampled_from(UserCategory),
    credit=st.sampled_from([0, 59, 60, 100]),
    active=st.sampled_from([True, True, True, False]),
    valid_until_ms=st.sampled_from([NOW_MS, NOW_MS + 1, NOW_MS + 10 * HOUR_MS]),
    groups=st.frozensets(st.sampled_from(["G1", "G2"])),
    operates=st.frozensets(INSTRUMENTS),
    bans=st.lists(_of(Ban, st.none() | INSTRUMENTS), max_size=1).map(tuple),
)
PROJECTS = st.builds(
    Project,
    id=st.sampled_from(["P1", "P2", "P3"]),
    payers=st.frozensets(PEOPLE),
    balance_cny=MONEY,
    credit_line_cny=MONEY.map(abs),
    instruments=st.none() | st.frozensets(INSTRUMENTS),
    from_ms=st.sampled_from([0, NOW_MS, NOW_MS + 1]),
    until_ms=st.sampled_from([NOW_MS, NOW_MS + 1, 2 * NOW_MS]),
)
BOOKINGS = _of(Booking, st.text(max_size=3), INSTRUMENTS, PEOPLE, group=GROUPS, estimate_cny=MONEY.map(abs))
POLICIES = st.builds(
    Policy,
    early_ms=st.sampled_from([0, 600_000]),
    walk_in=st.booleans(),
    walk_in_free_ms=st.sampled_from([0, 1_800_000]),
    min_balance_cny=MONEY.map(abs),
    required_level=st.none() | st.sampled_from(Level),
)
QUESTIONS: st.SearchStrategy[Question] = st.builds(
    Question,
    at_ms=st.just(NOW_MS),
    user=USERS,
    instrument=st.just("SEM-01"),
    policy=POLICIES,
    opening=st.builds(
        OpeningHours,
        st.sampled_from([ZoneInfo("Asia/Shanghai"), ZoneInfo("Europe/Berlin")]),
        st.dictionaries(st.sampled_from(UserCategory), DAYS.map(lambda day: Hours((day,) * 7)) | st.just(ALWAYS)),
    ),
    link=st.sampled_from(LinkState),
    origin=st.sampled_from(Origin),
    wish=st.sampled_from([Wish.USE, Wish.USE, *Wish]),
    downtimes=st.lists(_of(Downtime, st.sampled_from(DowntimeCause)), max_size=1).map(tuple),
    session=st.none() | st.builds(RunningSession, user=PEOPLE, group=GROUPS),
    bookings=st.lists(BOOKINGS, max_size=4).map(tuple),
    qualifications=st.lists(_of(Qualification, INSTRUMENTS, st.sampled_from(Level)), max_size=2).map(tuple),
    projects=st.lists(PROJECTS, max_size=3, unique_by=lambda project: project.id).map(tuple),
    project=st.sampled_from([None, None, "P1"]),
    override_reason=st.sampled_from([None, " ", "a sample is burning"]),
)


def _fails(decision: AccessDecision) -> set[int]:
    """Checks that do not pass, whatever comes of it."""
    return {check.number for check in decision.checks if check.refusal}


def _changed(question: Question, **changes: Any) -> set[int]:
    return _fails(decide(msgspec.structs.replace(question, **changes)))


@given(QUESTIONS)
def test_all_ten_are_listed_in_order_and_the_first_that_fails_is_the_reason(question: Question) -> None:
    decision = decide(question)
    failed = [check.refusal.code for check in decision.checks if check.standing is Standing.FAILED and check.refusal]
    assert [check.number for check in decision.checks] == list(range(1, 11))
    assert decision.reason == (failed[0] if failed else None)
    assert decision.granted is (not failed)
    assert all((check.standing is Standing.PASSED) is (check.refusal is None) for check in decision.checks)


@given(QUESTIONS)
def test_an_override_touches_what_it_may_and_is_recorded_when_it_does(question: Question) -> None:
    decision = decide(question)
    overridden = {check.number for check in decision.checks if check.standing is Standing.OVERRIDDEN}
    assert overridden <= OVERRIDABLE == {4, 5, 6, 7, 8, 10}
    assert decision.override_reason == (question.override_reason if overridden else None)
    if overridden:
        assert question.user.category is UserCategory.STAFF
        assert question.instrument in question.user.operates
        assert question.override_reason == "a sample is burning"


@given(QUESTIONS)
def test_wish_and_override_change_no_check_itself(question: Question) -> None:
    fails = _fails(decide(question))
    assert fails == _changed(question, wish=Wish.LEAVE) == _changed(question, override_reason=None)
    assert decide(msgspec.structs.replace(question, wish=Wish.LEAVE)).granted
    assert decide(msgspec.structs.replace(question, wish=Wish.END)).granted is (9 not in fails)


@given(QUESTIONS, st.integers(0, 1_000_000).map(Decimal), st.integers(0, 2))
def test_more_money_never_refuses(question: Question, more: Decimal, which: int) -> None:
    richer = [
        msgspec.structs.replace(each, balance_cny=each.balance_cny + (more if at == which else 0))
        for at, each in enumerate(question.projects)
    ]
    assert _changed(question, projects=tuple(richer)) <= _fails(decide(question))


@given(QUESTIONS, PROJECTS)
def test_one_more_project_never_refuses(question: Question, project: Project) -> None:
    further = msgspec.structs.replace(project, id="P4")
    before = _fails(decide(question))
    asked_of_the_new_one = {7} if 5 in before else set()  # where nobody may pay, nobody is asked whether they can
    assert _changed(question, projects=(*question.projects, further)) <= before | asked_of_the_new_one


@given(QUESTIONS, QUESTIONS)
def test_more_qualifications_fewer_bans_and_downtimes_never_refuse(question: Question, other: Question) -> None:
    fails = _fails(decide(question))
    assert _changed(question, qualifications=question.qualifications + other.qualifications) <= fails
    assert _changed(question, downtimes=()) <= fails
    assert _changed(question, user=msgspec.structs.replace(question.user, bans=(), credit=100)) <= fails


@given(QUESTIONS)
def test_an_empty_calendar_refuses_only_who_needs_an_own_booking(question: Question) -> None:
    assert (10 in _changed(question, bookings=())) is (not question.policy.walk_in)


@given(QUESTIONS, st.randoms(use_true_random=False))
def test_the_order_of_facts_does_not_matter(question: Question, random: Any) -> None:
    shuffled = {
        name: tuple(random.sample(getattr(question, name), len(getattr(question, name))))
        for name in ("bookings", "projects", "qualifications", "downtimes")
    }
    assert _changed(question, **shuffled) == _fails(decide(question))


@given(QUESTIONS)
def test_what_is_said_comes_true(question: Question) -> None:
    """Asked again at the moment that a refusal names, the check passes."""
    for check in decide(question).checks:
        match check.refusal and check.refusal.remedy:
            case Opened(at_ms=int(at_ms)):
                assert 8 not in _changed(question, at_ms=at_ms)
                assert 8 in _changed(question, at_ms=at_ms - 1)
            case SlotHeld(opens_ms=int(at_ms)):
                assert 10 not in _changed(question, at_ms=at_ms)
            case SlotHeld(walk_in=True, free_from_ms=at_ms):
                assert 10 not in _changed(question, at_ms=at_ms)
            case _:
                pass
