"""What people did while the controller was cut off, as its buffered cards tell of it afterwards."""

from decimal import Decimal

import pytest

from twin.directory import BookingFact, InstrumentFact, ProjectFact, UserFact
from twin.events import Arrival, Birth, Card, Death, Reading, Tick
from twin.fleet import Fleet
from twin.parties import Booking, Project, User, UserCategory
from twin.policy import Policy
from twin.requests import Learnt, Lock
from twin.rules.outcome import Bill, Outcome, SessionRecord, SessionStatus
from twin.sessions import CloseReason, VoidReason
from twin.state import NEW_BOOK, Visit
from twin.tariffs import PriceList, Rates, Tariff

NOW = 1_700_000_000_000
MIN = 60_000
LI = User("li", UserCategory.TEACHER, 100, groups=frozenset({"lab"}))
ZHAO = User("zhao", UserCategory.TEACHER, 100, groups=frozenset({"lab"}))
WANG = User("wang", UserCategory.STUDENT, 100)
RATES = Rates(internal=Decimal(120), partner=Decimal(150), external=Decimal(200))


class Cut:
    """A controller that was heard at NOW, was cut off after a minute, and is back after two hours."""

    def __init__(
        self, *, power_w: float = 100, booked: bool = True, open_: bool = False, caps: tuple[str, ...] = ()
    ) -> None:
        self.fleet = Fleet()
        prices = PriceList(versions=(Tariff(instrument="SEM", from_ms=0, rates=RATES),))
        policy = Policy(walk_in=not booked, required_level=None)
        self.fleet.seat(InstrumentFact(code="SEM", controller="c", policy=policy, prices=prices))
        self.sessions: dict[str, SessionRecord] = {}
        self.outcomes: list[Outcome] = []
        self.told: list[tuple[int, Arrival]] = []
        self.seq = 0
        self.fleet.learn(UserFact(user=LI, cards=("card",)))
        self.fleet.learn(UserFact(user=ZHAO, cards=("card of zhao",)))
        self.fleet.learn(UserFact(user=WANG, cards=("card of wang",)))
        self.fleet.learn(ProjectFact(project=Project("P", frozenset({"li", "wang"}), Decimal(1000))))
        self.at_ms = NOW
        self.power_w = power_w
        self.hear(Birth("b", self.next(), NOW, relay=False, caps=caps), NOW)
        self.hear(Reading("b", self.next(), NOW, 0), NOW)
        if booked:
            start_ms, end_ms = (NOW, NOW + 200 * MIN) if open_ else (NOW + 20 * MIN, NOW + 80 * MIN)
            booking = Booking("1", "SEM", "li", start_ms, end_ms, "lab")
            self.take(self.fleet.handle(Learnt(number=1, at_ms=NOW + 1, fact=BookingFact(id="1", booking=booking))))
        if open_:
            self.hear(Card("b", self.next(), NOW + 2, "card", "tap"), NOW + 2)
            self.hear(Reading("b", self.next(), NOW + 3, power_w, relay=True), NOW + 3)
        self.hear(Death("b"), NOW + MIN)

    def next(self) -> int:
        self.seq += 1
        return self.seq

    def hear(self, message: Birth | Reading | Card | Death, at_ms: int) -> None:
        arrival = Arrival("c", at_ms, message, 100 + self.seq)
        outcome = self.fleet.handle(arrival)
        self.told.append((outcome.at_ms, arrival))
        self.take(outcome)

    def past(self, minute: int, *, action: str | None = None, power_w: float = 0, card: str = "card") -> None:
        """A buffered message of so many minutes after NOW, received after two hours."""
        stamp_ms, seq = NOW + minute * MIN, self.next()
        if action is None:
            self.hear(Reading("b", seq, stamp_ms, power_w, relay=True, hist=True), NOW + 120 * MIN)
        else:
            tap = Card("b", seq, stamp_ms, card, action, granted=True, grant="g", hist=True)  # type: ignore[arg-type]
            self.hear(tap, NOW + 120 * MIN)

    def tick(self, minute: float) -> None:
        self.take(self.fleet.handle(Tick(NOW + round(minute * MIN))))

    def take(self, outcome: Outcome) -> None:
        self.outcomes.append(outcome)
        for follows in outcome.consequences:
            self.sessions |= {each.id: each for each in follows.sessions}

    def charge(self) -> Decimal:
        """What the only session costs, by a ledger computed from the beginning."""
        (record,) = self.sessions.values()
        assert record.opened_ms is not None
        assert record.ended_ms is not None
        assert record.terms is not None
        visit = Visit(record.opened_ms, record.ended_ms, record.overrun_ms or 2**62, session=record.id)
        bill = Bill(
            session=record.id,
            user="li",
            project="P",
            start_ms=record.opened_ms,
            end_ms=record.ended_ms,
            terms=record.terms,
        )
        told = sorted(self.told, key=lambda each: (each[0], getattr(each[1].message, "seq", -1)))
        _, (billed,) = self.fleet.refold("c", NEW_BOOK, told, NOW + 130 * MIN, visits=(visit,), bills=(bill,))
        return billed.charge.line.gross_cny


def test_in_and_out_make_a_session_at_their_own_time() -> None:
    cut = Cut()
    cut.past(20, action="in")
    for minute in range(20, 70):
        cut.past(minute, power_w=100)
    cut.past(70, action="out")
    cut.past(71)
    (session,) = cut.sessions.values()
    assert (session.status, session.reason, session.user, session.booking) == (
        SessionStatus.CLOSED,
        CloseReason.USER,
        "li",
        "1",
    )
    assert (session.opened_ms, session.ended_ms) == (NOW + 20 * MIN, NOW + 70 * MIN)
    assert any(outcome.refolds for outcome in cut.outcomes)
    assert cut.charge() == Decimal("100.00")


def test_what_was_measured_after_the_end_tells_of_the_time_before_it_too() -> None:
    """Between the death of the connection and the end, nobody knew; whoever kept a reading since then did."""
    cut = Cut(open_=True)
    ended_ms = NOW + MIN + 15_000
    cut.take(cut.fleet.handle(Lock(number=2, at_ms=ended_ms, instrument="SEM", user="li", reason=CloseReason.USER)))
    cut.hear(Reading("b", cut.next(), NOW + 120 * MIN, 0, relay=False), NOW + 120 * MIN)
    after = Reading("b", cut.next(), ended_ms + 10_000, 100, relay=True, hist=True)
    cut.hear(after, NOW + 121 * MIN)
    (refold,) = cut.outcomes[-1].refolds
    assert refold.at_ms < ended_ms, "the session is charged anew"
    assert refold.base is None or refold.base.physics.newest[0] < refold.at_ms


def test_without_an_out_it_ended_when_use_did() -> None:
    cut = Cut()
    cut.past(20, action="tap")
    for minute in range(21, 61):
        cut.past(minute, power_w=100 if minute < 50 else 3)
    cut.tick(120.5)
    assert not cut.sessions, "the card that came out may still come"
    cut.tick(121)
    (session,) = cut.sessions.values()
    assert (session.status, session.reason) == (SessionStatus.CLOSED, CloseReason.RECONCILED)
    assert (session.opened_ms, session.ended_ms) == (NOW + 20 * MIN, NOW + 50 * MIN)


def test_who_went_in_is_waited_for_while_the_controller_is_cut_off_again() -> None:
    cut = Cut()
    cut.past(20, action="in")
    cut.past(21, power_w=100)
    cut.hear(Death("b"), NOW + 120 * MIN + 30_000)
    cut.tick(190)
    assert not cut.sessions, "whoever is in may still be"
    back_ms = NOW + 200 * MIN
    cut.hear(Reading("b", cut.next(), back_ms, 100, relay=True), back_ms)
    cut.tick(200.9)
    assert not cut.sessions
    out = Card("b", cut.next(), NOW + 70 * MIN, "card", "out", granted=True, grant="g", hist=True)
    cut.hear(out, back_ms + MIN - 1)
    assert _ends(cut) == [("li", CloseReason.USER, 70)]


def test_a_ledger_is_computed_anew_before_anybody_is_judged_by_it() -> None:
    cut = Cut()
    behind = ("c", "gone")
    due = Tick(NOW + 121 * MIN)
    assert not cut.fleet.needs_ledgers(due, behind), "nobody is in"
    cut.past(20, action="in")
    late = NOW + 120 * MIN + 1
    out = Card("b", 99, NOW + 50 * MIN, "card", "out", granted=True, hist=True)
    judged = [due, Arrival("c", due.now_ms, Reading("b", 98, due.now_ms, 1), 1), Arrival("c", late, out, 1)]
    assert [cut.fleet.needs_ledgers(each, behind) for each in judged] == [True, True, True]
    assert [cut.fleet.needs_ledgers(each, ()) for each in judged] == [False, False, False], "no ledger is behind"
    earlier = [
        Tick(due.now_ms - 1),
        Arrival("c", late, Reading("b", 98, NOW + 40 * MIN, 1, hist=True), 1),
        Arrival("another", late, out, 1),
    ]
    assert [cut.fleet.needs_ledgers(each, behind) for each in earlier] == [False, False, False]


def test_who_is_still_there_goes_on() -> None:
    cut = Cut(booked=False)
    cut.past(100, action="in")
    cut.past(101, power_w=100)
    seq = cut.seq + 1
    cut.hear(Reading("b", seq, NOW + 120 * MIN, 100, relay=True), NOW + 120 * MIN)
    cut.tick(120.9)
    cut.hear(Reading("b", seq + 1, NOW + 121 * MIN, 100, relay=True), NOW + 121 * MIN)
    cut.tick(121.1)
    (session,) = cut.sessions.values()
    assert (session.status, session.opened_ms, session.ended_ms) == (SessionStatus.OPEN, NOW + 100 * MIN, None)


@pytest.mark.parametrize("granted", [False, None])
def test_a_card_that_the_controller_did_not_accept_opens_nothing(granted: bool | None) -> None:  # noqa: FBT001
    cut = Cut()
    card = Card("b", cut.seq + 1, NOW + 20 * MIN, "card", "in", granted=granted, hist=True)
    cut.hear(card, NOW + 120 * MIN)
    cut.tick(180)
    assert not cut.sessions


def _ends(cut: Cut) -> list[tuple[str, CloseReason | VoidReason | None, int | None]]:
    """Whose sessions ended why, and how many minutes after NOW."""
    records = cut.sessions.values()
    return [(each.user, each.reason, each.ended_ms and (each.ended_ms - NOW) // MIN) for each in records]


@pytest.mark.parametrize("card", ["card", "card of zhao"])
def test_a_session_that_was_open_ended_when_one_of_its_people_went_out(card: str) -> None:
    cut = Cut(open_=True)
    assert _ends(cut) == [("li", None, None)]
    cut.past(50, action="out", card="card of wang")
    assert _ends(cut) == [("li", None, None)], "it is not theirs to end"
    cut.past(60, action="out", card=card)
    assert _ends(cut) == [("li", CloseReason.USER, 60)]


def test_who_walked_in_and_was_there_ended_it_by_going_out() -> None:
    cut = Cut(open_=True, booked=False)
    cut.past(60, action="out")
    assert _ends(cut) == [("li", CloseReason.USER, 60)]


def test_one_of_the_group_may_go_out_for_another() -> None:
    cut = Cut()
    cut.past(20, action="in")
    cut.past(30, action="out", card="card of wang")
    assert not cut.sessions, "it is not theirs to end"
    cut.past(40, action="out", card="card of zhao")
    assert _ends(cut) == [("li", CloseReason.USER, 40)]


def test_a_stranger_changes_nothing() -> None:
    cut = Cut()
    cut.past(20, action="in", card="card of nobody")
    cut.tick(180)
    assert not cut.sessions


@pytest.mark.parametrize(("active", "ended"), [(50, 50), (65, 60)])
def test_the_next_one_in_ends_a_session_that_nobody_ended(active: int, ended: int) -> None:
    cut = Cut(booked=False)
    cut.past(20, action="in")
    for minute in range(21, 60):
        cut.past(minute, power_w=100 if minute < active else 3)
    cut.past(60, action="in", card="card of wang")
    cut.past(70, action="out", card="card of wang")
    assert _ends(cut) == [("li", CloseReason.RECONCILED, ended), ("wang", CloseReason.USER, 70)]


@pytest.mark.parametrize(("booked", "ended"), [(True, 80), (False, 121)])
def test_where_nobody_measures_use_it_ended_with_the_slot(booked: bool, ended: int) -> None:  # noqa: FBT001
    cut = Cut(booked=booked, caps=("relay", "reader"))
    cut.past(20, action="in")
    cut.tick(121)
    assert _ends(cut) == [("li", CloseReason.RECONCILED, ended)]
