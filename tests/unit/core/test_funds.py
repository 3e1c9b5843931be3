"""The user is told before a session has used up what its project had left."""

from decimal import Decimal

from twin.directory import InstrumentFact, ProjectFact, UserFact
from twin.events import Arrival, Reading, Tick
from twin.fleet import Fleet
from twin.parties import Project, User, UserCategory
from twin.policy import Policy
from twin.requests import Unlock
from twin.rules.outcome import Command, Do, Outcome
from twin.tariffs import PriceList, Rates, Tariff

NOW = 1_700_000_000_000
MIN = 60_000
RATES = Rates(internal=Decimal(120), partner=Decimal(150), external=Decimal(200))
PRICES = PriceList(versions=(Tariff(instrument="SEM", from_ms=0, rates=RATES),))


def _said(outcome: Outcome) -> list[Command]:
    return [each for follows in outcome.consequences for each in follows.commands if each.do is Do.SAY]


def _warnings(balance_cny: Decimal) -> list[tuple[float, str | None]]:
    """When in minutes, and what, the controller says during an hour of use at 2.00 a minute."""
    fleet = Fleet()
    policy = Policy(walk_in=True, required_level=None)
    fleet.seat(InstrumentFact(code="SEM", controller="c", policy=policy, prices=PRICES))
    fleet.learn(UserFact(user=User("li", UserCategory.TEACHER, 100)))
    fleet.learn(ProjectFact(project=Project("P", frozenset({"li"}), balance_cny)))
    fleet.handle(Arrival("c", NOW, Reading("b", 0, NOW, 100, relay=True)))
    fleet.handle(Unlock(number=1, at_ms=NOW, instrument="SEM", user="li"))
    said = []
    for second in range(1, 3600, 30):
        at_ms = NOW + second * 1000
        said += _said(fleet.handle(Arrival("c", at_ms, Reading("b", second, at_ms, 100, relay=True))))
        said += _said(fleet.handle(Tick(at_ms)))
    return [((each.at_ms - NOW) / MIN, each.text) for each in said]


def test_the_user_is_warned_at_80_and_at_100_percent() -> None:
    said = _warnings(Decimal(10))
    assert [minute for minute, _ in said] == [4, 5]
    assert [text is not None and f"{percent}%" in text for percent, (_, text) in zip((80, 100), said, strict=True)]


def test_who_has_enough_is_told_nothing() -> None:
    assert _warnings(Decimal(1000)) == []
