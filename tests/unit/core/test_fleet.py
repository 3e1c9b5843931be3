"""The fleet: who is in it, and its timers."""

from decimal import Decimal

import pytest

from twin.decisions import Verdict
from twin.directory import InstrumentFact, ProjectFact, UserFact
from twin.events import Arrival, Death, Reading, Tick
from twin.fleet import Fleet
from twin.parties import Project, User, UserCategory
from twin.policy import Policy
from twin.requests import Unlock
from twin.rules.outcome import Outcome
from twin.state import FOREVER_MS, NEW_TWIN, Category, Span

NOW = 1_700_000_000_000


def fleet_of(*controllers: str) -> Fleet:
    fleet = Fleet()
    for controller in controllers:
        fleet.register(controller, Policy())
    return fleet


def tell(fleet: Fleet, controller: str, seq: int, at_ms: int, power_w: float = 3.0) -> Outcome:
    return fleet.handle(Arrival(controller, at_ms, Reading("b", seq, at_ms, power_w)))


def test_who_is_in_it() -> None:
    fleet = fleet_of("a", "b")
    assert (len(fleet), sorted(fleet), "a" in fleet, "x" in fleet) == (2, ["a", "b"], True, False)
    assert fleet.twin("a") == NEW_TWIN
    assert fleet.policy("a") == Policy()
    fleet.remove("a")
    assert "a" not in fleet
    with pytest.raises(KeyError):
        fleet.twin("a")


def test_a_stranger_changes_nothing() -> None:
    fleet = fleet_of("a")
    assert tell(fleet, "x", 0, NOW) == Outcome(Verdict.UNKNOWN_CONTROLLER, NOW)
    assert tell(fleet, "x", 0, NOW).changed == ()
    assert fleet.next_due_ms() == fleet.months.due_ms


def test_twins_do_not_touch_each_other() -> None:
    fleet = fleet_of("a", "b")
    tell(fleet, "a", 0, NOW, 100.0)
    assert fleet.twin("b") == NEW_TWIN
    outcome = tell(fleet, "b", 0, NOW)
    assert outcome.changed == ("b",)
    assert [rewrite.controller for rewrite in outcome.rewrites] == ["b"]


def test_a_fleet_that_heard_nobody_has_no_timer() -> None:
    fleet = fleet_of("a")
    assert fleet.next_due_ms() == FOREVER_MS
    assert fleet.handle(Tick(NOW)) == Outcome(at_ms=NOW)


def test_a_timer_rings_when_the_link_goes_stale_and_offline() -> None:
    fleet = fleet_of("a")
    tell(fleet, "a", 0, NOW)
    assert fleet.next_due_ms() == NOW + 90_000
    assert fleet.handle(Tick(NOW + 89_999)).changed == ()
    stale = fleet.handle(Tick(NOW + 90_000))
    assert stale.changed == ("a",)
    assert stale.rewrites[0].spans == (Span(NOW + 90_000, Category.UNKNOWN),)
    assert fleet.next_due_ms() == NOW + 300_000
    assert fleet.handle(Tick(NOW + 300_000)).changed == ("a",)
    assert fleet.next_due_ms() == NOW + 300_000 + Policy().repeat_ms, "people are told again"


def test_all_timers_that_are_due_ring_at_once() -> None:
    fleet = fleet_of("a", "b", "c")
    for number, controller in enumerate("abc"):
        tell(fleet, controller, 0, NOW + number)
    assert fleet.handle(Tick(NOW + 90_001)).changed == ("a", "b")
    assert fleet.handle(Tick(NOW + 10_000_000)).changed == ("c", "a", "b")


def test_a_late_tick_finds_the_moments_that_have_passed() -> None:
    fleet = fleet_of("a")
    tell(fleet, "a", 0, NOW, 100.0)
    rewrites = fleet.handle(Tick(NOW + 10_000_000)).rewrites
    spans = tuple(span for rewrite in rewrites for span in rewrite.spans)
    assert spans == (Span(NOW + 30_000, Category.UNAUTHORISED), Span(NOW + 90_000, Category.UNKNOWN))


def test_timers_of_who_was_removed_or_replaced_are_harmless() -> None:
    fleet = fleet_of("a", "b")
    tell(fleet, "a", 0, NOW)
    tell(fleet, "b", 0, NOW)
    fleet.remove("a")
    fleet.register("b", Policy())
    assert fleet.handle(Tick(NOW + 90_000)).changed == ()


def test_a_twin_from_a_checkpoint_has_its_timer() -> None:
    fleet, later = fleet_of("a"), Fleet()
    tell(fleet, "a", 0, NOW, 100.0)
    later.register("a", Policy(), fleet.twin("a"))
    assert later.next_due_ms() <= NOW + 30_000
    assert later.handle(Tick(NOW + 30_000)).rewrites == fleet.handle(Tick(NOW + 30_000)).rewrites != ()


def test_a_death_of_another_boot_is_not_to_be_stored() -> None:
    fleet = fleet_of("a")
    tell(fleet, "a", 0, NOW)
    assert fleet.handle(Arrival("a", NOW + 1, Death("other"))) == Outcome(Verdict.DUPLICATE, NOW + 1)
    assert fleet.handle(Arrival("a", NOW + 1, Death("b"))).verdict is Verdict.LIVE
    assert fleet.handle(Arrival("a", NOW + 2, Death("b"))).verdict is Verdict.DUPLICATE


def heap_size(fleet: Fleet) -> int:
    return len(fleet._timers)  # noqa: SLF001


def test_the_timers_stay_few_however_much_is_said() -> None:
    fleet = fleet_of("a")
    largest = 0
    for seq in range(40_000):
        at_ms = NOW + seq * 700
        tell(fleet, "a", seq, at_ms, (3.0, 7.0, 100.0)[seq // 37 % 3])
        if seq % 11 == 0:
            fleet.handle(Tick(at_ms + seq % 600))
        largest = max(largest, heap_size(fleet))
    assert largest <= 4


def test_the_timers_stay_few_though_nobody_looks_at_the_time() -> None:
    fleet = fleet_of("a")
    for seq in range(10_000):
        tell(fleet, "a", seq, NOW + seq * 700, (3.0, 7.0, 100.0)[seq // 37 % 3])
    assert heap_size(fleet) <= 4


def test_the_timers_stay_few_though_the_controller_dies_again_and_again() -> None:
    fleet = fleet_of("a")
    for seq in range(1000):
        tell(fleet, "a", seq, NOW + seq * 10_000, 100.0)
        fleet.handle(Arrival("a", NOW + seq * 10_000 + 10, Death("b")))
        fleet.handle(Tick(NOW + seq * 10_000 + 20))
    assert heap_size(fleet) <= 4


def test_what_a_twin_keeps_stays_small() -> None:
    fleet = fleet_of("a")
    for seq in range(5_000):
        at_ms = NOW + seq * 20_000 + (200_000 if seq % 50 == 0 else 0)
        tell(fleet, "a", seq, at_ms, 100.0 if seq % 9 else 0.0)
        if seq % 7 == 0:
            fleet.handle(Arrival("a", at_ms + 10, Death("b")))
    book = fleet.twin("a").book
    longest = max(len(book.spans), len(book.activity), len(book.coverage.ranges), len(book.coverage.deaths_ms))
    assert longest <= 40


def test_time_may_be_let_pass_a_few_timers_at_a_time() -> None:
    once, sliced = fleet_of("a", "b", "c"), fleet_of("a", "b", "c")
    for fleet in (once, sliced):
        for late_ms, controller in enumerate(fleet):
            tell(fleet, controller, 0, NOW + late_ms)
    until_ms = NOW + 3_600_000
    once.handle(Tick(until_ms))
    moments: list[int] = []
    while (next_ms := sliced.within_reach_ms(until_ms, 1)) < until_ms:
        assert next_ms == sliced.next_due_ms()
        moments.append(next_ms)
        sliced.handle(Tick(next_ms))
    sliced.handle(Tick(until_ms))
    assert moments == sorted(set(moments))
    assert len(moments) >= 6, "each goes stale, and offline, by itself"
    assert [sliced.station(each).twin for each in sliced] == [once.station(each).twin for each in once]
    assert sliced.within_reach_ms(until_ms, 10) == until_ms


def test_a_relay_is_healed_as_soon_as_another_boot_speaks() -> None:
    fleet = Fleet()
    policy = Policy(walk_in=True, required_level=None)
    fleet.seat(InstrumentFact(code="SEM", controller="c", policy=policy))
    fleet.learn(UserFact(user=User("li", UserCategory.TEACHER, 100)))
    fleet.learn(ProjectFact(project=Project("P", frozenset({"li"}), Decimal(1000))))

    def hear(boot: str, seq: int, at_ms: int, *, relay: bool) -> list[bool | None]:
        outcome = fleet.handle(Arrival("c", at_ms, Reading(boot, seq, at_ms, 0.0, relay=relay)))
        return [each.relay for follows in outcome.consequences for each in follows.commands]

    hear("b", 0, NOW, relay=False)
    fleet.handle(Unlock(number=1, at_ms=NOW + 1, instrument="SEM", user="li"))
    hear("b", 1, NOW + 2, relay=True)
    assert hear("b", 2, NOW + 40_000, relay=False) == [], "whoever switched it off by hand had a reason"
    assert hear("b", 3, NOW + 80_000, relay=False) == []
    assert hear("b2", 0, NOW + 120_000, relay=False) == [True]
