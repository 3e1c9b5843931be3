"""Power profiles and people: believable, and a pure function of seed and time."""

from datetime import date
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controllers_sim import people
from controllers_sim.people import Habits
from controllers_sim.profiles import PROFILES, Profile, Use, power_w

SHANGHAI = ZoneInfo("Asia/Shanghai")
T0_MS = 1_700_000_000_000
ALL = pytest.mark.parametrize("profile", PROFILES.values(), ids=PROFILES.keys())
times = st.integers(0, 30 * 86_400_000).map(lambda age_ms: T0_MS + age_ms)


def mean_w(profile: Profile, use: Use, from_s: int, to_s: int, seed: int = 5) -> float:
    watts = [power_w(profile, seed, T0_MS + second * 1000, use) for second in range(from_s, to_s, 3)]
    return sum(watts) / len(watts)


@given(st.sampled_from(list(PROFILES.values())), st.integers(0, 2**48), times, times, times)
def test_watts_are_sane_and_the_same_whenever_they_are_asked_for(
    profile: Profile, seed: int, on_ms: int, used_ms: int, t_ms: int
) -> None:
    use = Use(on_ms, used_ms)
    watts = power_w(profile, seed, t_ms, use)
    power_w(profile, seed, t_ms + 12_345, use)
    assert 0 <= watts < 8000
    assert watts == power_w(profile, seed, t_ms, use)


@ALL
def test_switched_off_on_and_in_use_are_three_levels(profile: Profile) -> None:
    off = mean_w(profile, Use(), 0, 3600)
    on = mean_w(profile, Use(T0_MS - 10**8), 0, 3600)
    used = mean_w(profile, Use(T0_MS - 10**8, T0_MS), 0, 3600)
    assert off < 20
    assert on > off + 15
    assert used > on * 1.3


@ALL
def test_two_instruments_of_a_type_differ(profile: Profile) -> None:
    use = Use(T0_MS - 10**8, T0_MS)
    assert mean_w(profile, use, 0, 600, seed=1) != mean_w(profile, use, 0, 600, seed=2)


def test_a_furnace_heats_up_at_full_power_and_then_cycles() -> None:
    furnace, use = PROFILES["furnace"], Use(T0_MS, T0_MS)
    assert mean_w(furnace, use, 60, 300) > 2 * mean_w(furnace, use, 3 * 3600, 3 * 3600 + 600)
    held = [power_w(furnace, 5, T0_MS + (3 * 3600 + second) * 1000, use) for second in range(60)]
    assert max(held) - min(held) > 800  # the heater goes on and off within a minute


def test_a_freezer_runs_by_itself_and_starts_with_an_inrush() -> None:
    freezer, use = PROFILES["freezer"], Use(T0_MS - 10**8)
    day = [power_w(freezer, 5, T0_MS + second * 1000, use) for second in range(86_400)]
    running = sum(watts > 300 for watts in day) / len(day)
    starts = sum(before < 100 < after for before, after in pairwise(day))
    assert 0.3 < running < 0.6
    assert 45 <= starts <= 70
    assert max(day) > 1.5 * sorted(day)[int(len(day) * 0.95)]


def habits(seed: int = 3, kind: str = "sem") -> Habits:
    return Habits(seed, PROFILES[kind], SHANGHAI)


@given(st.integers(0, 2**48), st.sampled_from(sorted(PROFILES)), st.dates(date(2024, 1, 1), date(2030, 1, 1)))
def test_visits_of_a_day_follow_each_other_and_stay_within_it(seed: int, kind: str, day: date) -> None:
    plan = people.visits(habits(seed, kind), day)
    midnight_ms = people.midnight_ms(day, SHANGHAI)
    edges = [midnight_ms]
    for visit in plan:
        edges += [visit.begin_ms, visit.use_ms, visit.done_ms, visit.end_ms]
        if visit.break_ms:
            assert visit.use_ms < visit.break_ms[0] < visit.break_ms[1] < visit.done_ms
    edges.append(midnight_ms + 86_400_000)
    assert edges == sorted(edges)
    assert people.visits(habits(seed, kind), day) == plan


def test_people_come_by_day_rather_than_by_night_and_on_workdays_rather_than_on_sundays() -> None:
    def visits_on(day: date) -> list[int]:
        plans = (people.visits(habits(seed), day) for seed in range(200))
        midnight_ms = people.midnight_ms(day, SHANGHAI)
        return [(visit.begin_ms - midnight_ms) // 3_600_000 for plan in plans for visit in plan]

    tuesday, sunday = visits_on(date(2026, 3, 3)), visits_on(date(2026, 3, 8))
    assert len(tuesday) > 2 * len(sunday) > 0
    assert sum(hour < 7 for hour in tuesday) < len(tuesday) / 20
    assert sum(8 <= hour < 18 for hour in tuesday) > len(tuesday) / 2


def test_local_hours_follow_the_site_through_a_clock_change() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    short = date(2026, 3, 29)
    plan = people.visits(Habits(1, PROFILES["sem"], berlin, 5.0), short)
    assert plan
    assert plan[-1].end_ms < people.midnight_ms(short, berlin) + 23 * 3_600_000


def test_a_scene_shows_what_the_visit_says() -> None:
    who = habits(kind="workstation")
    day = date(2026, 3, 3)
    visit = people.visits(who, day)[0]
    before, working, after = (
        people.scene(who, t_ms) for t_ms in (visit.begin_ms - 1, visit.use_ms, visit.end_ms + 30_000)
    )
    assert (before.occupied, before.door, before.use) == (False, "closed", Use())
    assert working.occupied
    assert working.use.used_since_ms == visit.use_ms
    assert people.scene(who, visit.begin_ms).door == "open"
    assert not after.occupied
    assert after.use.used_since_ms is None
    assert (after.use.on_since_ms is not None) == visit.forgets


@given(st.integers(0, 50), st.lists(st.integers(0, 86_400_000), max_size=20))
def test_every_tap_of_a_day_is_met_once_however_often_one_looks(seed: int, cuts: list[int]) -> None:
    who, start_ms = habits(seed), people.midnight_ms(date(2026, 3, 3), SHANGHAI)
    looks = [start_ms, *sorted(start_ms + cut for cut in cuts), start_ms + 86_400_000]
    met = [tap for after, until in pairwise(looks) for tap in people.taps(who, after, until)]
    assert met == list(people.taps(who, start_ms, start_ms + 86_400_000))
    assert len(met) >= len(people.visits(who, date(2026, 3, 3)))
