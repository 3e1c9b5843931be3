"""What holds at an instrument whatever people, controllers and clocks do: the engine on random days of a lab.

Days are told in the language of the scenario tables, so that what fails can be read, and becomes one of them.
"""

from collections.abc import Sequence
from decimal import Decimal
from itertools import pairwise

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.simulation.lab import Lab
from tests.property.streams import profile
from tests.rules.engine_tables import EnginePlayer, people, project
from tests.rules.engine_words import HERE, SHANGHAI, clock, clock_ms
from tests.rules.tables import Row, Scenario
from twin.alerts import AlertKind, AlertState
from twin.directory import InstrumentFact
from twin.events import Arrival, Birth, Event, Reading
from twin.policy import Policy
from twin.requests import Lock, Request, Unlock
from twin.rules import billing
from twin.rules.billing import LineCause
from twin.rules.credit import CreditCause
from twin.rules.outcome import BookingState, Do, SessionRecord, SessionStatus
from twin.sessions import CloseReason
from twin.state import FOREVER_MS, Category
from twin.tariffs import NO_ALLOWANCE, NO_FUND, PriceList, Rates, Tariff

BEGIN_MS = clock_ms("09:00")
_OF_SESSIONS = {Category.USE, Category.IDLE, Category.OVERRUN}
_ANYTIME = {Category.MAINTENANCE, Category.UNKNOWN}
_HEADINGS = {
    "tariff": ["rate 119.99, idle 50%, no_show 30%, startup_fee 1.01, min_minutes 7, band 33% 10:00-11:00"],
    "fund": ["37%, 20.00 left"],
    "free": ["25"],
}

policies = st.fixed_dictionaries(
    {"walk_in": st.sampled_from([True, True, False])},
    optional={
        "overrun": st.just(True),
        "at_slot_end": st.just("alert"),
        "cut": st.sampled_from(["at_once", "never"]),
        "on_unauthorised": st.just("cut"),
        "cooldown_max_ms": st.sampled_from([0, 300_000]),
        "idle_release_ms": st.sampled_from([120_000, 600_000]),
        "idle_for_ms": st.just(60_000),
        "grace_ms": st.just(0),
    },
)
_BOOKINGS = [
    f"{name} books {start} to {end}{group} costing 33.33"
    for name, start, end, group in [
        ("Li", "09:00", "09:40", ""),
        ("Li", "10:00", "11:00", " for Lab"),
        ("Wang", "09:40", "10:30", ""),
        ("Zhao", "10:30", "10:50", ""),
    ]
]
_EVENTS = [
    *["Li taps; 100 W", "Wang taps", "Zhao taps", "Li unlocks", "Ma unlocks because service"] * 6,
    *["100 W", "20 W", "0 W", "100 W, occupied", "vacant, 0 W", "relay off, 0 W", "door open", "door closed"] * 2,
    *["goes silent", "dies", "comes back", "comes back; obeys", "obeys", "obeys", "ignores", "refuses"],
    *[
        "Li ends",
        "manager ends",
        "emergency stop",
        "stranger taps",
        "Ma unlocks to maintain",
        "Li taps in",
        "Li taps out",
    ],
    *["Li cancels", "Li's slot ends 11:10", "Wang's slot ends 10:00", "outage 09:30 to 10:00", "fault; repaired"],
    *["tells of 09:05: 100 W", "tells of 09:10 to 09:20: 100 W", "tells of 09:30: 0 W", "clock is 1m ahead"],
    *["manager acknowledges IDLE_SESSION", "now policy grace 10m", "others die", "others come back"],
]
_steps = st.tuples(st.sampled_from([0, 0, 1, 9, 10, 30, 61, 400, 900, 1500]), st.sampled_from(_EVENTS))
days = st.tuples(
    st.lists(st.sampled_from(_BOOKINGS), max_size=4, unique=True),
    st.integers(1, 22).flatmap(lambda size: st.lists(_steps, min_size=size, max_size=size)),
)


def rows(day: tuple[list[str], list[tuple[int, str]]]) -> list[Row]:
    """A day as a table."""
    bookings, events = day
    told = [Row(clock(BEGIN_MS), "; ".join(bookings), {})]
    at_ms = BEGIN_MS
    for gap_s, event in events:
        at_ms += gap_s * 1000
        if gap_s:
            told.append(Row(clock(at_ms), event, {}))
        else:  # in one batch with what was before
            told[-1] = Row(told[-1].time, f"{told[-1].events}; {event}", {})
    return [*told, Row("13:00", "", {})]


def player(overrides: dict[str, object], day: Sequence[Row]) -> EnginePlayer:
    return EnginePlayer(Scenario("", overrides=overrides, rows=list(day), headings={**_HEADINGS, "instruments": ["3"]}))


def played(overrides: dict[str, object], day: Sequence[Row]) -> Lab:
    """What is stored once the day is over."""
    one = player(overrides, day)
    for row in day:
        one.play(row)
    return one.lab


def opened(lab: Lab) -> list[tuple[int, int, SessionRecord]]:
    """The sessions that opened, with start and end, by their start."""
    records = [each for each in lab.sessions.values() if each.opened_ms is not None]
    told = [(each.opened_ms or 0, each.ended_ms or FOREVER_MS, each) for each in records]
    return sorted(told, key=lambda each: (each[0], int(each[2].id)))


@profile(120)
@given(policies, days)
def test_what_holds_on_any_day(overrides: dict[str, object], day: tuple[list[str], list[tuple[int, str]]]) -> None:
    lab = played(overrides, rows(day))
    segments_partition_time_and_agree_with_the_sessions(lab)
    no_minute_is_charged_twice(lab)
    money_is_exact(lab)
    the_relay_is_commanded_on_for_a_session_only_and_no_session_opens_without(lab)
    alerts_do_not_flap(lab)
    each_offence_costs_credit_once(lab)


def segments_partition_time_and_agree_with_the_sessions(lab: Lab) -> None:
    spans = lab.ledger("controller")
    assert spans[0].start_ms == 0
    assert all(one.start_ms < two.start_ms and one.category is not two.category for one, two in pairwise(spans))
    ends = [each.start_ms for each in spans[1:]] + [FOREVER_MS]
    for span, end_ms in zip(spans, ends, strict=True):
        if span.category in _ANYTIME:
            continue
        covered = [(start, end) for start, end, _ in opened(lab) if start < end_ms and span.start_ms < end]
        length_ms = sum(min(end, end_ms) - max(start, span.start_ms) for start, end in covered)
        assert length_ms == (end_ms - span.start_ms if span.category in _OF_SESSIONS else 0), clock(span.start_ms)


def no_minute_is_charged_twice(lab: Lab) -> None:
    """Sessions of an instrument never overlap, at most one runs, and a bill has no more minutes than have begun."""
    for (_, end_ms, _), (start_ms, _, _) in pairwise(opened(lab)):
        assert end_ms <= start_ms
    running = [each for each in lab.sessions.values() if each.status in {SessionStatus.OPENING, SessionStatus.OPEN}]
    assert len(running) <= 1
    for record in lab.charges:
        if record.charge is not None and record.session is not None:
            session = lab.sessions[record.session]
            assert session.opened_ms is not None
            assert session.ended_ms is not None
            assert record.charge.minutes == -(-(session.ended_ms - session.opened_ms) // 60_000)


def money_is_exact(lab: Lab) -> None:
    """The lines of a session add up to its charge by the ledger as it is now; all lines to what a project has lost."""
    for start_ms, end_ms, session in opened(lab):
        lines = [each.line for each in lab.charges if each.session == session.id]
        terms = session.terms
        assert terms is not None
        is_billed = session.status is SessionStatus.CLOSED and terms.tariff is not None  # maintenance costs nothing
        assert bool(lines) is is_billed
        if not is_billed:
            continue
        assert terms.tariff is not None
        spans = lab.ledger("controller")
        made = billing.charge(
            spans,
            start_ms,
            end_ms,
            terms.tariff,
            terms.payer,
            zone=SHANGHAI,
            allowance=terms.allowance or NO_ALLOWANCE,
            fund=terms.fund or NO_FUND,
        )
        assert sum(line.net_cny for line in lines) == made.line.net_cny
        assert [line.cause is LineCause.SESSION for line in lines] == [True] + [False] * (len(lines) - 1)
    charged = {each.session for each in lab.charges if each.session is not None}
    assert charged <= {each.id for _, _, each in opened(lab)}, "what is void is not billed"
    known = lab.fleet.accounts.project(lab.fleet.directory.projects["P1"])
    assert known.balance_cny == Decimal(1000) - sum(each.line.net_cny for each in lab.charges)


def the_relay_is_commanded_on_for_a_session_only_and_no_session_opens_without(lab: Lab) -> None:
    on = [each.at_ms for each in lab.commands if each.do is Do.RELAY and each.relay and each.controller == "controller"]
    sessions = list(lab.sessions.values())
    for at_ms in on:
        assert any(each.requested_ms <= at_ms <= (each.ended_ms or FOREVER_MS) for each in sessions), clock(at_ms)
    recorded = set[str]()
    for follows in lab.follows:
        recorded |= {each.id for each in follows.sessions}
        for each in follows.commands:
            assert not each.relay or recorded, "on record first, then the relay"
    for start_ms, _, session in opened(lab):
        assert any(session.requested_ms <= at_ms <= max(start_ms, session.requested_ms) for at_ms in on)


def alerts_do_not_flap(lab: Lab) -> None:
    """One that fired holds on for at least `clear`; and there is one of a kind at a time."""
    by_kind: dict[tuple[object, object], list[tuple[int, int]]] = {}
    for record in lab.alerts.values():
        over = record.alert.since_ms if record.alert.state is AlertState.RESOLVED else FOREVER_MS
        by_kind.setdefault((record.instrument, record.alert.kind), []).append((record.fired_ms, over))
    for key, lives in by_kind.items():
        for fired_ms, over_ms in lives:
            assert over_ms - fired_ms >= Policy().clear_ms, key
        for (_, over_ms), (fired_ms, _) in pairwise(sorted(lives)):
            assert over_ms <= fired_ms, key


def each_offence_costs_credit_once(lab: Lab) -> None:
    lines = [(each.line.cause, each.line.about) for each in lab.credit]
    idle = [each.id for each in lab.sessions.values() if each.reason is CloseReason.IDLE]
    freed = [each.id for one in lab.follows for each in one.bookings if each.state is BookingState.NO_SHOW]
    overrun = [each for each in lab.alerts.values() if each.alert.kind is AlertKind.OVERRUN]
    assert sorted(about for cause, about in lines if cause is CreditCause.IDLE) == sorted(idle)
    assert sorted(about for cause, about in lines if cause is CreditCause.NO_SHOW) == sorted(freed)
    assert len(set(freed)) == len(freed)
    assert sum(cause is CreditCause.OVERRUN for cause, _ in lines) == len(overrun)


@profile(20)
@given(policies, days)
def test_it_makes_no_difference_how_often_anybody_looks(
    overrides: dict[str, object], day: tuple[list[str], list[tuple[int, str]]]
) -> None:
    told = rows(day)
    plain, watched = player(overrides, told), player(overrides, told)
    now_ms = BEGIN_MS
    for row in told:
        plain.play(row)
        at_ms = clock_ms(row.time)
        for moment_ms in range(now_ms, at_ms, max(1, (at_ms - now_ms) // 15)):
            watched.look(moment_ms)
        watched.play(row)
        now_ms = at_ms
    assert_same(watched.lab, plain.lab)


@profile(20)
@given(policies, days, st.sets(st.integers(0, 20), min_size=1, max_size=6))
def test_a_restart_at_any_moment_changes_nothing(
    overrides: dict[str, object], day: tuple[list[str], list[tuple[int, str]]], restarts: set[int]
) -> None:
    told = rows(day)
    restarted = player(overrides, told)
    for index, row in enumerate(told):
        restarted.play(row)
        if index in restarts:
            restarted.lab.restart()
    assert_same(restarted.lab, played(overrides, told))


def assert_same(one: Lab, other: Lab) -> None:
    """Everything that is stored is the same."""
    for name in ("sessions", "charges", "credit", "alerts", "notices", "commands"):
        assert getattr(one, name) == getattr(other, name), name
    assert one.ledger("controller") == other.ledger("controller")


EVERY_MS = 30_000
_PATIENT = Policy(walk_in=True, idle_release_ms=7 * 24 * 3_600_000)
_TARIFF = Tariff(
    instrument=HERE,
    from_ms=0,
    rates=Rates(internal=Decimal("119.99"), partner=Decimal(200), external=Decimal(300)),
    idle_percent=50,
)


def billed(arrivals: Sequence[Arrival], until_ms: int) -> tuple[Decimal, object]:
    """What a session until a moment costs in the end, with all lines, and the ledger of it."""
    fact = InstrumentFact(code=HERE, controller="c", policy=_PATIENT, prices=PriceList(versions=(_TARIFF,)))
    lab = Lab([fact, project(Scenario("")), *people()], BEGIN_MS - 60_000)
    number = lab.next()
    birth = Birth("boot", 0, BEGIN_MS - 1, caps=("power",))
    lab.handle(Arrival("c", BEGIN_MS - 1, birth))
    events: list[tuple[int, int, Event | Request]] = [(each.received_ms, 1, each) for each in arrivals]
    unlock = Unlock(number=number, at_ms=BEGIN_MS, instrument=HERE, user="Li")
    lock = Lock(number=lab.next(), at_ms=until_ms, instrument=HERE, user="Li", reason=CloseReason.USER)
    for at_ms, _, event in sorted([*events, (BEGIN_MS, 0, unlock), (until_ms, 0, lock)], key=lambda each: each[:2]):
        lab.handle(event)
        lab.commit(at_ms)
    lab.commit(until_ms + 3_600_000)
    session = lab.sessions[str(number)]
    assert (session.opened_ms, session.ended_ms, session.reason) == (BEGIN_MS, until_ms, CloseReason.USER)
    spans = tuple(span for span in lab.ledger("c") if span.start_ms < until_ms)
    return sum((each.line.net_cny for each in lab.charges), Decimal(0)), spans


@profile(40)
@given(
    st.lists(st.sampled_from([0.0, 20.0, 100.0]), min_size=1, max_size=12).filter(len),
    st.lists(st.integers(1, 8), min_size=12, max_size=12),
    st.lists(st.tuples(st.integers(0, 200_000), st.booleans(), st.booleans()), min_size=120, max_size=120),
)
def test_splitting_duplicating_and_reordering_readings_never_changes_a_bill(
    watts: list[float], lengths: list[int], noise: list[tuple[int, bool, bool]]
) -> None:
    """The same course of power, told in time; and told in more pieces, some twice, and each of them late."""
    course = [power_w for power_w, length in zip(watts, lengths, strict=False) for _ in range(length)]
    until_ms = BEGIN_MS + len(course) * EVERY_MS
    plain, noisy = list[Arrival](), list[Arrival]()
    for index, (power_w, (delay_ms, twice, split)) in enumerate(zip(course, noise, strict=False)):
        ts = BEGIN_MS + index * EVERY_MS
        reading = Reading("boot", 2 * index + 1, ts, power_w)
        plain.append(Arrival("c", ts, reading))
        noisy.append(Arrival("c", ts + delay_ms, reading))
        if twice:
            noisy.append(Arrival("c", ts + delay_ms + 7_000, reading))
        if split:
            half_ms = ts + EVERY_MS // 2
            piece = msgspec.structs.replace(reading, seq=2 * index + 2, ts=half_ms)
            noisy.append(Arrival("c", half_ms + delay_ms // 2, piece))
    assert billed(noisy, until_ms) == billed(plain, until_ms)
