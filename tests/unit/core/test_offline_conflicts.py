"""What a controller did by itself, beside the grants it had and the sessions that were in the books."""

import pytest

from tests.unit.core.test_offline import LI, MIN, NOW, Cut
from twin.alerts import AlertKind, AlertState, Clash, Conflict
from twin.directory import BookingFact
from twin.events import Birth, Card, Reading
from twin.requests import Learnt
from twin.sessions import CloseReason


class Granted(Cut):
    """A controller that was told what it may allow before it was cut off."""

    def __init__(self, *, open_: bool = False) -> None:
        super().__init__(open_=open_)
        self.issue(NOW + 2 * MIN)

    def issue(self, at_ms: int) -> None:
        fact = self.fleet.grants("c", at_ms)
        assert fact is not None
        self.take(self.fleet.handle(Learnt(number=2, at_ms=at_ms, fact=fact)))

    @property
    def grant(self) -> str:
        fact = self.fleet.directory.grants["c"]
        return next(each.grant for each in (*fact.windows, *fact.former))

    def tap(self, minute: float, action: str, *, grant: str | None = None, card: str = "card") -> None:
        at_ms = NOW + round(minute * MIN)
        told = Card("b", self.next(), at_ms, card, action, granted=True, grant=grant or self.grant, hist=True)  # type: ignore[arg-type]
        self.hear(told, NOW + 120 * MIN)

    def clashes(self) -> tuple[Clash, ...]:
        active = self.fleet.station("c").watch.active
        return next((each.clashes for each in active if each.kind is AlertKind.OFFLINE_CONFLICT), ())


def test_what_was_granted_is_no_conflict() -> None:
    cut = Granted()
    cut.tap(20, "in")
    cut.tap(70, "out")
    assert len(cut.sessions) == 1
    assert cut.clashes() == ()


def test_what_was_withdrawn_before_it_was_used_is_told_and_booked() -> None:
    cut = Granted()
    cut.take(cut.fleet.handle(Learnt(number=3, at_ms=NOW + 10 * MIN, fact=BookingFact(id="1", booking=None))))
    cut.issue(NOW + 10 * MIN)
    cut.tap(20, "in")
    cut.tap(70, "out")
    (session,) = cut.sessions.values()
    assert (session.booking, session.reason) == (None, CloseReason.USER)
    assert cut.clashes() == (Clash(Conflict.REVOKED, NOW + 20 * MIN, "li"),)


@pytest.mark.parametrize(
    ("minute", "card", "grant", "conflict"),
    [
        (20, "card", "another", Clash(Conflict.NOT_ISSUED, NOW + 20 * MIN, "li")),
        (20, "card of wang", None, Clash(Conflict.NOT_ISSUED, NOW + 20 * MIN, "wang")),
        (4, "card", None, Clash(Conflict.OUTSIDE, NOW + 4 * MIN, "li")),
        (20, "card of nobody", None, Clash(Conflict.UNKNOWN_CARD, NOW + 20 * MIN, None)),
    ],
)
def test_what_was_not_granted_is_told(minute: int, card: str, grant: str | None, conflict: Clash) -> None:
    cut = Granted()
    cut.tap(minute, "in", card=card, grant=grant)
    assert cut.clashes() == (conflict,)


def test_going_out_needs_no_grant() -> None:
    cut = Granted()
    cut.tap(20, "in")
    cut.tap(200, "out", grant="another")
    assert cut.clashes() == ()


def test_the_last_conflicts_are_kept_with_the_alert_until_it_is_over() -> None:
    cut = Granted()
    for minute in range(20, 30):
        cut.tap(minute, "in", card="card of nobody")
    assert [each.at_ms for each in cut.clashes()] == [NOW + minute * MIN for minute in range(22, 30)]
    cut.tick(121)
    alerts = [each.alert for outcome in cut.outcomes for follows in outcome.consequences for each in follows.alerts]
    over = [each for each in alerts if each.kind is AlertKind.OFFLINE_CONFLICT and each.state is AlertState.RESOLVED]
    assert [len(each.clashes) for each in over] == [8]


def test_whose_session_is_open_is_in_already() -> None:
    cut = Granted(open_=True)
    cut.tap(50, "in")
    cut.tap(60, "out")
    assert [(each.reason, each.ended_ms) for each in cut.sessions.values()] == [(CloseReason.USER, NOW + 60 * MIN)]
    assert cut.clashes() == ()


def test_an_old_card_does_not_end_a_session_that_began_later() -> None:
    cut = Granted()
    back_ms = NOW + 75 * MIN
    cut.hear(Birth("b", cut.next(), back_ms, relay=False), back_ms)
    cut.hear(Card("b", cut.next(), back_ms, "card", "tap"), back_ms)
    cut.hear(Reading("b", cut.next(), back_ms + 1, 100, relay=True), back_ms + 1)
    late = Card("b", cut.next(), NOW + 40 * MIN, "card", "out", granted=True, grant=cut.grant, hist=True)
    cut.hear(late, back_ms + 2)
    (session,) = cut.sessions.values()
    assert session.ended_ms is None


def test_what_the_clock_ended_is_remembered_for_cards_that_may_tell_otherwise() -> None:
    cut = Granted(open_=True)
    cut.tick(210)
    lapsed = cut.fleet.station("c").lapsed
    assert lapsed is not None
    assert (lapsed.use.user, lapsed.opened_ms, lapsed.ended_ms) == (LI, NOW + 3, NOW + 205 * MIN)
    assert lapsed.terms is not None
    assert lapsed.terms.tariff is not None
