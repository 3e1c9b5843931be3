"""Who was told that nothing could be recorded has had no session, whatever had been decided meanwhile."""

from decimal import Decimal

import pytest

from benchmarks.simulation.lab import Lab
from twin.directory import InstrumentFact, ProjectFact, UserFact
from twin.events import Arrival, Birth, Message, Reading
from twin.parties import Project, User, UserCategory
from twin.policy import Cut, Policy
from twin.requests import Lock, Unlock
from twin.rules.outcome import SessionStatus
from twin.sessions import CloseReason
from twin.tariffs import PriceList, Rates, Tariff

NOW = 1_700_000_000_000
S = 1000
RATES = Rates(internal=Decimal(120), partner=Decimal(150), external=Decimal(200))
LI = User("li", UserCategory.TEACHER, 100)


class House:
    """An instrument whose relay is on already, and Li, who may walk in."""

    def __init__(self, cut: Cut = Cut.NEVER, power_w: float = 100) -> None:
        policy = Policy(walk_in=True, required_level=None, cut=cut)
        prices = PriceList(versions=(Tariff(instrument="SEM", from_ms=0, rates=RATES, startup_fee_cny=Decimal(15)),))
        instrument = InstrumentFact(code="SEM", controller="c", policy=policy, prices=prices)
        project = ProjectFact(project=Project("P", frozenset({"li"}), Decimal(1000)))
        self.lab = Lab([instrument, UserFact(user=LI), project], NOW)
        self.hear(Birth("b", 0, NOW, relay=True, caps=("relay",)), NOW)
        self.hear(Reading("b", 1, NOW, power_w, relay=True), NOW)

    def hear(self, message: Message, at_ms: int) -> None:
        self.lab.handle(Arrival("c", at_ms, message, self.lab.next()))

    def unlock(self, at_ms: int) -> int:
        number = self.lab.next()
        self.lab.handle(Unlock(number=number, at_ms=at_ms, instrument="SEM", user="li"))
        return number

    def lock(self, at_ms: int, withdraws: int | None = None) -> None:
        wish = Lock(
            number=self.lab.next(),
            at_ms=at_ms,
            instrument="SEM",
            user="li",
            reason=CloseReason.USER,
            withdraws=withdraws,
        )
        self.lab.handle(wish)
        self.lab.settle(at_ms)


@pytest.mark.parametrize("heard", [False, True], ids=["nothing heard", "heard meanwhile"])
def test_a_session_that_opened_at_once_is_over_as_it_began(heard: bool) -> None:  # noqa: FBT001
    house = House()
    number = house.unlock(NOW + S)
    if heard:
        house.hear(Reading("b", 2, NOW + 6 * S, 100.0, relay=True), NOW + 6 * S)
    house.lock(NOW + 12 * S, withdraws=number)
    (session,) = house.lab.sessions.values()
    assert (session.status, session.reason) == (SessionStatus.CLOSED, CloseReason.USER)
    assert session.opened_ms == session.ended_ms == NOW + S
    assert [each.line.gross_cny for each in house.lab.charges] == [Decimal("0.00")]


@pytest.mark.parametrize("cut", [Cut.AT_ONCE, Cut.WHEN_IDLE])
def test_the_relay_goes_off_by_a_command_that_can_still_be_obeyed(cut: Cut) -> None:
    house = House(cut, power_w=0)
    number = house.unlock(NOW + S)
    house.lock(NOW + 60 * S, withdraws=number)
    off = [each for each in house.lab.commands if each.relay is False]
    assert [each.at_ms for each in off] == [NOW + 60 * S]


def test_no_other_session_of_theirs_ends() -> None:
    house = House()
    house.unlock(NOW + S)
    again = house.unlock(NOW + 2 * S)  # granted: it is theirs already
    house.lock(NOW + 12 * S, withdraws=again)
    (session,) = house.lab.sessions.values()
    assert (session.status, session.ended_ms) == (SessionStatus.OPEN, None)
    house.lock(NOW + 20 * S)
    (session,) = house.lab.sessions.values()
    assert (session.status, session.ended_ms) == (SessionStatus.CLOSED, NOW + 20 * S)
