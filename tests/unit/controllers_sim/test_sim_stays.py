"""What people make of their bookings, and who comes without one."""

# ruff: noqa: S311 - seeded chance is what is tested
from collections import Counter
from datetime import date, timedelta
from random import Random
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from controllers_sim.manners import MIN_MS, RATES, Manner, manner_of
from controllers_sim.people import Habits, midnight_ms
from controllers_sim.plan import Booking
from controllers_sim.profiles import PROFILES
from controllers_sim.stays import DOOR_MS, Stay, intruders, stay_of, without_booking

SHANGHAI = ZoneInfo("Asia/Shanghai")
DAY = date(2026, 3, 4)
NINE_MS = midnight_ms(DAY, SHANGHAI) + 9 * 3_600_000
SLOT_MS = 120 * MIN_MS


def booking(user: str = "u1", minutes: int = 120) -> Booking:
    return Booking("04a1b2c3", NINE_MS, NINE_MS + minutes * MIN_MS, user)


def crowd(mischief: float, count: int = 1000) -> list[Stay | None]:
    return [stay_of(booking(f"u{number}"), 7, mischief) for number in range(count)]


def share(manner: Manner, mischief: float) -> float:
    draws = Counter(manner_of(Random(seed), mischief) for seed in range(4000))
    return draws[manner] / 4000


@pytest.mark.parametrize("manner", RATES)
def test_manners_are_met_as_often_as_their_rates_say(manner: Manner) -> None:
    assert share(manner, 1.0) == pytest.approx(RATES[manner], abs=0.015)
    assert share(manner, 0.5) == pytest.approx(RATES[manner] / 2, abs=0.015)
    assert share(manner, 0.0) == 0


def test_at_the_most_mischief_the_rates_still_share_out_one_crowd() -> None:
    assert 2 * sum(RATES.values()) <= 1


def test_without_mischief_everybody_comes_in_time_works_and_leaves_within_the_slot() -> None:
    for stay in crowd(0.0):
        assert stay is not None
        assert -5 * MIN_MS <= stay.begin_ms - NINE_MS <= 10 * MIN_MS
        assert NINE_MS + SLOT_MS - 6 * MIN_MS <= stay.done_ms < stay.end_ms < NINE_MS + SLOT_MS
        assert (stay.break_ms, stay.forgets, stay.asks) == (None, False, 3)


def with_manner(manner: Manner) -> Stay | None:
    return stay_of(replace(booking(), manner=manner), 7, 0.0)


def test_whose_manner_is_said_has_it_whatever_chance_would_say() -> None:
    assert with_manner(Manner.ABSENT) is None
    overstaying, forgetful = with_manner(Manner.OVERSTAYING), with_manner(Manner.FORGETFUL)
    assert overstaying is not None
    assert overstaying.done_ms > NINE_MS + SLOT_MS
    assert forgetful is not None
    assert forgetful.forgets


def test_who_insists_tries_a_card_three_times_and_who_sneaks_in_none() -> None:
    insisting, sneaking = with_manner(Manner.INSISTING), with_manner(Manner.SNEAKING)
    assert insisting is not None
    assert (insisting.card, insisting.asks, insisting.booked) == ("04a1b2c3", 3, False)
    assert insisting.begin_ms == NINE_MS
    assert sneaking is not None
    assert (sneaking.card, sneaking.asks) == ("", 0)
    assert NINE_MS < sneaking.use_ms < sneaking.done_ms


def test_a_crowd_shows_every_manner() -> None:
    stays = crowd(1.0)
    came = [stay for stay in stays if stay is not None]
    assert 0.03 < 1 - len(came) / len(stays) < 0.08  # no-shows
    late = [stay for stay in came if stay.begin_ms - NINE_MS >= 15 * MIN_MS]
    assert 0.06 < len(late) / len(stays) < 0.14
    assert all(stay.begin_ms - NINE_MS <= 25 * MIN_MS for stay in late)
    over = [stay for stay in came if stay.end_ms > NINE_MS + SLOT_MS]
    assert 0.04 < len(over) / len(stays) < 0.11
    assert all(12 * MIN_MS <= stay.done_ms - NINE_MS - SLOT_MS <= 45 * MIN_MS for stay in over)
    forgetful = [stay for stay in came if stay.forgets]
    assert 0.05 < len(forgetful) / len(stays) < 0.12
    assert {stay.done_ms > stay.end_ms for stay in forgetful} == {True, False}  # runs on, or stands idle
    idle = [stay.break_ms for stay in came if stay.break_ms]
    assert 0.03 < len(idle) / len(stays) < 0.10
    assert all(back_ms - leaves_ms > 30 * MIN_MS for leaves_ms, back_ms in idle)
    early = [stay for stay in came if not stay.forgets and stay.end_ms < NINE_MS + SLOT_MS - 25 * MIN_MS]
    assert 0.07 < len(early) / len(stays) < 0.17


@given(st.text(min_size=1), st.integers(), st.integers(10, 600), st.floats(0, 2))
def test_a_stay_is_in_order_whatever_the_slot(user: str, seed: int, minutes: int, mischief: float) -> None:
    stay = stay_of(booking(user, minutes), seed, mischief)
    assert stay == stay_of(booking(user, minutes), seed, mischief)
    if stay is not None:
        assert NINE_MS - 5 * MIN_MS <= stay.begin_ms <= stay.use_ms <= stay.done_ms
        assert stay.use_ms <= stay.end_ms
        assert stay.begin_ms < stay.until_ms == NINE_MS + minutes * MIN_MS
        if stay.break_ms is not None:
            assert stay.use_ms <= stay.break_ms[0] <= stay.break_ms[1] <= stay.done_ms


def days(count: int = 2000) -> list[date]:
    return [DAY + timedelta(days=number) for number in range(count)]


HABITS = Habits(3, PROFILES["sem"], SHANGHAI)


def test_some_try_a_card_without_a_booking_by_day_and_some_of_them_three_times() -> None:
    known = ("aa", "bb")
    found = [(day, stay) for day in days() for stay in without_booking(HABITS, known, 1.0, day)]
    assert 0.15 < len(found) / 2000 < 0.25
    assert all(9 <= (stay.begin_ms - midnight_ms(day, SHANGHAI)) / 3_600_000 < 20 for day, stay in found)
    assert {(stay.asks, stay.patience_ms) for _, stay in found} == {(1, 60_000), (3, 20_000)}
    assert not any(stay.booked for _, stay in found)
    unknown = [stay.card for _, stay in found if stay.card not in known]
    assert 0.2 < len(unknown) / len(found) < 0.4


def test_some_sneak_in_at_night_and_a_few_of_them_force_the_door() -> None:
    found = [(day, stay) for day in days(6000) for stay in intruders(HABITS, 1.0, day)]
    assert 0.03 < len(found) / 6000 < 0.05
    assert all((stay.begin_ms - midnight_ms(day, SHANGHAI)) / 3_600_000 < 4 for day, stay in found)
    assert all(stay.end_ms - stay.begin_ms >= 20 * MIN_MS and stay.asks == 0 for _, stay in found)
    assert {stay.done_ms > stay.use_ms for _, stay in found} == {True, False}  # works if it can, or is only there
    forced = [stay for _, stay in found if stay.door_ms > DOOR_MS]
    assert 0.04 < len(forced) / len(found) < 0.2


def test_without_mischief_nobody_comes_who_should_not() -> None:
    assert not any(without_booking(HABITS, ("aa",), 0.0, day) or intruders(HABITS, 0.0, day) for day in days())
