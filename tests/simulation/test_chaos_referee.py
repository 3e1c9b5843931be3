"""The referee of sessions, charges and relays: right books pass, and each wrong is seen."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace

from benchmarks.chaos.bills import bounds, story_of
from benchmarks.chaos.book import Made, Switched
from benchmarks.chaos.books import AlertSpan, Booking, Books, Session, Tapped
from benchmarks.chaos.people import Attempt, Deed, Outcome
from benchmarks.chaos.referee import Referee
from benchmarks.chaos.relays import Relay, judge_relays, unsettled
from benchmarks.chaos.sessions import Evidence, Visit, judge_sessions
from benchmarks.chaos.site import GRACE_MS, HOLD_MS, STALE_MS, make_site
from twin.stream.native import card_digest

T = 1_800_000_000_000
SITE = make_site(1, 2)
CONTROLLER, CODE = next(iter(SITE.instruments.items()))
P1, P2 = (each.username for each in SITE.people)
RATE = SITE.tariffs[CODE].rates.internal
USE, IDLE = RATE / 60, RATE / 60 * 40 / 100


def read(seq: int, at_ms: int, power_w: float, boot: str = "b") -> Made:
    return Made(
        at_ms, CONTROLLER, "reading", {"boot": boot, "seq": seq, "ts": at_ms, "power_w": power_w, "relay": True}
    )


def measured(*watts: float, every_ms: int = 1000, start_ms: int = T) -> list[Made]:
    return [read(seq, start_ms + seq * every_ms, each) for seq, each in enumerate(watts)]


def priced(messages: Sequence[Made], seconds: int) -> tuple[Decimal, Decimal]:
    story = story_of(messages, hold_ms=HOLD_MS, stale_ms=STALE_MS)
    return bounds(story, T, T + 1000 * seconds, SITE.tariffs[CODE])


@pytest.mark.parametrize(
    ("watts", "seconds", "cost"),
    [
        ([250] * 30, 20, USE),
        ([12] * 30, 20, IDLE),
        ([250] * 10 + [12] * 20, 20, USE),  # ten seconds and the hold: more than half
        ([250] * 9 + [12] * 20, 20, IDLE),  # ten seconds of twenty: the cheaper one counts
        ([250] * 70, 61, 2 * USE),
        ([250] * 60 + [12] * 20, 63, USE + IDLE),
    ],
)
def test_a_minute_costs_what_most_of_it_was(watts: list[float], seconds: int, cost: Decimal) -> None:
    expected = cost.quantize(Decimal("0.01"))
    assert priced(measured(*watts), seconds) == (expected, expected)


def test_what_nobody_can_know_is_left_open() -> None:
    silent = [*measured(250, 250), read(2, T + 15_000, 250), read(3, T + 21_000, 250)]
    assert priced(silent, 20) == (round(IDLE, 2), round(USE, 2))
    rebooted = [*measured(*[250] * 8), *(read(seq, T + 17_000 + seq, 250, "b2") for seq in range(2))]
    assert priced(rebooted, 17) == (round(IDLE, 2), round(USE, 2))
    lost = [each for each in measured(*[250] * 30) if each.message["seq"] not in range(4, 18)]
    assert priced(lost, 20) == (round(IDLE, 2), round(USE, 2))


def test_what_is_past_the_slot_costs_more() -> None:
    story = story_of(measured(*[250] * 40), hold_ms=HOLD_MS, stale_ms=STALE_MS)
    tariff = SITE.tariffs[CODE]
    over = round(USE * tariff.overrun_percent / 100, 2)
    assert bounds(story, T, T + 20_000, tariff, overrun_ms=T + 9_000) == (over, over)
    assert bounds(story, T, T + 20_000, tariff, overrun_ms=T + 10_000) == (round(USE, 2), round(USE, 2))


def asked(deed: Deed, sent_s: float, told_s: float, outcome: Outcome = Outcome.DONE, **changes: Any) -> Attempt:
    attempt = Attempt(deed, P1, CODE, round(T + 1000 * sent_s), round(T + 1000 * told_s), outcome, "7")
    return replace(attempt, **changes)


SESSION = Session("7", CODE, P1, "closed", T, T + 500, T + 20_000, "USER")
UNLOCKED, LOCKED = asked(Deed.UNLOCK, -0.1, 0.1), asked(Deed.LOCK, 19.9, 20.1)
MOVES = (Switched(T + 500, CONTROLLER, True, "on"), Switched(T + 20_100, CONTROLLER, False, "off"))
BOOKS = Books(
    sessions=(SESSION,),
    charges={"7": [("session", round(USE, 2))]},
    foreign_lines=0,
    cards=(),
    commands={(CONTROLLER, "on"): T, (CONTROLLER, "off"): T + 20_000},
    bookings=(),
    alerts=(),
    broken_segments=(),
    unfounded=frozenset(),
)


def judged(books: Books = BOOKS, *attempts: Attempt, moves: Sequence[Switched] = MOVES) -> list[str]:
    messages = measured(*[250] * 30)
    story = story_of(messages, hold_ms=HOLD_MS, stale_ms=STALE_MS)
    reported = frozenset({T + 500})
    evidence = Evidence(SITE, attempts or (UNLOCKED, LOCKED), {CODE: Relay(moves)}, {CODE: story}, {CODE: reported})
    return list(judge_sessions(books, evidence))


def with_session(**changes: Any) -> Books:
    return replace(BOOKS, sessions=(replace(SESSION, **changes),))


def test_right_books_are_right() -> None:
    assert judged() == []


def test_what_was_told_holds() -> None:
    assert "there is no such session" in judged(replace(BOOKS, sessions=()))[0]
    assert "ended at another time" in judged(BOOKS, UNLOCKED, asked(Deed.LOCK, 21, 22))[0]
    assert "no session at this time" in judged(BOOKS, UNLOCKED, LOCKED, asked(Deed.UNLOCK, 25, 26))[0]
    assert "not on record" in judged(BOOKS, UNLOCKED, LOCKED, asked(Deed.BOOK, 1, 2, id="3"))[0]


def test_every_session_was_asked_for_by_a_wish_of_its_own() -> None:
    refused = asked(Deed.UNLOCK, -0.1, 0.1, Outcome.NOT_RECORDED)
    assert "nobody asked for" in judged(BOOKS, refused, LOCKED)[0]
    never = with_session(opened_ms=None, ended_ms=T + 4_000, state="void", reason="not_confirmed")
    assert judged(replace(never, charges={}), refused) == [], "it failed closed"
    assert judged(BOOKS, asked(Deed.UNLOCK, -3, -2, Outcome.UNKNOWN), LOCKED) == [], "nobody knows when it was done"
    assert judged(BOOKS, UNLOCKED, asked(Deed.LOCK, 9, 10, Outcome.NOT_RECORDED)) == [], "it is recorded later"
    again = replace(SESSION, id="8", requested_ms=T - 50, ended_ms=T, opened_ms=None, state="void", reason="withdrawn")
    twice = replace(BOOKS, sessions=(SESSION, again))
    assert [each[:16] for each in judged(twice)] == ["nobody asked for"]
    card = Tapped(CODE, T, card_digest(SITE.people[0].card))
    assert judged(replace(BOOKS, cards=(card,)), LOCKED) == []


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"state": "open", "ended_ms": None, "reason": None}, "is still open"),
        ({"opened_ms": T + 400}, "when the relay was off"),
        ({"opened_ms": T + 700}, "said nothing of the kind"),
        ({"reason": "IDLE"}, "which nobody knows of"),
        ({"reason": "STAFF"}, "which nobody knows of"),
        ({"reason": "SLOT_END"}, "which nobody knows of"),
        ({"opened_ms": None, "state": "void", "reason": "refused"}, "never opened, and is charged"),
    ],
)
def test_a_session_went_as_it_is_told(changes: dict[str, Any], complaint: str) -> None:
    assert any(complaint in each for each in judged(with_session(**changes), UNLOCKED))


def test_a_relay_that_was_on_in_the_millisecond_in_which_it_went_off_was_on() -> None:
    went_off = (replace(MOVES[0], at_ms=T + 300), replace(MOVES[1], at_ms=T + 500))
    assert judged(BOOKS, UNLOCKED, LOCKED, moves=went_off) == []
    assert judged(BOOKS, UNLOCKED, LOCKED, moves=(went_off[0], replace(MOVES[1], at_ms=T + 499)))


def test_a_session_opens_at_once_only_where_the_relay_is_known_to_be_on() -> None:
    at_once, on = with_session(opened_ms=T), replace(MOVES[0], at_ms=T - 9_000)
    assert judged(at_once, moves=(on,)) == []
    assert "no reason to think" in judged(replace(at_once, unfounded=frozenset({"7"})), moves=(on,))[0]
    off = Switched(T - 1, CONTROLLER, False, "off")
    for moves in ((), (on, off)):
        assert "as it had been told" in judged(at_once, moves=moves)[0]
    assert judged(at_once, moves=(on, replace(off, command=None))) == [], "by itself: nobody can know yet"


CAME, WENT = Visit(CODE, P1, T), Visit(CODE, P1, T + 20_000)
LET_IN = replace(with_session(opened_ms=T), unfounded=frozenset({"7"}))


def visited(books: Books, *, works_s: int = 30, came: Visit = CAME, went: Visit | None = WENT) -> list[str]:
    """Of a controller that was cut off, and let somebody in and out."""
    messages = measured(*[250] * works_s, *[12] * (30 - works_s))
    evidence = Evidence(
        SITE,
        (),
        {CODE: Relay([replace(MOVES[0], at_ms=T, command=None)])},
        {CODE: story_of(messages, hold_ms=HOLD_MS, stale_ms=STALE_MS)},
        {CODE: frozenset()},
        frozenset({came}),
        frozenset() if went is None else frozenset({went}),
    )
    return list(judge_sessions(books, evidence))


def test_what_could_not_be_recorded_is_over_as_it_began() -> None:
    refused, on = asked(Deed.UNLOCK, -0.1, 5.1, Outcome.NOT_RECORDED), (replace(MOVES[0], at_ms=T - 9_000),)
    taken_back = replace(with_session(opened_ms=T, ended_ms=T), charges={"7": [("session", Decimal("0.00"))]})
    assert judged(taken_back, refused, moves=on) == []
    paid = judged(with_session(opened_ms=T, ended_ms=T + 12_000), refused, moves=on)
    assert all(any(each in complaint for complaint in paid) for each in ("nobody asked for", "which nobody knows of"))


def test_who_was_let_in_by_a_controller_that_was_cut_off_has_a_session() -> None:
    assert visited(LET_IN) == []
    (lost,) = visited(replace(LET_IN, sessions=(), charges={}))
    assert lost.endswith("and there is no session")
    (unknown,) = visited(LET_IN, went=None)
    assert "nobody knows of" in unknown


def test_who_did_not_go_out_was_there_until_the_instrument_stopped_to_work() -> None:
    reconciled = replace(LET_IN, sessions=(replace(LET_IN.sessions[0], reason="RECONCILED"),))
    assert visited(reconciled, works_s=20, went=None) == []
    (wrong,) = visited(reconciled, works_s=19, went=None)
    assert "nobody knows of" in wrong
    nothing = {"7": [("session", Decimal(0))]}
    at_once = replace(reconciled, sessions=(replace(reconciled.sessions[0], ended_ms=T),), charges=nothing)
    assert visited(at_once, went=None) == [], "it did not work at all"


def test_a_controller_cut_off_does_not_know_of_a_session_that_never_opened() -> None:
    never = replace(SESSION, id="6", user=P2, requested_ms=T - 50, opened_ms=None, state="void", reason="not_confirmed")
    both = replace(LET_IN, sessions=(never, *LET_IN.sessions))
    assert not any("at once" in each for each in visited(both))
    assert any("two sessions at once" in each for each in judged(replace(BOOKS, sessions=(never, SESSION))))


def test_the_service_does_not_know_whom_a_controller_that_was_cut_off_let_in_meanwhile() -> None:
    inside = LET_IN.sessions[0]
    assert inside.ended_ms is not None
    next_one = replace(SESSION, id="9", requested_ms=T + 200, opened_ms=inside.ended_ms, ended_ms=inside.ended_ms + 9)
    assert not any("at once" in each for each in visited(replace(LET_IN, sessions=(inside, next_one))))
    too_soon = replace(next_one, opened_ms=inside.ended_ms - 1)
    assert any("at once" in each for each in visited(replace(LET_IN, sessions=(inside, too_soon))))


def test_who_was_let_in_while_another_was_in_is_told_of() -> None:
    def missed(books: Books, user: str = P2, seconds: int = 5) -> list[str]:
        complaints = visited(books, came=Visit(CODE, user, T + 1000 * seconds))
        return [each.rpartition(", ")[2] for each in complaints if "was let in" in each]

    told = replace(BOOKS, alerts=(AlertSpan(CODE, "OFFLINE_CONFLICT", T + 30_000, None),))
    assert missed(BOOKS) == ["and nobody was told of the conflict"]
    assert missed(told) == missed(BOOKS, P1) == []
    assert missed(told, seconds=20) == ["and there is no session"], "the other one was out"


def test_a_controller_that_is_cut_off_lets_nobody_in_who_has_not_booked() -> None:
    on = replace(MOVES[0], command=None)
    booking = Booking("1", CODE, P1, T, T + 10_000)
    assert relays(replace(BOOKS, bookings=(booking,)), on, MOVES[1]) == []
    assert "nobody had booked" in relays(BOOKS, on, MOVES[1])[0]


def test_a_slot_ends_a_session() -> None:
    ended = with_session(reason="SLOT_END")
    own = Booking("1", CODE, P1, T - 9000, T + 20_000 - GRACE_MS)
    others = Booking("2", CODE, P2, T + 20_000, T + 30_000)
    for booking in (own, others):
        assert judged(replace(ended, bookings=(booking,)), UNLOCKED) == []
        elsewhere = replace(booking, instrument="elsewhere")
        assert "nobody knows of" in judged(replace(ended, bookings=(elsewhere,)), UNLOCKED)[0]


@pytest.mark.parametrize(
    ("lines", "complaint"),
    [
        ([], "and should have one"),
        ([("session", round(USE, 2))] * 2, "and should have one"),
        ([("session", round(IDLE, 2))], "should be"),
        ([("session", round(USE, 2)), ("correction", Decimal("0.01"))], "should be"),
    ],
)
def test_a_session_is_charged_once_and_rightly(lines: list[tuple[str, Decimal]], complaint: str) -> None:
    assert any(complaint in each for each in judged(replace(BOOKS, charges={"7": lines})))


def test_a_line_and_its_correction_add_up() -> None:
    lines = [("session", round(IDLE, 2)), ("correction", round(USE, 2) - round(IDLE, 2))]
    assert judged(replace(BOOKS, charges={"7": lines})) == []


def test_other_faults_of_the_books_are_told() -> None:
    other = replace(SESSION, id="8", requested_ms=T + 9_000, opened_ms=None, state="void", reason="withdrawn")
    two = replace(BOOKS, sessions=(SESSION, other), foreign_lines=2, broken_segments=("here",))
    found = judged(two, UNLOCKED, LOCKED, asked(Deed.UNLOCK, 8, 10, Outcome.UNKNOWN))
    assert [each.split(":")[0] for each in found] == [
        "two sessions at once",
        "2 charge lines belong to no session",
        "the ledger is broken at here",
    ]


def relays(
    books: Books, *moves: Switched, outages: Sequence[tuple[int, int]] = (), endings: Sequence[int] = ()
) -> list[str]:
    known = {CODE: Relay(moves)}
    found = judge_relays(books, known, SITE, outages=outages, endings={CODE: endings}, until_ms=T + 300_000)
    return list(found)


def test_a_relay_is_on_with_a_session_or_for_a_reason() -> None:
    on, off = MOVES
    late = Switched(T + 120_000, CONTROLLER, False, "off")
    assert relays(BOOKS, on, off) == []
    assert "for no reason" in relays(BOOKS, on, late)[0]
    assert "for no reason" in relays(BOOKS, on)[0]
    assert relays(BOOKS, on, late, outages=[(T + 30_000, T + 110_000)]) == []
    alert = AlertSpan(CODE, "UNSAFE_TO_CUT", T + 36_000, None)
    assert relays(replace(BOOKS, alerts=(alert,)), on, late) == []
    assert relays(replace(BOOKS, alerts=(replace(alert, kind="NO_SHOW"),)), on, late)


def test_a_relay_moves_by_a_command_on_record_for_a_session_that_pays() -> None:
    assert "not on record" in relays(replace(BOOKS, commands={}), *MOVES)[0]
    assert "no session" in relays(replace(BOOKS, sessions=()), *MOVES)[0]
    without_off = replace(BOOKS, commands={(CONTROLLER, "on"): T})
    assert "not on record" in relays(without_off, *MOVES)[0]
    assert relays(without_off, *MOVES, endings=[T + 20_050]) == [], "somebody ended it while nothing could be recorded"
    assert "not on record" in relays(without_off, *MOVES, endings=[T + 20_200])[0]


def test_a_relay_is_in_the_end_as_it_was_told() -> None:
    def shown(desired: str | None, reported: str) -> list[str]:
        twins = {CODE: {"relay": {"desired": desired, "reported": reported}}}
        return list(unsettled(twins, {CODE: Relay(MOVES)}, T + 30_000))

    assert shown("off", "off") == shown(None, "off") == []
    assert shown("on", "off")
    assert shown("on", "on"), "it is off"
    assert list(unsettled({}, {CODE: Relay(MOVES)}, T)) == [f"{CODE} is not shown"]


def test_the_referee_puts_together_what_the_controllers_wrote() -> None:
    referee = Referee(SITE)
    messages = measured(*[250] * 30, start_ms=T + 500)
    for entry in (*messages, *MOVES):
        referee.take(entry)
    stored = {each.identity for each in messages}
    assert list(referee.judge(BOOKS, (UNLOCKED, LOCKED), stored, [], T + 30_000)) == []
    wrong = replace(BOOKS, charges={"7": [("session", Decimal("0.01"))]})
    assert len(list(referee.judge(wrong, (UNLOCKED, LOCKED), stored, [], T + 30_000))) == 1
