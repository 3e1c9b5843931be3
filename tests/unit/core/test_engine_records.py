"""What the engine hands to whoever asked, to controllers and to the store, in full: tables show the gist of it only."""

from collections.abc import Callable
from decimal import Decimal

import pytest
from msgspec.structs import replace

from benchmarks.simulation.lab import Lab
from tests.rules.bills import tariff_of
from tests.rules.engine_device import Device
from tests.rules.engine_tables import people, project
from tests.rules.engine_words import HERE, SHANGHAI, clock_ms
from tests.rules.tables import Scenario
from twin.alerts import AlertKind, AlertState
from twin.directory import BookingFact, InstrumentFact, ProjectFact
from twin.events import Ack, Arrival, Reading, Tick
from twin.parties import Booking, Downtime, DowntimeCause, Project
from twin.permission import AccessCode
from twin.policy import Cut, Policy
from twin.requests import Lock, Unlock
from twin.rules.credit import CreditCause, CreditLine
from twin.rules.outcome import (
    Answer,
    BookingRecord,
    BookingState,
    Command,
    CreditRecord,
    Do,
    SessionRecord,
    SessionStatus,
)
from twin.rules.turn.state import outages_of
from twin.sessions import CloseReason
from twin.state import Outage
from twin.station import Terms
from twin.tariffs import NO_FUND, Allowance, Payer, PriceList

NINE_MS = clock_ms("09:00")
MINUTE_MS = 60_000
TARIFF = tariff_of("rate 120.00", SHANGHAI)
PRICES = PriceList(versions=(TARIFF,))
P2 = ProjectFact(project=Project("P2", frozenset({"Li"}), Decimal(5)))
SLOT = Booking("B1", HERE, "Li", NINE_MS, NINE_MS + 60 * MINUTE_MS, project="P2", estimate_cny=Decimal(4))


class Desk:
    """An instrument that anybody may walk in to, with a controller that obeys at once."""

    def __init__(self, policy: Policy, *bookings: Booking, prices: PriceList = PRICES) -> None:
        fact = InstrumentFact(code=HERE, controller="controller", policy=policy, prices=prices)
        slots = (BookingFact(id=each.id, booking=each) for each in bookings)
        self.lab = Lab([fact, project(Scenario("")), P2, *people(), *slots], NINE_MS - MINUTE_MS)
        self.device = Device("controller", [])
        self.tell(*self.device.begin(NINE_MS - MINUTE_MS))

    def tell(self, *arrivals: Arrival) -> None:
        for arrival in arrivals:
            outcome = self.lab.handle(replace(arrival, number=self.lab.next()))
            self.obey([each for follows in outcome.consequences for each in follows.commands], arrival.received_ms)

    def obey(self, commands: list[Command], at_ms: int) -> None:
        for command in commands:
            if command.do is Do.RELAY:
                self.tell(*self.device.obey(command, at_ms))

    def wait(self, until_ms: int) -> None:
        """Let time pass; the controller goes on reporting."""
        while self.device.due_ms <= until_ms:
            self.tell(*self.device.report(self.device.due_ms))
        self.lab.commit(until_ms)

    def ask(self, wish: Callable[[int], Unlock | Lock]) -> tuple[int, Answer]:
        """The number of a wish, and its answer."""
        request = wish(self.lab.next())
        outcome = self.lab.handle(request)
        self.obey([each for follows in outcome.consequences for each in follows.commands], request.at_ms)
        (answer,) = (each for follows in outcome.consequences for each in follows.answers)
        return request.number, answer

    def unlock(
        self, user: str, at_ms: int, project: str | None = None, booking: str | None = None
    ) -> tuple[int, Answer]:
        return self.ask(
            lambda number: Unlock(
                number=number, at_ms=at_ms, instrument=HERE, user=user, project=project, booking=booking
            )
        )

    def lock(self, user: str, at_ms: int, reason: CloseReason = CloseReason.USER) -> tuple[int, Answer]:
        return self.ask(lambda number: Lock(number=number, at_ms=at_ms, instrument=HERE, user=user, reason=reason))


def test_everybody_who_asks_is_answered() -> None:
    desk = Desk(Policy(walk_in=True))
    number, opened = desk.unlock("Li", NINE_MS)
    assert opened.decision is not None
    assert (opened.number, opened.session, opened.decision.granted) == (number, str(number), True)
    number, refused = desk.unlock("Wang", NINE_MS + 1_000)
    assert refused.decision is not None
    assert (refused.number, refused.session, refused.decision.reason) == (number, None, AccessCode.IN_USE)
    number, not_theirs = desk.lock("Wang", NINE_MS + 2_000)
    assert not_theirs == Answer(number)
    number, ended = desk.lock("Li", NINE_MS + 3_000)
    assert ended == Answer(number, session=opened.session)
    number, nothing = desk.lock("Ma", NINE_MS + 4_000, CloseReason.STAFF)
    assert nothing == Answer(number)
    number, stranger = desk.unlock("nobody", NINE_MS + 5_000)
    assert stranger == Answer(number)
    number, stranger = desk.lock("nobody", NINE_MS + 6_000)
    assert stranger == Answer(number)


def test_who_asks_again_is_told_of_the_session_that_is_open() -> None:
    desk = Desk(Policy(walk_in=True))
    _, opened = desk.unlock("Li", NINE_MS)
    number, again = desk.unlock("Li", NINE_MS + 1_000)
    assert (again.number, again.session) == (number, opened.session)


def test_the_project_asked_for_pays_though_another_has_more() -> None:
    desk = Desk(Policy(walk_in=True))
    _, answer = desk.unlock("Li", NINE_MS, project="P2")
    assert answer.decision is not None
    assert answer.decision.project == "P2"
    _, of_others = Desk(Policy(walk_in=True)).unlock("Wang", NINE_MS, project="P2")
    assert of_others.decision is not None
    assert of_others.decision.reason is AccessCode.NO_PROJECT


def test_of_two_own_bookings_the_one_asked_for_is_used() -> None:
    second = replace(SLOT, id="B2", project="P1")
    for asked, used in ((None, "B1"), ("B1", "B1"), ("B2", "B2")):
        _, answer = Desk(Policy(), SLOT, second).unlock("Li", NINE_MS, booking=asked)
        assert answer.decision is not None
        assert answer.decision.booking == used


def test_a_session_is_on_record_with_all_that_it_is() -> None:
    desk = Desk(Policy(cut=Cut.AT_ONCE), SLOT)
    number, _ = desk.unlock("Li", NINE_MS + 1_000, project="P2")
    desk.lock("Li", NINE_MS + 91_000)
    records = [each for follows in desk.lab.follows for each in follows.sessions]
    opening = SessionRecord(
        id=str(number),
        instrument=HERE,
        user="Li",
        project="P2",
        booking="B1",
        status=SessionStatus.OPENING,
        requested_ms=NINE_MS + 1_000,
        overrun_ms=SLOT.end_ms + Policy().grace_ms,
    )
    terms = Terms(Payer.INTERNAL, TARIFF, left_cny=Decimal(5))
    opened = replace(opening, status=SessionStatus.OPEN, opened_ms=NINE_MS + 1_000, terms=terms)
    closed = replace(
        opened,
        status=SessionStatus.CLOSED,
        ended_ms=NINE_MS + 91_000,
        reason=CloseReason.USER,
        terms=replace(terms, allowance=Allowance(0), fund=NO_FUND),
    )
    assert records == [opening, opened, closed]
    (line,) = desk.lab.charges
    assert (line.at_ms, line.user, line.project, line.session, line.booking) == (
        NINE_MS + 91_000,
        "Li",
        "P2",
        str(number),
        None,
    )
    assert line.charge is not None
    assert (line.line, line.charge.minutes, line.line.net_cny) == (line.charge.line, 2, Decimal("4.00"))


def test_commands_say_what_to_do_until_when_and_why() -> None:
    desk = Desk(Policy(walk_in=True, cut=Cut.AT_ONCE))
    desk.unlock("Li", NINE_MS)
    desk.tell(*desk.device.card("card of Wang", "tap", NINE_MS + 5_000))
    desk.lock("Li", NINE_MS + 9_000)
    on = Command(
        controller="controller",
        id=f"{NINE_MS}-on",
        at_ms=NINE_MS,
        expires_ms=NINE_MS + 10_000,
        do=Do.RELAY,
        reason="session",
        relay=True,
    )
    say = Command(
        controller="controller",
        id=f"{NINE_MS + 5_000}-say",
        at_ms=NINE_MS + 5_000,
        expires_ms=NINE_MS + 65_000,
        do=Do.SAY,
        reason="notice",
        text="未授权 · Refused: IN_USE",
    )
    off_ms = NINE_MS + 9_000
    off = replace(on, id=f"{off_ms}-off", at_ms=off_ms, expires_ms=off_ms + 10_000, reason="end", relay=False)
    assert desk.lab.commands == [on, say, off]


def test_a_booking_that_nobody_came_to_is_on_record_everywhere() -> None:
    desk = Desk(Policy(), SLOT)
    missed_ms = NINE_MS + 30 * MINUTE_MS
    desk.wait(missed_ms)
    assert [each for follows in desk.lab.follows for each in follows.bookings] == [
        BookingRecord("B1", BookingState.NO_SHOW)
    ]
    line = CreditLine(number=1, at_ms=missed_ms, cause=CreditCause.NO_SHOW, points=-10, about="B1")
    assert desk.lab.credit == [CreditRecord("Li", line)]
    (record,) = (each for each in desk.lab.alerts.values() if each.alert.kind is AlertKind.NO_SHOW)
    assert record.id == f"{HERE}.NO_SHOW.{missed_ms}"
    assert (record.instrument, record.fired_ms, record.alert.state) == (HERE, missed_ms, AlertState.FIRING)
    (notice,) = (each for each in desk.lab.notices if each.notice.kind is AlertKind.NO_SHOW)
    assert notice.alert == record.id


def test_without_a_tariff_nothing_is_charged() -> None:
    desk = Desk(Policy(), SLOT, prices=PriceList(versions=()))
    desk.unlock("Li", NINE_MS)
    desk.lock("Li", NINE_MS + 1_000)
    assert [each.status for each in desk.lab.sessions.values()] == [SessionStatus.CLOSED]
    missed = Desk(Policy(), SLOT, prices=PriceList(versions=()))
    missed.wait(NINE_MS + 30 * MINUTE_MS)
    assert [each.line.cause for each in missed.lab.credit] == [CreditCause.NO_SHOW]
    assert (desk.lab.charges, missed.lab.charges) == ([], [])


def test_a_refusal_of_an_older_command_voids_nothing() -> None:
    desk = Desk(Policy(walk_in=True))
    desk.device.happen("ignores", NINE_MS)
    number, _ = desk.unlock("Li", NINE_MS)
    for command, status in (("older", SessionStatus.OPENING), (f"{NINE_MS}-on", SessionStatus.VOID)):
        ack = Ack("boot-1", 100 + len(command), NINE_MS + 1_000, command, ok=False)
        desk.tell(Arrival("controller", NINE_MS + 1_000, ack))
        assert desk.lab.sessions[str(number)].status is status


def test_sessions_that_are_long_over_are_not_kept_in_mind() -> None:
    desk = Desk(Policy(walk_in=True))
    for start_ms in range(NINE_MS, NINE_MS + 100 * MINUTE_MS, 20 * MINUTE_MS):
        desk.unlock("Li", start_ms)
        desk.lock("Li", start_ms + MINUTE_MS)
        desk.wait(start_ms + 19 * MINUTE_MS)
    assert len(desk.lab.fleet.twin("controller").book.visits) <= 2


def test_a_screen_may_ask_what_the_answer_would_be() -> None:
    desk = Desk(Policy(walk_in=True))
    wish = Unlock(number=0, at_ms=NINE_MS, instrument=HERE, user="Li", project="P2")
    foreseen = desk.lab.fleet.access(wish)
    assert desk.lab.sessions == {}
    assert desk.unlock("Li", NINE_MS, project="P2")[1].decision == foreseen
    later = replace(wish, at_ms=NINE_MS + 10 * MINUTE_MS)
    decision = desk.lab.fleet.access(later)
    assert decision is not None
    assert decision.reason is AccessCode.CONTROLLER_OFFLINE, "from a screen"
    assert desk.lab.fleet.access(replace(wish, user="nobody")) is None


@pytest.mark.parametrize(("maintenance", "costs"), [(True, []), (False, [(None, Decimal("2.00"))])])
def test_a_session_to_maintain_and_why_a_check_was_overridden_are_on_record(
    maintenance: bool,  # noqa: FBT001
    costs: list[tuple[str | None, Decimal]],
) -> None:
    desk = Desk(Policy(cut=Cut.AT_ONCE), SLOT)
    nobody_pays = ProjectFact(project=Project("P1", frozenset(), Decimal(1000)))
    desk.lab.learn(nobody_pays, NINE_MS - 1)
    desk.ask(
        lambda number: Unlock(
            number=number,
            at_ms=NINE_MS,
            instrument=HERE,
            user="Ma",
            override_reason="new lamp",
            maintenance=maintenance,
        )
    )
    desk.lock("Ma", NINE_MS + 30_000)
    records = [each for follows in desk.lab.follows for each in follows.sessions]
    assert {(each.maintenance, each.override_reason, each.project) for each in records} == {
        (maintenance, "new lamp", None)
    }
    assert [(each.project, each.line.net_cny) for each in desk.lab.charges] == costs


def test_an_outage_is_one_until_it_is_over_and_a_fault_is_none() -> None:
    outage = Downtime(DowntimeCause.OUTAGE, NINE_MS, NINE_MS + 2)
    fault = Downtime(DowntimeCause.FAULT, NINE_MS, NINE_MS + 2)
    fact = InstrumentFact(code=HERE, controller="controller", downtimes=(fault, outage))
    assert outages_of(fact, NINE_MS + 2) == (Outage(NINE_MS, NINE_MS + 2),)
    assert outages_of(fact, NINE_MS + 3) == ()


def test_a_booking_is_used_from_the_first_moment_that_lets_in() -> None:
    desk = Desk(Policy(early_ms=30_000), SLOT)
    desk.unlock("Li", SLOT.start_ms - 30_000)
    used = [each for follows in desk.lab.follows for each in follows.bookings]
    assert used == [BookingRecord("B1", BookingState.USED)]


def test_a_booking_is_missed_though_one_before_it_was_used() -> None:
    theirs = replace(SLOT, id="B2", user="Wang", start_ms=SLOT.end_ms, end_ms=SLOT.end_ms + 60 * MINUTE_MS)
    desk = Desk(Policy(), SLOT, theirs)
    desk.unlock("Li", NINE_MS)
    desk.lock("Li", NINE_MS + MINUTE_MS)
    desk.wait(theirs.start_ms + 30 * MINUTE_MS)
    told = [each for follows in desk.lab.follows for each in follows.bookings]
    assert told == [BookingRecord("B1", BookingState.USED), BookingRecord("B2", BookingState.NO_SHOW)]


def charged(desk: Desk) -> list[Decimal]:
    return [each.line.gross_cny for each in desk.lab.charges]


@pytest.mark.parametrize(("first_w", "lines"), [(0.0, ("4.00", "3.00")), (3000.0, ("6.00", "2.00"))])
def test_readings_that_were_held_up_correct_the_bill_of_a_session_that_has_ended(
    first_w: float, lines: tuple[str, str]
) -> None:
    """The broker was out of reach: in order, not buffered, and told after the session had been charged."""
    tariff = replace(TARIFF, idle_percent=50)
    desk = Desk(Policy(walk_in=True), prices=PriceList(versions=(tariff,)))
    desk.unlock("Li", NINE_MS)
    desk.tell(Arrival("controller", NINE_MS + 1_000, Reading("boot-1", 50, NINE_MS + 1_000, first_w, relay=True)))
    desk.device.happen("goes silent", NINE_MS)
    desk.lock("Li", NINE_MS + 4 * MINUTE_MS)
    assert charged(desk) == [Decimal(lines[0])], "what nobody has told of counts as idle"
    back_ms = NINE_MS + 5 * MINUTE_MS
    for minute in range(1, 5):
        at_ms = NINE_MS + minute * MINUTE_MS - 1
        desk.tell(Arrival("controller", back_ms, Reading("boot-1", 100 + minute, at_ms, 3000.0, relay=True)))
    assert charged(desk) == [Decimal(lines[0])], "not before the ledger has been computed anew"
    desk.lab.commit(back_ms)
    assert charged(desk) == [Decimal(each) for each in lines]
    desk.lab.commit(back_ms + MINUTE_MS)
    assert len(charged(desk)) == 2, "once"


def test_readings_that_were_held_up_and_come_one_by_one_correct_the_bill_each() -> None:
    desk = Desk(Policy(walk_in=True), prices=PriceList(versions=(replace(TARIFF, idle_percent=50),)))
    desk.unlock("Li", NINE_MS)
    desk.tell(Arrival("controller", NINE_MS + 1_000, Reading("boot-1", 50, NINE_MS + 1_000, 3000.0, relay=True)))
    desk.device.happen("goes silent", NINE_MS)
    desk.lock("Li", NINE_MS + 4 * MINUTE_MS)
    costs = [sum(charged(desk))]
    for minute in (1, 2, 3):
        at_ms, back_ms = NINE_MS + minute * MINUTE_MS + 10_000, NINE_MS + 5 * MINUTE_MS + minute
        desk.tell(Arrival("controller", back_ms, Reading("boot-1", 100 + minute, at_ms, 3000.0, relay=True)))
        desk.lab.commit(back_ms)
        costs.append(sum(charged(desk)))
    assert costs == [6, 7, 8, 8], "each vouches for a minute and a half"


@pytest.mark.parametrize("power_w", [0.0, 3000.0])
def test_readings_after_the_end_of_a_session_leave_its_bill_alone(power_w: float) -> None:
    desk = Desk(Policy(walk_in=True))
    desk.unlock("Li", NINE_MS)
    desk.lock("Li", NINE_MS + 10 * MINUTE_MS)
    before = desk.lab.fleet.handle(Tick(NINE_MS + 10 * MINUTE_MS))
    outcome = desk.lab.handle(
        Arrival("controller", NINE_MS + 11 * MINUTE_MS, Reading("boot-1", 100, NINE_MS + 10 * MINUTE_MS, power_w))
    )
    assert (before.refolds, outcome.refolds) == ((), ())
